#include "text/utf8.h"

#include <utility>

#include "text/tokenizer.h"

namespace folio::text {

void append_utf8(std::string& to, uint32_t code) {
  auto const tail = [&](int shift) { to += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    to += static_cast<char>(code);
  } else if (code < 0x800) {
    to += static_cast<char>(0xc0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    to += static_cast<char>(0xe0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    to += static_cast<char>(0xf0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

size_t incomplete_tail(std::string_view bytes) {
  for (size_t n = 1; n <= 3 && n <= bytes.size(); ++n) {
    auto const at = bytes.size() - n;
    auto const lead = static_cast<unsigned char>(bytes[at]);
    if (lead < 0x80) return 0;
    if (lead < 0xc0) continue;
    // Whether it can be completed: fill up with continuation bytes from both ends of their range.
    for (char const filler : {'\x80', '\xbf'}) {
      std::string trial(bytes.substr(at));
      trial.append(4 - n, filler);
      auto const c = read_character(trial.data(), trial.data() + trial.size());
      if (c.valid && c.length > n) return n;
    }
    return 0;
  }
  return 0;
}

std::string Utf8Stream::push(std::string_view bytes) {
  held_ += bytes;
  auto const keep = incomplete_tail(held_);
  auto shown = held_.substr(0, held_.size() - keep);
  held_.erase(0, shown.size());
  return shown;
}

std::string Utf8Stream::finish() { return std::exchange(held_, {}); }

}  // namespace folio::text
