#include "core/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/progress.h"

namespace folio {

namespace {

std::string first_line(Path const& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::optional<uint64_t> number(std::string const& text) {
  uint64_t value = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return {};
  return value;
}

/// The sum of those values of lines "name value" whose name is one of `names`.
uint64_t named_sum(Path const& path, std::vector<std::string> const& names) {
  uint64_t sum = 0, value = 0;
  std::ifstream in(path);
  for (std::string name; in >> name >> value;)
    if (std::ranges::find(names, name) != names.end()) sum += value;
  return sum;
}

/// This process' control groups and those above them, innermost first; a limit may stand on any.
std::vector<Path> groups(Path const& root, std::string const& controller) {
  Path const base = root / "sys/fs/cgroup" / controller;  // version 2 has no folder a controller
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // "0::/a/b", or in version 1 "4:cpu,cpuacct:/a/b"
    size_t const first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
    std::string const names = ',' + line.substr(first + 1, second - first - 1) + ',';
    if (controller.empty() ? names != ",," : names.find(',' + controller + ',') == names.npos) continue;
    std::vector<Path> found;
    for (Path part = Path(line.substr(second + 1)).relative_path();; part = part.parent_path()) {
      found.push_back(base / part);
      if (part.empty()) return found;
    }
  }
  return {base};
}

std::optional<double> core_quota(Path const& root) {
  std::optional<double> least;
  auto const keep = [&](std::string const& quota, std::string const& period) {
    auto const q = number(quota), p = number(period);
    if (q && p && *p > 0) least = std::min(least.value_or(1e9), static_cast<double>(*q) / static_cast<double>(*p));
  };
  for (Path const& group : groups(root, "")) {
    std::istringstream line(first_line(group / "cpu.max"));  // "max 100000"
    std::string quota, period;
    line >> quota >> period;
    keep(quota, period);
  }
  for (Path const& group : groups(root, "cpu"))  // version 1; −1 is none
    keep(first_line(group / "cpu.cfs_quota_us"), first_line(group / "cpu.cfs_period_us"));
  return least;
}

void keep_least(Machine& machine, uint64_t available, std::string const& by) {
  if (available >= machine.available_memory) return;
  machine.available_memory = available, machine.available_by = by;
}

uint64_t rest(uint64_t limit, uint64_t used) { return limit - std::min(used, limit); }

void look_at_limit(Machine& machine, Path const& root) {
  // The names of what is cached of files, in memory.stat: given back before the limit refuses.
  auto const keep = [&](Path const& group, std::optional<uint64_t> limit, char const* use_file,
                        std::string const& cached) {
    if (!limit || *limit >= std::max(machine.memory, uint64_t{1})) return;  // "max", or more than there is
    auto const used = number(first_line(group / use_file));
    uint64_t const cache = named_sum(group / "memory.stat", {cached + "inactive_file", cached + "active_file"});
    keep_least(machine, rest(*limit, rest(used.value_or(0), cache)),
               fmt::format("left of a container's limit of {}", format_bytes(double(*limit))));
    if (machine.memory_limit && *machine.memory_limit <= *limit) return;
    machine.memory_limit = limit, machine.memory_in_limit = used;
  };
  for (Path const& group : groups(root, ""))
    for (char const* file : {"memory.max", "memory.high"})  // above which the system holds back who asks for more
      keep(group, number(first_line(group / file)), "memory.current", "");
  for (Path const& group : groups(root, "memory")) {
    keep(group, number(first_line(group / "memory.limit_in_bytes")), "memory.usage_in_bytes", "total_");
    // Of groups above it that the container does not see.
    uint64_t const above = named_sum(group / "memory.stat", {"hierarchical_memory_limit"});
    keep(group, above > 0 ? std::optional(above) : std::nullopt, "memory.usage_in_bytes", "total_");
  }
}

/// The limits that a shell's `ulimit` sets. Threads that are not there yet will take their stacks.
void look_at_process(Machine& machine, Path const& root) {
  std::map<std::string, uint64_t> limits, kib;
  std::ifstream limits_in(root / "proc/self/limits"), status_in(root / "proc/self/status");
  for (std::string line; std::getline(limits_in, line);)  // "Max data size             unlimited  …"
    for (std::string const name : {"Max stack size", "Max data size", "Max address space"})
      if (line.starts_with(name))
        if (auto const n = number(line.substr(std::min(line.find_first_not_of(' ', name.size()), line.size()))))
          limits[name] = *n;
  for (std::string line; std::getline(status_in, line);) {  // "VmSize:\t  123 kB"
    std::istringstream words(line);
    std::string name;
    words >> name >> kib[name];
  }
  constexpr uint64_t kUsualStack = uint64_t{8} << 20;
  uint64_t const stack = limits.contains("Max stack size") ? limits["Max stack size"] : kUsualStack;
  uint64_t const to_come = rest(uint64_t(machine.granted_cores()) + 1, kib["Threads:"]);  // and one that saves
  auto const keep = [&](char const* name, uint64_t used, char const* flag) {
    if (!limits.contains(name)) return;
    keep_least(machine, rest(limits[name], used + to_come * stack),
               fmt::format("left of the process' limit of {} (ulimit {})", format_bytes(double(limits[name])), flag));
  };
  keep("Max data size", kib["VmData:"] * 1024, "-d");
  keep("Max address space", kib["VmSize:"] * 1024, "-v");
}

int usable_cores(int online) {
  for (int most = std::max(online, 1024); most <= 1 << 20; most *= 2) {  // EINVAL: the set is too small for this kernel
    cpu_set_t* const set = CPU_ALLOC(most);
    if (!set) break;
    size_t const bytes = CPU_ALLOC_SIZE(most);
    int const count = ::sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
  return online;
}

}  // namespace

int Machine::granted_cores() const {
  double const granted = std::min<double>(usable_cores, core_quota.value_or(usable_cores));
  return std::max(1, static_cast<int>(std::lround(granted)));
}

Machine look_at_machine(Path const& root) {
  Machine machine;
  machine.cores = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  machine.usable_cores = usable_cores(machine.cores);
  machine.core_quota = core_quota(root);
  std::ifstream in(root / "proc/meminfo");
  for (std::string line; std::getline(in, line);) {  // "MemTotal:       16315932 kB"
    std::istringstream words(line);
    std::string name;
    uint64_t kib = 0;
    words >> name >> kib;
    if (name == "MemTotal:") machine.memory = kib * 1024;
    if (name != "MemAvailable:") continue;
    machine.free_memory = kib * 1024;
    keep_least(machine, machine.free_memory, "free on this machine");
  }
  look_at_limit(machine, root);
  look_at_process(machine, root);
  return machine;
}

}  // namespace folio
