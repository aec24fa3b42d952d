// folio train --replay: the step that a run could not take, again.
#pragma once

#include "cli/train_setup.h"

namespace folio::cli {

int replay_step(TrainCommand const&);

}  // namespace folio::cli
