#include "model/initial_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace folio::model {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kOfConstants = 1e-6;  // what sums of equal numbers may differ by

}  // namespace

InitialNumbers check_initial(std::string const& name, Spec const& spec, double mean, double deviation) {
  InitialNumbers n{name, mean, deviation, spec.value, spec.deviation, 0};
  double const apart = std::abs(mean - spec.value), wider = std::abs(deviation - spec.deviation);
  if (spec.deviation == 0) {
    n.errors = apart <= kOfConstants && wider <= kOfConstants ? 0 : kInfinity;
  } else {
    double const count = double(spec.shape.size());
    n.errors = std::max(apart * std::sqrt(count), wider * std::sqrt(2 * count)) / spec.deviation;
    if (!std::isfinite(apart) || !std::isfinite(wider)) n.errors = kInfinity;
  }
  return n;
}

std::vector<InitialNumbers> InitialWeights::off() const {
  std::vector<InitialNumbers> all;
  std::ranges::copy_if(tensors, std::back_inserter(all), &InitialNumbers::off);
  return all;
}

bool InitialWeights::trained() const {
  int64_t constants = 0, varied = 0;
  for (InitialNumbers const& n : tensors) {
    if (n.expected_deviation > 0) continue;
    ++constants;
    varied += n.deviation > kOfConstants;
  }
  return 2 * varied > constants;
}

InitialWeights check_initial(Backend& backend, Weights const& w) {
  Arena arena("initial weights");
  auto const lay_out = [&] { return arena.take("summary", DType::f64, {4}); };
  (void)lay_out();
  arena.allocate(backend);
  Tensor const summary = lay_out();
  InitialWeights all;
  for_each(w, [&](std::string const& name, Weight const& weight, Spec const& spec) {
    double sums[4] = {0, 0, kInfinity, -kInfinity};
    backend.upload(summary, sums);
    backend.summarize(summary, weight.master);
    backend.download(sums, summary);
    double const n = double(spec.shape.size()), mean = sums[0] / n;
    all.tensors.push_back(check_initial(name, spec, mean, std::sqrt(std::max(0.0, sums[1] / n - mean * mean))));
  });
  return all;
}

}  // namespace folio::model
