#include "core/hash.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "core/error.h"

namespace folio {
namespace {

TEST(Hash, OfNothingIsThePublishedValue) {
  EXPECT_EQ(hash_of(bytes_of("")), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(Hasher().hex(), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash, PiecesGiveWhatTheWholeGives) {
  std::string text;
  for (uint32_t i = 0; i < 3'000'000; ++i) text += static_cast<char>(i * 7919 >> 5);
  Hasher hasher;
  for (size_t begin = 0, size = 1; begin < text.size(); begin += size, size = size * 3 + 1)
    hasher.add(std::string_view(text).substr(begin, size));
  EXPECT_EQ(hasher.hex(), hash_of(bytes_of(text)));

  Path const path = std::filesystem::temp_directory_path() / fmt::format("folio-hash-{}", getpid());
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(hash_of_file(path), hash_of(bytes_of(text)));
  std::filesystem::remove(path);

  text[1'234'567] ^= 1;
  EXPECT_NE(hash_of(bytes_of(text)), hasher.hex());
}

TEST(Hash, AFileThatIsNoneIsRefused) {
  try {
    hash_of_file("/nowhere/at/all");
    FAIL();
  } catch (Error const& e) {
    EXPECT_EQ(e.fault, Fault::missing);
  }
  try {
    hash_of_file(std::filesystem::temp_directory_path());
    FAIL();
  } catch (Error const& e) {
    EXPECT_EQ(e.fault, Fault::content);
  }
}

}  // namespace
}  // namespace folio
