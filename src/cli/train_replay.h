// folio train --replay: the step that a run could not take, again.
#pragma once

#include "cli/train_setup.h"

namespace folio::cli {

/// `given`: the fields that were given. Fault::value for one that the file decides.
int replay_step(TrainCommand const&, Origins const& given);

}  // namespace folio::cli
