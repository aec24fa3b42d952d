// What this machine can do at most, measured: what speeds are quoted against.
#pragma once

#include <string>

namespace folio {

struct MatrixPeak {
  double flops = 0;  // a second, f32, all threads: independent fused multiply-adds that never leave registers
  std::string instruction_set;  // the widest that the machine has
};
MatrixPeak measure_matrix_peak(int threads);

/// Bytes a second, all threads: each reads a share of 512 MiB in order. Takes that memory for the time.
double measure_read_bandwidth(int threads);

}  // namespace folio
