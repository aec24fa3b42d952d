#pragma once

namespace folio::test {

// Whether the tests, and with them the program, are built with a sanitizer: its own memory is several times the
// program's and is not given back, so that neither limits nor peaks say anything of folio.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace folio::test
