#include "report/html.h"

#include "embedded/kLookSheet.h"

namespace folio::report {

std::string escape_html(std::string_view text) {
  std::string out;
  for (char const c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')  // HTML has no other: the picture of it
          out += {'\xe2', '\x90', static_cast<char>(0x80 + c)};
        else out += c;
    }
  return out;
}

std::string escape_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (char const c : json)
    if (c == '<') out += "\\u003c";
    else out += c;
  return out;
}

std::string html(Page const& page) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'\">\n<title>" +
      escape_html(page.title) + "</title>\n<style>\n" + kLookSheet + "</style>\n</head>\n<body>\n" + page.body;
  if (!page.data.empty())
    out += "<script type=\"application/json\" id=\"tokens\">" + escape_json(page.data) + "</script>\n";
  if (!page.script.empty()) out.append("<script>\n").append(page.script).append("</script>\n");
  return out + "</body>\n</html>\n";
}

}  // namespace folio::report
