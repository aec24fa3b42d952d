// folio score: what a model thinks of a text, token by token.
#include <iostream>
#include <nlohmann/json.hpp>

#include "backend/room.h"
#include "cli/documents.h"
#include "cli/loaded_model.h"
#include "cli/scored_text.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "model/window.h"
#include "report/table.h"
#include "text/utf8.h"
#include "text/visible.h"

namespace folio::cli {
namespace {

using report::grouped;

constexpr uint64_t kLongestText = 1 << 26;  // bytes
constexpr size_t kWidth = 80, kTokenWidth = 20;
constexpr size_t kRowOfTable = 512;  // bytes that a token's row takes until it is printed, at most

struct Options {
  std::vector<std::string> model;
  std::string text, out;
  int64_t top = 3, slide = 0;
  bool specials = false, json = false;
  BackendChoice backend;
};

Spec spec_of(Options& o) {
  char const* group = "Text and output";
  Fields const own = {
      {"text", &o.text, "the file to score; -: stdin", {.form = "FILE"}, group},
      {"top", &o.top, "rivals to name: the likeliest other tokens", {.min = 0, .max = 1 << 20}, group},
      {"slide",
       &o.slide,
       "tokens that a full window drops before it is read again; 0: half of the context, 1: the exact last tokens, the "
       "context: windows side by side, as eval reads them",
       {.min = 0},
       group},
      {"specials",
       &o.specials,
       "a special token in the text, such as <|endoftext|>, is the token, not text",
       {},
       group},
      {"json", &o.json, "print one JSON object", {}, group},
      {"out",
       &o.out,
       fmt::format("write a page to look at, PAGE.html, instead of the table; of a longer text it shows the first {} "
                   "tokens, and of each at most {} rivals",
                   grouped(kMostOnPage), kMostRivalsOnPage),
       {.form = "FILE"},
       group}};
  return {.name = "score",
          .summary = "probability, rank, loss and rivals of each token of a text",
          .details =
              "Each token but the first is scored once, from the tokens before it. A text longer than the context is "
              "read as generate reads one: a full window drops its oldest half and is read again.",
          .example =
              "folio score runs/first --text input.txt --top 3\n"
              "folio score runs/first --text input.txt --out score.html\n"
              "echo 'To be, or not to be' | folio score runs/first --text - --json",
          .positionals = {{"MODEL", &o.model, "a model directory, a run or a checkpoint"}},
          .fields = joined({own, o.backend.fields()})};
}

std::string text_of(Options const& o) {
  check(!o.text.empty(), Fault::usage, "which text? Give --text FILE, or --text - to read stdin");
  std::string text = o.text == "-" ? read_stream(std::cin, "stdin", kLongestText) : read_file(o.text, kLongestText);
  check(!text.empty(), Fault::content, "{} is empty: give a text of at least two tokens",
        o.text == "-" ? "stdin" : o.text);
  return text;
}

// Cut to a width, in characters.
std::string cut(std::string const& text, size_t width) {
  if (report::display_width(text) <= width) return text;
  std::string out;
  for (char const *at = text.data(), *end = at + text.size(); at < end;) {
    auto const c = text::read_character(at, end);
    std::string const more = out + std::string(at, c.length);
    if (report::display_width(more) + 3 > width) break;
    out = more;
    at += c.length;
  }
  return out + "...";
}

std::string token_text(ScoredText const& s, int32_t id) {
  return id < s.tokenizer->vocab() ? text::escape(s.bytes(id)) : fmt::format("#{}", id);
}

// As many as there is room for.
std::string rivals_text(ScoredText const& s, size_t token, size_t width) {
  std::string out;
  for (model::Rival const& r : s.scores.rivals_of(token)) {
    std::string const more = fmt::format("{}{} {}", out.empty() ? "" : ", ", cut(token_text(s, r.id), kTokenWidth),
                                         percent(std::exp(r.logprob)));
    if (report::display_width(out + more) > width) break;
    out += more;
  }
  return out;
}

std::string summary_text(ScoredText const& s) {
  std::string out = fmt::format("mean loss      {:.4f} nats a token\nperplexity     {:.2f}\nbits per byte  {:.4f}\n",
                                s.scores.mean_loss(), s.perplexity(), s.bits_per_byte());
  return out + wrapped(fmt::format("{} scored, {:.1f} % of them ranked first; context {}, slide {}, {}",
                                   s.scores.scored() == 1 ? "1 token" : grouped(s.scores.scored()) + " tokens",
                                   100.0 * double(s.ranked_first()) / double(s.scores.scored()),
                                   grouped(s.config.context), grouped(s.slide), s.dtype),
                       0);
}

std::string table_text(ScoredText const& s) {
  size_t number = 1, token = 5, rank = 4;
  for (size_t i = 0; i < s.ids.size(); ++i) {
    number = std::max(number, std::to_string(i + 1).size());
    token = std::max(token, std::min(kTokenWidth, report::display_width(token_text(s, s.ids[i]))));
    rank = std::max(rank, std::to_string(s.scores.ranks[i]).size());
  }
  size_t const others = number + token + rank + 2 + 2 + 2 + 2 + 8 + 6 + 2;  // 8 and 6: probability and loss
  report::Table table({{"#"}, {"token", false}, {"probable"}, {"rank"}, {"loss"}, {"expected instead", false}});
  bool left_out = false;
  for (size_t i = 0; i < s.ids.size(); ++i) {
    std::string const name = cut(token_text(s, s.ids[i]), kTokenWidth), place = std::to_string(i + 1);
    if (i == 0) {
      table.row({place, name, "-", "-", "-", ""});
      continue;
    }
    std::string const whole = rivals_text(s, i, SIZE_MAX), rivals = rivals_text(s, i, kWidth - others);
    left_out = left_out || whole != rivals;
    table.row({place, name, percent(std::exp(s.scores.logprobs[i])), std::to_string(s.scores.ranks[i]),
               fmt::format("{:.3f}", -s.scores.logprobs[i]), rivals});
  }
  return table.text(kWidth) + (left_out ? "(not all rivals have room; --json and --out name all)\n" : "") + '\n';
}

// `text` is always UTF-8; where the token's bytes are not, each broken one is U+FFFD in it and `bytes` says what they
// are. Null: no text, an id of a padded vocabulary.
Json named(ScoredText const& s, int32_t id) {
  Json token = {{"id", id}, {"text", nullptr}};
  if (id >= s.tokenizer->vocab()) return token;
  std::string_view const bytes = s.bytes(id);
  token["text"] = bytes;
  if (text::is_utf8(bytes)) return token;
  for (char const byte : bytes) token["bytes"].push_back(static_cast<unsigned char>(byte));
  return token;
}

Json token_json(ScoredText const& s, size_t i) {
  Json token = named(s, s.ids[i]);
  token.update({{"logprob", nullptr}, {"rank", nullptr}, {"rivals", nullptr}});
  if (i == 0) return token;
  token["logprob"] = s.scores.logprobs[i];
  token["rank"] = s.scores.ranks[i];
  token["rivals"] = Json::array();
  for (model::Rival const& r : s.scores.rivals_of(i)) {
    token["rivals"].push_back(named(s, r.id));
    token["rivals"].back()["logprob"] = r.logprob;
  }
  return token;
}

void print_json(ScoredText const& s) {  // a token a line, and never all of them in memory
  Json const head = {{"mean_loss", s.scores.mean_loss()},
                     {"perplexity", s.perplexity()},
                     {"bits_per_byte", s.bits_per_byte()},
                     {"scored", s.scores.scored()},
                     {"ranked_first", s.ranked_first()},
                     {"context", s.config.context},
                     {"slide", s.slide},
                     {"dtype", s.dtype}};
  std::string out = dump(head);
  out.pop_back();
  out += ", \"tokens\": [";
  for (size_t i = 0; i < s.ids.size(); ++i) {
    out += (i == 0 ? "\n" : ",\n") + dump(token_json(s, i));
    if (out.size() < size_t{1} << 16) continue;
    print(out);
    out.clear();
  }
  print(out + "\n]}\n");
}

std::string command_of(Options const& o) {
  return fmt::format("folio score {} --text {} --top {}{}{} --out {}", o.model[0], o.text, o.top,
                     o.slide > 0 ? fmt::format(" --slide {}", o.slide) : "", o.specials ? " --specials" : "", o.out);
}

ScoredText score_with(LoadedModel& model, Options const& o, std::vector<int32_t> ids) {
  auto const n = static_cast<int64_t>(ids.size());
  Progress progress;
  model::ScoreOptions const options{.top = o.top, .slide = o.slide};
  MemoryRole const work = model::plan_score(model.backend(), model.config(), o.backend.compute_type(), n, options);
  MemoryRole const scored =
      model::plan_scores(model.config(), o.backend.compute_type(), std::max<int64_t>(n, 1), options);
  bool const table = !o.json && o.out.empty();
  Ask const ask{.what = "scoring the text",
                .roles = {work},
                .mends = "a shorter --text, a smaller --top or a smaller model asks for less" +
                         std::string(table ? ", and so does --json" : ""),
                .in_heap = {scored, {"table", table ? ids.size() * kRowOfTable : 0}}};
  auto scores = take_room(model.backend(), ask, [&] {
    return model::score(model.backend(), model.weights(), ids, options, [&](int64_t done) {
      if (progress.due() && done + 1 < n) progress.show({fmt::format("{}/{} tokens", grouped(done), grouped(n - 1))});
    });
  });
  progress.finish();
  return {.model = o.model[0],
          .name = o.text == "-" ? "stdin" : o.text,
          .config = model.config(),
          .slide = model::window_of(model.config().context, o.slide).slide,
          .dtype = name_of(o.backend.compute_type()),
          .tokenizer = &model.tokenizer(),
          .ids = std::move(ids),
          .scores = std::move(scores)};
}

}  // namespace

std::string percent(double p, char const* blank) {
  if (p < 5e-5) return fmt::format("<0.01{}%", blank);
  return fmt::format("{:.{}f}{}%", 100 * p, p >= 0.0995 ? 0 : p >= 0.00995 ? 1 : 2, blank);
}

int score(Arguments const& arguments) {
  Options o;
  if (!parse(spec_of(o), arguments)) return 0;
  if (!o.out.empty()) expect_no_input(o.out, {o.text});
  std::string const text = text_of(o);
  std::optional<FileWriter> page;  // before the work, so that a folder that is not there is found now
  if (!o.out.empty()) page.emplace(o.out);
  LoadedModel model(o.model[0], o.backend);
  std::vector<int32_t> ids =
      model.tokenizer().encode(text, o.specials ? text::Specials::as_token : text::Specials::as_text);
  ScoredText const scored = score_with(model, o, std::move(ids));
  if (page) {
    page->write(score_page(scored, command_of(o)));
    page->commit();
    std::string const lacks = what_the_page_lacks(scored);
    say(fmt::format("written: {}{}", o.out, lacks.empty() ? "" : "; it shows " + lacks));
  }
  if (o.json) print_json(scored);
  else print((o.out.empty() ? table_text(scored) : "") + summary_text(scored));
  return 0;
}

}  // namespace folio::cli
