// folio doctor: what this machine offers and what is missing, a line each. A warning leaves folio able to do its main
// job; something broken does not, and gives exit code 1.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "backend/info.h"
#include "backend/plugin.h"
#include "cli/doctor.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/machine.h"
#include "core/paths.h"
#include "core/progress.h"
#include "text/tokenizer.h"

namespace folio::cli {

namespace {

namespace fs = std::filesystem;

void cores(Findings& out, Machine const& m) {
  std::string words = fmt::format("{} of {} usable", m.usable_cores, m.cores);
  if (m.usable_cores < m.cores) words += " (affinity)";
  if (m.core_quota) words += fmt::format(", a container's quota of {:.1f}", *m.core_quota);
  Json values = {{"online", m.cores}, {"usable", m.usable_cores}};
  if (m.core_quota) values["quota"] = *m.core_quota;
  out.push_back({State::ok, "cores", words, values});

  int const threads = default_threads(), granted = m.granted_cores();
  bool const many = threads > granted;
  out.push_back({many ? State::warning : State::ok,
                 "threads",
                 many ? fmt::format("{} by OMP_NUM_THREADS, more than the cores granted: give --threads {} or unset it",
                                    threads, granted)
                      : fmt::format("{} unless --threads says otherwise", threads),
                 {{"default", threads}}});
}

void memory(Findings& out, Machine const& m) {
  std::string words = fmt::format("{}, {} free", format_bytes(static_cast<double>(m.memory)),
                                  format_bytes(static_cast<double>(m.free_memory)));
  Json values = {{"bytes", m.memory}, {"free", m.free_memory}};
  if (m.memory_limit) {
    uint64_t const used = m.memory_in_limit.value_or(0);
    words += fmt::format(", a container's limit of {} ({} used)", format_bytes(static_cast<double>(*m.memory_limit)),
                         format_bytes(static_cast<double>(used)));
    values["limit"] = *m.memory_limit;
    values["used_of_limit"] = used;
  }
  uint64_t const free = m.available_memory;
  if (free != UINT64_MAX) values["available"] = free;
  constexpr uint64_t kLittle = uint64_t{1} << 30;
  if (free < kLittle) words += "; under 1 GiB is left: small models only";
  out.push_back({free < kLittle ? State::warning : State::ok, "memory", words, values});
}

void processor(Findings& out) {
  Processor const& c = folio::processor();
  CpuLevel const level = level_in_use();
  char const* const asked = std::getenv("FOLIO_ISA");
  Json const values = {
      {"model", c.model}, {"avx2", c.avx2}, {"avx512", c.avx512}, {"avx512_bf16", c.avx512_bf16}, {"amx", c.amx}};
  if (level == CpuLevel::none) {
    out.push_back({State::broken, "processor",
                   c.model + ": no AVX2 and FMA, which the CPU backend needs: use --device reference", values});
    return;
  }
  out.push_back({State::ok, "processor", c.model + ": " + c.levels_text(), values});
  std::string words = fmt::format("{} in use", name_of(level));
  bool const lacks = asked && *asked && name_of(level) != std::string_view(asked);
  if (lacks) words = fmt::format("FOLIO_ISA={}, which this processor lacks: {}", asked, words);
  else if (level < c.level())
    words += fmt::format(", by FOLIO_ISA; {} is this processor's highest", name_of(c.level()));
  out.push_back({lacks ? State::warning : State::ok, "level", words, {{"level", name_of(level)}}});
}

constexpr char const* kGetData = "run scripts/get-data, which places them there";
constexpr char const* kPlaysHash =
    "9df7adaff638d823dc55699bb068bc38";  // XXH3-128 of the plays one behind the other, by name
constexpr size_t kPlays = 38;

Finding vocabulary(Path const& data) {
  std::error_code ignored;
  std::string const path = (data / "gpt2").string();
  if (!fs::exists(data / "gpt2", ignored))
    return {State::warning, "GPT-2 vocabulary", fmt::format("not in {}: {}", path, kGetData), {{"there", false}}};
  try {
    int64_t const vocab = text::load_tokenizer("gpt2")->vocab();
    return {State::ok, "GPT-2 vocabulary", fmt::format("whole, {} tokens", vocab), {{"there", true}, {"whole", true}}};
  } catch (Error const& e) {
    return {State::broken, "GPT-2 vocabulary", e.what(), {{"there", true}, {"whole", false}}};
  }
}

Finding plays(Path const& data) {
  std::error_code ignored;
  Path const folder = data / "shakespeare";
  if (!fs::exists(folder, ignored))
    return {State::warning, "plays", fmt::format("not in {}: {}", folder.string(), kGetData), {{"there", false}}};
  std::vector<Path> files;
  for (auto const& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  std::ranges::sort(files);
  Hasher hasher;
  for (Path const& file : files) hasher.add(read_file(file, uint64_t{16} << 20));
  bool const whole = files.size() == kPlays && hasher.hex() == kPlaysHash;
  Json const values = {{"there", true}, {"whole", whole}, {"files", files.size()}};
  if (whole) return {State::ok, "plays", fmt::format("whole, {} of Shakespeare", files.size()), values};
  return {State::broken, "plays",
          fmt::format("{} are not those that set-up makes: remove that folder, then {}", folder.string(), kGetData),
          values};
}

void data(Findings& out) {
  Path folder;
  try {
    folder = data_directory();
  } catch (Error const& e) {
    out.push_back({State::warning, "data directory", e.what()});
    return;
  }
  std::error_code ignored;
  bool const there = fs::is_directory(folder, ignored);
  out.push_back({there ? State::ok : State::warning,
                 "data directory",
                 there ? folder.string() : folder.string() + " does not exist yet: run scripts/get-data",
                 {{"path", folder.string()}, {"there", there}}});
  if (!there) return;
  out.push_back(vocabulary(folder));
  out.push_back(plays(folder));
}

void cuda(Findings& out) {
  CudaStatus const& s = cuda_status();
  if (s.plugin.empty()) {
    out.push_back({State::ok, "CUDA", "not built in: the CPU does all", {{"built_in", false}}});
    return;
  }
  std::string const nccl = cuda_nccl_version();
  auto const version = [](int v) { return v > 0 ? Json(cuda_version_text(v)) : Json(); };
  auto const text = [](std::string const& t) { return t.empty() ? Json() : Json(t); };
  Json const values = {{"built_in", true},
                       {"usable", s.trouble.empty()},
                       {"plugin", s.plugin},
                       {"runtime", version(s.runtime)},
                       {"driver_cuda", version(s.driver)},
                       {"driver", text(s.driver_release)},
                       {"cublaslt", text(s.cublaslt)},
                       {"nccl", text(nccl)},
                       {"gpus", s.gpus.size()}};
  std::string words;  // a plug-in that was not taken is named in `trouble`
  if (s.runtime > 0)
    words = fmt::format("{}; runtime {}, cublasLt {}, {}", s.plugin, cuda_version_text(s.runtime), s.cublaslt,
                        nccl.empty() ? "no NCCL (libnccl.so.2): one GPU at a time" : nccl);
  if (s.driver > 0)
    words += fmt::format("; driver {}for CUDA {}", s.driver_release.empty() ? "" : s.driver_release + " ",
                         cuda_version_text(s.driver));
  if (!s.trouble.empty()) words += (words.empty() ? "" : ": ") + s.trouble;
  out.push_back({s.trouble.empty() ? State::ok : State::warning, "CUDA", words, values});
  for (size_t i = 0; i < s.gpus.size(); ++i) {
    CudaGpu const& g = s.gpus[i];
    std::string state;
    Json gpu = {
        {"name_of_gpu", g.name}, {"bytes", g.memory}, {"compute_capability", fmt::format("{}.{}", g.major, g.minor)}};
    try {
      uint64_t const free = cuda_free_memory(int(i));
      state = format_bytes(double(free)) + " free";
      gpu["free"] = free;
    } catch (Error const& e) {  // taken by another, or broken
      state = e.what();
    }
    out.push_back({gpu.contains("free") ? State::ok : State::warning, fmt::format("cuda:{}", i),
                   fmt::format("{}, {}, {}; compute capability {}.{}", g.name, format_bytes(double(g.memory)), state,
                               g.major, g.minor),
                   gpu});
  }
}

Findings look() {
  Findings out;
  Machine const machine = look_at_machine();
  processor(out);
  cores(out, machine);
  memory(out, machine);
  out.push_back({State::ok, "libraries", vendor_libraries()});
  cuda(out);
  data(out);
  return out;
}

std::string text_of(Finding const& finding, bool colour) {
  static constexpr char const* kMarks[] = {"[ok]", "[!] ", "[x] "};
  static constexpr char const* kColours[] = {"\x1b[32m", "\x1b[33m", "\x1b[31m"};
  auto const state = static_cast<size_t>(finding.state);
  std::string const mark = colour ? fmt::format("{}{}\x1b[0m", kColours[state], kMarks[state]) : kMarks[state];
  constexpr size_t kColumn = 23;
  return fmt::format("{} {:<16}  {}", mark, finding.name, wrapped(finding.words, kColumn).substr(kColumn));
}

Json json_of(Findings const& findings, bool healthy) {
  static constexpr char const* kStates[] = {"ok", "warning", "broken"};
  Json checks = Json::array();
  for (Finding const& f : findings) {
    Json one = {{"name", f.name}, {"state", kStates[static_cast<size_t>(f.state)]}, {"text", f.words}};
    one.update(f.values);
    checks.push_back(one);
  }
  return {{"healthy", healthy}, {"checks", checks}};
}

}  // namespace

int doctor(Arguments const& arguments) {
  bool json = false, proves = false;
  BackendChoice backend;
  Spec const spec{
      .name = "doctor",
      .summary = "what this machine offers, and what is missing",
      .details =
          "Cores, memory, instruction sets, threads, GPUs, and whether the data that set-up places are "
          "whole. Exit code 1 where something that folio needs is broken; a warning [!] is none. --prove also has "
          "this program show in less than a minute that its gradients are right, that it learns, and that a run "
          "which is interrupted goes on with the same bits; folio verify-resume does the last for a run of yours.",
      .example = "folio doctor\nfolio doctor --prove",
      .fields = joined({{{"prove", &proves, "also prove gradients, learning and resuming on this machine"},
                         {"json", &json, "print one JSON object"}},
                        backend.fields(true)})};
  Origins given;
  if (!parse(spec, arguments, &given)) return 0;
  refuse_idle(spec.fields, given);
  Findings findings = look();
  if (proves) std::ranges::move(prove(backend), std::back_inserter(findings));
  bool const healthy = std::ranges::none_of(findings, [](Finding const& f) { return f.state == State::broken; });
  std::string out;
  for (Finding const& finding : findings) out += text_of(finding, terminal().out_colour);
  print(json ? dump(json_of(findings, healthy), 2) + '\n' : out);
  return healthy ? 0 : static_cast<int>(Fault::failed);
}

}  // namespace folio::cli
