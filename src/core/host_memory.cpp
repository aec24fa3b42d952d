#include "core/host_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "core/machine.h"

namespace folio {

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

size_t align_of(size_t bytes) { return bytes >= 2 * kHugePage ? kHugePage : Arena::kAlign; }

}  // namespace

size_t in_large_pages(size_t bytes) {
  size_t const align = align_of(bytes);
  return (bytes + align - 1) / align * align;
}

std::span<std::byte> reserve_memory(size_t bytes) {
  size_t const align = align_of(bytes), whole = in_large_pages(bytes),
               available = whole < kHugePage ? SIZE_MAX : look_at_machine().available_memory;
  void* const p = whole <= available ? std::aligned_alloc(align, whole) : nullptr;
  constexpr double kMiB = 1 << 20;
  check(p, Fault::memory, "out of memory: {:.1f} MiB asked for{}", double(bytes) / kMiB,
        whole > available ? fmt::format(", {:.1f} MiB available", double(available) / kMiB) : std::string());
  if (align == kHugePage) madvise(p, whole, MADV_HUGEPAGE);  // fewer misses of the address cache; a refusal is harmless
  return {static_cast<std::byte*>(p), whole};
}

void* HostMemory::acquire(size_t bytes) {
  std::span<std::byte> const memory = reserve_memory(bytes);
  return std::memset(memory.data(), 0, memory.size());
}
void HostMemory::release(void* p) noexcept { std::free(p); }

}  // namespace folio
