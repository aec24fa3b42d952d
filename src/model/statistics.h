// What the values of a stored tensor are like, read in pieces and added up in f64.
#pragma once

#include "model/safetensors.h"

namespace folio::model {

struct TensorStatistics {  // of the finite values; NaN where there is none
  int64_t count = 0, non_finite = 0;
  double mean = 0, deviation = 0;  // of the population
  double min = 0, max = 0;
};

/// F16, BF16, F32 or F64.
TensorStatistics statistics_of(SafetensorsFile const&, StoredTensor const&);

}  // namespace folio::model
