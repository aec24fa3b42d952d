// MODEL on the command line: a Hugging Face directory, a checkpoint, or a run, which stands for its best, else newest
// checkpoint.
#pragma once

#include "core/file.h"

namespace folio::cli {

/// The model directory. Throws Fault::missing where nothing is there or the run has no checkpoint yet, Fault::content
/// where it is something else; the sentence says what it is and which verb takes it.
Path resolve_model(Path const&);

/// The same for a model that will be computed with: where it is a checkpoint with a manifest, its files are what was
/// written (the moments of training are not looked at). Throws Fault::content with the name of a file that is not.
Path verified_model(Path const&);

}  // namespace folio::cli
