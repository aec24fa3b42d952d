// What a split holds: which ids how often, and how much of it is there before in the same words.
#pragma once

#include <functional>
#include <vector>

#include "data/dataset.h"

namespace folio::data {

using Counted = std::function<void(int64_t done, int64_t all)>;  // tokens

/// (V): how often each id occurs.
std::vector<int64_t> count_ids(Split const&, Counted const& progress = {});

/// Windows of a split: W ids each, side by side from the first id on; of more than `most`, so many evenly spread.
struct Recurrence {
  int64_t windows = 0;  // looked for
  int64_t found = 0;    // of them, how many occur
  double share() const { return windows > 0 ? double(found) / double(windows) : 0; }
};

/// How many windows of `needles` occur in `hay`, at any place; in the split itself (needles and hay the same object):
/// at another place than their own. A rolling hash finds candidates, their ids decide. Memory: 24 bytes a window looked
/// for.
Recurrence find_windows(Split const& needles, Split const& hay, int64_t W, int64_t most = int64_t{1} << 20,
                        Counted const& progress = {});

}  // namespace folio::data
