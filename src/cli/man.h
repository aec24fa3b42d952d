// Manual pages in the man macros of troff: `folio help --man` and `folio help VERB --man` print them.
#pragma once

#include "cli/verb.h"

namespace folio::cli {

std::string man_page(Spec const&);  // folio-VERB.1
std::string man_page(std::vector<Verb> const&, std::string const& description, std::string const& example);  // folio.1

}  // namespace folio::cli
