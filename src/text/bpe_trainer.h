// Learns a byte-level BPE vocabulary from counted words (Sennrich, Haddow, Birch 2016): again and again the two
// neighbours that stand beside each other most often become one token, until there are as many tokens as asked for.
//
// The conventions are those of Hugging Face's BpeTrainer with ByteLevel's alphabet, so the merges and ids are the same:
//  * ids: the special tokens in the order given, then the 256 bytes in the order of their letters (text/byte_letters.h:
//    ! to ~, ¡ to ¬, ® to ÿ, then the others), then a token a merge;
//  * the most frequent pair is merged first; of equally frequent ones that whose left id is lower, then the right;
//  * in "aaa" the pair (a, a) counts twice, and is merged from the left;
//  * a pair that occurs fewer than `min_frequency` times is not merged.
// One thing differs: a pair whose result would be spelled like a special token is never merged, so that no text has a
// special token's id by its own letters.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "text/bpe.h"
#include "text/word_counts.h"

namespace folio::text {

struct BpeTraining {
  int64_t vocab = 0;  // ids in all: special tokens, the 256 bytes, merges
  uint64_t min_frequency = 2;
  std::vector<std::string> specials = {std::string(kEndOfText)};  // repeated ones count once
};

struct TrainedBpe {
  BpeParts parts;       // without a name; fewer than `vocab` tokens where the text has no more pairs
  uint64_t tokens = 0;  // of the words that were counted, each as often as it was
};

/// Throws Fault::value where `vocab` has no room for the special tokens and the bytes, or a special token is empty, not
/// UTF-8 or the letter of a byte.
void check_training(BpeTraining const&);

/// Throws what check_training does; Fault::memory where the distinct words have 2^32 bytes or more. `progress` is told
/// before each merge how many are made, and may throw.
TrainedBpe train_bpe(WordCounts const&, BpeTraining const&, std::function<void(int64_t)> const& progress = {});

}  // namespace folio::text
