// Learned positions do not slide: when a token would not fit into a full window, the window drops its oldest `slide`
// tokens and is read again from position 0. Which tokens the model sees is therefore a function of the text's length
// alone; a cache only saves work. slide = 1 is the exact crop to the last T tokens, slide = T are windows side by side.
#pragma once

#include <cstdint>

#include "core/error.h"

namespace folio::model {

struct Window {
  int64_t context;  // T
  int64_t slide;    // tokens dropped when it is full, 1 … T

  /// How many of the last tokens of a text of `total` tokens the model sees. total ≤ T: all.
  int64_t length(int64_t total) const {
    if (total <= context) return total;
    return context - slide + 1 + (total - context - 1) % slide;
  }
};

/// `slide` 0: half of the context. Throws Fault::value where it is more than the context.
inline Window window_of(int64_t context, int64_t slide) {
  check(slide <= context, Fault::value, "--slide {} is more than the context of {} tokens: give 1 to {}", slide,
        context, context);
  return {context, slide > 0 ? slide : context - context / 2};
}

}  // namespace folio::model
