#include "text/visible.h"

#include "text/utf8.h"

namespace folio::text {

std::string escape(std::string_view bytes) {
  std::string out = "\"";
  for (char const *at = bytes.data(), *end = at + bytes.size(); at < end;) {
    auto const c = read_character(at, end);
    if (c.valid && c.code == '\n') out += "\\n";
    else if (c.valid && c.code == '\t') out += "\\t";
    else if (c.valid && (c.code == '"' || c.code == '\\')) out += {'\\', *at};
    else if (!c.valid || c.code < 0x20 || c.code == 0x7f) out += fmt::format("\\x{:02x}", c.code);
    else if (c.code >= 0x80 && c.code < 0xa0) out += fmt::format("\\u{:04x}", c.code);
    else out.append(at, c.length);
    at += c.length;
  }
  return out += '"';
}

}  // namespace folio::text
