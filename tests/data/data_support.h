// Splits in memory, and a tokenizer of bytes that is quick and plain, for the tests of data.
#pragma once

#include <fstream>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "text/tokenizer.h"

namespace folio::test {

/// ids 0, 1, 2, …: what is read says where it was read.
inline data::Split counting_split(int64_t tokens, std::vector<uint8_t> mask = {}) {
  std::vector<int32_t> ids(static_cast<size_t>(tokens));
  std::iota(ids.begin(), ids.end(), 0);
  std::vector<data::Shard> shards;
  shards.push_back(data::Shard::of(ids, tokens, {0}, std::move(mask)));
  return data::Split("train", std::move(shards));
}

inline std::vector<int32_t> all_of(data::Split const& split) {
  std::vector<int32_t> ids(static_cast<size_t>(split.tokens()));
  split.read(0, ids);
  return ids;
}

inline void put(Path const& path, std::string const& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

/// Words, numbers, signs, blanks and lines, with some characters beyond ASCII and, where asked for, bytes of any kind.
inline std::string made_text(size_t bytes, uint32_t seed, bool with_invalid = false) {
  static char const* const parts[] = {"the",    "ROMEO:", "love", "'s", "'ll",  "42",   "1",  ",", ".",    "!?",
                                      " ",      " ",      " ",    "  ", "\n",   "\n\n", "\t", "é", "日本", "\u3000",
                                      "\u00a0", "\u2028", "😀",    "-",  "\r\n", "a",    "'",  "ß"};
  std::mt19937 draw(seed);
  std::string text;
  while (text.size() < bytes) {
    if (with_invalid && draw() % 8 == 0) text += static_cast<char>(draw() % 256);
    else text += parts[draw() % std::size(parts)];
  }
  return text;
}

}  // namespace folio::test
