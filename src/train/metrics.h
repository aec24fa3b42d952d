// metrics.jsonl: what happened in a run, a line an event. docs/formats.md lists the keys. `seconds`,
// `tokens_per_second` and `memory_bytes` are of the clock and the machine; all else is the same however often a run was
// interrupted, but for the lines of type `save`, `stop`, `resume` and `change`.
#pragma once

#include "core/error.h"
#include "core/json.h"
#include "core/path.h"

namespace folio::train {

struct StepReport {
  int64_t step = 0;       // 1 for the first
  double loss = 0;        // weighted mean over the step's counted tokens, nats
  double rate = 0;        // learning rate
  double norm = 0;        // of all gradients, before clipping
  double clipped = 0;     // and after
  double loss_scale = 0;  // f16: what its gradients were multiplied by; 0: another type
  bool accepted = true;   // false: not finite, or a spike that was refused; nothing was written
  double seconds = 0;     // of training since the run began
  double tokens_per_second = 0;
  double memory_bytes = 0;  // peak resident memory of the process
};

struct EvalReport {
  int64_t step = 0;              // after this step; 0: before the first
  double train = 0, val = 0;     // mean loss, nats a token
  double val_bits_per_byte = 0;  // NaN where the bytes are not known
  bool best = false;
  double seconds = 0;
};

struct SaveReport {
  int64_t step = 0;
  bool saved = true;        // its checkpoint is there, and stays
  std::string error = {};   // a sentence where something failed: the checkpoint, or what follows it
  double seconds = 0;       // from its first call to its last
  double waited = 0;        // that training stood still for it
  Path path = {};           // of the checkpoint; this and what follows is not in the log
  Path standing = {};       // the newest checkpoint beside it; empty: none
  Fault fault = Fault::io;  // of the error
  int64_t failed_in_a_row = 0;
};

/// A step that a gradient scaler skipped: its gradients overflowed, its loss did not. No fault of the run.
bool overflowed(StepReport const&);

Json to_json(StepReport const&);
Json to_json(EvalReport const&);
Json to_json(SaveReport const&);

double peak_memory();      // bytes of this process that were resident at once, so far
double resident_memory();  // now

/// The first line of a log: its format and version.
Json metrics_header();
/// Throws Fault::content where the first line says a newer version. A log without such a line is of the first.
void check_metrics_version(Path const& metrics);

/// Throws Fault::content where what a checkpoint was saved beside, the first `bytes` bytes, does not begin and end with
/// whole lines of a log: what holds something else is not written on.
void check_metrics_lines(Path const& metrics, uint64_t bytes);

/// Bytes up to the end of the last whole line; 0 where the file is empty or not there. Fault::content where it holds no
/// whole line: that is no log.
uint64_t whole_lines(Path const& metrics);

}  // namespace folio::train
