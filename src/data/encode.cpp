#include "data/encode.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "core/machine.h"

namespace folio::data {

bool cut_is_safe(text::Tokenizer const& tokenizer) {
  for (int32_t id = 0; id < tokenizer.vocab(); ++id)
    if (find_cut(tokenizer.token(id)) != 0) return false;
  return true;
}

DocumentEncoder::DocumentEncoder(text::Tokenizer const& tokenizer, size_t threads)
    : tokenizer_(tokenizer),
      threads_(threads > 0 ? threads : static_cast<size_t>(look_at_machine().granted_cores())),
      cutter_(kPiece, cut_is_safe(tokenizer)) {}

void DocumentEncoder::begin(ShardWriter& to) {
  to_ = &to;
  begins_ = true;
}

void DocumentEncoder::add(std::string_view text) {
  if (auto piece = cutter_.add(text)) put(std::move(*piece), {});
}

void DocumentEncoder::end(std::optional<int32_t> end_of_text) { put(cutter_.rest(), end_of_text); }

void DocumentEncoder::put(std::string piece, std::optional<int32_t> after) {
  job_bytes_ += piece.size();
  job_.push_back({to_, std::move(piece), std::exchange(begins_, false), after});
  if (job_bytes_ >= kPiece || job_.size() >= kPiece / 64) launch();
}

void DocumentEncoder::launch() {
  if (running_.size() >= threads_) write_first();
  job_bytes_ = 0;
  running_.push_back(std::async(std::launch::async, [&tokenizer = tokenizer_, job = std::exchange(job_, {})]() mutable {
    for (Item& item : job) item.ids = tokenizer.encode(item.text, text::Specials::as_text);
    return std::move(job);
  }));
}

void DocumentEncoder::write_first() {
  Job const job = running_.front().get();
  running_.pop_front();
  for (Item const& item : job) {
    if (item.begins) item.to->begin_document();
    item.to->add(item.ids);
    if (item.after) item.to->add({&*item.after, 1});
  }
}

void DocumentEncoder::finish() {
  if (!job_.empty()) launch();
  while (!running_.empty()) write_first();
}

}  // namespace folio::data
