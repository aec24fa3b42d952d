// Counts the words of texts, which are read once and never held whole: pieces are counted by several threads and their
// counts added in the order of the text.
//
// Memory is bounded by what the table of distinct words, and training on it, is taken to need. When the table has
// grown beyond it, the rarest words are dropped until half is free (Manku and Motwani 2002, lossy counting). That
// depends on the text and the bound alone, not on threads, and what was lost is told.
#pragma once

#include <functional>
#include <vector>

#include "data/sources.h"
#include "text/word_counts.h"

namespace folio::data {

struct CountOptions {
  std::string separator = "";  // of documents inside a file, not escaped; empty: a file is one
  int64_t threads = 0;         // 0: one a processor
  uint64_t memory = 0;         // bytes
};

struct CountedWords {
  text::WordCounts words;
  uint64_t documents = 0, empty = 0;  // those with text; those without
  uint64_t bytes = 0;                 // of the documents
  uint64_t read = 0;                  // words, each as often as it stood there
  uint64_t drops = 0;                 // how often the table was full
  uint64_t dropped = 0;               // words, as often as they had been counted
  uint64_t short_by = 0;              // no count is lower than the true one by more
};

/// Throws Fault::content where there is no text, or a word is so long (kLongestWord) that it is none.
CountedWords count_words(std::vector<Source> const&, CountOptions const&,
                         std::function<void(uint64_t bytes_read)> const& progress = {});

inline constexpr size_t kLongestWord = size_t{64} << 20;

/// Bytes that `words` and training on them need, about.
uint64_t bytes_to_train_on(text::WordCounts const& words);

/// Drops the rarest until the others need at most `bytes`. Returns the highest count that was dropped.
uint64_t drop_rare(text::WordCounts& words, uint64_t bytes);

}  // namespace folio::data
