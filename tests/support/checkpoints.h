// A small trainer with a run directory, and checkpoints of it.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/scratch_folder.h"
#include "train/saver.h"

namespace folio::test {

class Checkpoints : public testing::Test {
 protected:
  Checkpoints() { step(1); }
  ~Checkpoints() override { set_io_hook({}); }

  static model::Config shape() {
    return {
        .layers = 1, .heads = 2, .channels = 8, .vocab = 13, .context = 6, .bias = true, .tied = true, .dropout = {}};
  }
  static train::TrainerOptions options() {
    return {.config = shape(), .batch = 2, .length = 6, .chunk = 4, .optimizer = {}, .decide = {}, .classifier = {}};
  }
  void step(int n) {
    data::HostBatch batch;
    for (int i = 0; i < 12; ++i) {
      batch.tokens.push_back((i * 5 + n) % 13);
      batch.targets.push_back((i * 7 + n) % 13);
      batch.token_weights.push_back(1);
    }
    batch.sequences = {0, 1};
    batch.total_weight = 12;
    trainer.step(batch, 1e-2);
  }
  train::RunState state() {
    train::RunState s;
    s.step_state = trainer.state();
    s.step = s.step_state.attempted;
    s.data = {.epoch = 3, .position = 17};
    s.data_fingerprint = "these";
    s.best = train::Best{1, 0.1 + 0.2};
    s.seconds = 1.0 / 3;
    s.made = {{"build", "this"}};
    s.options = {{"steps", "10"}};
    return s;
  }
  void save(Path const& to) {
    save_checkpoint(to, {*backend, trainer.weights(), trainer.moments()}, info, tokenizer, state());
  }
  /// Names and bytes of the files of a folder.
  static std::map<std::string, std::string> files(Path const& at) {
    std::map<std::string, std::string> all;
    for (auto const& entry : std::filesystem::directory_iterator(at))
      all[entry.path().filename().string()] = read_file(entry.path());
    return all;
  }
  static bool there(Path const& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
  }

  ScratchFolder folder{in_memory()};
  std::unique_ptr<Backend> backend = make_reference_backend();
  train::Trainer trainer{*backend, options()};
  model::ModelInfo const info{.config = shape()};
  std::vector<Attachment> const tokenizer{{"vocab.json", "{}"}};
};

}  // namespace folio::test
