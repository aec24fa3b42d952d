// Makes pieces of documents that arrive in any lengths: each is cut where find_cut allows it, so no document is held
// whole.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "data/sources.h"

namespace folio::data {

class Cutter {
 public:
  /// Pieces of `least` bytes, or more where a text has no place to cut; whole documents where `cuttable` is false.
  explicit Cutter(size_t least, bool cuttable = true) : least_(least), cuttable_(cuttable) {}

  /// Takes text of the document in; gives a piece out as soon as there is one.
  std::optional<std::string> add(std::string_view text) {
    held_ += text;
    if (held_.size() < least_ || !cuttable_) return {};
    constexpr size_t kBehind = 4;  // find_cut looks at no more bytes before a place
    size_t const from = searched_ > kBehind ? searched_ - kBehind : 0;
    size_t const cut = from + find_cut(std::string_view(held_).substr(from));
    if (cut <= from || cut < searched_) {
      searched_ = held_.size();
      return {};
    }
    std::string rest = held_.substr(cut);
    held_.resize(cut);
    searched_ = 0;
    return std::exchange(held_, std::move(rest));
  }

  /// What is left of a document that has ended.
  std::string rest() {
    searched_ = 0;
    return std::exchange(held_, {});
  }
  size_t held() const { return held_.size(); }

 private:
  size_t least_;
  bool cuttable_;
  std::string held_;
  size_t searched_ = 0;  // bytes of held_ that have no place to cut
};

}  // namespace folio::data
