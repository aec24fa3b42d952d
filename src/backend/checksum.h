// The terms of the op `checksum`: 64 bits for each 32-bit word of a tensor and its place, whose sum modulo 2^64 does
// not depend on the order of the additions. Equal bits give equal sums; other bits give equal ones by chance alone,
// 2^-64.
#pragma once

#include <cstdint>
#include <cstring>

#include "backend/host_device.h"

namespace folio {

/// Of word i of so many bytes, which begin at a multiple of four; the last word is filled up with zeros. The mixing is
/// the finaliser of splitmix64 (Steele, Lea, Flood 2014).
FOLIO_HOST_DEVICE inline uint64_t checksum_term(unsigned char const* bytes, int64_t size, int64_t i) {
  uint32_t word = 0;
  if (4 * i + 4 <= size) std::memcpy(&word, __builtin_assume_aligned(bytes + 4 * i, 4), 4);
  else
    for (int64_t b = 4 * i; b < size; ++b) word |= uint32_t(bytes[b]) << 8 * (b - 4 * i);
  uint64_t z = (static_cast<uint64_t>(i) + 1) * 0x9e3779b97f4a7c15u ^ word;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

}  // namespace folio
