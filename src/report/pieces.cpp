#include "report/pieces.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "report/html.h"

namespace folio::report {
namespace {

std::string now_text() {
  char written[64];
  time_t const now = time(nullptr);
  tm utc{};
  gmtime_r(&now, &utc);
  strftime(written, sizeof written, "%Y-%m-%d %H:%M UTC", &utc);
  return written;
}

struct Look {
  char const *name, *glyph;
};
Look look_of(Level level) {
  switch (level) {
    case Level::ok:
      return {"ok", "<circle cx=\"8\" cy=\"8\" r=\"8\"/><path class=\"mk\" d=\"M4.5 8.3 7 10.8 11.6 5.6\"/>"};
    case Level::warning:
      return {"warn", "<path d=\"M8 .5 16 15.2H0z\"/><path class=\"mk\" d=\"M8 5.6v4.2M8 12.6v.1\"/>"};
    default:
      return {"bad",
              "<path d=\"M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7z\"/><path class=\"mk\" d=\"M5.2 5.2l5.6 5.6M10.8 "
              "5.2l-5.6 5.6\"/>"};
  }
}

std::string paragraphs(std::vector<std::string> const& texts) {
  std::string out;
  for (std::string const& text : texts) out += "<p>" + escape_html(text) + "</p>";
  return out;
}

// One word of a flag line with its value stays in one line: "--lr 3e-4".
std::string flag_words(std::string const& flags) {
  std::string out;
  for (size_t at = 0; at < flags.size();) {
    size_t const next = std::min(flags.find(" --", at + 1), flags.size());
    out += (at ? " <span>" : "<span>") + escape_html(flags.substr(at, next - at)) + "</span>";
    at = std::min(next + 1, flags.size());
  }
  return out;
}

}  // namespace

std::string letter_of(size_t run) {
  std::string letter(1, char('A' + run % 26));
  return run < 26 ? letter : letter_of(run / 26 - 1) + letter;
}

std::string chip(std::string const& key, std::string const& letter) {
  return fmt::format("<span class=\"chip {}\">{}</span>", key, escape_html(letter));
}

std::string state(Level level, std::string const& text) {
  auto const [name, glyph] = look_of(level);
  return fmt::format("<span class=\"state {}\"><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\">{}</svg>{}</span>", name,
                     glyph, escape_html(text));
}

std::string mast(std::string const& kind, std::vector<std::string> const& facts) {
  std::string out = fmt::format("<div class=\"mast\"><span><b>folio</b> &ensp;{}</span><span>", escape_html(kind));
  for (std::string const& fact : facts) out += escape_html(fact) + " · ";
  return out + "written " + now_text() + "</span></div>\n";
}

std::string footer(std::vector<std::string> const& markup) {
  std::string out = "<footer>";
  for (std::string const& p : markup) out += "<p>" + p + "</p>\n";
  return out + "</footer>\n";
}

std::string note(std::string const& strong, std::string const& text) {
  return fmt::format("<p class=\"note\"><b>{}</b> {}</p>\n", escape_html(strong), escape_html(text));
}

std::string markup_of(Section const& s) {
  return fmt::format("<section{}><div class=\"say\"><h2>{}</h2>{}{}</div><div class=\"show\">{}</div></section>\n",
                     s.id.empty() ? "" : fmt::format(" id=\"{}\"", s.id), escape_html(s.title), paragraphs(s.says),
                     s.how.empty() ? "" : fmt::format("<p class=\"how\">{}</p>", escape_html(s.how)), s.show);
}

std::string contents_of(std::vector<Section> const& sections) {
  std::string out = "<nav aria-label=\"Contents\">";
  for (Section const& s : sections)
    if (!s.link.empty()) out += fmt::format("<a href=\"#{}\">{}</a>", s.id, escape_html(s.link));
  return out + "</nav>\n";
}

std::string markup_of(Verdict const& v) {
  std::string out = fmt::format("<article class=\"verdict {}\"><div class=\"head\"><span>{}</span>{}</div>",
                                look_of(v.level).name, v.head, state(v.level, v.state));
  if (!v.evidence.empty()) {
    out += "<ul>";
    for (std::string const& e : v.evidence) out += "<li>" + escape_html(e) + "</li>";
    out += "</ul>";
  }
  if (!v.advice.empty()) out += "<p class=\"advice\">" + escape_html(v.advice) + "</p>";
  if (!v.flags.empty())
    out += fmt::format("<div class=\"flags\"><code>{}</code><button data-copy=\"{}\">Copy</button></div>",
                       flag_words(v.flags), escape_html(v.flags));
  return out + v.lesser + "</article>\n";
}

std::string markup_of(HtmlTable const& t) {
  auto const classes_of = [&](size_t column) {
    std::string all = std::ranges::count(t.left, column) ? "l" : "";
    if (std::ranges::count(t.wide, column)) all += all.empty() ? "wide" : " wide";
    return all.empty() ? all : " class=\"" + all + "\"";
  };
  std::string out = t.classes.empty() ? "<table>" : fmt::format("<table class=\"{}\">", t.classes);
  if (!t.caption.empty()) out += "<caption>" + escape_html(t.caption) + "</caption>";
  out += "<thead><tr>";
  for (size_t c = 0; c < t.heads.size(); ++c)
    out += fmt::format("<th scope=\"col\"{}>{}</th>", classes_of(c), t.heads[c]);
  out += "</tr></thead><tbody>\n";
  for (auto const& row : t.rows) {
    out += "<tr>";
    for (size_t c = 0; c < row.size(); ++c)
      out += c == 0                      ? "<th scope=\"row\">" + row[c] + "</th>"
             : row[c].starts_with("<td") ? row[c]
                                         : fmt::format("<td{}>{}</td>", classes_of(c), row[c]);
    out += "</tr>\n";
  }
  return out + "</tbody></table>";
}

std::string details(std::string const& text, std::string const& markup) {
  return "<details><summary>" + escape_html(text) + "</summary>" + markup + "</details>";
}

std::string drawing(std::string const& id, std::string const& title, std::string const& description,
                    std::string const& content) {
  std::string const name = escape_html(id);
  return fmt::format(
      "<svg role=\"img\" aria-labelledby=\"{}-t {}-d\"><title id=\"{}-t\">{}</title><desc "
      "id=\"{}-d\">{}</desc>\n{}</svg>",
      name, name, name, escape_html(title), name, escape_html(description), content);
}

std::string markup_of(Still const& s) {
  return fmt::format(
      "<figure id=\"{}\"><figcaption><h3>{} <span class=\"unit\">{}</span></h3></figcaption><div class=\"plot {}\" "
      "style=\"--h:{}px\">{}</div>{}</figure>\n",
      escape_html(s.id), s.head_markup.empty() ? escape_html(s.head) : s.head_markup, escape_html(s.unit), s.classes,
      s.height, drawing(s.id, s.head, s.description, s.content), s.below);
}

}  // namespace folio::report
