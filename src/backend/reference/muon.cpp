// Muon: the moment of a matrix, made nearly orthogonal by five Newton–Schulz iterations.
#include <cmath>

#include "backend/reference/reference.h"

namespace folio::reference {
namespace {

template <class T>
void orthogonalise(View<T> x, View<T> next, View<T> a, View<T> p) {
  int64_t const rows = x.shape[0], columns = x.shape[1];
  Wide<T> squares = 0;
  for (int64_t i = 0; i < x.shape.size(); ++i) squares += Wide<T>(x.data[i]) * x.data[i];
  auto const norm = std::max<Wide<T>>(std::sqrt(squares), NewtonSchulz::least_norm);
  for (int64_t i = 0; i < x.shape.size(); ++i) x.data[i] = T(x.data[i] / norm);
  for (int round = 0; round < NewtonSchulz::rounds; ++round) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < rows; ++j) {
        Wide<T> sum = 0;
        for (int64_t k = 0; k < columns; ++k) sum += Wide<T>(x(i, k)) * x(j, k);
        a(i, j) = T(sum);
      }
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < rows; ++j) {
        Wide<T> square = 0;
        for (int64_t k = 0; k < rows; ++k) square += Wide<T>(a(i, k)) * a(k, j);
        p(i, j) = T(NewtonSchulz::c * square + NewtonSchulz::b * a(i, j));
      }
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        Wide<T> sum = NewtonSchulz::a * x(i, j);
        for (int64_t k = 0; k < rows; ++k) sum += Wide<T>(p(i, k)) * x(k, j);
        next(i, j) = T(sum);
      }
    std::swap(x, next);
  }
  static_assert(NewtonSchulz::rounds % 2 == 1);  // the last form lies where the caller's `next` was
}

}  // namespace

template <class T>
void Reference::muon(Weight const& w, Moments const& moments, StepState const& s, Optimizer const& o) const {
  int64_t const I = w.shape[0], O = w.shape[1] / o.parts, rows = std::min(I, O), columns = std::max(I, O);
  T* const scratch = static_cast<T*>(scratch_.data);
  check(int64_t(scratch_.bytes()) >= 2 * (I * O + rows * rows) * int64_t(sizeof(T)),
        "optimize: {} bytes of scratch lent for {} {} by muon: plan with Limits of this call", scratch_.bytes(),
        w.master.label, w.shape);
  View<T> const x{scratch, {rows, columns}}, next{x.data + I * O, {rows, columns}}, a{next.data + I * O, {rows, rows}},
      p{a.data + rows * rows, {rows, rows}};
  T const rate = T(s.input.rate * o.rate), scale = T(muon_scale(I, O)), mu = T(o.momentum), rest = T(1 - o.momentum);
  for (int64_t part = 0; part < o.parts; ++part) {
    auto const at = [&](int64_t i, int64_t j) { return i * w.shape[1] + part * O + j; };
    auto const in = [&](View<T> v, int64_t i, int64_t j) -> T& { return I <= O ? v(i, j) : v(j, i); };
    for (int64_t i = 0; i < I; ++i)
      for (int64_t j = 0; j < O; ++j) {
        T const g = T(s.grad_factor) * w.grad.as<T>()[at(i, j)];
        T u = g;
        if (!moments.m.empty()) {
          T& m = moments.m.as<T>()[at(i, j)];
          m = mu * m + rest * g;
          u = o.nesterov ? rest * g + mu * m : m;
        }
        in(x, i, j) = u;
      }
    orthogonalise(x, next, a, p);
    for (int64_t i = 0; i < I; ++i)
      for (int64_t j = 0; j < O; ++j) {
        T& weight = w.master.as<T>()[at(i, j)];
        weight -= rate * (scale * in(next, i, j) + T(o.decay) * weight);
      }
  }
}

template void Reference::muon<float>(Weight const&, Moments const&, StepState const&, Optimizer const&) const;
template void Reference::muon<double>(Weight const&, Moments const&, StepState const&, Optimizer const&) const;

}  // namespace folio::reference
