// The element types of a tensor. f64 and c128 exist for the reference backend only; f16 and bf16 are storage.
#pragma once

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

template <class T>
constexpr DType dtype_of = DType::u8;
template <>
inline constexpr DType dtype_of<int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<int64_t> = DType::i64;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<std::complex<double>> = DType::c128;

}  // namespace folio
