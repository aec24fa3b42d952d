// UTF-8 of any bytes. A byte that is no part of a well-formed sequence (Unicode 16, table 3-7: no overlong forms, no
// surrogates, nothing above U+10FFFF) stands for itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace folio::text {

struct Character {
  uint32_t code;    // code point; the byte where it is invalid
  uint32_t length;  // bytes; 1 where it is invalid
  bool valid;
};

/// The character at `at` < `end`.
inline Character read_character(char const* at, char const* end) {
  auto const* p = reinterpret_cast<unsigned char const*>(at);
  auto const left = end - at;
  auto const more = [&](int i, unsigned low = 0x80, unsigned high = 0xbf) {
    return i < left && p[i] >= low && p[i] <= high;
  };
  unsigned const a = p[0];
  if (a < 0x80) return {a, 1, true};
  if (a >= 0xc2 && a < 0xe0 && more(1)) return {(a & 0x1f) << 6 | (p[1] & 0x3fu), 2, true};
  if (a >= 0xe0 && a < 0xf0 && more(1, a == 0xe0 ? 0xa0 : 0x80, a == 0xed ? 0x9f : 0xbf) && more(2))
    return {(a & 0x0f) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu), 3, true};
  if (a >= 0xf0 && a < 0xf5 && more(1, a == 0xf0 ? 0x90 : 0x80, a == 0xf4 ? 0x8f : 0xbf) && more(2) && more(3))
    return {(a & 0x07) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu), 4, true};
  return {a, 1, false};
}

/// Well-formed from the first byte to the last?
inline bool is_utf8(std::string_view bytes) {
  for (char const *at = bytes.data(), *end = at + bytes.size(); at < end;) {
    Character const c = read_character(at, end);
    if (!c.valid) return false;
    at += c.length;
  }
  return true;
}

void append_utf8(std::string& to, uint32_t code);

/// How many bytes at the end of `bytes` begin a well-formed character that more bytes could complete: 0 to 3.
size_t incomplete_tail(std::string_view bytes);

}  // namespace folio::text
