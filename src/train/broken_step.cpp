#include "train/broken_step.h"

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace folio::train {
namespace {

char const* name_of(Phase phase) {
  static constexpr char const* kNames[] = {"forward", "recompute", "backward", "update"};
  return kNames[static_cast<size_t>(phase)];
}

struct Counts {
  int64_t nan = 0, infinite = 0;
  double largest = 0;
};

template <class T>
Counts count(std::vector<std::byte> const& bytes) {
  Counts c;
  for (size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, &bytes[at], sizeof value);
    double x;
    if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) x = to_float(value);
    else x = double(value);
    if (std::isnan(x)) ++c.nan;
    else if (std::isinf(x)) ++c.infinite;
    else c.largest = std::max(c.largest, std::abs(x));
  }
  return c;
}

// Of what holds no floating-point numbers: nothing.
Counts look_at(Backend& backend, Tensor const& tensor, std::vector<std::byte>& bytes) {
  bytes.resize(tensor.bytes());
  switch (tensor.dtype) {
    case DType::f32:
      backend.download(bytes.data(), tensor);
      return count<float>(bytes);
    case DType::f64:
      backend.download(bytes.data(), tensor);
      return count<double>(bytes);
    case DType::bf16:
      backend.download(bytes.data(), tensor);
      return count<bf16>(bytes);
    case DType::f16:
      backend.download(bytes.data(), tensor);
      return count<f16>(bytes);
    default:
      return {};
  }
}

class Searching {  // as long as it lives
 public:
  Searching(Backend& backend, BrokenStep& to) : backend_(backend), to_(to) {
    before_ = backend.observe([this](Event const& e) {
      look(e);
      if (before_) before_(e);
    });
  }
  ~Searching() { backend_.observe(std::move(before_)); }
  Searching(Searching const&) = delete;

 private:
  void look(Event const& e) {
    if (e.phase == Phase::forward && std::string_view(e.op) == "embed") ++micro_batch_;
    if (to_.first) return;
    for (Tensor const& output : e.outputs) {
      if (output.empty()) continue;
      Counts const c = look_at(backend_, output, bytes_);
      if (c.nan + c.infinite == 0) continue;
      to_.first = FirstBroken{.tensor = output.label,
                              .op = e.op,
                              .phase = e.phase,
                              .layer = e.layer,
                              .micro_batch = std::max<int64_t>(0, micro_batch_),
                              .nan = c.nan,
                              .infinite = c.infinite,
                              .size = output.size()};
      return;
    }
  }

  Backend& backend_;
  BrokenStep& to_;
  Observer before_;
  std::vector<std::byte> bytes_;
  int64_t micro_batch_ = -1;
};

}  // namespace

BrokenStep take_again(Backend& backend, Trainer& trainer, data::HostBatch const& batch, double rate,
                      StepState const& before) {
  BrokenStep found;
  std::vector<std::byte> bytes;
  for_each(trainer.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
    Counts const c = look_at(backend, w.master, bytes);
    if (c.largest > found.largest.size) found.largest = {name, c.largest};
    if (found.first || c.nan + c.infinite == 0) return;
    found.first = FirstBroken{.tensor = name, .nan = c.nan, .infinite = c.infinite, .size = w.master.size()};
    if (name.starts_with("h.")) found.first->layer = std::atoi(name.c_str() + 2);
  });
  trainer.set_state(before);
  Searching const searching(backend, found);
  trainer.step(batch, rate);
  found.after = trainer.state();
  return found;
}

BatchNumbers numbers_of(data::HostBatch const& batch) {
  BatchNumbers n{.tokens = int64_t(batch.tokens.size())};
  std::map<int32_t, int64_t> counts;
  for (int32_t const id : batch.tokens) ++counts[id];
  for (int32_t const id : batch.targets) n.counted += id >= 0;
  n.distinct = int64_t(counts.size());
  for (auto const& [id, times] : counts)
    if (times > n.most) n.most_frequent = id, n.most = times;
  return n;
}

std::vector<std::string> in_words(BrokenStep const& b, BatchNumbers const& n) {
  std::vector<std::string> sentences;
  if (b.first) {
    FirstBroken const& f = *b.first;
    std::string what = f.nan > 0 ? fmt::format("{} NaN", f.nan) : "";
    if (f.infinite > 0) what += fmt::format("{}{} infinite", what.empty() ? "" : " and ", f.infinite);
    std::string const where =
        f.op.empty() ? "before the step"
                     : fmt::format("written by {} ({}{}, micro-batch {})", f.op, name_of(f.phase),
                                   f.layer < 0 ? std::string() : fmt::format(", block {}", f.layer), f.micro_batch);
    sentences.push_back(fmt::format("in step {} the first is in {}, {}: {} of {} values", b.after.attempted, f.tensor,
                                    where, what, f.size));
  } else {
    sentences.push_back(
        fmt::format("taken again, no op of step {} wrote a value that is not finite", b.after.attempted));
  }
  sentences.push_back(fmt::format("the largest weight before it: {:.3g}, in {}", b.largest.size, b.largest.tensor));
  sentences.push_back(fmt::format("its batch: {} tokens, {} targets that count, {} different ids, id {} {} times",
                                  n.tokens, n.counted, n.distinct, n.most_frequent, n.most));
  return sentences;
}

Json to_json(BrokenStep const& b, BatchNumbers const& n) {
  Json json = {{"step", b.after.attempted},
               {"finite", !b.first && std::isfinite(b.after.loss) && std::isfinite(b.after.norm)},
               {"loss", finite_or_null(b.after.loss)},
               {"norm", finite_or_null(b.after.norm)},
               {"first", nullptr},
               {"largest_weight", {{"tensor", b.largest.tensor}, {"size", b.largest.size}}},
               {"batch",
                {{"tokens", n.tokens},
                 {"counted", n.counted},
                 {"distinct", n.distinct},
                 {"most_frequent", n.most_frequent},
                 {"most", n.most}}}};
  if (!b.first) return json;
  FirstBroken const& f = *b.first;
  json["first"] = {{"tensor", f.tensor}, {"nan", f.nan}, {"infinite", f.infinite}, {"size", f.size}};
  if (f.layer >= 0) json["first"]["layer"] = f.layer;
  if (!f.op.empty()) json["first"].update({{"op", f.op}, {"phase", name_of(f.phase)}, {"micro_batch", f.micro_batch}});
  return json;
}

}  // namespace folio::train
