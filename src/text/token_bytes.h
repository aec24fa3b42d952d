// The bytes of every token, one after the other in one block.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace folio::text {

class TokenBytes {
 public:
  explicit TokenBytes(std::vector<std::string> const& tokens) {
    starts_.reserve(tokens.size() + 1);
    for (auto const& t : tokens) {
      starts_.push_back(bytes_.size());
      bytes_ += t;
    }
    starts_.push_back(bytes_.size());
  }
  int64_t size() const { return static_cast<int64_t>(starts_.size()) - 1; }
  std::string_view at(int32_t id) const {
    check(id >= 0 && id < size(), Fault::content, "id {} is not in the tokenizer's 0 … {}", id, size() - 1);
    auto const i = static_cast<size_t>(id);
    return {bytes_.data() + starts_[i], starts_[i + 1] - starts_[i]};
  }

 private:
  std::string bytes_;
  std::vector<size_t> starts_;
};

}  // namespace folio::text
