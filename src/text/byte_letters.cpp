#include "text/byte_letters.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace folio::text {
namespace {

constexpr bool stands_for_itself(uint32_t byte) {
  return (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
}

struct Letters {
  std::array<uint32_t, 256> of_byte{};
  std::array<int, 0x100 + 68> to_byte{};
};

constexpr Letters make_letters() {
  Letters letters;
  letters.to_byte.fill(-1);
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    letters.of_byte[byte] = stands_for_itself(byte) ? byte : next++;
    letters.to_byte[letters.of_byte[byte]] = static_cast<int>(byte);
  }
  return letters;
}
constexpr Letters kLetters = make_letters();

}  // namespace

std::string to_letters(std::string_view bytes) {
  std::string out;
  for (char const c : bytes) append_utf8(out, kLetters.of_byte[static_cast<unsigned char>(c)]);
  return out;
}

std::optional<std::string> from_letters(std::string_view letters) {
  std::string out;
  for (char const *at = letters.data(), *end = at + letters.size(); at < end;) {
    auto const c = read_character(at, end);
    if (!c.valid || c.code >= kLetters.to_byte.size() || kLetters.to_byte[c.code] < 0) return {};
    out += static_cast<char>(kLetters.to_byte[c.code]);
    at += c.length;
  }
  return out;
}

}  // namespace folio::text
