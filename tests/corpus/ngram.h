// An interpolated character n-gram, the yardstick that a trained model has to beat: what counting alone reaches on
// the same held-out text. A symbol is a byte; order n looks at n - 1 bytes before it. Witten and Bell's estimate
// (IEEE Trans. Inf. Theory 37(4), 1991, method C; interpolated as in Chen and Goodman 1998, eq. 14):
//
//   p_n(c | h) = (count(h c) + types(h) · p_{n-1}(c | h')) / (count(h) + types(h)),   p_0(c) = 1/256
//
// where h' is h without its first byte, count(h) the number of bytes seen after h and types(h) how many differ. A
// context never seen leaves p_{n-1}. Near the start of a document the order is what the text before allows.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace folio::corpus {

class Ngram {
 public:
  static constexpr size_t kMaxOrder = 7;  // a gram and its successor are packed into 64 bits

  /// Counts the documents; nothing spans two of them.
  Ngram(std::vector<std::string_view> const& documents, size_t order) : tables_(order) {
    if (order < 1 || order > kMaxOrder) throw std::invalid_argument("an n-gram has order 1 to 7");
    for (size_t n = 1; n <= order; ++n) tables_[n - 1].count(documents, n);
  }

  size_t order() const { return tables_.size(); }

  /// p_1 … p_order of `symbol` after `before` (its last bytes are used). result[n - 1] is order n.
  std::vector<double> probabilities(std::string_view before, unsigned char symbol) const {
    std::vector<double> result(order());
    double lower = 1.0 / 256;
    for (size_t n = 1; n <= order(); ++n) {
      if (n - 1 <= before.size()) lower = tables_[n - 1].interpolate(pack(before, n - 1), symbol, lower);
      result[n - 1] = lower;
    }
    return result;
  }

  /// Mean of -log2 p over all bytes of the documents, per order.
  std::vector<double> bits_per_byte(std::vector<std::string_view> const& documents) const {
    std::vector<double> bits(order());
    size_t bytes = 0;
    for (auto text : documents) {
      bytes += text.size();
      for (size_t i = 0; i < text.size(); ++i) {
        auto p = probabilities(text.substr(0, i), static_cast<unsigned char>(text[i]));
        for (size_t n = 0; n < bits.size(); ++n) bits[n] -= std::log2(p[n]);
      }
    }
    for (double& b : bits) b /= static_cast<double>(bytes);
    return bits;
  }

 private:
  /// The last `length` bytes as one number, the latest lowest.
  static uint64_t pack(std::string_view text, size_t length) {
    uint64_t packed = 0;
    for (char c : text.substr(text.size() - length)) packed = packed << 8 | static_cast<unsigned char>(c);
    return packed;
  }

  /// The grams of one order, sorted, so that all continuations of a context lie side by side.
  struct Table {
    std::vector<uint64_t> grams;  // context · 256 + symbol, each once
    std::vector<uint64_t> up_to;  // [i] = occurrences of grams[0 … i - 1]; one longer than grams
    std::vector<size_t> bucket;   // where the grams of each hash of leading bits begin: a short cut for the search
    unsigned shift = 0;

    void count(std::vector<std::string_view> const& documents, size_t n) {
      std::vector<uint64_t> all;
      for (auto text : documents)
        for (size_t end = n; end <= text.size(); ++end) all.push_back(pack(text.substr(0, end), n));
      std::sort(all.begin(), all.end());
      up_to = {0};
      for (size_t i = 0; i < all.size(); ++i) {
        if (i == 0 || all[i] != all[i - 1]) {
          grams.push_back(all[i]);
          up_to.push_back(i);
        }
        up_to.back() = i + 1;
      }
      constexpr unsigned kBucketBits = 16;
      unsigned const bits = static_cast<unsigned>(8 * n);
      shift = bits > kBucketBits ? bits - kBucketBits : 0;
      bucket.assign((size_t{1} << std::min(bits, kBucketBits)) + 1, grams.size());
      for (size_t i = grams.size(); i-- > 0;) bucket[grams[i] >> shift] = i;
      for (size_t i = bucket.size() - 1; i-- > 0;) bucket[i] = std::min(bucket[i], bucket[i + 1]);
    }

    size_t find(uint64_t gram) const {  // the first that is not smaller
      size_t const b = gram >> shift;
      if (b + 1 >= bucket.size()) return grams.size();
      auto const first = grams.begin();
      return static_cast<size_t>(std::lower_bound(first + static_cast<ptrdiff_t>(bucket[b]),
                                                  first + static_cast<ptrdiff_t>(bucket[b + 1]), gram) -
                                 first);
    }

    double interpolate(uint64_t context, unsigned char symbol, double lower) const {
      size_t const begin = find(context << 8), end = find((context << 8) + 256);
      if (begin == end) return lower;
      auto const types = static_cast<double>(end - begin);
      auto const total = static_cast<double>(up_to[end] - up_to[begin]);
      size_t const at = find(context << 8 | symbol);
      bool const seen = at < end && grams[at] == (context << 8 | symbol);
      double const own = seen ? static_cast<double>(up_to[at + 1] - up_to[at]) : 0.0;
      return (own + types * lower) / (total + types);
    }
  };

  std::vector<Table> tables_;  // [n - 1]: order n
};

}  // namespace folio::corpus
