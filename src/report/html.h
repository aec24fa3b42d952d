// A page as one file: the sheet look.css and the script inside, nothing fetched, and nothing in it that a text from
// outside could make into markup.
#pragma once

#include <string>
#include <string_view>

namespace folio::report {

std::string escape_html(std::string_view);  // & < > " ', and controls
/// JSON inside of a script element, which "</script>" in a text must not end.
std::string escape_json(std::string_view);

/// `title` is text; `body` is markup; `script` runs behind it; `data` is JSON that the script finds as #tokens.
struct Page {
  std::string title, body, data;
  std::string_view script;
};
std::string html(Page const&);

}  // namespace folio::report
