// MODEL on the command line: a Hugging Face directory, a checkpoint, or a run, which stands for its best, else newest
// checkpoint.
#pragma once

#include "core/file.h"

namespace folio::cli {

/// The model directory. Throws Fault::missing where nothing is there or the run has no checkpoint yet, Fault::content
/// where it is something else; the sentence says what it is and which verb takes it.
Path resolve_model(Path const&);

}  // namespace folio::cli
