// What `folio --version` tells.
#pragma once

#include <string>

namespace folio::cli {

std::string version_number();  // "0.1.0"
std::string version_date();    // "2026-11-22": of the commit
std::string version_line();    // "folio 0.1.0 (fb49d46)"
std::string version_text();    // with the compiler, this CPU's instruction sets and the libraries

}  // namespace folio::cli
