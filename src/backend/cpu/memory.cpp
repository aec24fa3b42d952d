// Memory, scratch, copies, and the making of the backend.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "backend/cpu/cpu.h"
#include "core/error.h"
#include "core/machine.h"

namespace folio::cpu {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

KernelTable table_of(CpuLevel level) {
  KernelTable table;
  switch (level) {
    case CpuLevel::none:
      fail(Fault::device, "there are no kernels for a processor without AVX2 and FMA");
    case CpuLevel::avx2:
      avx2::fill(table);
      break;
    case CpuLevel::avx512:
      avx512::fill(table);
      break;
    case CpuLevel::avx512_bf16:
    case CpuLevel::amx:
      avx512_bf16::fill(table);
      break;
  }
  return table;
}

Cpu::Cpu(CpuLevel level, int threads)
    : table_(table_of(level)),
      native_bf16_(level >= CpuLevel::avx512_bf16),
      threads_(threads > 0 ? threads : default_threads()),
      poison_(std::getenv("FOLIO_POISON_MEMORY") != nullptr),
      matmul_(level, threads_) {}

void* Cpu::acquire(size_t bytes) {
  size_t const align = bytes >= 2 * kHugePage ? kHugePage : Arena::kAlign;
  size_t const whole = (bytes + align - 1) / align * align,
               available = whole < kHugePage ? SIZE_MAX : look_at_machine().available_memory;
  // The system promises more than it or the container has and kills who touches it, so ask before.
  void* const p = whole <= available ? std::aligned_alloc(align, whole) : nullptr;
  constexpr double kMiB = 1 << 20;
  check(p, Fault::memory, "out of memory: {:.1f} MiB asked for{}", double(bytes) / kMiB,
        whole > available ? fmt::format(", {:.1f} MiB available", double(available) / kMiB) : std::string());
  if (align == kHugePage) madvise(p, whole, MADV_HUGEPAGE);  // fewer misses of the address cache; a refusal is harmless
  divide(int64_t(whole), int64_t(kHugePage), int64_t(Arena::kAlign), [&](int64_t begin, int64_t end, int64_t) {
    std::memset(static_cast<std::byte*>(p) + begin, poison_ ? 0xff : 0, size_t(end - begin));
  });
  return p;
}
void Cpu::release(void* p) noexcept { std::free(p); }

void Cpu::do_upload(Tensor to, void const* from) { std::memcpy(to.data, from, to.bytes()); }
void Cpu::do_download(void* to, Tensor from) { std::memcpy(to, from.data, from.bytes()); }
void Cpu::do_copy(Tensor to, Tensor from) {
  divide(int64_t(to.bytes()), 1 << 18, Arena::kAlign, [&](int64_t begin, int64_t end, int64_t) {
    std::memcpy(static_cast<std::byte*>(to.data) + begin, static_cast<std::byte*>(from.data) + begin,
                size_t(end - begin));
  });
}
void Cpu::do_zero(Tensor t) {
  divide(int64_t(t.bytes()), 1 << 18, Arena::kAlign, [&](int64_t begin, int64_t end, int64_t) {
    std::memset(static_cast<std::byte*>(t.data) + begin, 0, size_t(end - begin));
  });
}

}  // namespace folio::cpu

namespace folio {
std::unique_ptr<Backend> make_cpu_backend(int threads) {
  CpuLevel const level = level_in_use();
  check(level != CpuLevel::none, Fault::device,
        "the cpu backend needs a processor with AVX2 and FMA, and this one has neither or one of them only: use "
        "--device reference");
  check(threads >= 0, Fault::value, "threads {}: 0 (all cores) or more expected", threads);
  return std::make_unique<cpu::Cpu>(level, threads);
}
}  // namespace folio
