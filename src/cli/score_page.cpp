// The page of folio score. It is complete without its script: the script only adds the card that reads a token out.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "cli/scored_text.h"
#include "cli/version.h"
#include "core/json.h"
#include "embedded/kScoreScript.h"
#include "model/sizes.h"
#include "report/html.h"
#include "report/pieces.h"
#include "report/svg.h"
#include "report/table.h"
#include "report/words.h"
#include "text/utf8.h"

namespace folio::cli {
namespace {

using report::escape_html;
using report::grouped;

using report::kBlank;
constexpr double kClasses[] = {0.5, 1, 2, 3, 4, 5.5};  // nats at which a shade begins; below the first there is none
constexpr double kHot = 5.5;
constexpr size_t kMostRows = 4000;  // of the table of all tokens
constexpr size_t kMostBars = 400;
constexpr size_t kLeastExpected = 8;

int class_of(double loss) {
  return int(std::ranges::count_if(kClasses, [&](double least) { return loss >= least; }));
}

// Characters that steer instead of showing: controls, and those that turn the direction of a text.
bool steers(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x61c || c == 0xfeff;
}
std::string code_of(text::Character c) {
  return c.valid && c.code > 0x7f ? fmt::format("\\u{:04x}", c.code) : fmt::format("\\x{:02x}", c.code);
}

// A token by itself, in one line: blanks and line ends as marks.
std::string seen(std::string_view bytes) {
  std::string out;
  for (char const *at = bytes.data(), *end = at + bytes.size(); at < end;) {
    text::Character const c = text::read_character(at, end);
    if (!c.valid) out += code_of(c);
    else if (c.code == ' ') out += "·";
    else if (c.code == '\n') out += "↵";
    else if (c.code == '\t') out += "⇥";
    else if (steers(c.code)) out += code_of(c);
    else out.append(at, c.length);
    at += c.length;
  }
  return out;
}
std::string seen(ScoredText const& s, int32_t id) {
  return id < s.tokenizer->vocab() ? seen(s.bytes(id)) : fmt::format("#{}", id);
}
std::string code(std::string const& text) { return "<code>" + escape_html(text) + "</code>"; }

size_t shown_of(ScoredText const& s) { return std::min(s.ids.size(), size_t(kMostOnPage)); }
std::span<model::Rival const> shown_rivals_of(ScoredText const& s, size_t token) {
  auto const all = s.scores.rivals_of(token);
  return all.first(std::min(all.size(), size_t(kMostRivalsOnPage)));
}

// What each token that is shown adds to the text, as markup. A character that is spread over several tokens stands in
// the one that completes it; the others show "…".
std::vector<std::string> pieces_of(ScoredText const& s) {
  std::string all;
  std::vector<size_t> ends;
  size_t const completed = std::min(s.ids.size(), shown_of(s) + 3);  // a character begun in the last may end behind it
  for (size_t i = 0; i < completed; ++i) ends.push_back((all += s.bytes(s.ids[i])).size());
  std::vector<std::string> pieces(ends.size());
  size_t token = 0;
  for (char const *at = all.data(), *end = at + all.size(); at < end;) {
    text::Character const c = text::read_character(at, end);
    auto const last = size_t(at - all.data()) + c.length;
    while (ends[token] < last) ++token;
    std::string& to = pieces[token];
    if (!c.valid || (steers(c.code) && c.code != '\n' && c.code != '\t')) to += "<i>" + code_of(c) + "</i>";
    else if (c.code == '\n') to += "<i>↵</i>\n";
    else to += escape_html({at, c.length});
    at += c.length;
  }
  pieces.resize(shown_of(s));
  for (std::string& piece : pieces)
    if (piece.empty()) piece = "<i>…</i>";
  return pieces;
}

std::string shaded_text(ScoredText const& s) {
  std::string out;
  std::vector<std::string> const pieces = pieces_of(s);
  for (size_t i = 0; i < pieces.size(); ++i)
    out += i == 0 ? fmt::format("<span class=\"none\" data-i=\"0\" tabindex=\"0\">{}</span>", pieces[i])
                  : fmt::format("<span class=\"s{}\" data-i=\"{}\" tabindex=\"-1\">{}</span>",
                                class_of(-s.scores.logprobs[i]), i, pieces[i]);
  return out;
}

std::string scale() {
  std::string out = "<div class=\"steps\" role=\"group\" aria-label=\"Scale: loss in nats\">";
  for (int c = 0; c <= int(std::size(kClasses)); ++c) {
    double const least = c == 0 ? 0 : kClasses[c - 1];
    std::string const name = c == 0 ? "&lt; 0.5" : fmt::format("{}{}", least, c == int(std::size(kClasses)) ? "+" : "");
    out += fmt::format("<div><b class=\"shade s{}\">{}</b><span>{}</span></div>", c, name,
                       c == 0 ? "likelier" : fmt::format("1 in {:.{}f}", std::exp(least), least < 1 ? 1 : 0));
  }
  return out + "</div>\n";
}

struct Bar {
  double loss;   // mean of its tokens
  size_t first;  // token
};
std::vector<Bar> bars_of(ScoredText const& s) {
  size_t const n = s.ids.size(), count = std::min(n, kMostBars);
  std::vector<Bar> bars;
  for (size_t b = 0; b < count; ++b) {
    size_t const first = b * n / count, end = (b + 1) * n / count;
    double sum = 0;
    for (size_t i = std::max<size_t>(first, 1); i < end; ++i) sum -= s.scores.logprobs[i];
    bars.push_back({sum / std::max(1.0, double(end - std::max<size_t>(first, 1))), first});
  }
  return bars;
}

std::string names_of_highest(ScoredText const& s, std::vector<Bar> const& bars, double top) {
  std::vector<size_t> order;
  for (size_t b = 1; b < bars.size(); ++b)
    if (bars[b].loss >= kHot) order.push_back(b);
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return bars[a].loss > bars[b].loss; });
  std::string out;
  std::vector<double> used;
  for (size_t const b : order) {
    double const x = (double(b) + 0.5) / double(bars.size());
    if (used.size() == 6 || std::ranges::any_of(used, [&](double u) { return std::abs(x - u) <= 0.1; })) continue;
    used.push_back(x);
    std::string name = seen(s, s.ids[bars[b].first]);
    if (name.starts_with("·")) name.erase(0, std::string_view("·").size());
    if (report::display_width(name) > (x < 0.08 ? 2 : 12)) continue;  // left of it stand the ticks
    out += fmt::format("<text class=\"say m{}\" x=\"{:.2f}%\" y=\"{:.2f}%\" dy=\"-5\">{}</text>",
                       used.size() <= 3 ? "" : " wide", 100 * x, 100 - 100 * bars[b].loss / top, escape_html(name));
  }
  return out;
}

std::string chart(ScoredText const& s) {
  std::vector<Bar> const bars = bars_of(s);
  bool const each = bars.size() == s.ids.size();
  double highest = 1;
  for (Bar const& b : bars) highest = std::max(highest, b.loss);
  double const top = 1.08 * highest, mean = s.scores.mean_loss();
  auto const y = [&](double v) { return fmt::format("{:.2f}%", 100 - 100 * v / top); };
  std::string out = fmt::format(
      "<svg role=\"img\" aria-labelledby=\"pos-t pos-d\"><title id=\"pos-t\">Loss by position</title><desc "
      "id=\"pos-d\">"
      "{}, in reading order. Mean {:.2f} nats, highest bar {:.2f}.</desc>",
      each ? "One bar a token" : "Bars of the mean loss of neighbouring tokens", mean, highest);
  double const step = report::round_step(top, 5);
  for (double v = 0; v <= top; v += step)
    out += fmt::format(
        "<line class=\"{}\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/><text class=\"e\" y=\"{}\" dx=\"-8\" "
        "dy=\"4\">{:.4g}</text>",
        v == 0 ? "axisline" : "gridline", y(v), y(v), y(v), v);
  out += fmt::format("<svg viewBox=\"0 0 {} 1000\" preserveAspectRatio=\"none\" width=\"100%\" height=\"100%\">",
                     bars.size());
  for (bool const hot : {false, true}) {
    out += fmt::format("<path class=\"bar-of-loss{}\" d=\"", hot ? " hot" : "");
    for (size_t b = 0; b < bars.size(); ++b)
      if (bars[b].loss > 0 && (bars[b].loss >= kHot) == hot)
        out += fmt::format("M{}.15 1000v-{:.0f}h.7V1000z", b, 1000 * bars[b].loss / top);
    out += "\"/>";
  }
  out += fmt::format(
      "</svg><line class=\"mean\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/><text x=\"100%\" y=\"{}\" dx=\"8\" "
      "dy=\"4\">mean {:.2f}</text>",
      y(mean), y(mean), y(mean), mean);
  if (each) out += names_of_highest(s, bars, top);
  double const tick = std::max(1.0, report::round_step(double(s.ids.size()), 6));
  for (double at = 0; at < double(s.ids.size()); at += tick)
    out += fmt::format("<text class=\"m\" x=\"{:.2f}%\" y=\"100%\" dy=\"18\">{}</text>",
                       100 * (at + 0.5) / double(s.ids.size()), grouped(int64_t(at) + 1));
  return out + "</svg>";
}

std::string rivals_of(ScoredText const& s, size_t token) {
  std::string out;
  for (model::Rival const& r : shown_rivals_of(s, token))
    out += (out.empty() ? "" : ", ") + code(seen(s, r.id)) + " " + percent(std::exp(r.logprob), kBlank);
  return out;
}

std::string row(ScoredText const& s, size_t i) {  // from the token's name on
  std::string const name = fmt::format("<td class=\"l\">{}</td>", code(seen(s, s.ids[i])));
  if (i == 0)
    return name + "<td>–</td><td class=\"wide\">–</td><td>–</td><td class=\"l\">the first token is not predicted</td>";
  double const logprob = s.scores.logprobs[i];
  return name + fmt::format("<td>{:.2f}</td><td class=\"wide\">{}</td><td>{}</td><td class=\"l\">{}</td>", -logprob,
                            percent(std::exp(logprob), kBlank), grouped(s.scores.ranks[i]), rivals_of(s, i));
}

constexpr char const* kHeads =
    "<th class=\"l\">token</th><th>loss</th><th class=\"wide\">probability</th><th>rank</th>"
    "<th class=\"l\">expected instead</th></tr></thead><tbody>\n";

std::vector<size_t> least_expected(ScoredText const& s) {
  std::vector<size_t> order;
  for (size_t i = 1; i < s.ids.size(); ++i) order.push_back(i);
  size_t const count = std::min(order.size(), kLeastExpected);
  std::ranges::partial_sort(order, order.begin() + std::ptrdiff_t(count), [&](size_t a, size_t b) {
    return s.scores.logprobs[a] != s.scores.logprobs[b] ? s.scores.logprobs[a] < s.scores.logprobs[b] : a < b;
  });
  order.resize(count);
  return order;
}

std::string tables(ScoredText const& s) {
  std::string out = std::string("<table><thead><tr>") + kHeads;
  for (size_t const i : least_expected(s)) out += "<tr>" + row(s, i) + "</tr>\n";
  out += "</tbody></table>\n";
  if (s.ids.size() > kMostRows)
    return out + fmt::format(
                     "<p class=\"how\">A table of all {} tokens would be too long for a page: "
                     "<code>folio score --json</code> has them.</p>\n",
                     grouped(int64_t(s.ids.size())));
  out += fmt::format("<details><summary>All {} tokens</summary><table class=\"dense\"><thead><tr><th>#</th>",
                     grouped(int64_t(s.ids.size())));
  out += kHeads;
  for (size_t i = 0; i < s.ids.size(); ++i) out += fmt::format("<tr><td>{}</td>{}</tr>\n", i + 1, row(s, i));
  return out + "</tbody></table></details>\n";
}

std::string one_in(double loss) {
  double const n = std::exp(loss);
  return n < 10 ? fmt::format("{:.1f}", n) : n < 1e15 ? grouped(int64_t(std::lround(n))) : fmt::format("{:.0e}", n);
}

std::string lede(ScoredText const& s) {
  size_t const worst = least_expected(s).front();
  std::string out =
      fmt::format("It ranks {:.0f}{}% of them first. Least expected is {}, token {}: one in {}",
                  100 * double(s.ranked_first()) / double(s.scores.scored()), kBlank, code(seen(s, s.ids[worst])),
                  grouped(int64_t(worst) + 1), one_in(-s.scores.logprobs[worst]));
  if (s.scores.top > 0)
    out += fmt::format(", where {} was expected ({})", code(seen(s, s.scores.rivals_of(worst)[0].id)),
                       percent(std::exp(s.scores.rivals_of(worst)[0].logprob), kBlank));
  return out + ".";
}

std::string header(ScoredText const& s) {
  std::string out = "<header>\n" +
                    report::mast("score", {s.model,
                                           fmt::format("{:.1f}{}M parameters",
                                                       double(model::count_parameters(s.config).total()) / 1e6, kBlank),
                                           s.name});
  out += fmt::format(
      "<h1>The model finds a typical token of this text as likely as one in {}</h1>\n"
      "<p class=\"lede\">{}</p>\n<dl class=\"stat\">",
      one_in(s.scores.mean_loss()), lede(s));
  auto const stat = [&](std::string const& value, char const* name) {
    out += fmt::format("<div><dd>{}</dd><dt>{}</dt></div>", value, name);
  };
  stat(fmt::format("{:.3f}", s.scores.mean_loss()), "nats a token");
  stat(one_in(s.scores.mean_loss()), "perplexity");
  stat(fmt::format("{:.2f}", s.bits_per_byte()), "bits a byte");
  stat(fmt::format("{:.0f}{}%", 100 * double(s.ranked_first()) / double(s.scores.scored()), kBlank), "ranked first");
  stat(grouped(s.scores.scored()), "tokens scored");
  return out + "</dl>\n</header>\n";
}

std::string token_data(ScoredText const& s) {
  Json all = Json::array();
  for (size_t i = 0; i < shown_of(s); ++i) {
    if (i == 0) {
      all.push_back({seen(s, s.ids[i]), nullptr, nullptr, nullptr});
      continue;
    }
    Json rivals = Json::array();
    auto const rounded = [](double v) { return std::round(v * 1e6) / 1e6; };
    for (model::Rival const& r : shown_rivals_of(s, i))
      rivals.push_back(Json::array({seen(s, r.id), rounded(std::exp(r.logprob))}));
    all.push_back({seen(s, s.ids[i]), rounded(-s.scores.logprobs[i]), s.scores.ranks[i], std::move(rivals)});
  }
  return dump(all);
}

}  // namespace

std::string what_the_page_lacks(ScoredText const& s) {
  std::string shown;
  if (shown_of(s) < s.ids.size())
    shown = fmt::format("the first {} of {} tokens", grouped(kMostOnPage), grouped(int64_t(s.ids.size())));
  if (s.scores.top > kMostRivalsOnPage)
    shown += fmt::format("{}{} of the {} rivals of each token", shown.empty() ? "" : " and ", kMostRivalsOnPage,
                         grouped(s.scores.top));
  return shown.empty()
             ? ""
             : shown + "; the figures and the chart are of all, the table (without --out) and --json have all";
}

std::string score_page(ScoredText const& s, std::string const& command) {
  std::string const lacks = what_the_page_lacks(s);
  std::string body =
      header(s) + "<main>\n<section class=\"full\"><h2>The text, shaded by loss</h2>\n" +
      (lacks.empty() ? "" : fmt::format("<p class=\"how\">Shown are {}.</p>\n", lacks)) +
      "<p class=\"how\">The stronger the shade, the less expected; the two highest classes are "
      "underlined too. <span class=\"screen\">Point at a token or step through them with the arrow keys. "
      "</span>Shades begin at, in nats:</p>\n" +
      scale();
  body +=
      fmt::format(
          "<div class=\"desk\"><div class=\"text\" data-tokens=\"{}\" role=\"group\" aria-label=\"The text; arrow keys "
          "move from token to token\">",
          s.ids.size()) +
      shaded_text(s) +
      "</div>\n<aside class=\"card\" aria-live=\"polite\"><p class=\"soft\">Read-out</p><p>Choose a token: its "
      "probability, its rank and what the model expected in its place stand here.</p></aside></div></section>\n";
  bool const each = s.ids.size() <= kMostBars;
  body += markup_of(report::Section{
      .title = "Loss by position",
      .says = {fmt::format(
          "{} Full ink: {} nats and over.",
          each ? "One bar a token, in reading order."
               : fmt::format("{} bars, each the mean of neighbouring tokens, in reading order.", kMostBars),
          kHot)},
      .show = fmt::format("<figure><figcaption><h3>Loss <span class=\"unit\">nats; position in tokens</span></h3>"
                          "</figcaption><div class=\"plot\">{}</div></figure>",
                          chart(s))});
  body += markup_of(report::Section{
      .title = "Least expected",
      .how =
          "A dot · is a blank, ↵ a line end; \\x41 is a byte that is no character by itself. Rank 0 is the likeliest.",
      .show = tables(s)});
  body +=
      "</main>\n" +
      report::footer({fmt::format(
          "Written by <code>{}</code> · {}. Context {} tokens; a full window drops {} and is read again. "
          "Computed in {}.",
          escape_html(command), escape_html(version_line()), grouped(s.config.context), grouped(s.slide), s.dtype)});
  return report::html(
      {.title = "folio score: " + s.name, .body = std::move(body), .data = token_data(s), .script = kScoreScript});
}

}  // namespace folio::cli
