#include "generate/engine.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/error.h"
#include "generate/sampler.h"
#include "generate/stop.h"
#include "model/kv_cache.h"
#include "model/window.h"

namespace folio::generate {

char const* name_of(Finish f) {
  constexpr char const* names[] = {"length", "stop", "eos", "interrupted"};
  return names[static_cast<int>(f)];
}

struct Engine::Memory {
  Arena activations{"activations"}, cache_memory{"key-value cache"}, scratch_memory{"scratch"};
  model::Acts acts;
  std::unique_ptr<model::KvCache> cache;
  Tensor rows;     // (S) i32: which rows of a call get logits
  Tensor logits;   // (S, V) f32
  Tensor scratch;  // (scratch_bytes) u8

  std::vector<Arena*> arenas() { return {&activations, &cache_memory, &scratch_memory}; }
  void lay_out(Backend const& backend, model::Config const& c, DType dtype, EngineOptions const& o) {
    int64_t const S = o.sequences, N = std::max(o.rows, S),
                  longest = o.positions > 0 ? std::min(o.positions, c.context) : c.context,
                  blocks_each = (longest + kBlock - 1) / kBlock;
    acts = lay_out_inference_acts(activations, c, dtype, N);
    rows = activations.take("rows", DType::i32, {S});
    logits = activations.take("logits", wide(dtype), {S, c.vocab});
    cache = std::make_unique<model::KvCache>(cache_memory, c, dtype, model::KvCache::Limits{S * blocks_each, N, S});
    Limits const limits{.dtype = dtype,
                        .rows = N,
                        .sequences = S,
                        .context = c.context,
                        .channels = c.channels,
                        .heads = c.heads,
                        .vocab = c.vocab,
                        .chunk = 0};
    scratch = scratch_memory.take("scratch", DType::u8, {int64_t(backend.scratch_bytes(limits))});
  }
};

// One text on its way. The model sees tokens[start …]; `cached` of them are in the cache.
struct Text {
  Generated result;
  std::vector<int32_t> tokens;  // prompt and new tokens
  size_t stem;                  // the text of the same prompt that reads it for all; itself, if it is that one
  int sequence = -1;            // in the cache; −1: waits for the stem, or is done
  int64_t start = 0, cached = 0;
  bool done = false;
  StopStrings stops;
};

class Engine::Round {
 public:
  Round(Engine& engine, GenerateOptions const& options, Listener const& listener)
      : e_(engine),
        m_(*engine.memory_),
        o_(options),
        listener_(listener),
        sampler_(options.sampling),
        window_(model::window_of(engine.weights_.config.context, options.slide)) {}
  ~Round() {
    for (Text& t : texts_)
      if (t.sequence >= 0) m_.cache->remove(t.sequence);
  }

  void add(size_t prompt, int64_t sample, std::vector<int32_t> const& tokens);
  void run(Timing&);
  void interrupt() {
    for (Text& t : texts_)
      if (!t.done) end(t, Finish::interrupted);
  }
  std::vector<Text>& texts() { return texts_; }

 private:
  struct Turn {  // a text's part of one call
    size_t text;
    std::span<int32_t const> tokens;
    bool complete;  // its window is read to the end: its last row gets logits
  };
  std::vector<Turn> plan() const;
  void call(std::vector<Turn> const&);
  void prompt_read(size_t text, std::span<float const> logits);
  void grow(Text&, std::span<float const> logits);
  void end(Text&, Finish);
  void show(Text&, std::string const& bytes);
  int64_t window_start(Text const& t) const {
    return int64_t(t.tokens.size()) - window_.length(int64_t(t.tokens.size()));
  }

  Engine& e_;
  Memory& m_;
  GenerateOptions const& o_;
  Listener const& listener_;
  Sampler sampler_;
  model::Window window_;
  std::vector<Text> texts_;
};

void Engine::Round::add(size_t prompt, int64_t sample, std::vector<int32_t> const& tokens) {
  size_t stem = 0;
  while (stem < texts_.size() && texts_[stem].result.prompt != prompt) ++stem;
  texts_.push_back({.result = {.prompt = prompt, .sample = sample, .ids = {}, .text = {}},
                    .tokens = tokens,
                    .stem = stem,
                    .stops = StopStrings(o_.stop)});
  Text& t = texts_.back();
  t.start = window_start(t);
  if (stem == texts_.size() - 1) t.sequence = m_.cache->add();
}

// Each text brings what its window has and the cache lacks, as far as the call has room.
std::vector<Engine::Round::Turn> Engine::Round::plan() const {
  std::vector<Turn> turns;
  int64_t room = m_.acts.hidden.rows();
  for (size_t i = 0; i < texts_.size() && room > 0; ++i) {
    Text const& t = texts_[i];
    if (t.sequence < 0) continue;
    int64_t const missing = int64_t(t.tokens.size()) - t.start - t.cached, now = std::min(room, missing);
    turns.push_back({i, std::span(t.tokens).subspan(size_t(t.start + t.cached), size_t(now)), now == missing});
    room -= now;
  }
  return turns;
}

void Engine::Round::call(std::vector<Turn> const& turns) {
  std::vector<model::Piece> pieces;
  std::vector<int32_t> last_rows;
  int64_t row = 0;
  for (Turn const& turn : turns) {
    pieces.push_back({texts_[turn.text].sequence, turn.tokens});
    row += int64_t(turn.tokens.size());
    if (turn.complete) last_rows.push_back(int32_t(row - 1));
  }
  e_.backend_.lend_scratch(m_.scratch);
  Ragged const ragged = m_.cache->append(e_.backend_, pieces);
  Tensor const hidden = infer(e_.backend_, e_.weights_, m_.acts, ragged, m_.cache->pool);
  for (Turn const& turn : turns) texts_[turn.text].cached += int64_t(turn.tokens.size());
  if (last_rows.empty()) return;

  int64_t const R = int64_t(last_rows.size()), V = e_.weights_.config.vocab;
  e_.backend_.upload(m_.rows.slice(0, R), last_rows.data());
  head(e_.backend_, e_.weights_, m_.acts, m_.logits.slice(0, R), hidden, m_.rows.slice(0, R));
  std::vector<float> logits(size_t(R * V));
  e_.backend_.download(logits.data(), m_.logits.slice(0, R));
  auto next = logits.begin();
  for (Turn const& turn : turns) {
    if (!turn.complete) continue;
    std::span<float const> const of_text(next, size_t(V));
    next += V;
    if (texts_[turn.text].result.ids.empty()) prompt_read(turn.text, of_text);
    else grow(texts_[turn.text], of_text);
  }
}

// The other samples of the prompt go on from what the first has read.
void Engine::Round::prompt_read(size_t stem, std::span<float const> logits) {
  for (size_t i = stem + 1; i < texts_.size(); ++i) {
    if (texts_[i].stem != stem) continue;
    texts_[i].sequence = m_.cache->fork(texts_[stem].sequence);
    texts_[i].cached = texts_[stem].cached;
  }
  for (size_t i = stem; i < texts_.size(); ++i)
    if (texts_[i].stem == stem) grow(texts_[i], logits);
}

void Engine::Round::grow(Text& t, std::span<float const> logits) {
  int32_t const id = sampler_.pick(logits, t.tokens, uint64_t(t.result.sample), int64_t(t.tokens.size()));
  t.tokens.push_back(id);
  t.result.ids.push_back(id);
  if (id == e_.eos_ && !o_.ignore_eos) return end(t, Finish::eos);
  show(t, t.stops.push(e_.token_bytes_[size_t(id)]));
  if (t.stops.found()) return end(t, Finish::stop);
  if (int64_t(t.result.ids.size()) == o_.max_new_tokens) return end(t, Finish::length);
  int64_t const start = window_start(t);
  if (start == t.start && !o_.no_cache) return;
  m_.cache->truncate(t.sequence, 0);  // the window moved: it is read again from position 0
  t.start = start, t.cached = 0;
}

void Engine::Round::show(Text& t, std::string const& bytes) {
  t.result.text += bytes;
  if (listener_.text && !bytes.empty()) listener_.text(t.result, bytes);
}

void Engine::Round::end(Text& t, Finish finish) {
  show(t, t.stops.finish());
  t.result.finish = finish;
  t.done = true;
  if (t.sequence >= 0) m_.cache->remove(std::exchange(t.sequence, -1));
}

void Engine::Round::run(Timing& timing) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point const begin = Clock::now();
  Clock::time_point first = begin;
  bool all_begun = false;
  for (auto turns = plan(); !turns.empty(); turns = plan()) {
    call(turns);
    bool const begun = std::ranges::none_of(texts_, [](Text const& t) { return t.result.ids.empty(); });
    if (begun && !all_begun) first = Clock::now(), all_begun = true;
    if (listener_.interrupted && listener_.interrupted()) interrupt();
  }
  auto seconds = [](auto d) { return std::chrono::duration<double>(d).count(); };
  timing.prompt_seconds += seconds(first - begin);
  timing.decode_seconds += seconds(Clock::now() - first);
  for (Text const& t : texts_) {
    timing.new_tokens += int64_t(t.result.ids.size());
    if (t.stem == size_t(&t - texts_.data())) timing.prompt_tokens += int64_t(t.tokens.size() - t.result.ids.size());
  }
}

Engine::Engine(Backend& backend, model::Weights const& weights, std::vector<std::string_view> token_bytes, int32_t eos,
               EngineOptions const& options)
    : backend_(backend),
      weights_(weights),
      token_bytes_(std::move(token_bytes)),
      eos_(eos),
      options_(options),
      memory_(std::make_unique<Memory>()) {
  check(options.sequences >= 1 && options.rows >= 1, Fault::value,
        "an engine for {} sequences and {} rows: give at least one of each", options.sequences, options.rows);
  token_bytes_.resize(size_t(weights.config.vocab));  // a padded vocabulary: ids that no tokenizer has are no text
  auto const lay_out = [&] { memory_->lay_out(backend, weights.config, weights.dtype, options_); };
  lay_out();
  for (Arena* a : arenas()) a->allocate(backend);
  lay_out();
}
Engine::~Engine() = default;

std::vector<MemoryRole> Engine::plan(Backend& backend, model::Config const& c, DType dtype, EngineOptions const& o) {
  Memory memory;
  memory.lay_out(backend, c, dtype, o);
  std::vector<MemoryRole> roles;
  for (Arena const* a : memory.arenas()) roles.push_back(a->planned());
  return roles;
}

std::vector<Arena*> Engine::arenas() { return memory_->arenas(); }

std::vector<Generated> Engine::generate(std::vector<std::vector<int32_t>> const& prompts,
                                        GenerateOptions const& options, Listener const& listener) {
  int64_t const V = weights_.config.vocab;
  validate(options);
  for (auto const& prompt : prompts) {
    check(options_.positions == 0 || options_.positions >= weights_.config.context ||
              int64_t(prompt.size()) + options.max_new_tokens <= options_.positions,
          "a text of {} and {} new tokens by an engine for {} positions", prompt.size(), options.max_new_tokens,
          options_.positions);
    check(!prompt.empty(), Fault::content, "the prompt is empty: give at least one token to go on from");
    for (int32_t id : prompt)
      check(0 <= id && id < V, Fault::content,
            "the prompt has token {}, but the model knows 0 to {}: was another tokenizer used?", id, V - 1);
  }
  timing_ = {};
  std::vector<Generated> results;
  auto run = [&](Round& round) {
    if (!results.empty() && listener.interrupted && listener.interrupted()) round.interrupt();
    round.run(timing_);
    for (Text& t : round.texts()) results.push_back(std::move(t.result));
  };
  auto round = std::make_unique<Round>(*this, options, listener);
  for (size_t p = 0; p < prompts.size(); ++p)
    for (int64_t s = 0; s < options.samples; ++s) {
      if (int64_t(round->texts().size()) == options_.sequences) {
        run(*round);
        round = std::make_unique<Round>(*this, options, listener);
      }
      round->add(p, s, prompts[p]);
    }
  run(*round);
  return results;
}

}  // namespace folio::generate
