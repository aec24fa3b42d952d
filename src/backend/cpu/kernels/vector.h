// The vector of the level that is being compiled, and the functions on it that kernels are written with. Only files of
// this folder include it: they are compiled with that level's flags, every name but the fill functions of kernels.h has
// internal linkage, and nothing of the standard library is called, so no function built for a level can be picked up by
// code that runs anywhere (level_symbols_test holds this).
//
// A loop's tail goes through the same code as its body, with a masked load and store: an element's bits do not
// depend on its place in the row. load and store take float, bf16 or f16; a narrow element widens exactly and is
// rounded to nearest even on the way back, NaN stays NaN.
#pragma once

#include <immintrin.h>

#include <cstdint>

#ifdef __AVX512F__
#include "backend/cpu/kernels/vector_512.h"
#else
#include "backend/cpu/kernels/vector_256.h"
#endif

namespace folio::cpu::FOLIO_LEVEL {
namespace {

// In place of std's, whose copy compiled here the linker could give to code that runs anywhere.
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline void clear(float* from, float* to) {
  for (; from < to; ++from) *from = 0;
}

/// eˣ to about one unit in the last place: x = n ln 2 + r, |r| ≤ ln 2 / 2, and a polynomial of degree 6 in r that is
/// the best one in relative error (3e-9, by Remez' exchange with the first two coefficients held at 1). 0 below
/// −87.33; grows no further above 88; NaN stays NaN.
inline Vec exp(Vec x) {
  Vec const lowest = all(-87.33f), round = all(12582912.0f);  // 1.5 · 2²³: adding it leaves n in the low bits
  Vec const t = min(all(88.0f), max(lowest, x));
  Vec const shifted = fma(t, all(1.44269504f), round), n = shifted - round;
  Vec const r = fnma(n, all(-2.12194440e-4f), fnma(n, all(0.693359375f), t));  // ln 2 in two parts
  Vec const square = r * r, low = fma(all(0.166665206f), r, all(0.499999934f));
  Vec const high = fma(fma(all(0.00138145986f), r, all(0.00836871688f)), r, all(0.041668388f));
  Vec const p = fma(fma(high, square, low), square, r) + all(1.0f);
  return zero_where_less(p * power_of_two(shifted), x, lowest);
}

}  // namespace
}  // namespace folio::cpu::FOLIO_LEVEL
