#include "core/arena.h"

#include "core/error.h"

namespace folio {

Arena::~Arena() {
  if (base_) memory_->release(base_);
}

Tensor Arena::take(std::string const& name, DType dtype, Shape shape) {
  if (!base_) {
    entries_.push_back({name, dtype, shape, bytes_});
    bytes_ += (shape.size() * size_of(dtype) + kAlign - 1) / kAlign * kAlign;
    return {dtype, shape, nullptr, entries_.back().name.c_str()};
  }
  check(next_ < entries_.size(), "arena {}: {} was not planned", role_, name);
  Entry const& e = entries_[next_++];
  check(e.name == name && e.dtype == dtype && e.shape == shape, "arena {}: planned {} {} {}, asked for {} {} {}", role_,
        e.name, name_of(e.dtype), e.shape, name, name_of(dtype), shape);
  return {dtype, shape, base_ + e.offset, e.name.c_str()};
}

void Arena::allocate(Memory& memory) {
  check(!base_, "arena {}: allocated twice", role_);
  memory_ = &memory;
  try {
    base_ = static_cast<std::byte*>(memory.acquire(std::max(bytes_, kAlign)));
  } catch (Error const& e) {
    if (e.fault != Fault::memory) throw;
    throw Error(e.fault, fmt::format("{}: {}", role_, e.what()), e.where);
  }
}

Tensor Arena::flat(DType dtype) const {
  return {dtype, {static_cast<int64_t>(bytes_ / size_of(dtype))}, base_, role_.c_str()};
}

}  // namespace folio
