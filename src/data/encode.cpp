#include "data/encode.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "data/sources.h"

namespace folio::data {

bool cut_is_safe(text::Tokenizer const& tokenizer) {
  for (int32_t id = 0; id < tokenizer.vocab(); ++id)
    if (find_cut(tokenizer.token(id)) != 0) return false;
  return true;
}

DocumentEncoder::DocumentEncoder(text::Tokenizer const& tokenizer, size_t threads)
    : tokenizer_(tokenizer),
      threads_(threads > 0 ? threads : std::max(1u, std::thread::hardware_concurrency())),
      cuttable_(cut_is_safe(tokenizer)) {}

void DocumentEncoder::begin(ShardWriter& to) {
  to_ = &to;
  begins_ = true;
  searched_ = 0;
}

void DocumentEncoder::add(std::string_view text) {
  pending_ += text;
  if (pending_.size() < kPiece || !cuttable_) return;
  constexpr size_t kBehind = 4;  // find_cut looks at no more bytes before a place
  size_t const from = searched_ > kBehind ? searched_ - kBehind : 0;
  size_t const cut = from + find_cut(std::string_view(pending_).substr(from));
  if (cut > from && cut >= searched_) put(cut, {});
  else searched_ = pending_.size();
}

void DocumentEncoder::end(std::optional<int32_t> end_of_text) { put(pending_.size(), end_of_text); }

void DocumentEncoder::put(size_t bytes, std::optional<int32_t> after) {
  std::string rest = pending_.substr(bytes);
  pending_.resize(bytes);
  job_.push_back({to_, std::exchange(pending_, std::move(rest)), std::exchange(begins_, false), after});
  searched_ = 0;
  job_bytes_ += bytes;
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
