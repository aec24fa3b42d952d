// What `folio train` is told, and how a run is begun or taken up again: everything before the first step.
#pragma once

#include "cli/backend_choice.h"
#include "cli/verb.h"
#include "data/dataset.h"
#include "model/sizes.h"
#include "train/options.h"
#include "train/run_directory.h"

namespace folio::cli {

struct TrainCommand {
  std::string data, out, tokenizer = "auto", from, resume = "no", fit = "no", replay;
  int64_t stop_after = 0;
  std::string time_limit;  // empty: none
  bool json = false, show_groups = false;
  model::ModelOptions model;
  train::RunOptions run;
  BackendChoice backend;

  Fields run_fields();   // what config.toml holds
  Fields call_fields();  // of this call alone
  Fields fit_fields();   // of them --fit
};

struct OpenedRun {
  train::RunDirectory directory;
  bool is_new = false;
  bool resumes = false;  // from a checkpoint; else from the beginning
  Path from = {};        // the model whose weights it begins with; empty: none
  std::string config;    // what config.toml is to hold once the run goes on; empty: what it does
};

/// Begins a run, or takes one up, as --resume says. `given`: the fields that anything but the default has
/// set. A new run is refused before it has its name; a resumed one fills `c` with what it was begun with, and refuses
/// what differs and may not.
OpenedRun open_run(TrainCommand& c, Origins const& given);

/// Gives what was not `given` the value that a new run would have: a warm-up and a lowest rate that fit it, a decay
/// that fits the optimizer, the shape of --from. Refuses what was given in this call and does not count (refuse_idle);
/// whether a run may have the rest is seen when it begins. A size that stands for its numbers and dtype auto stay, so
/// that a file of them is of use with another size and on another machine.
void settle(TrainCommand& c, Origins const& given);

/// Fills `c` with what the run in --out was begun with; what was given and may change replaces it, other differences
/// are refused.
void settle_resumed(TrainCommand& c, Origins const& given);

/// The same as settle for the rates and the decay alone.
void settle_rates(train::RunOptions& run, Origins const& given);

/// Says so where the decay of the optimizer is too strong for it.
void warn_of_decay(train::RunOptions const&);

/// Throws for a group that cannot be read, and says where it stands: a file's is Fault::content.
void check_groups(train::RunOptions const&, Origins const&);

/// Takes over what a file of these options sets, its groups checked, and says where each value stands. `kind`: that of
/// the origins.
Origins read_config(TrainCommand&, Path const& file, char const* kind = "config");

/// The same for what a run was begun with. Fault::content where the file is not whole.
Origins read_config_of_run(TrainCommand&, Path const& run);

/// Checks that --data names a text or data. Fault::usage, Fault::missing, Fault::content.
void expect_data(TrainCommand const&);

/// Prepares the text that --data names into folder/data, with the tokenizer that the run would choose. `from`: where
/// the model of --from lies; empty: there is none.
void prepare_text(TrainCommand const&, Path const& from, Path const& folder);

/// Where the model of --from lies, verified; empty where there is none.
Path model_of_from(TrainCommand const&);

/// The environment variables that set what a run is told: a run that is started as a process, with all it is told in a
/// file, has none of them.
std::vector<std::string> variables_of_train();

/// Prints how each tensor is moved: those of a new run, or with --resume those of the run in --out. Nothing is trained.
int show_groups(TrainCommand, Origins const& given);

/// The data that the run reads: those it prepared from a text itself, else what it was given. `run` is empty where
/// there is none yet.
data::Dataset data_of(TrainCommand const&, Path const& run);

}  // namespace folio::cli
