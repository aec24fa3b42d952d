// A cell of a terminal as a braille letter, which draws 2 × 4 dots.
#pragma once

#include <cstdint>
#include <string>

namespace folio::report {

inline constexpr int kDotsAcross = 2, kDotsDown = 4;
inline constexpr uint8_t kDots[kDotsDown][kDotsAcross] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

/// `dots`: the bits of kDots that are set; none is a blank.
inline std::string braille(uint8_t dots) {
  if (dots == 0) return " ";
  int const code = 0x2800 + dots;  // Unicode's braille patterns
  return {char(0xE0 | code >> 12), char(0x80 | (code >> 6 & 0x3F)), char(0x80 | (code & 0x3F))};
}

}  // namespace folio::report
