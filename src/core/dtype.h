// The element types of a tensor. f64 and c128 exist for the reference backend only; bf16 and f16
// are what the cpu backend may compute in, with sums in f32.
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

struct f16 {  // IEEE 754's half: 5 bits of exponent, 10 of fraction; from 6e-8 to 65,504
  uint16_t bits;
};
inline float to_float(f16 h) {
  uint32_t const sign = uint32_t(h.bits & 0x8000) << 16, exponent = h.bits >> 10 & 0x1f, fraction = h.bits & 0x3ff;
  if (exponent == 0) {
    float const small = float(fraction) * 0x1p-24f;
    return sign ? -small : small;
  }
  uint32_t const wide = exponent == 0x1f ? 0xff : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}
inline f16 to_f16(float x) {  // to nearest, ties to even; ∞ beyond 65,520; not a number stays so, and is quiet
  auto const bits = std::bit_cast<uint32_t>(x);
  uint32_t const sign = bits >> 16 & 0x8000, u = bits & 0x7fffffff;
  if (u > 0x7f800000) return {uint16_t(sign | 0x7e00 | (u >> 13 & 0x3ff))};
  if (u >= 0x477ff000) return {uint16_t(sign | 0x7c00)};  // 65,520 lies between the largest and 2^16: a tie, to even
  if (u < 0x38800000)  // below 2^-14: beside 0.5, the last bit of an f32 counts 2^-24, as that of the result does
    return {uint16_t(sign | (std::bit_cast<uint32_t>(std::bit_cast<float>(u) + 0.5f) - 0x3f000000))};
  return {uint16_t(sign | ((u + 0xfff + (u >> 13 & 1) - 0x38000000) >> 13))};
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
inline constexpr DType dtype_of<f16> = DType::f16;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<std::complex<double>> = DType::c128;

}  // namespace folio
