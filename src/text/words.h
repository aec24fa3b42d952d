// GPT-2's pre-tokenizer: cuts a text into the words that byte pair encoding then works on, as the pattern
//
//   '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// does when it is applied again and again from where the last match ended. One pass and no backtracking: the first one
// or two characters decide which branch it is, a run of one class follows, and a run of white space gives its last
// character back where something else follows. Every character is in some word, so the words joined are the text.
// A byte that is not UTF-8 is a character of the class "other".
#pragma once

#include "text/unicode.h"
#include "text/utf8.h"

namespace folio::text {

class Words {
 public:
  explicit Words(CharClasses const& classes = char_classes()) : classes_(classes) {}

  /// Where the word that begins at `at` ends; at < end.
  char const* end_of_word(char const* at, char const* end) const {
    char const first = *at;
    if (first == '\'')
      if (auto const length = contraction(at, end)) return at + length;
    auto here = look(at, end);
    if (here.kind != CharClass::space) return end_of_run(at + here.length, end, here.kind);
    if (first == ' ' && at + 1 < end) {
      here = look(at + 1, end);
      if (here.kind != CharClass::space) return end_of_run(at + 1 + here.length, end, here.kind);
    }
    return end_of_space(at, end);
  }

 private:
  struct Look {
    CharClass kind;
    uint32_t length;
  };
  Look look(char const* at, char const* end) const {
    auto const byte = static_cast<unsigned char>(*at);
    if (byte < 0x80) [[likely]]
      return {classes_.of_ascii(byte), 1};
    auto const c = read_character(at, end);
    return {c.valid ? classes_.of(c.code) : CharClass::other, c.length};
  }

  char const* end_of_run(char const* at, char const* end, CharClass kind) const {
    while (at < end) {
      auto const here = look(at, end);
      if (here.kind != kind) break;
      at += here.length;
    }
    return at;
  }

  char const* end_of_space(char const* at, char const* end) const {
    auto const* const begin = at;
    auto const* last = at;
    while (at < end) {
      auto const here = look(at, end);
      if (here.kind != CharClass::space) return last == begin ? at : last;
      last = at;
      at += here.length;
    }
    return end;
  }

  static int contraction(char const* at, char const* end) {  // its length, or 0
    if (end - at < 2) return 0;
    switch (at[1]) {
      case 's':
      case 'd':
      case 'm':
      case 't':
        return 2;
      case 'l':
        return end - at > 2 && at[2] == 'l' ? 3 : 0;
      case 'v':
      case 'r':
        return end - at > 2 && at[2] == 'e' ? 3 : 0;
      default:
        return 0;
    }
  }

  CharClasses const& classes_;
};

}  // namespace folio::text
