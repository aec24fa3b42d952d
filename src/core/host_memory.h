// Large memory of the process: what the tensors of a processor lie in, and what of a device's is kept on the host.
#pragma once

#include <span>

#include "core/arena.h"

namespace folio {

/// What is really taken for so many bytes: whole large pages where it is large.
size_t in_large_pages(size_t bytes);

/// Whole cache lines, on large pages where it is large, not touched yet; std::free gives them back. Throws
/// Fault::memory; also where the machine or its container has less left, since the system promises more than it has
/// and kills who touches it.
std::span<std::byte> reserve_memory(size_t bytes);

class HostMemory final : public Memory {
 public:
  void* acquire(size_t bytes) override;
  void release(void*) noexcept override;
};

}  // namespace folio
