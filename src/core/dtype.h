// The element types of a tensor. f64 and c128 exist for the reference backend only; f16 is storage; bf16 is what the
// cpu backend may compute in, with sums in f32.
#pragma once

#include <bit>
#include <complex>
#include <cstddef>
#include <cstdint>

namespace folio {

enum class DType : uint8_t { u8, i32, i64, bf16, f16, f32, f64, c128 };

inline size_t size_of(DType d) {
  constexpr size_t bytes[] = {1, 4, 8, 2, 2, 4, 8, 16};
  return bytes[static_cast<int>(d)];
}

inline char const* name_of(DType d) {
  constexpr char const* names[] = {"u8", "i32", "i64", "bf16", "f16", "f32", "f64", "c128"};
  return names[static_cast<int>(d)];
}

/// What masters, gradients, statistics and the residual stream are where activations are `d`.
inline DType wide(DType d) { return d == DType::bf16 || d == DType::f16 ? DType::f32 : d; }

struct bf16 {  // the upper half of an f32
  uint16_t bits;
};
inline float to_float(bf16 x) { return std::bit_cast<float>(uint32_t(x.bits) << 16); }
inline bf16 to_bf16(float x) {  // to nearest, ties to even; not a number stays so
  uint32_t const u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffff) > 0x7f800000) return {uint16_t(u >> 16 | 0x40)};
  return {uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}

template <class T>
constexpr DType dtype_of = DType::u8;
template <>
inline constexpr DType dtype_of<int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<int64_t> = DType::i64;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<std::complex<double>> = DType::c128;

}  // namespace folio
