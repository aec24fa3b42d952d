// A Tensor is a view: dtype, shape, pointer, row-major and dense. It owns nothing and is copied like a number.
// `const` says nothing about the elements: an op's outputs are its first parameters.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>

#include "core/api.h"
#include "core/dtype.h"

namespace folio {

class FOLIO_API Shape {
 public:
  static constexpr int kMaxRank = 6;  // the pool of keys and values: (L, 2, blocks, H, 32, D)

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : rank_(static_cast<int>(dims.size())) {
    if (rank_ > kMaxRank) refuse_rank();
    std::copy(dims.begin(), dims.end(), dims_.begin());
  }

  int rank() const { return rank_; }
  int64_t operator[](int i) const {  // [-1]: the last; 0 where there is none
    int const at = i < 0 ? rank_ + i : i;
    return at < 0 ? 0 : dims_[at];
  }
  int64_t size() const {
    int64_t n = rank_ > 0;
    for (int i = 0; i < rank_; ++i) n *= dims_[i];
    return n;
  }
  Shape with_leading(int64_t n) const {
    Shape s = *this;
    s.dims_[0] = n;
    return s;
  }
  Shape without_leading() const {
    Shape s;
    s.rank_ = rank_ - 1;
    std::copy(dims_.begin() + 1, dims_.end(), s.dims_.begin());
    return s;
  }
  bool operator==(Shape const&) const = default;
  std::string text() const;  // "(2, 3)"

 private:
  [[noreturn]] void refuse_rank() const;

  std::array<int64_t, kMaxRank> dims_{};  // zero beyond the rank
  int rank_ = 0;
};

struct FOLIO_API Tensor {
  DType dtype = DType::f32;
  Shape shape;             // rank 0: absent (a bias that is off, a gradient in inference)
  void* data = nullptr;    // null while planning
  char const* label = "";  // its name in the plan; observers and messages show it

  bool empty() const { return shape.rank() == 0; }
  int64_t size() const { return shape.size(); }
  size_t bytes() const { return size() * size_of(dtype); }
  int64_t rows() const { return empty() || shape[-1] == 0 ? 0 : size() / shape[-1]; }  // all but the last dimension

  template <class T>
  T* as() const {
    if (dtype != dtype_of<T>) refuse_as(dtype_of<T>);
    return static_cast<T*>(data);
  }
  Tensor operator[](int64_t i) const {  // without the leading dimension
    Tensor t = slice(i, i + 1);
    t.shape = shape.without_leading();
    return t;
  }
  Tensor slice(int64_t begin, int64_t end) const {  // a range of the leading dimension
    if (begin < 0 || begin > end || end > shape[0]) refuse_slice(begin, end);
    Tensor t = *this;
    t.shape = shape.with_leading(end - begin);
    if (data) t.data = static_cast<std::byte*>(data) + begin * (size() / shape[0]) * size_of(dtype);
    return t;
  }
  Tensor reshaped(Shape const& to) const {  // the same elements, or the first of them
    if (to.size() > size()) refuse_shape(to);
    Tensor t = *this;
    t.shape = to;
    return t;
  }

 private:  // Fault::bug
  [[noreturn]] void refuse_as(DType) const;
  [[noreturn]] void refuse_slice(int64_t begin, int64_t end) const;
  [[noreturn]] void refuse_shape(Shape const&) const;
};

}  // namespace folio
