#include "cli/documents.h"

#include <fmt/core.h>

#include <iostream>

#include "core/file.h"

namespace folio::cli {

Framing framing(std::string const& name) {
  return name == "line" ? Framing::line : name == "nul" ? Framing::nul : Framing::file;
}

void for_each_document(std::vector<std::string> const& files, Framing framing,
                       std::function<void(Document const&)> const& with) {
  for (auto const& file : files.empty() ? std::vector<std::string>{"-"} : files) {
    auto const name = file == "-" ? "stdin" : file;
    auto const content = file == "-" ? read_stream(std::cin, name) : read_file(file);
    if (framing == Framing::file) {
      with({name, content});
      continue;
    }
    std::string_view rest = content;
    for (size_t number = 1; !rest.empty(); ++number) {
      auto const end = rest.find(framing == Framing::line ? '\n' : '\0');
      with({fmt::format("{}, document {}", name, number), rest.substr(0, end)});
      rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    }
  }
}

void expect_no_input(std::string const& out, std::vector<std::string> const& inputs) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(out, ignored)) return;
  for (std::string const& input : inputs)
    check(!std::filesystem::equivalent(input == "-" ? "/dev/stdin" : input, out, ignored), Fault::value,
          "--out {} is the file that {} names: what is read would be overwritten; give another name", out,
          input == "-" ? "stdin" : input);
}

size_t id_width(text::Tokenizer const& tokenizer) { return tokenizer.vocab() <= 65536 ? 2 : 4; }

}  // namespace folio::cli
