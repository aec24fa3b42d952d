#include "backend/room.h"

#include <algorithm>

#include "core/error.h"
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

void expect_room(Backend const& backend, std::string const& what, std::span<MemoryRole const> roles,
                 std::string const& mends) {
  Available const there = available_memory(backend);
  check(bytes_of(roles) <= there.bytes, Fault::memory, "{} asks for {}, and {} are {}: {}", what, amount_text(roles),
        format_bytes(double(there.bytes)), there.by, mends);
}

}  // namespace folio
