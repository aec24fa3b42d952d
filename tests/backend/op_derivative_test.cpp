// Each backward of the reference backend is the complex-step derivative of its forward: Im f(x + ih) / h, exact to
// rounding (Squire, Trapp 1998). For an op f with inputs x and a fixed covector g, backward must give gᵀ ∂f/∂x.
#include "tests/backend/support.h"

namespace folio::test {
namespace {

using Complex = std::complex<double>;
constexpr double kStep = 1e-100, kBound = 1e-10;

class Lab {  // tensors of one scalar; inputs are listed, so that each element can be moved
 public:
  explicit Lab(DType dtype) : backend(make_reference_backend()), dtype(dtype) {}
  ~Lab() {
    for (void* p : memory_) backend->release(p);
  }
  Tensor real(Shape shape, Values const& v) {
    Tensor const t = take(dtype, shape);
    for (int64_t i = 0; i < t.size(); ++i)
      if (dtype == DType::c128) t.as<Complex>()[i] = v[i];
      else t.as<double>()[i] = v[i];
    return t;
  }
  Tensor output(Shape shape) { return real(shape, Values(shape.size(), NAN)); }
  Tensor ids(Shape shape, std::vector<int32_t> const& v) { return fill(take(DType::i32, shape), v.data()); }
  Tensor numbers(Shape shape, std::vector<int64_t> const& v) { return fill(take(DType::i64, shape), v.data()); }
  Tensor weights_f32(Shape shape, Values const& v) {
    std::vector<float> const narrow(v.begin(), v.end());
    return fill(take(DType::f32, shape), narrow.data());
  }
  template <class T>
  Tensor object(T const& v) {
    return fill(take(DType::u8, {sizeof(T)}), &v);
  }
  Weight weight(Shape shape, Uses uses, Values const& v) {  // its gradient begins at 3
    Weight w{.shape = shape,
             .uses = uses,
             .master = real(shape, v),
             .grad = real(shape, Values(shape.size(), 3.0)),
             .compute = {}};
    if (int64_t const bytes = int64_t(backend->compute_bytes(shape, dtype, uses))) w.compute = take(DType::u8, {bytes});
    weights_.push_back(w);
    return w;
  }
  void prepare() {
    for (Weight const& w : weights_) backend->prepare(w);
    Limits l{
        .dtype = dtype, .rows = 64, .sequences = 4, .context = 64, .channels = 64, .heads = 1, .vocab = 32, .chunk = 2};
    backend->lend_scratch(take(DType::u8, {int64_t(backend->scratch_bytes(l))}));
  }
  std::unique_ptr<Backend> backend;
  DType dtype;

 private:
  Tensor take(DType d, Shape shape) {
    Tensor const t{d, shape, backend->acquire(std::max<size_t>(size_t(shape.size()) * size_of(d), 64)), "lab"};
    memory_.push_back(t.data);
    return t;
  }
  Tensor fill(Tensor t, void const* from) { return backend->upload(t, from), t; }
  std::vector<void*> memory_;
  std::vector<Weight> weights_;
};

struct Op {
  std::vector<Tensor> inputs;       // moved element by element, in the complex lab
  std::vector<Tensor> outputs;      // of forward
  std::vector<Tensor> derivatives;  // of the inputs, after backward
  std::vector<double> begins;       // what a derivative began at, where it accumulates; 0: it is overwritten
  std::function<void()> forward;
  std::function<void(std::vector<Tensor> const& covectors)> backward;
};

// Backward runs twice: what accumulates has (value − begin) / 2, what is overwritten has the value.
void check_op(std::function<Op(Lab&)> const& build) {
  Lab real(DType::f64), complex(DType::c128);
  Op const f = build(real), z = build(complex);
  real.prepare(), complex.prepare();
  std::vector<Tensor> covectors;
  std::vector<Values> g;
  for (size_t k = 0; k < f.outputs.size(); ++k) {
    g.push_back(Draw(unsigned(50 + k)).normal(f.outputs[k].size()));
    covectors.push_back(real.real(f.outputs[k].shape, g.back()));
  }
  f.forward();
  for (int twice = 0; twice < 2; ++twice) f.backward(covectors);
  double worst = 0;
  for (size_t k = 0; k < z.inputs.size(); ++k)
    for (int64_t i = 0; i < z.inputs[k].size(); ++i) {
      Complex& moved = z.inputs[k].as<Complex>()[i];
      moved += Complex(0, kStep), complex.prepare();
      z.forward();
      double expected = 0;
      for (size_t o = 0; o < z.outputs.size(); ++o)
        for (int64_t j = 0; j < z.outputs[o].size(); ++j)
          expected += g[o][j] * z.outputs[o].as<Complex>()[j].imag() / kStep;
      moved = moved.real(), complex.prepare();
      double const raw = f.derivatives[k].as<double>()[i], got = f.begins[k] != 0 ? (raw - f.begins[k]) / 2 : raw;
      ASSERT_TRUE(std::isfinite(got) && std::isfinite(expected)) << "input " << k << "[" << i << "]";
      worst = std::max(worst, std::abs(got - expected) / (1e-3 + std::abs(expected)));
      ASSERT_LE(worst, kBound) << "input " << k << "[" << i << "]: " << got << ", derivative " << expected;
    }
  ::testing::Test::RecordProperty("worst", std::to_string(worst));
}

TEST(ReferenceDerivative, LayerNorm) {
  for (bool const bias : {true, false})
    check_op([&](Lab& lab) {
      Draw d(1);
      Tensor const x = lab.real({3, 7}, d.normal(21)), dx = lab.real({3, 7}, Values(21, 3.0)), y = lab.output({3, 7}),
                   s = lab.output({3, 2});
      Affine const a{lab.weight({7}, {}, d.normal(7)), bias ? lab.weight({7}, {}, d.normal(7)) : Weight{}};
      Op op{{x, a.weight.master},
            {y},
            {dx, a.weight.grad},
            {3, 3},
            [=, &lab] { lab.backend->layer_norm(y, s, x, a); },
            [=, &lab](auto const& g) { lab.backend->layer_norm_backward(dx, g[0], x, s, a); }};
      if (bias) op.inputs.push_back(a.bias.master), op.derivatives.push_back(a.bias.grad), op.begins.push_back(3);
      return op;
    });
}

TEST(ReferenceDerivative, Linear) {
  for (bool const bias : {true, false})
    check_op([&](Lab& lab) {
      Draw d(1);
      Tensor const x = lab.real({4, 5}, d.normal(20)), dx = lab.output({4, 5}), y = lab.output({4, 3});
      Affine const a{lab.weight({5, 3}, {.linear = true}, d.normal(15)),
                     bias ? lab.weight({3}, {}, d.normal(3)) : Weight{}};
      Op op{{x, a.weight.master},
            {y},
            {dx, a.weight.grad},
            {0, 3},
            [=, &lab] { lab.backend->linear(y, x, a); },
            [=, &lab](auto const& g) { lab.backend->linear_backward(dx, g[0], x, a); }};
      if (bias) op.inputs.push_back(a.bias.master), op.derivatives.push_back(a.bias.grad), op.begins.push_back(3);
      return op;
    });
}

TEST(ReferenceDerivative, LinearGelu) {
  check_op([&](Lab& lab) {
    Draw d(1);
    Tensor const x = lab.real({4, 5}, d.normal(20)), dx = lab.output({4, 5}), y = lab.output({4, 3}),
                 pre = lab.output({4, 3}), dpre = lab.output({4, 3});
    Affine const a{lab.weight({5, 3}, {.linear = true}, d.normal(15)), lab.weight({3}, {}, d.normal(3))};
    return Op{{x, a.weight.master, a.bias.master},
              {y},
              {dx, a.weight.grad, a.bias.grad},
              {0, 3, 3},
              [=, &lab] { lab.backend->linear_gelu(y, pre, x, a); },
              [=, &lab](auto const& g) { lab.backend->linear_gelu_backward(dx, dpre, g[0], pre, x, a); }};
  });
}

TEST(ReferenceDerivative, Gelu) {
  check_op([&](Lab& lab) {
    Tensor const x = lab.real({40}, Draw(1).normal(40, 2)), dx = lab.output({40}), y = lab.output({40});
    return Op{{x},
              {y},
              {dx},
              {0},
              [=, &lab] { lab.backend->gelu(y, x); },
              [=, &lab](auto const& g) { lab.backend->gelu_backward(dx, g[0], x); }};
  });
}

Dropout dropout(Lab& lab, double rate, int64_t B) {
  StepState s;
  s.seed = 5, s.attempted = 3;
  std::vector<int64_t> sequences;
  for (int64_t b = 0; b < B; ++b) sequences.push_back(20 - b);
  return {.rate = rate,
          .layer = 1,
          .site = Site::attention,
          .sequences = lab.numbers({B}, sequences),
          .state = lab.object(s)};
}

TEST(ReferenceDerivative, DropoutAdd) {
  for (double const rate : {0.0, 0.4})
    check_op([&](Lab& lab) {
      Draw d(1);
      Tensor const x = lab.real({2, 3, 5}, d.normal(30)), branch = lab.real({2, 3, 5}, d.normal(30)),
                   db = lab.output({2, 3, 5}), y = lab.output({2, 3, 5});
      Dropout const drop = dropout(lab, rate, 2);
      return Op{{branch},
                {y},
                {db},
                {0},
                [=, &lab] { lab.backend->dropout_add(y, x, branch, drop); },
                [=, &lab](auto const& g) { lab.backend->dropout_backward(db, g[0], drop); }};
    });
}

TEST(ReferenceDerivative, Attention) {
  for (double const rate : {0.0, 0.3})
    check_op([&](Lab& lab) {
      int64_t const B = 2, T = 5, H = 2, D = 3, C = H * D;
      Tensor const qkv = lab.real({B, T, 3 * C}, Draw(1).normal(B * T * 3 * C)), dqkv = lab.output({B, T, 3 * C});
      Tensor const y = lab.output({B, T, C}), lse = lab.output({B, H, T});
      Dropout const drop = dropout(lab, rate, B);
      return Op{{qkv},
                {y},
                {dqkv},
                {0},
                [=, &lab] { lab.backend->attention(y, lse, qkv, drop); },
                [=, &lab](auto const& g) { lab.backend->attention_backward(dqkv, g[0], y, lse, qkv, drop); }};
    });
}

TEST(ReferenceDerivative, Embed) {
  check_op([&](Lab& lab) {
    Draw d(1);
    Weight const wte = lab.weight({4, 3}, {.lookup = true}, d.normal(12)),
                 wpe = lab.weight({3, 3}, {.lookup = true}, d.normal(9));
    Tensor const tokens = lab.ids({2, 3}, {1, 3, 1, 0, 1, 1}), places = lab.ids({2, 3}, {0, 1, 2, 2, 0, 1}),
                 x = lab.output({2, 3, 3});
    return Op{{wte.master, wpe.master},
              {x},
              {wte.grad, wpe.grad},
              {3, 3},
              [=, &lab] { lab.backend->embed(x, tokens, places, wte, wpe); },
              [=, &lab](auto const& g) { lab.backend->embed_backward(g[0], tokens, places, wte, wpe); }};
  });
}

// The classifier gives its own covector: the objective is Σ weight · inverse_total · losses[1].
TEST(ReferenceDerivative, Classifier) {
  for (double const smoothing : {0.0, 0.2}) {
    int64_t const N = 5, C = 4, V = 6;
    std::vector<int32_t> const targets = {3, -1, 0, 5, 3};
    Values const token_weights = {1, 2, 0.5, 0.25, 3};
    double const inverse_total = 0.3;
    auto const run = [&](Lab& lab, Tensor x, Weight const& w, Tensor losses, Tensor dx) {
      StepState s;
      s.input.inverse_total = inverse_total;
      lab.backend->classifier(losses, dx, x, w, {lab.ids({1, N}, targets), lab.weights_f32({1, N}, token_weights)},
                              lab.object(s), {.label_smoothing = smoothing});
    };
    Lab real(DType::f64), complex(DType::c128);
    struct Parts {
      Tensor x;
      Weight w;
      Tensor losses, dx;
    };
    auto const build = [&](Lab& lab) {
      Draw d(1);
      Parts p{lab.real({1, N, C}, d.normal(N * C)), lab.weight({V, C}, {.head = true}, d.normal(V * C)),
              lab.output({2, N}), lab.output({1, N, C})};
      lab.prepare();
      return p;
    };
    Parts const f = build(real), z = build(complex);
    for (int twice = 0; twice < 2; ++twice) run(real, f.x, f.w, f.losses, f.dx);
    auto const objective = [&] {
      run(complex, z.x, z.w, z.losses, z.dx);
      double sum = 0;
      for (int64_t n = 0; n < N; ++n)
        sum += token_weights[n] * inverse_total * z.losses.as<Complex>()[N + n].imag() / kStep;
      return sum;
    };
    auto const check_all = [&](Tensor moved, Tensor derivative, double begin) {
      for (int64_t i = 0; i < moved.size(); ++i) {
        moved.as<Complex>()[i] += Complex(0, kStep);
        double const expected = objective(), raw = derivative.as<double>()[i],
                     got = begin != 0 ? (raw - begin) / 2 : raw;
        moved.as<Complex>()[i] = moved.as<Complex>()[i].real();
        ASSERT_LE(std::abs(got - expected), kBound * (1e-3 + std::abs(expected)))
            << i << ": " << got << ", derivative " << expected;
      }
    };
    check_all(z.x, f.dx, 0), check_all(z.w.master, f.w.grad, 3);
  }
}

}  // namespace
}  // namespace folio::test
