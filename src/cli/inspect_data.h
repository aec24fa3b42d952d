// folio inspect on data: what is in each split.
#pragma once

#include "core/file.h"

namespace folio::cli {

void inspect_data(Path const& path, int64_t window, bool json);

}  // namespace folio::cli
