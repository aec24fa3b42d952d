#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "cli/verb.h"
#include "core/error.h"

namespace folio::cli {

void print(std::string_view text) {
  while (!text.empty()) {
    ssize_t const n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) throw ReaderGone{};
    check(n > 0, Fault::io, "cannot write to stdout: {}", std::generic_category().message(n < 0 ? errno : EIO));
    text.remove_prefix(static_cast<size_t>(n));
  }
}

std::string shell_quoted(std::string_view text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";
  if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) return std::string(text);
  std::string out = "'";
  for (char const c : text) c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

}  // namespace folio::cli
