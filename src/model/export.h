// A model directory again, its tensors in another type: half the size, for those who only read.
#pragma once

#include "model/checkpoint.h"

namespace folio::model {

/// Writes config.json, model.safetensors in `dtype` (bf16, f16 or f32; rounded to nearest, ties to even) and every
/// other file of the model (its tokenizer, what transformers keeps beside it) into `folder`, which exists: a
/// FolderWriter's path(). What belongs to a checkpoint or is another form of the weights stays behind. Throws
/// Fault::content where finite values are too large for f16, with their number.
void export_model(Path const& folder, ModelDirectory const&, DType);

}  // namespace folio::model
