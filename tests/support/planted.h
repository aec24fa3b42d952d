// Runs with bad steps planted in them, through the loop as `folio train` has it: a stretch of the text that is garbage,
// a weight that becomes no number, a rate that bursts. The last two happen once, as a fault of a machine does.
#pragma once

#include <gtest/gtest.h>

#include <set>

#include "data/prepare.h"
#include "tests/support/corpora.h"
#include "tests/support/runs.h"
#include "tests/support/values.h"
#include "train/loop.h"

namespace folio::test {

struct Planted {
  int64_t poison_after = 0;  // this step, a weight is NaN; 0: never
  int64_t burst_after = 0;   // this step, the next `burst_steps` are taken at `burst` times the rate; 0: never
  int64_t burst_steps = 2;
  double burst = 100;
  int64_t stop_after = 0;          // stop after so many steps of this call; 0: never
  bool leave_at_rollback = false;  // end as if killed, behind the first
  bool leave_at_spike = false;     // between the first spike and what is done about it
  int64_t leave_behind = 0;        // so many steps behind the first rollback; 0: never
  bool refuse = false;             // a call that goes on, before it changes anything
  int64_t cut_evaluation = 0;      // stop at this look of the call between batches of evaluations; 0: never
};

/// `text` with a stretch of its own letters drawn at random.
inline std::string with_garbage(std::string text, std::vector<size_t> const& places, size_t length) {
  std::string letters = text;
  std::ranges::sort(letters);
  letters.erase(std::ranges::unique(letters).begin(), letters.end());
  uint64_t x = 1;
  for (size_t const place : places)
    for (size_t i = place; i < std::min(text.size(), place + length); ++i)
      text[i] = letters[size_t((x = x * 6364136223846793005u + 1442695040888963407u) >> 40) % letters.size()];
  return text;
}

/// Of the batches that a run reads one after the other, those of which at least half is other than in `clean`.
inline std::vector<int64_t> garbage_batches(data::Dataset const& planted, data::Dataset const& clean,
                                            data::BatcherOptions const& options, int64_t batches) {
  data::Batcher a(planted.split("train"), options), b(clean.split("train"), options);
  data::HostBatch one, two;
  std::vector<int64_t> found;
  for (int64_t n = 0; n < batches; ++n) {
    a.next(one), b.next(two);
    size_t other = 0;
    for (size_t i = 0; i < one.tokens.size(); ++i) other += one.tokens[i] != two.tokens[i];
    if (2 * other >= one.tokens.size()) found.push_back(n);
  }
  return found;
}

inline void prepare(std::string const& text, Path const& folder) {  // by characters
  Path const file = folder.string() + ".txt";
  write_file(file, text);
  data::PrepareOptions options;
  options.tokenizer = "char";
  data::prepare({file.string()}, folder, options);
}

struct Drill {
  train::RunOptions options;
  model::Config config;  // without vocab
  DType dtype = DType::f32;
};

/// A run in `folder`, from its first step or its newest checkpoint, until it ends or `plan.stop_after` steps are taken.
class DrillRun : public train::Watcher {
 public:
  DrillRun(Drill const& drill, Path const& data, Path const& folder, Planted const& plan)
      : options_(drill.options), plan_(plan), data_(data) {
    model::Config config = drill.config;
    config.vocab = data_.vocab();
    bool const resumes = train::is_run_directory(folder);
    auto directory =
        resumes ? train::RunDirectory::open(folder)
                : train::RunDirectory::create(folder, [](Path const&) { return std::string("version = 1\n"); });
    backend_ = make_cpu_backend();
    train::TrainerOptions trainer_options = train::trainer_options(options_, config, config.context);
    trainer_options.dtype = drill.dtype;
    train::Trainer trainer(*backend_, trainer_options);
    trainer_ = &trainer;
    model::ModelInfo const info{.config = config, .tokenizer = data_.tokenizer_name()};
    std::vector<Attachment> const attachments;
    std::vector<int32_t> const byte_lengths;
    train::Loop loop({*backend_,
                      trainer,
                      data_,
                      directory,
                      options_,
                      info,
                      attachments,
                      byte_lengths,
                      {{"dtype", name_of(drill.dtype)}},
                      false,
                      [&] { return write(); }});
    if (resumes && !train::checkpoint_steps(folder).empty())
      loop.resume([&](auto&) {
        check(!plan_.refuse, Fault::value, "refused");
        return train::Asked();
      });
    outcome = loop.run(*this, [&](train::Pace const& pace) -> train::Asked {
      if (pace.evaluating)
        return {.stop = plan_.cut_evaluation > 0 && ++looks_ == plan_.cut_evaluation ? "signal" : nullptr};
      if (!first) first = pace;
      return {.stop = plan_.stop_after > 0 && pace.steps >= plan_.stop_after ? "stop-after" : nullptr};
    });
    state = loop.state();
  }

  void stepped(train::StepReport const& r) override {
    ++read_;
    if (!rollbacks.empty() && r.step == rollbacks.back().to + plan_.leave_behind) throw Left();
    if (poisoned_ == 0 && r.step == plan_.poison_after) {
      poisoned_ = r.step;
      Tensor const w = trainer_->weights().blocks[0].c_attn.weight.master;
      auto values = host<float>(*backend_, w);
      values[values.size() / 3] = NAN;
      backend_->upload(w, values.data());
      backend_->prepare(trainer_->weights().blocks[0].c_attn.weight);
    }
    if (plan_.burst_after > 0 && burst_ == 0 && r.step == plan_.burst_after) {
      burst_ = plan_.burst_steps;
      lr_ = options_.schedule.lr, min_lr_ = options_.schedule.min_lr;
      options_.schedule.lr *= plan_.burst, options_.schedule.min_lr *= plan_.burst;
    } else if (burst_ > 0 && --burst_ == 0) {
      options_.schedule.lr = lr_, options_.schedule.min_lr = min_lr_, burst_ = -1;
    }
  }
  void rolled_back(train::Rollback const& r) override {
    rollbacks.push_back(r);
    for (int64_t i = train::passed_over_besides(r.in_a_row); i > 0; --i) passed_over.insert(read_++);
    if (plan_.leave_at_rollback) throw Left();
    if (burst_ > 0) options_.schedule.lr = lr_, options_.schedule.min_lr = min_lr_, burst_ = -1;
  }
  void spiked(train::StepReport const&, train::Spike const& s) override {
    spikes.push_back(s), spike_batches.push_back(read_ - 1);
    if (plan_.leave_at_spike) throw Left();
  }
  void refused(train::StepReport const& r, int64_t) override { refused_steps.push_back(r.step); }
  void evaluated(train::EvalReport const& r) override { val = r.val; }

  train::Outcome outcome = train::Outcome::finished;
  train::RunState state;
  std::optional<train::Pace> first;  // before the first step of the call
  double val = NAN;                  // of the last evaluation
  std::vector<train::Rollback> rollbacks;
  std::vector<train::Spike> spikes;
  std::vector<int64_t> spike_batches;  // their numbers, from 0, in the order in which the data are read
  std::vector<int64_t> refused_steps;
  std::set<int64_t> passed_over;          // likewise: unseen, beside a bad one
  int64_t read() const { return read_; }  // batches so far
  struct Left {};                         // what is thrown to leave

  int64_t samples = 0;

 private:
  train::Written write() {  // as the sampler, of broken weights nothing
    check(poisoned_ == 0 || !rollbacks.empty(), Fault::content, "the model gives token 0 the logit nan");
    ++samples;
    return {"prompt", "text"};
  }

  train::RunOptions options_;
  Planted plan_;
  data::Dataset data_;
  std::unique_ptr<Backend> backend_;
  train::Trainer* trainer_ = nullptr;
  int64_t poisoned_ = 0, burst_ = 0, read_ = 0, looks_ = 0;
  double lr_ = 0, min_lr_ = 0;
};

}  // namespace folio::test
