// The kernels of a level, chosen at run time.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/info.h"

namespace folio::cpu {

/// Of a level that the processor has.
KernelTable table_of(CpuLevel);

}  // namespace folio::cpu
