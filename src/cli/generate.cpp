// folio generate: text from a model.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "backend/room.h"
#include "cli/loaded_model.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "generate/engine.h"

namespace folio::cli {
namespace {

constexpr int64_t kAtOnce = 32;               // texts written at the same time
constexpr uint64_t kLongestPrompt = 1 << 26;  // bytes

struct Command {
  std::vector<std::string> positionals, prompts;
  std::string prompt_file;
  bool stream = false, specials = false, json = false;
  generate::GenerateOptions options;
  BackendChoice backend;

  Fields fields() {
    char const* group = "Prompt and output";
    Fields const own = {
        {"prompt", &prompts, "text to go on from, more than one: a batch; -: read it from stdin", {}, group},
        {"prompt-file", &prompt_file, "a file that is the prompt; -: stdin", {.form = "FILE"}, group},
        {"specials",
         &specials,
         "a special token in a prompt, such as <|endoftext|>, is the token, not text",
         {},
         group},
        {"stream", &stream, "show text as it comes; the default for one text on a terminal", {}, group},
        {"json", &json, "print one object a text", {}, group},
    };
    return joined({own, generate::fields(options), backend.fields()});
  }
};

std::string standard_input() { return read_stream(std::cin, "stdin", kLongestPrompt); }

std::vector<std::string> prompts_of(Command const& c) {
  std::vector<std::string> prompts(c.positionals.begin() + 1, c.positionals.end());
  prompts.insert(prompts.end(), c.prompts.begin(), c.prompts.end());
  if (!c.prompt_file.empty()) prompts.push_back(c.prompt_file == "-" ? "-" : read_file(c.prompt_file, kLongestPrompt));
  check(std::ranges::count(prompts, "-") <= 1, Fault::usage, "stdin can be one prompt only: give - once");
  for (std::string& p : prompts)
    if (p == "-") p = standard_input();
  return prompts;
}

class Session {
 public:
  /// Without prompts: a person will give them, one at a time.
  Session(Command const& c, std::vector<std::string> const& prompts)
      : c_(c), model_(c.positionals[0], c.backend), tokenizer_(model_.tokenizer()) {
    size_t longest = 0;
    for (std::string const& p : prompts) longest = std::max(longest, encode(p).size());
    texts_ = int64_t(std::max<size_t>(1, prompts.size())) * c.options.samples;
    int64_t const positions = prompts.empty() ? 0 : int64_t(longest) + c.options.max_new_tokens;
    make_engine({.sequences = std::min(kAtOnce, texts_), .positions = positions});
  }

  bool run(std::vector<std::string> const& prompts);  // false: interrupted

 private:
  void make_engine(generate::EngineOptions);
  Ask ask_of(generate::EngineOptions const&);
  std::vector<int32_t> encode(std::string const& prompt) const;
  void stream(generate::Generated const&, std::string_view bytes);
  void show(std::vector<std::string> const& prompts, std::vector<std::vector<int32_t>> const& prompt_ids,
            std::vector<generate::Generated> const&);

  Command const& c_;
  LoadedModel model_;
  text::Tokenizer const& tokenizer_;
  int64_t texts_ = 1;  // of one call of run()
  std::unique_ptr<generate::Engine> engine_;
};

Ask Session::ask_of(generate::EngineOptions const& o) {
  // Of each text its ids twice, while it is written, and its bytes, a token some; they are kept until all are written.
  constexpr int64_t kOfToken = 2 * sizeof(int32_t) + 8;
  constexpr int64_t kMost = int64_t{1} << 20;  // more are asked for by who means "until it ends"
  int64_t const tokens = std::min(kMost, c_.options.max_new_tokens), longest = std::max(o.positions, tokens);
  return {.what = "one text at a time",
          .roles = generate::Engine::plan(model_.backend(), model_.config(), c_.backend.compute_type(), o),
          .mends = "fewer --max-new-tokens, a smaller --n or a shorter prompt asks for less",
          .in_heap = {{"texts", size_t((texts_ * tokens + o.sequences * std::min(kMost, longest)) * kOfToken)},
                      {"logits", size_t((o.sequences + 2) * model_.config().vocab) * sizeof(float)}}};
}

// With fewer texts at the same time, and then fewer tokens in a call, where memory will not do.
void Session::make_engine(generate::EngineOptions o) {
  generate::EngineOptions const asked = o;
  auto const smaller = [&] {
    constexpr int64_t kLeastRows = 16;
    if (o.sequences > 1) o.sequences /= 2;
    else if (o.rows > kLeastRows) o.rows /= 2;
    else return false;
    return true;
  };
  while (!engine_) {
    Ask const ask = ask_of(o);
    if (!has_room(model_.backend(), ask) && smaller()) continue;
    try {
      engine_ = take_room(model_.backend(), ask, [&] {
        return std::make_unique<generate::Engine>(model_.backend(), model_.weights(),
                                                  token_bytes(tokenizer_, model_.config().vocab),
                                                  int32_t(tokenizer_.end_of_text().value_or(-1)), o);
      });
    } catch (Error const& e) {  // somebody else was faster
      if (e.fault != Fault::memory || !smaller()) throw;
    }
  }
  if (o.sequences == asked.sequences && o.rows == asked.rows) return;
  say(fmt::format("{} texts at a time ask for {}, which cannot be had: {} at a time, {} tokens in a call, {}",
                  asked.sequences, amount_text(ask_of(asked).roles), o.sequences, o.rows,
                  amount_text(ask_of(o).roles)));
}

std::vector<int32_t> Session::encode(std::string const& prompt) const {
  if (prompt.empty()) {
    check(tokenizer_.end_of_text().has_value(), Fault::content,
          "the prompt is empty, and the model's tokenizer has no end-of-text token to begin with: give a prompt");
    return {*tokenizer_.end_of_text()};
  }
  return tokenizer_.encode(prompt, c_.specials ? text::Specials::as_token : text::Specials::as_text);
}

bool Session::run(std::vector<std::string> const& prompts) {
  std::vector<std::vector<int32_t>> ids;
  for (std::string const& p : prompts) ids.push_back(encode(p));
  bool const one = prompts.size() == 1 && c_.options.samples == 1;
  bool const streaming = one && !c_.json && (c_.stream || terminal().out_is_terminal);
  text::Utf8Stream held;
  generate::Listener listener{.text = {}, .interrupted = signalled};
  if (streaming) {
    print(prompts[0]);
    listener.text = [&](generate::Generated const&, std::string_view bytes) { print(held.push(bytes)); };
  }
  auto const texts = engine_->generate(ids, c_.options, listener);
  if (streaming) print(held.finish() + "\n");
  else show(prompts, ids, texts);

  generate::Timing const& t = engine_->timing();
  double const later = double(t.new_tokens) - double(texts.size());  // all but the first of each text
  std::string speed = later > 0 ? fmt::format(", then {} tok/s", format_count(later / t.decode_seconds)) : "";
  say(fmt::format("{} prompt tokens read in {:.2f} s{}: {} new tokens", t.prompt_tokens, t.prompt_seconds, speed,
                  t.new_tokens));
  return std::ranges::none_of(texts, [](auto const& text) { return text.finish == generate::Finish::interrupted; });
}

void Session::show(std::vector<std::string> const& prompts, std::vector<std::vector<int32_t>> const& prompt_ids,
                   std::vector<generate::Generated> const& texts) {
  for (size_t i = 0; i < texts.size(); ++i) {
    generate::Generated const& text = texts[i];
    if (c_.json) {
      print(dump({{"prompt_ids", prompt_ids[text.prompt]},
                  {"ids", text.ids},
                  {"text", text.text},
                  {"finish_reason", name_of(text.finish)}}) +
            "\n");
      continue;
    }
    if (texts.size() > 1) print(fmt::format("{}--- {} of {} ---\n", i ? "\n" : "", i + 1, texts.size()));
    print(prompts[text.prompt] + text.text + "\n");
  }
}

// A person at a terminal: a prompt a line, until Ctrl-D.
bool converse(Session& session) {
  say("a prompt a line, Ctrl-D to end");
  for (std::string line;;) {
    std::cerr << "> " << std::flush;
    if (!std::getline(std::cin, line)) break;
    try {
      if (!line.empty() && !session.run({line})) return false;
    } catch (Error const& e) {  // a prompt that cannot be encoded: the next may be
      if (e.fault != Fault::content) throw;
      say(Level::warning, e.what());
    }
  }
  std::cerr << "\n";
  return true;
}

}  // namespace

int generate(Arguments const& arguments) {
  Command c;
  Spec const spec{
      .name = "generate",
      .summary = "text from a model",
      .details =
          "The same seed gives the same text, alone or in a batch, with the cache or without. A text longer "
          "than the context goes on: the window drops its oldest half and is read again.",
      .example =
          "folio generate runs/first --prompt \"ROMEO:\" --max-new-tokens 300\n"
          "folio generate runs/first --prompt \"To be\" --prompt \"Enter\" --n 2 --json",
      .positionals = {{"MODEL", &c.positionals, "a model directory, a run or a checkpoint; then prompts", 1, 4096}},
      .fields = c.fields()};
  if (!parse(spec, arguments)) return 0;
  std::vector<std::string> const prompts = prompts_of(c);
  bool const ask = prompts.empty() && isatty(STDIN_FILENO);
  check(!prompts.empty() || ask, Fault::usage, "no prompt: give --prompt TEXT, --prompt-file FILE, or - to read stdin");
  catch_signals(ask);
  Session session(c, prompts);
  return (ask ? converse(session) : session.run(prompts)) ? 0 : static_cast<int>(Fault::failed);
}

}  // namespace folio::cli
