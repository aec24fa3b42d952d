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
        out += c;
    }
  return out;
}

std::string html(Page const& page) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'\">\n<title>" +
      escape_html(page.title) + "</title>\n<style>\n" + kLookSheet + "</style>\n</head>\n<body>\n" + page.body;
  if (!page.data.empty()) {
    out += "<script type=\"application/json\" id=\"tokens\">";
    for (char const c : page.data)  // "</script>" in a string of the data must not end them
      if (c == '<') out += "\\u003c";
      else out += c;
    out += "</script>\n";
  }
  if (!page.script.empty()) out.append("<script>\n").append(page.script).append("</script>\n");
  return out + "</body>\n</html>\n";
}

}  // namespace folio::report
