#include "model/score.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "model/window.h"

namespace folio::model {
namespace {

constexpr int64_t kChunkLogits = int64_t{1} << 22;  // that exist at once: 16 MiB of f32
constexpr int64_t kMostRivals = int64_t{1} << 28;   // of all tokens together: 4 GiB

struct Part {  // a window, and which tokens are scored from it
  int64_t start, first, last;
};

std::vector<Part> parts_of(Window const& window, int64_t n) {
  std::vector<Part> parts;
  for (int64_t next = 1; next < n; next = parts.back().last + 1) {
    int64_t const start = next - window.length(next);  // the same for all that follow, until the window is full
    parts.push_back({start, next, std::min(start + window.context, n - 1)});
  }
  return parts;
}

class Scorer {
 public:
  // Lays out, without the memory.
  Scorer(Backend& backend, Weights const& w, ScoreOptions const& o, int64_t windows, int64_t T)
      : backend_(backend), w_(w), top_(o.top), T_(T), most_(std::clamp<int64_t>(o.rows / T, 1, windows)) {
    lay_out();
  }
  MemoryRole planned() const { return arena_.planned(); }
  void take_memory() {
    arena_.allocate(backend_);
    lay_out();
    std::vector<int32_t> positions(static_cast<size_t>(most_ * T_));
    for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(static_cast<int64_t>(i) % T_);
    backend_.upload(positions_, positions.data());
    order_.resize(static_cast<size_t>(w_.config.vocab));
  }
  int64_t windows_at_once() const { return most_; }

  void read(std::span<Part const>, std::span<int32_t const> ids, TextScores&);

 private:
  void lay_out();
  template <class T>
  void find_rivals(Tensor normed, std::span<int32_t const> targets, TextScores&);
  template <class T>
  void rank(T const* logits, size_t token, int32_t target, TextScores&);

  Backend& backend_;
  Weights const& w_;
  int64_t top_, T_, most_;
  Arena arena_{"scoring"};
  Acts acts_;
  Tensor tokens_;               // (B, T) i32
  Tensor positions_;            // (B, T) i32
  Tensor rows_;                 // (B·T) i32: the rows that predict
  Tensor targets_;              // (B·T) i32
  Tensor scores_;               // (B·T, 3) f64
  Tensor logits_;               // (chunk, V)
  Tensor scratch_;              // (scratch_bytes) u8
  std::vector<size_t> places_;  // of the targets in the text
  std::vector<int32_t> order_;  // (V)
};

void Scorer::lay_out() {
  Config const& c = w_.config;
  int64_t const rows = most_ * T_, chunk = std::clamp<int64_t>(kChunkLogits / c.vocab, 1, rows);
  acts_ = lay_out_evaluation_acts(arena_, c, w_.dtype, most_, T_);
  tokens_ = arena_.take("tokens", DType::i32, {most_, T_});
  positions_ = arena_.take("positions", DType::i32, {most_, T_});
  rows_ = arena_.take("rows", DType::i32, {rows});
  targets_ = arena_.take("targets", DType::i32, {rows});
  scores_ = arena_.take("scores", DType::f64, {rows, 3});
  logits_ = arena_.take("logits", wide(w_.dtype), {chunk, c.vocab});
  Limits const limits{.dtype = w_.dtype,
                      .rows = rows,
                      .sequences = most_,
                      .context = T_,
                      .channels = c.channels,
                      .heads = c.heads,
                      .vocab = c.vocab,
                      .chunk = chunk};
  scratch_ = arena_.take("scratch", DType::u8, {static_cast<int64_t>(backend_.scratch_bytes(limits))});
}

void Scorer::read(std::span<Part const> parts, std::span<int32_t const> ids, TextScores& out) {
  auto const B = static_cast<int64_t>(parts.size());
  std::vector<int32_t> tokens(static_cast<size_t>(B * T_), 0), rows, targets;  // a short window is filled up with 0s
  places_.clear();
  for (int64_t b = 0; b < B; ++b) {
    Part const& p = parts[static_cast<size_t>(b)];
    std::copy(ids.begin() + p.start, ids.begin() + p.last, tokens.begin() + b * T_);
    for (int64_t i = p.first; i <= p.last; ++i) {
      rows.push_back(static_cast<int32_t>(b * T_ + i - 1 - p.start));
      targets.push_back(ids[static_cast<size_t>(i)]);
      places_.push_back(static_cast<size_t>(i));
    }
  }
  auto const R = static_cast<int64_t>(rows.size());
  backend_.lend_scratch(scratch_);
  backend_.upload(tokens_.slice(0, B), tokens.data());
  backend_.upload(rows_.slice(0, R), rows.data());
  backend_.upload(targets_.slice(0, R), targets.data());
  Acts const acts = first_sequences(acts_, B);
  Tensor const hidden =
      forward(backend_, w_, acts,
              {.tokens = tokens_.slice(0, B), .positions = positions_.slice(0, B), .sequences = {}, .targets = {}});
  Tensor const normed = normed_rows(backend_, w_, acts, hidden, rows_.slice(0, R));
  backend_.token_loss(scores_.slice(0, R), normed, w_.head, targets_.slice(0, R));
  std::vector<double> scores(static_cast<size_t>(3 * R));
  backend_.download(scores.data(), scores_.slice(0, R));
  for (size_t r = 0; r < places_.size(); ++r) {
    check(std::isfinite(scores[3 * r]), Fault::content,
          "the model gives token {} of the text no finite probability: its weights are damaged (folio inspect MODEL "
          "counts values that are not finite)",
          places_[r]);
    out.logprobs[places_[r]] = scores[3 * r];
    out.ranks[places_[r]] = static_cast<int64_t>(scores[3 * r + 1]);
    out.loss_sum -= scores[3 * r];
  }
  if (top_ == 0) return;
  if (logits_.dtype == DType::f64) find_rivals<double>(normed, targets, out);
  else find_rivals<float>(normed, targets, out);
}

template <class T>
void Scorer::find_rivals(Tensor normed, std::span<int32_t const> targets, TextScores& out) {
  int64_t const R = normed.rows(), V = w_.config.vocab, chunk = logits_.rows();
  std::vector<T> logits(static_cast<size_t>(std::min(chunk, R) * V));
  for (int64_t first = 0; first < R; first += chunk) {
    int64_t const end = std::min(R, first + chunk);
    backend_.head(logits_.slice(0, end - first), normed.slice(first, end), w_.head);
    backend_.download(logits.data(), logits_.slice(0, end - first));
    for (int64_t r = first; r < end; ++r)
      rank(logits.data() + (r - first) * V, places_[static_cast<size_t>(r)], targets[static_cast<size_t>(r)], out);
  }
}

// A rival's log-probability is the target's and the difference of the two logits.
template <class T>
void Scorer::rank(T const* logits, size_t token, int32_t target, TextScores& out) {
  std::iota(order_.begin(), order_.end(), 0);
  std::swap(order_[static_cast<size_t>(target)], order_.back());
  auto const likelier = [&](int32_t a, int32_t b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  };
  std::partial_sort(order_.begin(), order_.begin() + top_, order_.end() - 1, likelier);
  Rival* const to = out.rivals.data() + token * static_cast<size_t>(top_);
  for (int64_t k = 0; k < top_; ++k) {
    int32_t const id = order_[static_cast<size_t>(k)];
    to[k] = {id, out.logprobs[token] + (double(logits[id]) - double(logits[target]))};
  }
}

}  // namespace

MemoryRole plan_score(Backend& backend, Config const& c, DType dtype, int64_t tokens, ScoreOptions const& o) {
  Weights const shape{.config = c, .dtype = dtype, .wte = {}, .wpe = {}, .blocks = {}, .ln_f = {}, .head = {}};
  auto const windows = static_cast<int64_t>(parts_of(window_of(c.context, o.slide), tokens).size());
  return Scorer(backend, shape, o, std::max<int64_t>(windows, 1), std::clamp<int64_t>(tokens - 1, 1, c.context))
      .planned();
}

MemoryRole plan_scores(Config const& c, DType dtype, int64_t tokens, ScoreOptions const& o) {
  int64_t const rivals = o.top < c.vocab && o.top <= kMostRivals / tokens ? tokens * o.top : 0,
                logits = o.top > 0 ? std::clamp(kChunkLogits, c.vocab, std::max(o.rows, c.context) * c.vocab) : 0;
  return {"scores", size_t(tokens) * (sizeof(double) + sizeof(int64_t)) + size_t(rivals) * sizeof(Rival) +
                        size_t(logits) * size_of(wide(dtype))};
}

TextScores score(Backend& backend, Weights const& w, std::span<int32_t const> ids, ScoreOptions const& o,
                 std::function<void(int64_t)> const& progress) {
  auto const n = static_cast<int64_t>(ids.size());
  Config const& c = w.config;
  check(n >= 2, Fault::content, "{} to score: the first token has nothing before it, so give at least two",
        n == 0 ? "no token" : "one token");
  check(o.top < c.vocab, Fault::value, "--top {} is more than the {} other tokens of the vocabulary", o.top,
        c.vocab - 1);
  check(o.top <= kMostRivals / n, Fault::value, "--top {} of {} tokens is more than can be kept: give at most {}",
        o.top, n, kMostRivals / n);
  for (int32_t const id : ids)
    check(0 <= id && id < c.vocab, Fault::content,
          "the text has token {}, but the model knows 0 to {}: was another tokenizer used?", id, c.vocab - 1);
  std::vector<Part> const parts = parts_of(window_of(c.context, o.slide), n);
  Scorer scorer(backend, w, o, static_cast<int64_t>(parts.size()), std::min(c.context, n - 1));
  scorer.take_memory();
  TextScores out{.logprobs = std::vector<double>(ids.size(), NAN),
                 .ranks = std::vector<int64_t>(ids.size(), -1),
                 .rivals = std::vector<Rival>(ids.size() * static_cast<size_t>(o.top)),
                 .top = o.top};
  auto const at_once = static_cast<size_t>(scorer.windows_at_once());
  for (std::span<Part const> left = parts; !left.empty(); left = left.subspan(std::min(at_once, left.size()))) {
    auto const now = left.first(std::min(at_once, left.size()));
    scorer.read(now, ids, out);
    if (progress) progress(now.back().last);
  }
  return out;
}

}  // namespace folio::model
