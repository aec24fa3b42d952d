// What pages are put together from: masthead, sections, cards, tables. Arguments named `text` are escaped here; those
// named `markup` are taken as they are.
#pragma once

#include <string>
#include <vector>

namespace folio::report {

/// The key of a run is its class, a to d or more; its letter is A, B, …, Z, AA.
std::string letter_of(size_t run);
std::string chip(std::string const& key, std::string const& letter);

enum class Level { ok, warning, bad };
std::string state(Level, std::string const& text);  // shape, word and colour

/// The masthead's line: which page it is, and `facts` (text) with when it was written behind them.
std::string mast(std::string const& kind, std::vector<std::string> const& facts);
std::string footer(std::vector<std::string> const& markup);  // a paragraph each
std::string note(std::string const& strong, std::string const& text);

struct Section {
  std::string id = {}, link = {};      // link: text in the contents; empty: not in them
  std::string title;                   // text
  std::vector<std::string> says = {};  // text, a paragraph each
  std::string how = {};                // text: how to read it
  std::string show;                    // markup
};
std::string markup_of(Section const&);
std::string contents_of(std::vector<Section> const&);

struct Verdict {
  Level level;
  std::string head;                        // markup
  std::string state;                       // text
  std::vector<std::string> evidence = {};  // text
  std::string advice = {}, flags = {};     // text
  std::string lesser = {};                 // markup below
};
std::string markup_of(Verdict const&);

struct HtmlTable {
  std::vector<std::string> heads;                   // markup
  std::vector<std::vector<std::string>> rows = {};  // markup; a cell that begins with <td is a whole cell
  std::string caption = {}, classes = {};           // text
  std::vector<size_t> left = {}, wide = {};         // columns: texts; left out on a phone
};
std::string markup_of(HtmlTable const&);
std::string details(std::string const& text, std::string const& markup);

/// A drawing with title and description, of `content` that fills it.
std::string drawing(std::string const& id, std::string const& title, std::string const& description,
                    std::string const& content);
/// A figure around a drawing that has no read-out. `classes` are of the plot; height in px.
struct Still {
  std::string id, head, unit = {}, description, content;
  int height;
  std::string classes = "bare";
  std::string below = {};        // markup
  std::string head_markup = {};  // in place of head in the caption
};
std::string markup_of(Still const&);

}  // namespace folio::report
