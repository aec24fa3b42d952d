// Learned positions do not slide: when a token would not fit into a full window, the window drops its oldest `slide`
// tokens and is read again from position 0. Which tokens the model sees is therefore a function of the text's length
// alone; a cache only saves work. slide = 1 is the exact crop to the last T tokens.
#pragma once

#include <cstdint>

namespace folio::generate {

struct Window {
  int64_t context;  // T
  int64_t slide;    // tokens dropped when it is full, 1 … T

  /// How many of the last tokens of a text of `total` tokens the model sees. total ≤ T: all.
  int64_t length(int64_t total) const {
    if (total <= context) return total;
    return context - slide + 1 + (total - context - 1) % slide;
  }
};

}  // namespace folio::generate
