// One test body for every op on every backend. A body puts its inputs on a rig, calls ops and reads its outputs; it
// runs on the oracle (the reference backend in f64) and on the backend under test, and the outputs are compared within
// the tolerance of the one table below. A further backend is one more line of backends(). The oracle of a narrow type
// gets what that gets: the same rounded activations and weights.
//
// On the way, for every body: outputs are NaN before the op, guard words lie before and behind every tensor, and two
// runs must agree bit for bit.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <random>

#include "tests/support/cuda.h"

namespace folio::test {

using Values = std::vector<double>;

struct Candidate {
  char const* name;
  DType dtype;
  std::function<std::unique_ptr<Backend>()> make;
};
inline std::vector<Candidate> const& backends() {
  static std::vector<Candidate> const all = {
      {"reference_f32", DType::f32, [] { return make_reference_backend(); }},
      {"cpu_f32_1_thread", DType::f32, [] { return make_cpu_backend(1); }},
      {"cpu_f32_2_threads", DType::f32, [] { return make_cpu_backend(2); }},
      {"cpu_f32_5_threads", DType::f32, [] { return make_cpu_backend(5); }},
      {"cpu_bf16_2_threads", DType::bf16, [] { return make_cpu_backend(2); }},
      {"cpu_bf16_5_threads", DType::bf16, [] { return make_cpu_backend(5); }},
      {"cpu_f16_1_thread", DType::f16, [] { return make_cpu_backend(1); }},
      {"cpu_f16_2_threads", DType::f16, [] { return make_cpu_backend(2); }},
      {"cuda_f32", DType::f32, make_cuda},
      {"cuda_bf16", DType::bf16, make_cuda},
  };
  return all;
}

/// Largest difference of an element over the largest magnitude of the expected tensor. Sums of n products of f32
/// rounding errors grow like √n ε, ε = 6e-8; the longest here has 50,257. Rounding to bf16 errs by 2⁻⁸ = 3.9e-3 at
/// most, to f16 by 2⁻¹¹ = 4.9e-4, an eighth, and so are the bounds: once where an output alone is bf16; more where the
/// op rounds on the way (…_gelu: what GELU reads or gives; classifier: the gradient of the logits; attention_backward
/// reads a rounded y; the optimizer's linear a rounded weight). What is wide and comes from unrounded sums has the
/// bound of f32.
///
/// muon where its factors are narrow: at a singular value of 1, where the last rounds are, the roundings d of a round's
/// three factors, X, A and the polynomial P, change ax + bx³ + cx⁵ by (3b + 5c) d + 2c d + (b + c) d: 11 · 2⁻⁸ = 4.3e-2
/// at most. The slope passes the error of the round before on with a factor of 0.7 to 1.4. Two rounds: 1e-1. The linear
/// of it reads a weight rounded once more. In f32 the same is 2e-6; each of 15 products sums up to 900 terms besides.
inline double tolerance(std::string const& output, DType dtype) {
  struct Bounds {
    double f32, bf16;
  };
  static std::map<std::string, Bounds> const table = {
      {"embed", {1e-7, 1e-7}},
      {"copy", {0, 0}},
      {"layer_norm", {2e-6, 4e-3}},
      {"layer_norm statistics", {2e-6, 2e-6}},
      {"layer_norm_backward", {4e-6, 4e-6}},
      {"linear", {4e-6, 4e-3}},
      {"linear gradient", {4e-6, 4e-6}},
      {"linear_gelu", {4e-6, 9e-3}},
      {"linear_gelu gradient", {4e-6, 6e-3}},
      {"gelu", {4e-7, 4e-3}},
      {"dropout", {2e-7, 4e-3}},
      {"dropout wide", {2e-7, 2e-7}},
      {"attention", {3e-6, 4e-3}},
      {"attention lse", {3e-6, 3e-6}},
      {"attention_backward", {5e-6, 6e-3}},
      {"head", {4e-6, 4e-6}},
      {"token_loss", {3e-6, 3e-6}},
      {"classifier", {4e-6, 4e-6}},
      {"classifier gradient", {4e-6, 6e-3}},
      {"norm", {1e-6, 1e-6}},
      {"optimizer", {1e-6, 1e-6}},
      {"optimizer linear", {4e-6, 1e-2}},
      {"muon", {1e-5, 1e-1}},
      {"muon linear", {1e-5, 1e-1}},
      {"summary", {1e-6, 1e-6}},
  };
  auto const [f32, bf16] = table.at(output);
  return dtype == DType::bf16 ? bf16 : dtype == DType::f16 && bf16 > f32 ? std::max(bf16 / 8, f32) : f32;
}

class Rig {
 public:
  /// Activations and the weights of products are rounded to `rounded`, whatever they are stored as.
  Rig(std::unique_ptr<Backend> b, DType dtype, DType rounded)
      : backend(std::move(b)), dtype(dtype), rounded_(rounded) {}
  Rig(std::unique_ptr<Backend> b, DType dtype) : Rig(std::move(b), dtype, dtype) {}
  ~Rig() {
    for (Block const& block : blocks_) backend->release(block.memory);
  }
  Rig(Rig const&) = delete;

  Tensor output(Shape shape, char const* label = "output") {
    return real(shape, Values(shape.size(), NAN), label, dtype);
  }
  Tensor output_wide(Shape shape) { return real(shape, Values(shape.size(), NAN), "output", wide(dtype)); }
  Tensor output_f64(Shape shape) { return real(shape, Values(shape.size(), NAN), "output", DType::f64); }
  Tensor real(Shape shape, Values const& v, char const* label = "input") {
    return real(shape, rounded(v), label, dtype);
  }
  Tensor real_wide(Shape shape, Values const& v, char const* label = "input") {
    return real(shape, v, label, wide(dtype));
  }
  Tensor real_f32(Shape shape, Values const& v) { return real(shape, v, "input", DType::f32); }
  Tensor ids(Shape shape, std::vector<int32_t> const& v) { return put(DType::i32, shape, v.data(), "ids"); }
  Tensor numbers(Shape shape, std::vector<int64_t> const& v) { return put(DType::i64, shape, v.data(), "numbers"); }
  template <class T>
  Tensor object(T const& value) {
    return put(DType::u8, {sizeof(T)}, &value, "state");
  }
  Weight weight(Shape shape, Uses uses, Values const& values, Values const& grad = {}) {
    Values const master = uses.linear || uses.head ? rounded(values) : values;
    Weight w{.shape = shape,
             .uses = uses,
             .master = real_wide(shape, master, "weight"),
             .grad = {},
             .compute = {},
             .dtype = dtype};
    if (!grad.empty()) w.grad = real_wide(shape, grad, "grad");
    if (int64_t const bytes = int64_t(backend->compute_bytes(shape, dtype, uses))) {
      std::vector<std::byte> const nothing(size_t(bytes), std::byte{0xff});
      w.compute = put(DType::u8, {bytes}, nothing.data(), "compute");
    }
    backend->prepare(w);
    return w;
  }
  void lend(Limits l) {
    l.dtype = dtype;
    std::vector<std::byte> const nothing(std::max<size_t>(backend->scratch_bytes(l), 64), std::byte{0xff});
    backend->lend_scratch(put(DType::u8, {int64_t(nothing.size())}, nothing.data(), "scratch"));
  }

  Values read(Tensor t) {
    Values v(t.size());
    if (t.dtype == DType::f64) backend->download(v.data(), t);
    else if (t.dtype == DType::bf16) {
      v = read_narrow<bf16>(t);
    } else if (t.dtype == DType::f16) {
      v = read_narrow<f16>(t);
    } else {
      std::vector<float> narrow(t.size());
      backend->download(narrow.data(), t);
      v.assign(narrow.begin(), narrow.end());
    }
    return v;
  }
  template <class T>
  T read_object(Tensor t) {
    T value;
    backend->download(&value, t);
    return value;
  }
  void check_guards() {
    for (Block const& b : blocks_)
      for (size_t const at : {size_t{0}, b.behind}) {
        std::array<unsigned char, kGuard> words;
        backend->download(words.data(), {DType::u8, {kGuard}, static_cast<std::byte*>(b.memory) + at, "guard"});
        for (unsigned char const w : words) ASSERT_EQ(w, 0xa5) << "written outside " << b.label;
      }
  }

  Values rounded(Values v) const {
    for (double& x : v)
      if (rounded_ == DType::bf16) x = to_float(to_bf16(static_cast<float>(x)));
      else if (rounded_ == DType::f16) x = to_float(to_f16(static_cast<float>(x)));
    return v;
  }

  std::unique_ptr<Backend> backend;
  DType dtype;

 private:
  DType rounded_;
  static constexpr size_t kGuard = 64;
  struct Block {
    void* memory;
    size_t behind;
    char const* label;
  };
  Tensor real(Shape shape, Values const& v, char const* label, DType d) {
    EXPECT_EQ(int64_t(v.size()), shape.size()) << label;
    if (d == DType::f64) return put(d, shape, v.data(), label);
    std::vector<float> const narrow(v.begin(), v.end());
    if (d == DType::f32) return put(d, shape, narrow.data(), label);
    if (d == DType::f16) {
      std::vector<f16> narrower(v.size());
      std::ranges::transform(narrow, narrower.begin(), to_f16);
      return put(d, shape, narrower.data(), label);
    }
    std::vector<bf16> narrower(v.size());
    std::ranges::transform(narrow, narrower.begin(), to_bf16);
    return put(d, shape, narrower.data(), label);
  }
  template <class S>
  Values read_narrow(Tensor t) {
    std::vector<S> narrow(t.size());
    backend->download(narrow.data(), t);
    Values v(t.size());
    std::ranges::transform(narrow, v.begin(), [](S x) { return to_float(x); });
    return v;
  }
  Tensor put(DType d, Shape shape, void const* values, char const* label) {
    size_t const bytes = size_t(shape.size()) * size_of(d);
    std::byte* const memory = static_cast<std::byte*>(backend->acquire(2 * kGuard + bytes));
    std::array<unsigned char, kGuard> words;
    words.fill(0xa5);
    for (size_t const at : {size_t{0}, kGuard + bytes})
      backend->upload({DType::u8, {kGuard}, memory + at, "guard"}, words.data());
    Tensor const t{d, shape, memory + kGuard, label};
    if (bytes) backend->upload(t, values);
    blocks_.push_back({memory, kGuard + bytes, label});
    return t;
  }
  std::vector<Block> blocks_;
};

/// Outputs by the name of their row in the tolerance table.
using Outputs = std::vector<std::pair<std::string, Values>>;
using Body = std::function<Outputs(Rig&)>;

inline Outputs run_body(Candidate const& c, Body const& body, std::optional<DType> rounded = {}) {
  Rig rig(c.make(), c.dtype, rounded.value_or(c.dtype));
  Outputs out = body(rig);
  rig.check_guards();
  return out;
}

inline void compare(Outputs const& got, Outputs const& expected, DType dtype) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t k = 0; k < got.size(); ++k) {
    auto const& [name, g] = got[k];
    Values const& e = expected[k].second;
    ASSERT_EQ(g.size(), e.size()) << name;
    double largest = 0, worst = 0;
    for (double v : e) largest = std::max(largest, std::abs(v));
    size_t at = 0;
    for (size_t i = 0; i < g.size(); ++i) {
      ASSERT_TRUE(std::isfinite(g[i]) && std::isfinite(e[i]))
          << name << " " << k << "[" << i << "]: " << g[i] << ", expected " << e[i];
      if (std::abs(g[i] - e[i]) > worst) worst = std::abs(g[i] - e[i]), at = i;
    }
    EXPECT_LE(worst, tolerance(name, dtype) * largest)
        << name << " " << k << "[" << at << "] of " << g.size() << ": " << (at < g.size() ? g[at] : 0) << ", expected "
        << (at < e.size() ? e[at] : 0);
  }
}

/// The oracle's outputs against the candidate's, and the candidate's against its own second run.
inline void check_body(Candidate const& c, Body const& body) {
  Outputs const first = run_body(c, body), second = run_body(c, body);
  Outputs const expected = run_body({"oracle", DType::f64, [] { return make_reference_backend(); }}, body, c.dtype);
  for (size_t k = 0; k < first.size(); ++k)
    ASSERT_EQ(std::memcmp(first[k].second.data(), second[k].second.data(), first[k].second.size() * sizeof(double)), 0)
        << first[k].first << " " << k << ": two runs differ";
  compare(first, expected, c.dtype);
}

/// Numbers that f32 holds exactly, so that every backend begins alike.
class Draw {
 public:
  explicit Draw(unsigned seed = 1) : random_(seed) {}
  Values normal(int64_t n, double deviation = 1, double mean = 0) {
    std::normal_distribution<double> d(mean, deviation);
    Values v(n);
    for (double& x : v) x = static_cast<float>(d(random_));
    return v;
  }
  Values uniform(int64_t n, double low, double high) {
    std::uniform_real_distribution<double> d(low, high);
    Values v(n);
    for (double& x : v) x = static_cast<float>(d(random_));
    return v;
  }
  std::vector<int32_t> ids(int64_t n, int64_t below, int skip = 0) {  // every skip-th is −1
    std::vector<int32_t> v(n);
    for (int64_t i = 0; i < n; ++i) v[i] = skip && i % skip == 0 ? -1 : int32_t(random_() % uint64_t(below));
    return v;
  }

 private:
  std::mt19937_64 random_;
};

class OpTest : public ::testing::TestWithParam<size_t> {
 protected:
  Candidate const& candidate() const { return backends()[GetParam()]; }
};
inline std::string name_of_backend(::testing::TestParamInfo<size_t> const& info) { return backends()[info.param].name; }

#define FOLIO_ON_EVERY_BACKEND(suite) \
  INSTANTIATE_TEST_SUITE_P(Backends, suite, ::testing::Range<size_t>(0, backends().size()), name_of_backend)

}  // namespace folio::test
