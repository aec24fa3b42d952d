// Writes on: sequences of tokens in, tokens out, all sequences together in ragged calls. Knows text only as the bytes
// of each token, which stop strings need.
#pragma once

#include <functional>
#include <memory>

#include "core/api.h"
#include "generate/options.h"
#include "model/gpt2.h"

namespace folio::generate {

enum class Finish { length, stop, eos, interrupted };
FOLIO_API char const* name_of(Finish);  // length, stop, eos, interrupted

struct Generated {
  size_t prompt = 0;         // which prompt
  int64_t sample = 0;        // which of its texts
  std::vector<int32_t> ids;  // new tokens, with the end-of-text token where one came
  std::string text;          // their bytes, without end-of-text and up to a stop string
  Finish finish = Finish::length;
};

struct Listener {
  std::function<void(Generated const&, std::string_view bytes)> text = {};  // more of a text, as soon as it is certain
  std::function<bool()> interrupted = {};                                   // asked after each call of the model
};

struct Timing {               // of the last generate()
  double prompt_seconds = 0;  // until every prompt had its first token
  double decode_seconds = 0;  // from then to the last token
  int64_t prompt_tokens = 0, new_tokens = 0;
};

struct EngineOptions {
  int64_t sequences = 1;  // texts written at the same time, at most
  int64_t rows = 256;     // tokens in one call of the model, at most (more sequences raise it)
  int64_t positions = 0;  // tokens of a text with its prompt, at most, for which the cache has room; 0: the context
};

class FOLIO_API Engine {
 public:
  /// `weights` laid out and loaded on `backend`; both outlive the engine. `token_bytes` (V): each token's bytes;
  /// `eos`: the end-of-text token, or −1. Fault::value where `sequences` or `rows` is below 1.
  Engine(Backend&, model::Weights const&, std::vector<std::string_view> token_bytes, int32_t eos, EngineOptions const&);
  ~Engine();

  /// What such an engine takes, by role: its own layout, without the memory.
  static std::vector<MemoryRole> plan(Backend&, model::Config const&, DType, EngineOptions const&);

  /// In the order of the prompts, then of their samples. A prompt of no tokens, or with an id ≥ V, is refused
  /// (Fault::content), and so are options out of their range (Fault::value; see validate).
  std::vector<Generated> generate(std::vector<std::vector<int32_t>> const& prompts, GenerateOptions const&,
                                  Listener const& = {});
  Timing const& timing() const { return timing_; }
  std::vector<Arena*> arenas();  // its memory, by role and name

 private:
  struct [[gnu::visibility("hidden")]] Memory;
  class [[gnu::visibility("hidden")]] Round;  // the texts that are written at the same time
  Backend& backend_;
  model::Weights const& weights_;
  std::vector<std::string_view> token_bytes_;
  int32_t eos_;
  EngineOptions options_;
  std::unique_ptr<Memory> memory_;
  Timing timing_;
};

}  // namespace folio::generate
