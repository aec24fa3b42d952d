// Documents in, ids in shards out: pieces are encoded by several threads and written in order.
#pragma once

#include <deque>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/cutter.h"
#include "data/shard.h"
#include "data/shard_writer.h"
#include "text/tokenizer.h"

namespace folio::data {

/// Does every place that find_cut finds leave this tokenizer's ids as they are? It does unless a token, which then is
/// an added one, itself holds such a place.
bool cut_is_safe(text::Tokenizer const&);

class DocumentEncoder {
 public:
  DocumentEncoder(text::Tokenizer const&, size_t threads);

  void begin(ShardWriter& to);                   // a document, or the part of one that a split gets
  void add(std::string_view text);               // any length
  void end(std::optional<int32_t> end_of_text);  // the id to stand behind it
  void finish();                                 // waits until all is written

  static constexpr size_t kPiece = size_t{1} << 20;  // bytes, or more where a text has no place to cut

 private:
  struct Item {
    ShardWriter* to;
    std::string text;
    bool begins;
    std::optional<int32_t> after;
    std::vector<int32_t> ids = {};
  };
  using Job = std::vector<Item>;

  void put(std::string piece, std::optional<int32_t> after);
  void launch();
  void write_first();

  text::Tokenizer const& tokenizer_;
  size_t threads_;
  Cutter cutter_;
  ShardWriter* to_ = nullptr;
  bool begins_ = false;
  Job job_;  // being gathered
  size_t job_bytes_ = 0;
  std::deque<std::future<Job>> running_;
};

}  // namespace folio::data
