#include "train/snapshot.h"

namespace folio::train {

Snapshot::Snapshot(Backend& backend, model::Weights const& weights, std::vector<Moments> const& moments)
    : backend_(backend) {
  lay_out(weights, moments);
  arena_.allocate(backend.device_memory().total > 0 ? static_cast<Memory&>(memory_) : backend);
  lay_out(weights, moments);
}

void Snapshot::lay_out(model::Weights const& from, std::vector<Moments> const& from_moments) {
  weights_ = from;
  moments_.assign(from_moments.size(), {});
  copies_.clear();
  auto const copy_of = [&](std::string const& name, Tensor const& tensor) {
    if (tensor.empty()) return Tensor();
    Tensor const to = arena_.take(name, tensor.dtype, tensor.shape);
    copies_.emplace_back(to, tensor);
    return to;
  };
  size_t i = 0;
  for_each(weights_, [&](std::string const& name, Weight& w, model::Spec const&) {
    w.master = copy_of(name, w.master);
    w.grad = w.compute = {};
    moments_[i].m = copy_of(name + ".m", from_moments[i].m);
    moments_[i].v = copy_of(name + ".v", from_moments[i].v);
    ++i;
  });
  if (weights_.config.tied) weights_.head = weights_.wte;
}

void Snapshot::take() {
  for (auto const& [to, from] : copies_) backend_.download(to.data, from);
}

}  // namespace folio::train
