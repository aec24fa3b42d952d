// Values in and out of a backend's memory whatever its scalar, and comparisons that a NaN cannot pass.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "core/error.h"

namespace folio::test {

using Tokens = std::vector<int32_t>;

template <class T>
std::vector<T> host(Backend& backend, Tensor const& t) {
  std::vector<T> v(t.size());
  if (!v.empty()) backend.download(v.data(), t);
  return v;
}

/// Of an f64, f32, bf16 or f16 tensor.
inline std::vector<double> values(Backend& backend, Tensor const& t) {
  if (t.dtype == DType::f64) return host<double>(backend, t);
  if (t.dtype == DType::bf16) {
    auto const halves = host<bf16>(backend, t);
    std::vector<double> v(halves.size());
    std::ranges::transform(halves, v.begin(), [](bf16 x) { return to_float(x); });
    return v;
  }
  if (t.dtype == DType::f16) {
    auto const halves = host<f16>(backend, t);
    std::vector<double> v(halves.size());
    std::ranges::transform(halves, v.begin(), [](f16 x) { return to_float(x); });
    return v;
  }
  check(t.dtype == DType::f32, "{} is {}", t.label, name_of(t.dtype));
  auto const narrow = host<float>(backend, t);
  return {narrow.begin(), narrow.end()};
}

/// Uploads `from` in the weight's own scalar, and prepares.
template <class From>
void set_weight(Backend& backend, Weight const& w, std::vector<From> const& from) {
  check(int64_t(from.size()) == w.shape.size(), "{} values for {}", from.size(), w.shape);
  auto upload = [&]<class To>(To) {
    std::vector<To> const converted(from.begin(), from.end());
    backend.upload(w.master, converted.data());
  };
  switch (w.master.dtype) {
    case DType::f32:
      upload(float{});
      break;
    case DType::f64:
      upload(double{});
      break;
    default:
      upload(std::complex<double>{});
  }
  backend.prepare(w);
}

/// Largest |a − b| / (floor + |b|). Throws where a value is not finite: a running maximum would lose it.
inline double worst_error(std::span<double const> a, std::span<double const> b, double floor) {
  check(a.size() == b.size() && !a.empty(), "{} values beside {}", a.size(), b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    check(std::isfinite(a[i]) && std::isfinite(b[i]), "value {}: {} beside {}", i, a[i], b[i]);
    worst = std::max(worst, std::abs(a[i] - b[i]) / (floor + std::abs(b[i])));
  }
  return worst;
}

/// Largest |a − b| over the largest |b|: the error of a tensor as a whole.
inline double tensor_error(std::span<double const> a, std::span<double const> b) {
  double largest = 0;
  for (double v : b) largest = std::max(largest, std::abs(v));
  double worst = 0;
  check(a.size() == b.size() && !a.empty() && largest > 0, "{} values beside {}, the largest {}", a.size(), b.size(),
        largest);
  for (size_t i = 0; i < a.size(); ++i) {
    check(std::isfinite(a[i]) && std::isfinite(b[i]), "value {}: {} beside {}", i, a[i], b[i]);
    worst = std::max(worst, std::abs(a[i] - b[i]) / largest);
  }
  return worst;
}

}  // namespace folio::test
