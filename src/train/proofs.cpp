#include "train/proofs.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <random>

#include "train/trainer.h"

namespace folio::train {
namespace {

constexpr int64_t T = 6, kSequences = 4;
constexpr double kStep = 1e-100;

model::Config small(double dropout) {
  return {.layers = 2,
          .heads = 2,
          .channels = 8,
          .vocab = 13,
          .context = T,
          .bias = true,
          .tied = true,
          .dropout = {dropout, dropout, dropout, dropout}};
}

TrainerOptions options(model::Config const& c, DType dtype, int64_t accumulate) {
  return {.config = c,
          .dtype = dtype,
          .batch = kSequences / accumulate,
          .accumulate = accumulate,
          .length = c.context,
          .chunk = 3,
          .seed = 7,
          .optimizer = {},
          .decide = {},
          .classifier = {.label_smoothing = 0.1}};
}

// Every third target is masked, the weights of the others are quarters.
data::HostBatch drawn_batch(model::Config const& c) {
  std::mt19937 random(3);
  data::HostBatch b;
  for (int64_t s = 0; s < kSequences; ++s) {
    b.sequences.push_back(s);
    for (int64_t t = 0; t < c.context; ++t) {
      b.tokens.push_back(int32_t(random() % uint32_t(c.vocab)));
      b.targets.push_back((s + t) % 3 == 0 ? -1 : int32_t(random() % uint32_t(c.vocab)));
      b.token_weights.push_back(0.25f * float(1 + random() % 4));
      if (b.targets.back() >= 0) b.total_weight += double(b.token_weights.back());
    }
  }
  return b;
}

template <class To>
void set(Backend& backend, Weight const& w, std::vector<float> const& values) {
  std::vector<To> const converted(values.begin(), values.end());
  backend.upload(w.master, converted.data());
}

// Weights of deviation 0.5, which leave no gradient tiny; rounded to f32, so that all types begin with the same.
void randomise(Backend& backend, model::Weights const& weights) {
  std::mt19937_64 random(11);
  std::normal_distribution<double> normal(0, 0.5);
  for_each(weights, [&](std::string const&, Weight const& w, model::Spec const&) {
    std::vector<float> values(size_t(w.shape.size()));
    for (float& v : values) v = float(normal(random));
    DType const d = w.master.dtype;
    if (d == DType::f32) set<float>(backend, w, values);
    else if (d == DType::f64) set<double>(backend, w, values);
    else set<std::complex<double>>(backend, w, values);
    backend.prepare(w);
  });
}

// d objective / d w for every parameter, one forward of the whole batch each.
std::vector<double> complex_step(Backend& reference, model::Config const& c, data::HostBatch const& batch) {
  using Complex = std::complex<double>;
  Trainer z(reference, options(c, DType::c128, 1));
  randomise(reference, z.weights());
  std::vector<double> derivative;
  std::vector<Complex> losses(size_t(z.acts().losses[1].size()));
  StepState const start = z.state();
  for_each(z.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    for (int64_t i = 0; i < w.shape.size(); ++i) {
      Complex& parameter = w.master.as<Complex>()[i];
      parameter += Complex(0, kStep);
      reference.prepare(w);
      z.set_state(start);
      z.accumulate(batch, 0);
      reference.download(losses.data(), z.acts().losses[1]);
      Complex objective = 0;
      for (size_t n = 0; n < losses.size(); ++n)
        objective += losses[n] * double(batch.token_weights[n]) / batch.total_weight;
      derivative.push_back(objective.imag() / kStep);
      parameter = parameter.real();
      reference.prepare(w);
    }
  });
  return derivative;
}

// By tensor, in the order of for_each.
std::vector<std::vector<double>> gradient(Backend& backend, model::Config const& c, DType dtype,
                                          data::HostBatch const& batch) {
  Trainer t(backend, options(c, dtype, 2));
  randomise(backend, t.weights());
  t.accumulate(batch, 0);
  std::vector<std::vector<double>> all;
  for_each(t.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    auto const count = size_t(w.shape.size());
    std::vector<double>& values = all.emplace_back(count);
    if (w.grad.dtype == DType::f64) return backend.download(values.data(), w.grad);
    std::vector<float> narrow(count);
    backend.download(narrow.data(), w.grad);
    std::ranges::copy(narrow, values.begin());
  });
  return all;
}

double norm(std::vector<double> const& values) {
  double sum = 0;
  for (double const v : values) sum += v * v;
  return std::sqrt(sum);
}

double bound_of(DType dtype) { return dtype == DType::f64 ? 1e-12 : dtype == DType::f32 ? 1e-5 : 0.05; }

}  // namespace

GradientProof prove_gradient() {
  auto const reference = make_reference_backend();
  model::Config const c = small(0.3);
  data::HostBatch const batch = drawn_batch(c);
  std::vector<double> const expected = complex_step(*reference, c, batch);
  GradientProof proof{.parameters = expected.size(), .worst = 0, .bound = 1e-10};
  size_t i = 0;
  for (auto const& tensor : gradient(*reference, c, DType::f64, batch))
    for (double const g : tensor) {
      double const e = std::abs(g - expected[i]) / std::max(1e-3, std::abs(expected[i]));
      if (!(e <= proof.worst)) proof.worst = e;  // a NaN stays
      ++i;
    }
  return proof;
}

GradientProof prove_backend(Backend& backend, DType dtype) {
  auto const reference = make_reference_backend();
  model::Config const c = small(0);
  data::HostBatch const batch = drawn_batch(c);
  auto const expected = gradient(*reference, c, DType::f64, batch), got = gradient(backend, c, dtype, batch);
  double scale = 0;
  for (auto const& tensor : expected) scale = std::max(scale, norm(tensor));
  GradientProof proof{.parameters = 0, .worst = 0, .bound = bound_of(dtype)};
  for (size_t i = 0; i < expected.size(); ++i) {
    std::vector<double> difference(expected[i].size());
    std::ranges::transform(got[i], expected[i], difference.begin(), std::minus<>());
    double const e = norm(difference) / std::max(norm(expected[i]), 1e-3 * scale);
    if (!(e <= proof.worst)) proof.worst = e;
    proof.parameters += expected[i].size();
  }
  return proof;
}

OverfitProof prove_overfit(Backend& backend, DType dtype, int64_t most) {
  model::Config const c = {
      .layers = 2, .heads = 2, .channels = 32, .vocab = 64, .context = 16, .bias = true, .tied = true, .dropout = {}};
  TrainerOptions o{.config = c,
                   .dtype = dtype,
                   .batch = 4,
                   .length = c.context,
                   .optimizer = {},
                   .decide = {.clip = 1},
                   .classifier = {}};
  Trainer trainer(backend, o);
  std::mt19937 random(5);
  data::HostBatch batch;
  for (int64_t s = 0; s < o.batch; ++s) {
    batch.sequences.push_back(s);
    for (int64_t t = 0; t < c.context; ++t) {
      batch.tokens.push_back(int32_t(random() % uint32_t(c.vocab)));
      batch.targets.push_back(int32_t(random() % uint32_t(c.vocab)));
      batch.token_weights.push_back(1);
    }
  }
  batch.total_weight = double(batch.tokens.size());
  OverfitProof proof;
  while (proof.steps < most) {
    trainer.step(batch, 5e-3);
    proof.last = trainer.state().loss;
    if (proof.steps++ == 0) proof.first = proof.last;
    if (!std::isfinite(proof.last) || proof.holds()) break;
  }
  return proof;
}

}  // namespace folio::train
