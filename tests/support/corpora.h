// The texts and the vocabulary that set-up, or the environment, provides, for tests that need them.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/paths.h"

namespace folio::test {

inline std::string sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

inline bool has_gpt2() { return std::filesystem::exists(data_directory() / "gpt2" / "vocab.bpe"); }

/// The plays of the data directory, one after the other by name; none where set-up has not placed them.
inline std::optional<std::string> plays() {
  auto const folder = data_directory() / "shakespeare";
  if (!std::filesystem::is_directory(folder)) return {};
  std::vector<Path> files;
  for (auto const& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  std::ranges::sort(files);
  std::string all;
  for (auto const& file : files) all += read_file(file);
  return all;
}

/// Tiny Shakespeare, which cannot be rebuilt from what set-up gets.
inline std::optional<std::string> tiny_shakespeare() {
  auto const* const path = std::getenv("FOLIO_TINY_SHAKESPEARE");
  if (!path || !*path) return {};
  auto text = read_file(path);
  EXPECT_EQ(sha256(text).substr(0, 8), "86c4e6aa") << path << " is another text";
  return text;
}

}  // namespace folio::test

#define FOLIO_NEEDS_GPT2()      \
  if (!folio::test::has_gpt2()) \
  GTEST_SKIP() << "the GPT-2 vocabulary is not in the data directory: run scripts/get-data"
