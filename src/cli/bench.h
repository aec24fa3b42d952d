// The workloads of `folio bench`: each is a function that returns rows; bench.cpp prints them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/backend_choice.h"

namespace folio::cli {

struct BenchRow {
  std::string name;                        // "linear 1024 × 768 × 3072"
  double value = 0;                        // in `unit`, by the median time
  std::string unit;                        // tok/s, GFLOP/s, GB/s, MB/s, %
  double seconds = 0;                      // median of one repetition
  std::optional<double> limit_share = {};  // value over what this machine was measured to be able to do
};

struct BenchOptions {
  std::string size = "124M";
  int64_t layers = 0, heads = 0, embd = 0, context = 256, vocab = 50257;
  int64_t batch = 4, prompt = 128, new_tokens = 64;
  int64_t repeat = 5;  // counted repetitions, after one that is not
  double dropout = 0;
  bool profile = false;     // of a training step, by op
  bool statistics = false;  // of a training step, what they add
  BackendChoice backend;
};

std::vector<BenchRow> bench_train(BenchOptions const&);     // one optimizer step
std::vector<BenchRow> bench_decode(BenchOptions const&);    // a prompt read, tokens written
std::vector<BenchRow> bench_tokenize(BenchOptions const&);  // encode, decode, learn a vocabulary; one thread and all
std::vector<BenchRow> bench_ops(BenchOptions const&);       // each op at the model's shapes
std::vector<BenchRow> bench_limits(BenchOptions const&);    // matrix peak, read bandwidth

}  // namespace folio::cli
