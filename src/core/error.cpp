#include "core/error.h"

#include <fmt/format.h>

namespace folio {

void fail_with(Fault fault, Sentence const& sentence, fmt::format_args parts) {
  throw Error(fault, fmt::vformat(sentence.text, parts), sentence.where);
}

}  // namespace folio
