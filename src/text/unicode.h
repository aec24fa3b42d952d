// What the pre-tokenizer asks of a code point: letter (\p{L}), number (\p{N}), white space (\s) or other, in one pinned
// Unicode version. The ranges are made by tools/make_unicode.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace folio::text {

enum class CharClass : uint8_t { other, letter, number, space };

inline constexpr uint32_t kCodePoints = 0x110000;

struct CodeRange {
  uint32_t first, last;  // both belong to it
};
std::string_view unicode_version();
std::span<CodeRange const> letter_ranges();
std::span<CodeRange const> number_ranges();
std::span<CodeRange const> space_ranges();

class CharClasses {  // two bits a code point: 272 KiB, of which a text touches a few lines
 public:
  CharClasses();
  CharClass of(uint32_t code) const {  // code < kCodePoints
    return static_cast<CharClass>(packed_[code / 4] >> (code % 4 * 2) & 3);
  }
  CharClass of_ascii(unsigned char c) const { return ascii_[c]; }  // c < 0x80

 private:
  std::array<uint8_t, kCodePoints / 4> packed_{};
  std::array<CharClass, 128> ascii_{};
};
CharClasses const& char_classes();  // made on first use

}  // namespace folio::text
