// What a run will hold in memory, whether that can be had, and how it is made to fit: before anything is taken.
#pragma once

#include "backend/room.h"
#include "cli/train_setup.h"
#include "train/fit.h"
#include "train/memory.h"

namespace folio::cli {

/// `before`: see train::memory_before.
train::MemoryPlan plan_of(train::RunOptions const&, model::Config const&, DType, Backend&, size_t before);

bool fits(train::MemoryPlan const&, Available const&);

/// Which flags mend a run that does not fit: a new one, or one that is there.
std::string mends_of(train::RunOptions const&, model::Config const&, DType, Backend&, size_t before, bool is_there);

/// Fault::memory where the run cannot be had: what asks for how much, and which flags mend it.
void expect_fit(train::RunOptions const&, model::Config const&, DType, Backend&, train::MemoryPlan const&,
                bool is_there);

/// What --fit may change of a new run, or of one that is there.
train::Ladder ladder_of(TrainCommand const&, bool is_there);

/// The first rung of the ladder that fits is what the run becomes; nothing changes where it fits as it is. Returns what
/// was chosen and why, in words; empty where nothing was, or none fits: expect_fit says so.
std::string fit(TrainCommand&, model::Config const&, Backend&, train::Ladder, size_t before);

/// The same for a run whose data are ready, where --fit is given: with what the process will hold of them and their
/// tokenizer counted. Says what was chosen.
void fit_as_told(TrainCommand&, model::Config const&, data::Dataset const&, bool is_there);

/// The largest micro-batch that fits, all else as it is; 0: none.
int64_t largest_batch(train::RunOptions const&, model::Config const&, DType, Backend&, size_t before);

/// What `batch` sequences ask for; where it cannot be had, `mends` says how many can.
Ask ask_for_batch(Backend const&, std::string const& what, int64_t batch,
                  std::function<std::vector<MemoryRole>(int64_t)> const& roles);

/// Turns `--fit` and `--resume`, which may stand alone, into flags with a value.
std::vector<std::string> with_values_of_lone_flags(std::vector<std::string> arguments);

}  // namespace folio::cli
