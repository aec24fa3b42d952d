// Memory, scratch, copies, and the making of the backend.
#include <cstdlib>
#include <cstring>

#include "backend/cpu/cpu.h"
#include "core/error.h"
#include "core/host_memory.h"

namespace folio::cpu {
namespace {

constexpr int64_t kPage = int64_t{2} << 20, kShare = 1 << 18;  // bytes that are worth a thread: new, there already

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
  std::span<std::byte> const memory = reserve_memory(bytes);
  divide(int64_t(memory.size()), kPage, int64_t(Arena::kAlign), [&](int64_t begin, int64_t end, int64_t) {
    std::memset(memory.data() + begin, poison_ ? 0xff : 0, size_t(end - begin));
  });
  return memory.data();
}
void Cpu::release(void* p) noexcept { std::free(p); }

void Cpu::copy_bytes(void* to, void const* from, size_t bytes) {
  divide(int64_t(bytes), kShare, Arena::kAlign, [&](int64_t begin, int64_t end, int64_t) {
    std::memcpy(static_cast<std::byte*>(to) + begin, static_cast<std::byte const*>(from) + begin, size_t(end - begin));
  });
}
void Cpu::do_upload(Tensor to, void const* from) { copy_bytes(to.data, from, to.bytes()); }
void Cpu::do_download(void* to, Tensor from) { copy_bytes(to, from.data, from.bytes()); }
void Cpu::do_copy(Tensor to, Tensor from) { copy_bytes(to.data, from.data, to.bytes()); }
void Cpu::do_zero(Tensor t) {
  divide(int64_t(t.bytes()), kShare, Arena::kAlign, [&](int64_t begin, int64_t end, int64_t) {
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
