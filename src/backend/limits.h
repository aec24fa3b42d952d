// What this machine can do at most at the level in use, measured: what speeds are quoted against.
#pragma once

#include <string>

#include "backend/info.h"

namespace folio {

struct MatrixPeak {  // operations a second, all threads: independent multiply-adds that never leave the registers
  double f32 = 0;
  double bf16 = 0;   // of pairs of bf16, summed in f32; 0 where the level has no such instruction
  CpuLevel level{};  // whose vector instructions these are: at most avx512_bf16, beyond which the tiles of amx go
};
MatrixPeak measure_matrix_peak(int threads);

/// Bytes a second, all threads: each reads a share of 512 MiB in order. Takes that memory for the time.
double measure_read_bandwidth(int threads);

}  // namespace folio
