// An Arena is the one allocation of one role (weights, gradients, activations, …).
// It is laid out by running the same code twice: the first pass plans (views without memory), then allocate(), then
// the second pass hands the memory out in the same order. A second pass that asks for anything else throws, so the
// plan that is printed is what the run uses, by construction; and no view's address is kept, so the structs that
// hold views are plain values.
#pragma once

#include <deque>
#include <string>

#include "core/api.h"
#include "core/tensor.h"

namespace folio {

struct MemoryRole {  // what is, or will be, held for one purpose
  std::string name;
  size_t bytes = 0;
};

class FOLIO_API Memory {  // where bytes come from; a Backend is one (core includes nothing above it)
 public:
  virtual ~Memory() = default;
  virtual void* acquire(size_t bytes) = 0;  // 64-byte aligned and touched; throws Fault::memory
  virtual void release(void*) noexcept = 0;
};

class FOLIO_API Arena {
 public:
  struct Entry {
    std::string name;
    DType dtype;
    Shape shape;
    size_t offset;  // bytes
  };
  static constexpr size_t kAlign = 64;

  explicit Arena(std::string role) : role_(std::move(role)) {}
  ~Arena();
  Arena(Arena const&) = delete;

  Tensor take(std::string const& name, DType, Shape);  // throws where the second pass leaves the plan
  void allocate(Memory&);                              // ends the planning pass
  Tensor flat(DType) const;                            // (n), all of it, padding too: for zero, norm, all-reduce

  std::string const& role() const { return role_; }
  size_t bytes() const { return bytes_; }
  MemoryRole planned() const { return {role_, bytes_}; }         // known as soon as it was laid out
  std::deque<Entry> const& entries() const { return entries_; }  // the plan, by name

 private:
  std::string role_;
  std::deque<Entry> entries_;  // a deque: labels point into it
  size_t bytes_ = 0, next_ = 0;
  Memory* memory_ = nullptr;
  std::byte* base_ = nullptr;
};

}  // namespace folio
