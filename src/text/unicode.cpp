#include "text/unicode.h"

namespace folio::text {

CharClasses::CharClasses() {
  auto const fill = [&](std::span<CodeRange const> ranges, CharClass c) {
    auto const bits = static_cast<uint8_t>(c);
    for (auto const [first, last] : ranges)
      for (uint32_t code = first; code <= last; ++code) {
        if (code % 4 == 0 && code + 3 <= last) {
          packed_[code / 4] = static_cast<uint8_t>(bits * 0x55);
          code += 3;
        } else {
          packed_[code / 4] |= static_cast<uint8_t>(bits << (code % 4 * 2));
        }
      }
  };
  fill(letter_ranges(), CharClass::letter);
  fill(number_ranges(), CharClass::number);
  fill(space_ranges(), CharClass::space);
  for (uint32_t c = 0; c < ascii_.size(); ++c) ascii_[c] = of(c);
}

CharClasses const& char_classes() {
  static CharClasses const classes;
  return classes;
}

}  // namespace folio::text
