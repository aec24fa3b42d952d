#include "backend/room.h"

#include <malloc.h>

#include <algorithm>

#include "core/host_memory.h"
#include "core/machine.h"
#include "core/progress.h"

namespace folio {

Available available_memory(Backend const& backend) {
  if (MemoryOfDevice const device = backend.device_memory(); device.total > 0) return {device.free, "free on the GPU"};
  Machine const machine = look_at_machine();
  return {machine.available_memory, machine.available_by};
}

size_t bytes_of(std::span<MemoryRole const> roles) {
  size_t sum = 0;
  for (MemoryRole const& role : roles) sum += role.bytes;
  return sum;
}

std::string amount_text(std::span<MemoryRole const> roles) {
  constexpr size_t kShown = 3;
  std::vector<MemoryRole> sorted(roles.begin(), roles.end());
  std::ranges::stable_sort(sorted, std::greater{}, &MemoryRole::bytes);
  std::string text;
  if (sorted.size() == 1) return format_bytes(double(sorted[0].bytes));
  for (size_t i = 0; i < std::min(kShown, sorted.size()); ++i)
    text += fmt::format("{}{} {}", i > 0 ? ", " : "", sorted[i].name, format_bytes(double(sorted[i].bytes)));
  return fmt::format("{} ({}{})", format_bytes(double(bytes_of(roles))), text, sorted.size() > kShown ? ", …" : "");
}

size_t with_reserve(size_t bytes) { return bytes + bytes / 100 + (size_t{4} << 20); }

namespace {

// Stacks of threads, the libraries' code as it is first used, the products' primitives and what they pack into.
size_t to_compute(size_t arenas) {
  constexpr size_t kMiB = size_t{1} << 20;
  return kMiB + std::min(10 * kMiB, arenas / 32);
}

struct Weighed {
  std::vector<MemoryRole> roles;
  Available there;
  bool fits() const { return with_reserve(bytes_of(roles)) <= there.bytes; }
};

// On a device, what lies there and what lies in the process are two.
std::vector<Weighed> weigh(Backend const& backend, Ask const& ask) {
  ::malloc_trim(0);  // what is free again is not counted
  if (backend.device_memory().total > 0) {
    Machine const machine = look_at_machine();
    return {{ask.roles, available_memory(backend)}, {ask.in_heap, {machine.available_memory, machine.available_by}}};
  }
  std::vector<MemoryRole> all = ask.roles;
  all.insert(all.end(), ask.in_heap.begin(), ask.in_heap.end());
  size_t rounding = 0;
  for (MemoryRole const& role : ask.roles) rounding += in_large_pages(role.bytes) - role.bytes;
  all.push_back({"program and libraries", rounding + to_compute(bytes_of(ask.roles))});
  return {{all, available_memory(backend)}};
}

}  // namespace

bool has_room(Backend const& backend, Ask const& ask) {
  return std::ranges::all_of(weigh(backend, ask), &Weighed::fits);
}

void expect_room(Backend const& backend, Ask const& ask) {
  for (Weighed const& w : weigh(backend, ask)) {
    size_t const bytes = bytes_of(w.roles);
    check(w.fits(), Fault::memory, "{} asks for {}, and {} are {}, of which {} stay free: {}", ask.what,
          amount_text(w.roles), format_bytes(double(w.there.bytes)), w.there.by,
          format_bytes(double(with_reserve(bytes) - bytes)), ask.mends);
  }
}

}  // namespace folio
