// The distinct characters of texts that are read piece by piece, for a character tokenizer.
#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/unicode.h"
#include "text/utf8.h"

namespace folio::data {

class Alphabet {
 public:
  void add(std::string_view piece) {
    held_ += piece;
    size_t const whole = held_.size() - text::incomplete_tail(held_);
    take(std::string_view(held_).substr(0, whole));
    held_.erase(0, whole);
  }
  void end() { take(std::exchange(held_, {})); }  // of a document

  /// A text that has each once. Bytes that are not UTF-8 stand where they cannot join into a character: continuations
  /// in front, where no first byte comes before them, the others at the end, where no continuation follows.
  std::string text() const {
    std::string out;
    for (unsigned byte = 0x80; byte < 0xc0; ++byte)
      if (bytes_[byte]) out += static_cast<char>(byte);
    for (uint32_t code = 0; code < codes_.size(); ++code)
      if (codes_[code]) text::append_utf8(out, code);
    for (unsigned byte = 0xc0; byte < 0x100; ++byte)
      if (bytes_[byte]) out += static_cast<char>(byte);
    return out;
  }

 private:
  void take(std::string_view s) {
    for (char const *at = s.data(), *end = at + s.size(); at < end;) {
      auto const c = text::read_character(at, end);
      if (c.valid) codes_[c.code] = true;
      else bytes_[c.code] = true;
      at += c.length;
    }
  }

  std::vector<bool> codes_ = std::vector<bool>(text::kCodePoints);
  std::bitset<256> bytes_;  // that are not UTF-8
  std::string held_;        // the beginning of a character
};

}  // namespace folio::data
