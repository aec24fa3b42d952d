#include "learn/lab.h"

#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace folio::learn {

Tensor Lab::raw(DType dtype, Shape shape) {
  Arena& arena = arenas_.emplace_back("lesson");
  arena.take("tensor", dtype, shape);
  arena.allocate(backend);
  Tensor const t = arena.take("tensor", dtype, shape);
  backend.zero(t);
  return t;
}

Tensor Lab::floats(Shape shape, std::vector<float> const& values) {
  Tensor const t = raw(DType::f32, shape);
  if (!values.empty()) write(t, values);
  return t;
}
Tensor Lab::ids(Shape shape, std::vector<int32_t> const& values) {
  Tensor const t = raw(DType::i32, shape);
  check(int64_t(values.size()) == t.size(), "a lesson's {} ids for {}", values.size(), shape);
  backend.upload(t, values.data());
  return t;
}
Tensor Lab::numbers(Shape shape, std::vector<int64_t> const& values) {
  Tensor const t = raw(DType::i64, shape);
  check(int64_t(values.size()) == t.size(), "a lesson's {} numbers for {}", values.size(), shape);
  backend.upload(t, values.data());
  return t;
}

Weight Lab::weight(Shape shape, Uses uses, std::vector<float> const& values) {
  Weight w{.shape = shape, .uses = uses, .master = floats(shape, values), .grad = floats(shape), .compute = {}};
  if (size_t const bytes = backend.compute_bytes(shape, DType::f32, uses)) w.compute = raw(DType::u8, {int64_t(bytes)});
  backend.prepare(w);
  return w;
}

Tensor Lab::state(StepState const& s) {
  Tensor const t = raw(DType::u8, {sizeof(StepState)});
  backend.upload(t, &s);
  return t;
}

void Lab::lend(Limits const& limits) { backend.lend_scratch(raw(DType::u8, {int64_t(backend.scratch_bytes(limits))})); }

std::vector<float> Lab::read(Tensor t) const {
  check(t.dtype == DType::f32, "a lesson reads {} as f32", name_of(t.dtype));
  std::vector<float> values(size_t(t.size()));
  backend.download(values.data(), t);
  return values;
}
std::vector<double> Lab::read_f64(Tensor t) const {
  check(t.dtype == DType::f64, "a lesson reads {} as f64", name_of(t.dtype));
  std::vector<double> values(size_t(t.size()));
  backend.download(values.data(), t);
  return values;
}
StepState Lab::read_state(Tensor t) const {
  StepState s;
  backend.download(&s, t);
  return s;
}
void Lab::write(Tensor t, std::vector<float> const& values) {
  check(int64_t(values.size()) == t.size(), "a lesson's {} values for {}", values.size(), t.shape);
  backend.upload(t, values.data());
}

double norm_of(std::vector<float> const& values) {
  double sum = 0;
  for (float const v : values) sum += double(v) * v;
  return std::sqrt(sum);
}

double deviation_of(std::vector<float> const& values) {
  double sum = 0, squares = 0;
  for (float const v : values) sum += v, squares += double(v) * v;
  double const n = double(values.size());
  return std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)));
}

std::vector<float> even_values(size_t n, double half, uint64_t seed) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i)
    values[i] = float(half * (2 * (random_word(seed, Domain::data, 0, 0, 0, i) + 0.5) / 4294967296.0 - 1));
  return values;
}

}  // namespace folio::learn
