// A weight of a few numbers, and the optimizer op that moves it.
#pragma once

#include "learn/lab.h"

namespace folio::learn {

class Walker {
 public:
  /// Begins at `start` (n). What step() follows is weight().grad, which the caller writes. No clipping.
  Walker(Lab& lab, std::vector<float> const& start, Optimizer const& optimizer, Uses uses)
      : lab_(lab), optimizer_(optimizer), weight_(lab.weight({int64_t(start.size())}, uses, start)) {
    if (optimizer.moments() > 0) moments_.m = lab.floats(weight_.shape);
    if (optimizer.moments() > 1) moments_.v = lab.floats(weight_.shape);
    state_ = lab.state();
    input_ = lab.raw(DType::u8, {sizeof(StepInput)});
  }

  void step(double rate) {
    StepInput const input{.rate = rate, .inverse_total = 1};
    lab_.backend.upload(input_, &input);
    lab_.backend.begin_step(state_, input_);
    lab_.backend.add_norm(state_, weight_.grad);
    lab_.backend.decide_step(state_, {.clip = 0});
    lab_.backend.optimize(weight_, moments_, state_, optimizer_);
  }

  Weight const& weight() const { return weight_; }
  std::vector<double> place() const {
    std::vector<float> const here = lab_.read(weight_.master);
    return {here.begin(), here.end()};
  }

 private:
  Lab& lab_;
  Optimizer optimizer_;
  Weight weight_;
  Moments moments_;
  Tensor state_, input_;
};

}  // namespace folio::learn
