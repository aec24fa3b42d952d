// A run's log read back: what its report, its diagnosis and its curves look at. docs/formats.md lists the lines of
// metrics.jsonl; this is them, by type and in their order.
#pragma once

#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/bad_steps.h"
#include "train/finding.h"
#include "train/metrics.h"

namespace folio::train {

struct WeightNumbers {  // of a tensor, or of all of a layer type together; NaN where not known
  double mean, deviation, norm;
  double gradient;  // norm of its gradient, before clipping
  double update;    // ‖Δw‖ / ‖w‖
};

struct ActivationNumbers {
  double mean, deviation, least, largest;
};

struct Statistics {
  int64_t step = 0;
  int64_t period = 0;  // steps since the last such line, which `quiet` is over
  std::vector<std::pair<std::string, WeightNumbers>> tensors = {};  // in the order of for_each
  std::vector<std::pair<std::string, WeightNumbers>> types = {};    // embedding, attention, mlp, norm
  std::vector<std::pair<std::string, ActivationNumbers>> activations = {};
  std::vector<double> quiet = {};  // share of the units of each layer's MLP that stayed quiet
};
Json to_json(Statistics const&);

struct Sample {
  int64_t step = 0;
  std::string prompt, text;
};
Json to_json(Sample const&);

struct DataFacts {  // of what a run reads; NaN where it was not counted
  int64_t train_tokens = 0;
  double frequency_loss = NAN;  // entropy of how often each id occurs in train, nats a token
  double recurring = NAN;       // share of train's windows that stand at another place of it
  double val_in_train = NAN;    // share of val's windows that stand in train
};
Json to_json(DataFacts const&);

struct Broken {  // a step that was refused for values that are no numbers, looked at again
  int64_t step = 0;
  std::vector<std::string> evidence = {};  // where they begin, what its batch was
  std::string file = {};                   // in the run: what --replay takes; empty: not kept
};
Json to_json(Broken const&);

struct Change {
  std::string what, was, is;
};

struct Note {  // a line of type stop, resume or change
  std::string type;
  int64_t step = 0;                  // a change has that of the resume before it
  std::string why = {};              // of a stop: signal, stop-after, patience; empty where not known
  std::vector<Change> changes = {};  // of options and of what equal bits depend on
};

struct History {
  int64_t version = 1;
  std::vector<StepReport> steps;
  std::vector<EvalReport> evals;
  std::vector<Statistics> statistics;
  std::vector<SaveReport> saves;
  std::vector<Sample> samples;
  std::vector<Finding> findings;
  std::vector<Note> notes;
  std::optional<DataFacts> data;
  std::vector<Broken> broken;
  std::vector<Spike> spikes;
  std::vector<Rollback> rollbacks;  // all: also those of a path that was left
  std::string damage = {};          // a sentence where lines cannot be read, as the last of a run that was killed
};

struct Reading {     // what is kept of a log
  size_t steps = 0;  // room for so many from the beginning
  bool samples = true;
  std::function<Statistics(Statistics)> of_statistics = [](Statistics s) { return s; };  // of a line
};

/// Of a run that went back to a checkpoint, what came after it on the path that was left is not there.
/// Types and keys that this folio does not know are passed over, and so are lines that cannot be read. Throws
/// Fault::missing where the file is not there, Fault::content for a log of a newer version.
History read_history(Path const& metrics, Reading const& = {});

/// Of a run directory; empty where nothing is logged yet.
History history_of(Path const& run);

}  // namespace folio::train
