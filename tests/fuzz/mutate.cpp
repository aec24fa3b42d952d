// A fuzz target without libFuzzer, for every build: each seed as it is, then changed in ways that files do change or
// are changed on purpose. The changes are drawn from a fixed seed, so a failure comes again.
//
//   NAME_mutated SEEDS ROUNDS
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/fuzz.h"

namespace {

using folio::Path;

class Mutator {
 public:
  explicit Mutator(std::vector<std::string> seeds) : seeds_(std::move(seeds)) {}

  std::string next() {
    std::string text = seeds_[draw(seeds_.size())];
    for (size_t n = 1 + draw(4); n > 0 && !text.empty(); --n) change(text);
    return text;
  }

 private:
  size_t draw(size_t below) { return below ? random_() % below : 0; }

  void change(std::string& text) {
    static std::vector<std::string> const values = {
        "0",    "-1",  "1e308", "1e999", "9223372036854775807", "18446744073709551616",
        "null", "[]",  "{}",    "\"\"",  "\"\\u0000\"",         "\xff",
        "\x1e", "true"};
    size_t const at = draw(text.size()), length = std::min(draw(64), text.size() - at);
    switch (draw(8)) {
      case 0:
        text[at] = char(text[at] ^ (1 << draw(8)));
        break;
      case 1:
        text.resize(at);
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(draw(text.size()), text.substr(at, length));
        break;
      case 4:
        text[at] = char(draw(256));
        break;
      case 5:
        replace_number(text, at, values[draw(values.size())]);
        break;
      case 6:
        text.insert(at, values[draw(values.size())]);
        break;
      default: {
        std::string const& other = seeds_[draw(seeds_.size())];
        size_t const from = draw(other.size());
        text.replace(at, length, other.substr(from, draw(64)));
      }
    }
  }

  static void replace_number(std::string& text, size_t at, std::string const& value) {
    auto const digit = [](char c) { return c >= '0' && c <= '9'; };
    auto const begin = std::find_if(text.begin() + int64_t(at), text.end(), digit);
    text.replace(begin, std::find_if_not(begin, text.end(), digit), value);
  }

  std::vector<std::string> seeds_;
  std::mt19937_64 random_{20261122};
};

void give(std::string const& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<uint8_t const*>(text.data()), text.size());
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  std::vector<Path> files;
  for (auto const& entry : std::filesystem::directory_iterator(arguments[1])) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> seeds;
  for (Path const& file : files) {
    std::ifstream in(file, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    give(seeds.back());
  }
  if (seeds.empty()) return 1;
  Mutator mutator(seeds);
  int const rounds = std::atoi(arguments[2]);
  for (int i = 0; i < rounds; ++i) give(mutator.next());
  std::printf("%zu seeds and %d mutations of them: each taken or refused\n", seeds.size(), rounds);
}
