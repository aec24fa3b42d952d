// What a new run of `folio train` is told by its flags, in the process of the test.
#pragma once

#include <gtest/gtest.h>

#include "cli/train_setup.h"

namespace folio::test {

/// Throws what taking and settling these words throws.
inline cli::TrainCommand new_run(cli::Arguments const& words) {
  cli::TrainCommand c;
  cli::Spec const spec{.name = "train",
                       .summary = "",
                       .example = "",
                       .fields = joined({c.run_fields(), c.call_fields()}),
                       .configurable = true};
  cli::Origins given;
  EXPECT_TRUE(parse(spec, words, &given));
  settle(c, given);
  return c;
}

}  // namespace folio::test
