// A model that only reads: logits of whole sequences without a cache (Reader), and of ragged calls with one (Decoder).
#pragma once

#include <memory>
#include <numeric>

#include "model/gpt2.h"
#include "model/kv_cache.h"
#include "tests/support/values.h"

namespace folio::test {

class Reader {
 public:
  Reader(Backend& backend, model::Config const& c, DType dtype, int64_t most_rows = 0)
      : backend_(backend), config_(c), dtype_(dtype) {
    auto lay_out = [&] {
      weights_ = lay_out_weights(arenas_, backend, c, dtype, false);
      Limits const limits{.dtype = dtype,
                          .rows = std::max(most_rows, c.context),
                          .sequences = std::max<int64_t>(most_rows, 1),
                          .context = c.context,
                          .channels = c.channels,
                          .heads = c.heads,
                          .vocab = c.vocab,
                          .chunk = 4};
      backend.lend_scratch(scratch_.take("scratch", DType::u8, {int64_t(backend.scratch_bytes(limits))}));
    };
    lay_out();
    arenas_.masters.allocate(backend), arenas_.compute.allocate(backend), scratch_.allocate(backend);
    lay_out();
  }

  Backend& backend() { return backend_; }
  model::Config const& config() const { return config_; }
  DType dtype() const { return dtype_; }
  model::Weights const& weights() const { return weights_; }

  struct Full {
    std::vector<double> logits;  // (rows, V)
    std::vector<double> scores;  // (B·T, 3): token_loss of each next token; the last has no target
  };
  /// B sequences of T tokens without a cache; logits of the rows of (B·T), of all where none are named.
  Full full(Tokens const& tokens, int64_t B = 1, Tokens rows = {}) {
    int64_t const T = int64_t(tokens.size()) / B;
    if (rows.empty()) rows.resize(tokens.size()), std::iota(rows.begin(), rows.end(), 0);
    int64_t const R = int64_t(rows.size());
    Arena arena("full");
    model::Acts acts;
    Tensor ids, positions, targets, picked, logits, scores;
    auto lay_out = [&] {
      acts = lay_out_acts(arena, config_, dtype_, B, T, model::Recompute::block);
      ids = arena.take("tokens", DType::i32, {B, T}), positions = arena.take("positions", DType::i32, {B, T});
      targets = arena.take("targets", DType::i32, {B, T}), picked = arena.take("rows", DType::i32, {R});
      logits = arena.take("logits", wide(dtype_), {R, config_.vocab});
      scores = arena.take("scores", DType::f64, {B, T, 3});
    };
    lay_out(), arena.allocate(backend_), lay_out();
    Tokens place(tokens.size()), next(tokens.begin() + 1, tokens.end());
    next.push_back(-1);
    for (size_t n = 0; n < place.size(); ++n) {
      place[n] = int32_t(n % size_t(T));
      if (place[n] == T - 1) next[n] = -1;
    }
    backend_.upload(ids, tokens.data()), backend_.upload(positions, place.data());
    backend_.upload(targets, next.data()), backend_.upload(picked, rows.data());
    Tensor const hidden = forward(backend_, weights_, acts, {ids, positions, {}, {}});
    head(backend_, weights_, acts, logits, hidden, picked);
    token_loss(backend_, weights_, acts, scores, hidden, targets);
    return {values(backend_, logits), host<double>(backend_, scores)};
  }

 private:
  Backend& backend_;
  model::Config config_;
  DType dtype_;
  model::WeightArenas arenas_;
  Arena scratch_{"scratch"};
  model::Weights weights_;
};

class Decoder {
 public:
  Decoder(Reader& reader, model::KvCache::Limits const& most) : reader_(reader) {
    auto lay_out = [&] {
      acts_ = lay_out_inference_acts(arena_, reader.config(), reader.dtype(), most.tokens);
      cache = std::make_unique<model::KvCache>(arena_, reader.config(), reader.dtype(), most);
      logits_ = arena_.take("logits", wide(reader.dtype()), {most.tokens, reader.config().vocab});
      rows_ = arena_.take("rows", DType::i32, {most.tokens});
    };
    lay_out(), arena_.allocate(reader.backend()), lay_out();
  }
  int add() { return hold(cache->add(), {}); }
  int fork(int s) { return hold(cache->fork(s), Tokens(done[s])); }
  void take_back(int s, int64_t n) { done[s].resize(done[s].size() - n), cache->truncate(s, int64_t(done[s].size())); }

  /// One ragged call: for each piece the logits (rows, V) of the rows named among its new tokens, or of all of them.
  std::vector<std::vector<double>> feed(std::vector<std::pair<int, Tokens>> const& news,
                                        std::vector<Tokens> const& wanted = {}) {
    Backend& backend = reader_.backend();
    std::vector<model::Piece> pieces;
    for (auto const& [s, tokens] : news) pieces.push_back({s, tokens});
    Ragged const r = cache->append(backend, pieces);
    Tokens rows;
    int32_t first = 0;
    for (size_t i = 0; i < news.size(); first += int32_t(news[i++].second.size()))
      for (int32_t n = 0, all = int32_t(news[i].second.size()); n < (wanted.empty() ? all : int32_t(wanted[i].size()));
           ++n)
        rows.push_back(first + (wanted.empty() ? n : wanted[i][n]));
    int64_t const R = int64_t(rows.size());
    backend.upload(rows_.slice(0, R), rows.data());
    Tensor const hidden = infer(backend, reader_.weights(), acts_, r, cache->pool);
    head(backend, reader_.weights(), acts_, logits_.slice(0, R), hidden, rows_.slice(0, R));
    auto const got = values(backend, logits_.slice(0, R));
    std::vector<std::vector<double>> result;
    size_t at = 0;
    for (size_t i = 0; i < news.size(); ++i) {
      auto const& [s, tokens] = news[i];
      done[s].insert(done[s].end(), tokens.begin(), tokens.end());
      size_t const n = (wanted.empty() ? tokens.size() : wanted[i].size()) * reader_.config().vocab;
      result.emplace_back(got.begin() + at, got.begin() + at + n);
      at += n;
    }
    return result;
  }

  std::unique_ptr<model::KvCache> cache;
  std::vector<Tokens> done;  // what each sequence holds

 private:
  int hold(int s, Tokens tokens) {  // the number of a removed sequence may come back
    if (size_t(s) >= done.size()) done.resize(s + 1);
    done[s] = std::move(tokens);
    return s;
  }

  Reader& reader_;
  Arena arena_{"cache"};
  model::Acts acts_;
  Tensor logits_, rows_;  // (most tokens, V), (most tokens)
};

}  // namespace folio::test
