#include "train/trainer.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "core/error.h"

namespace folio::train {
namespace {

Tensor loss_of(Tensor state) {
  return {DType::f64, {1}, static_cast<std::byte*>(state.data) + offsetof(StepState, loss), "loss"};
}

void validate(TrainerOptions const& o) {
  model::validate(o.config);
  auto const in_range = [](char const* name, auto value, bool ok, char const* expected) {
    check(ok, Fault::value, "{} {} of a trainer: expected {}", name, value, expected);
  };
  constexpr int64_t kMost = 1 << 20;
  for (auto const& [name, value] : {std::pair{"batch", o.batch}, {"accumulate", o.accumulate}})
    in_range(name, value, 1 <= value && value <= kMost, "1 to 1048576");
  in_range("chunk", o.chunk, o.chunk >= 1, "at least 1");
  check(1 <= o.length && o.length <= o.config.context, Fault::value,
        "sequences of {} tokens for a context of {}: give 1 to {}", o.length, o.config.context, o.config.context);
  Optimizer const& p = o.optimizer;
  for (auto const& [name, part] : {std::pair{"beta1", p.beta1}, {"beta2", p.beta2}, {"momentum", p.momentum}})
    in_range(name, part, 0 <= part && part < 1, "at least 0 and below 1");
  in_range("epsilon", p.epsilon, p.epsilon > 0, "above 0");
  in_range("decay", p.decay, p.decay >= 0, "at least 0");
  in_range("rate factor", p.rate, p.rate >= 0, "at least 0");
  check(!p.nesterov || p.momentum > 0, Fault::value, "nesterov without momentum: it looks ahead along the moment");
  in_range("loss scale", o.loss_scale, kLeastLossScale <= o.loss_scale && o.loss_scale <= 0x1p60, "1 to 2^60");
  in_range("steps of the loss scale", o.decide.scale_every, o.decide.scale_every >= 0, "at least 0");
  in_range("clip", o.decide.clip, o.decide.clip >= 0, "at least 0");
  in_range("spike score", o.decide.spike, o.decide.spike >= 0, "at least 0");
}

constexpr int64_t kParts = 4;  // of what an update writes: master, moments, compute

[[noreturn]] void differ(int64_t step, std::string const& what) {
  fail(
      Fault::failed,
      "step {} was computed twice, and {} has other bits the second time: memory that fails, a processor or GPU beyond "
      "its limits, or a race; nothing was saved of it. Test the machine's memory, and go on from the newest checkpoint "
      "with --resume, on another machine if it comes again",
      step, what);
}

class Watching {  // one who looks at the ops of a scope, beside who does already
 public:
  Watching(Backend& backend, StepWatch* watch) : backend_(backend), watch_(watch) {
    if (!watch) return;
    before_ = backend.observe([this](Event const& e) {
      watch_->done(e);
      if (before_) before_(e);
    });
  }
  ~Watching() {
    if (watch_) backend_.observe(std::move(before_));
  }
  Watching(Watching const&) = delete;

 private:
  Backend& backend_;
  StepWatch* watch_;
  Observer before_;
};

}  // namespace

Trainer::Trainer(OnlyPlanned, Backend& backend, TrainerOptions const& options,
                 std::unique_ptr<Communicator> communicator)
    : backend_(backend),
      options_(options),
      communicator_(communicator ? std::move(communicator) : std::make_unique<Single>(backend)) {
  validate(options);
  if (options.dtype != DType::f16) options_.loss_scale = 1, options_.decide.scale_every = 0;
  rules_ = tensor_rules(options.config, options.optimizer, options.decay, options.groups);
  lay_out();
}

Trainer::Trainer(Backend& backend, TrainerOptions const& options, std::unique_ptr<Communicator> communicator)
    : Trainer(OnlyPlanned(), backend, options, std::move(communicator)) {
  for (Arena* a : arenas()) a->allocate(backend);
  lay_out();
  for (Arena* a : {&parameters_.masters, &parameters_.gradients, &m_, &v_}) backend.zero(a->flat(wide(options.dtype)));
  if (options.initialise) model::initialise(backend, weights_, options.seed);
  StepState state;
  state.seed = options.seed, state.loss_scale = options_.loss_scale;
  set_state(state);
  std::vector<int32_t> positions(positions_.size());
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = int32_t(i) % int32_t(options.length);
  backend.upload(positions_, positions.data());
}

std::vector<MemoryRole> Trainer::plan(Backend& backend, TrainerOptions const& options) {
  Trainer planned(OnlyPlanned(), backend, options, nullptr);
  std::vector<MemoryRole> roles;
  for (Arena const* a : planned.arenas()) roles.push_back(a->planned());
  return roles;
}

std::vector<Arena*> Trainer::arenas() {
  return {&parameters_.masters, &parameters_.gradients, &parameters_.compute, &m_,           &v_, &inputs_,
          &activations_,        &deltas_memory_,        &scratch_memory_,     &verification_};
}

void Trainer::lay_out() {
  TrainerOptions const& o = options_;
  weights_ = lay_out_weights(parameters_, backend_, o.config, o.dtype, true);
  moments_.clear();
  for_each(weights_, [&](std::string const& name, Weight const& w, model::Spec const&) {
    DType const d = w.master.dtype;
    int const count = rules_[moments_.size()].optimizer.moments();
    moments_.push_back({count > 0 ? m_.take(name + ".m", d, w.shape) : Tensor(),
                        count > 1 ? v_.take(name + ".v", d, w.shape) : Tensor()});
  });
  int64_t const A = o.accumulate, B = o.batch, T = o.length;
  tokens_ = inputs_.take("tokens", DType::i32, {A, B, T});
  targets_ = inputs_.take("targets", DType::i32, {A, B, T});
  token_weights_ = inputs_.take("token weights", DType::f32, {A, B, T});
  sequences_ = inputs_.take("sequences", DType::i64, {A, B});
  positions_ = inputs_.take("positions", DType::i32, {B, T});
  state_ = inputs_.take("step state", DType::u8, {sizeof(StepState)});
  input_ = inputs_.take("step input", DType::u8, {sizeof(StepInput)});
  acts_ = lay_out_acts(activations_, o.config, o.dtype, B, T, o.recompute);
  deltas_ = lay_out_deltas(deltas_memory_, o.config, o.dtype, B, T);
  Limits const limits{.dtype = o.dtype,
                      .rows = B * T,
                      .sequences = B,
                      .context = T,
                      .channels = o.config.channels,
                      .heads = o.config.heads,
                      .vocab = o.config.vocab,
                      .chunk = o.chunk,
                      .muon = o.optimizer.rule == Optimizer::Rule::muon};
  scratch_ = scratch_memory_.take("scratch", DType::u8, {int64_t(backend_.scratch_bytes(limits))});
  lay_out_verification();
}

void Trainer::lay_out_verification() {
  if (!options_.verify) return;
  int64_t largest = 0, moments = 1;
  for_each(weights_, [&](std::string const&, Weight const& w, model::Spec const&) {
    largest = std::max(largest, w.shape.size());
  });
  for (Moments const& m : moments_) moments = std::max<int64_t>(moments, 1 + !m.m.empty() + !m.v.empty());
  sums_ = verification_.take("checksums", DType::i64, {2, int64_t(moments_.size()), kParts});
  copies_ = verification_.take("copies", wide(options_.dtype), {moments, largest});
}

void Trainer::upload(data::HostBatch const& host, double rate) {
  auto const A = size_t(options_.accumulate), rows = A * size_t(options_.batch * options_.length);
  check(host.tokens.size() == rows && host.targets.size() == rows && host.token_weights.size() == rows &&
            host.sequences.size() == A * size_t(options_.batch),
        Fault::value,
        "a batch of {} tokens, {} targets, {} weights and {} sequences: {} micro-batches of {} sequences of {} tokens "
        "were announced",
        host.tokens.size(), host.targets.size(), host.token_weights.size(), host.sequences.size(), A, options_.batch,
        options_.length);
  check(std::isfinite(rate) && rate >= 0, Fault::value, "a learning rate of {}: expected 0 or more", rate);
  check(host.total_weight > 0, Fault::content,
        "no token of this step counts: every target is masked; check the data's loss mask");
  model::check_ids(host.tokens, 0, options_.config.vocab);
  model::check_ids(host.targets, -1, options_.config.vocab);
  StepInput const input{.rate = rate, .inverse_total = 1 / host.total_weight};
  backend_.upload(input_, &input);
  backend_.upload(tokens_, host.tokens.data());
  backend_.upload(targets_, host.targets.data());
  backend_.upload(token_weights_, host.token_weights.data());
  backend_.upload(sequences_, host.sequences.data());
  backend_.lend_scratch(scratch_);
}

void Trainer::compute_gradients() {
  backend_.begin_step(state_, input_);
  for (int64_t a = 0; a < options_.accumulate; ++a) {
    model::Batch const batch{tokens_[a], positions_, sequences_[a], {targets_[a], token_weights_[a]}};
    forward(backend_, weights_, acts_, batch, state_);
    classifier(backend_, weights_, acts_, deltas_, batch.targets, state_, options_.classifier);
    backward(backend_, weights_, acts_, deltas_, batch, state_);
  }
}

void Trainer::take_gradients() {
  Tensor const gradients = parameters_.gradients.flat(wide(options_.dtype));
  backend_.zero(gradients);
  compute_gradients();
  communicator_->all_reduce(gradients);
  communicator_->all_reduce(loss_of(state_));
  Backend::Scope scope(backend_, Phase::update);
  backend_.add_norm(state_, gradients);
  backend_.decide_step(state_, options_.decide);
}

void Trainer::optimize(size_t i, Weight const& w, StepWatch* watch) {
  if (watch) watch->before_update(i, w);
  backend_.optimize(w, moments_[i], state_, rules_[i].optimizer);
  if (watch) watch->after_update(i, w);
}

void Trainer::update() {
  Backend::Scope scope(backend_, Phase::update);
  size_t i = 0;
  for_each(weights_, [&](std::string const&, Weight const& w, model::Spec const&) { optimize(i++, w, watch_); });
}

void Trainer::accumulate(data::HostBatch const& host, double rate) {
  upload(host, rate);
  compute_gradients();
}

// A rank that fails leaves, so that no other waits for it. Its graph goes first, which the communicator may wait for.
void Trainer::step(data::HostBatch const& host, double rate) try {
  communicator_->expect_all();
  upload(host, rate);
  auto const ops = [&] {
    Watching const watching(backend_, watch_);
    take_gradients();
    update();
  };
  if (watch_ && !watch_->same_ops()) ops();
  else backend_.replay(recording_, ops);
} catch (...) {
  recording_.reset();
  communicator_->abort();
  throw;
}

struct Trainer::Taken {
  StepState state;
  std::vector<int64_t> sums;  // as sums_[0]
};

Trainer::Taken Trainer::taken() {
  backend_.zero(sums_);
  size_t i = 0;
  for_each(weights_, [&](std::string const&, Weight const& w, model::Spec const&) {
    backend_.checksum(sums_[0][int64_t(i++)].slice(0, 1), w.grad);
  });
  Taken now{state(), std::vector<int64_t>(size_t(sums_[0].size()))};
  backend_.download(now.sums.data(), sums_[0]);
  return now;
}

void Trainer::compare(Taken const& a, Taken const& b) const {
  size_t i = 0;
  for_each(weights_, [&](std::string const& name, Weight const&, model::Spec const&) {
    if (size_t const at = kParts * i++; a.sums[at] != b.sums[at]) differ(a.state.attempted, "the gradient of " + name);
  });
  if (std::memcmp(&a.state, &b.state, sizeof a.state) != 0) differ(a.state.attempted, "the loss, or the gradient norm");
}

// One tensor after the other: a copy of all would take as much memory as they do.
void Trainer::update_twice() {
  Backend::Scope scope(backend_, Phase::update);
  backend_.zero(sums_);
  size_t i = 0;
  for_each(weights_, [&](std::string const&, Weight const& w, model::Spec const&) {
    std::array<Tensor, kParts> const parts = {w.master, moments_[i].m, moments_[i].v, w.compute};
    auto const copy_of = [&](int64_t part) { return copies_[part].reshaped(parts[size_t(part)].shape); };
    auto const sum_up = [&](int64_t way) {
      for (int64_t part = 0; part < kParts; ++part)
        if (Tensor const& t = parts[size_t(part)]; !t.empty())
          backend_.checksum(sums_[way][int64_t(i)].slice(part, part + 1), t);
    };
    for (int64_t part = 0; part < copies_.shape[0]; ++part)
      if (!parts[size_t(part)].empty()) backend_.copy(copy_of(part), parts[size_t(part)]);
    optimize(i, w, nullptr);
    sum_up(0);
    for (int64_t part = 0; part < copies_.shape[0]; ++part)
      if (!parts[size_t(part)].empty()) backend_.copy(parts[size_t(part)], copy_of(part));
    Watching const watching(backend_, watch_);
    optimize(i, w, watch_);
    sum_up(1);
    ++i;
  });
  std::vector<int64_t> sums(size_t(sums_.size()));
  backend_.download(sums.data(), sums_);
  static constexpr char const* kNames[kParts] = {"", ", its first moment", ", its second moment", ", its compute copy"};
  i = 0;
  for_each(weights_, [&](std::string const& name, Weight const&, model::Spec const&) {
    for (size_t part = 0; part < kParts; ++part, ++i)
      if (sums[i] != sums[i + sums.size() / 2]) differ(state().attempted, "the update of " + name + kNames[part]);
  });
}

// Who watches sees the second time: the first is as if it had not been.
void Trainer::verified_step(data::HostBatch const& host, double rate) try {
  check(options_.verify, "a verified step of a trainer that has no memory for it: set its option `verify`");
  communicator_->expect_all();
  StepState const before = state();
  upload(host, rate);
  take_gradients();
  Taken const first = taken();
  set_state(before);
  {
    Watching const watching(backend_, watch_);
    take_gradients();
  }
  compare(first, taken());
  update_twice();
} catch (...) {
  recording_.reset();
  communicator_->abort();
  throw;
}

void Trainer::watch(StepWatch* watch) {
  watch_ = watch;
  recording_.reset();
}

Tensor Trainer::evaluate() {
  backend_.lend_scratch(scratch_);
  return forward(backend_, weights_, acts_, {tokens_[0], positions_, {}, {}});
}

StepState Trainer::state() const {
  StepState s;
  backend_.download(&s, state_);
  communicator_->expect_all();
  return s;
}
void Trainer::set_state(StepState const& s) { backend_.upload(state_, &s); }

}  // namespace folio::train
