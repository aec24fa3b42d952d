#include "data/sources.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>

#include "core/error.h"
#include "data/dataset.h"

namespace folio::data {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPiece = size_t{1} << 20;

bool is_text_name(Path const& path) {
  std::string end = path.extension().string();
  std::ranges::transform(end, end.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return end == ".txt";
}

bool is_hidden(Path const& path) { return path.filename().string().starts_with('.'); }

/// The texts below a folder, in no order, until `visit` returns false.
template <class Visit>
void each_text(Path const& folder, fs::directory_options options, std::error_code& error, Visit visit) {
  auto at = fs::recursive_directory_iterator(folder, options, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code ignored;
    if (is_hidden(at->path())) {
      if (at->is_directory(ignored)) at.disable_recursion_pending();
    } else if (is_text_name(at->path()) && at->is_regular_file(ignored) && !visit(at->path())) {
      break;
    }
  }
}

/// Pieces of a stream until its end; `name` for the sentence.
template <class Sink>
void read_pieces(std::istream& in, std::string const& name, Sink const& sink) {
  std::vector<char> piece(kPiece);
  while (in) {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (in.gcount() > 0) sink(std::string_view(piece.data(), static_cast<size_t>(in.gcount())));
  }
  check(!in.bad(), Fault::io, "reading {} failed", name);
}

std::ifstream open_text(Path const& path, std::string const& name) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  check(in.is_open(), Fault::io, "cannot open {}: {}", name, std::strerror(errno));
  return in;
}

void refuse_what_is_no_text(Path const& path, Kind kind) {
  std::string const name = path.string();
  check(kind != Kind::missing, Fault::missing, "{} does not exist: give a text file, a folder of them, or - for stdin",
        name);
  check(kind != Kind::prepared, Fault::content, "{} is prepared data already: folio train --data {} trains on it", name,
        name);
  check(kind != Kind::tokens, Fault::content, "{} holds token ids, not text: folio train --data {} trains on them",
        name, name);
  check(kind != Kind::model, Fault::content, "{} is a model or a run, not text: give a text file or a folder of them",
        name);
}

class Lister {
 public:
  Lister(Path const& spool, std::function<void(uint64_t)> const& copied) : spool_(spool), copied_(copied) {}

  void add(std::string const& text, bool val) {
    if (text == "-") return add_stream(std::cin, "stdin", val);
    Path const path = text;
    std::error_code error;
    auto const status = fs::status(path, error);
    refuse_what_is_no_text(path, kind_of(path));
    if (fs::is_directory(status)) return add_folder(path, val);
    if (fs::is_regular_file(status)) return add_file(path, val);
    auto in = open_text(path, text);
    add_stream(in, text, val);
  }

  std::vector<Source> sources;

 private:
  void add_folder(Path const& folder, bool val) {
    auto const files = find_texts(folder);
    check(!files.empty(), Fault::content,
          "{} is a folder without .txt files: name the files of another kind one by one", folder.string());
    for (Path const& file : files) add_file(file, val);
  }

  void add_file(Path const& path, bool val) {
    std::error_code error;
    Path const real = fs::canonical(path, error);
    auto const [at, fresh] = seen_.try_emplace(error ? path : real, sources.size());
    if (fresh) return sources.push_back({path, path.string(), val});
    bool const held_out_now = val && !sources[at->second].val;
    check(held_out_now, Fault::value, "{} is given twice: name each text once", path.string());
    sources[at->second].val = true;
  }

  void add_stream(std::istream& in, std::string const& name, bool val) {
    check(seen_.try_emplace(name, sources.size()).second, Fault::value, "{} is given twice: it can be read once", name);
    Path const path = spool_ / fmt::format("text-{}", sources.size());
    FileWriter out(path);
    read_pieces(in, name, [&](std::string_view piece) {
      out.write(piece);
      if (copied_) copied_(out.size());
    });
    out.commit();
    sources.push_back({path, name, val});
  }

  Path const& spool_;
  std::function<void(uint64_t)> const& copied_;
  std::map<Path, size_t> seen_;  // place in sources
};

/// Unicode's white space beyond ASCII, in UTF-8.
bool ends_in_wide_space(std::string_view s) {
  if (s.ends_with("\xc2\x85") || s.ends_with("\xc2\xa0")) return true;
  if (s.size() < 3) return false;
  auto const tail = s.substr(s.size() - 3);
  auto const last = static_cast<unsigned char>(tail[2]);
  if (tail.starts_with("\xe2\x80")) return last <= 0x8a || last == 0xa8 || last == 0xa9 || last == 0xaf;
  return tail == "\xe1\x9a\x80" || tail == "\xe2\x81\x9f" || tail == "\xe3\x80\x80";
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_sign(std::string_view s) {  // its last character, which is white space in no one's table
  auto const last = static_cast<unsigned char>(s.back());
  return last > ' ' && !ends_in_wide_space(s);
}

}  // namespace

std::vector<Path> find_texts(Path const& folder) {
  std::vector<Path> files;
  std::error_code error;
  each_text(folder, fs::directory_options::none, error, [&](Path const& file) {
    files.push_back(file);
    return true;
  });
  check(!error, Fault::io, "cannot read the folder {}: {}", folder.string(), error.message());
  std::ranges::sort(files, {}, [](Path const& p) { return p.generic_string(); });
  return files;
}

bool holds_texts(Path const& folder) {
  bool found = false;
  std::error_code ignored;
  each_text(folder, fs::directory_options::skip_permission_denied, ignored, [&](Path const&) {
    found = true;
    return false;
  });
  return found;
}

std::vector<Source> list_sources(std::vector<std::string> const& texts, std::vector<std::string> const& val,
                                 Path const& spool, std::function<void(uint64_t)> const& copied) {
  Lister lister(spool, copied);
  for (std::string const& text : texts) lister.add(text, false);
  for (std::string const& text : val) lister.add(text, true);
  return std::move(lister.sources);
}

void read_documents(Source const& source, std::string const& separator, DocumentSink const& sink) {
  auto in = open_text(source.path, source.name);
  if (separator.empty()) {
    read_pieces(in, source.name, sink.text);
    return sink.end();
  }
  std::string held;  // may hold the beginning of a separator
  read_pieces(in, source.name, [&](std::string_view piece) {
    held += piece;
    size_t begin = 0;
    for (size_t at; (at = held.find(separator, begin)) != held.npos; begin = at + separator.size()) {
      if (at > begin) sink.text(std::string_view(held).substr(begin, at - begin));
      sink.end();
    }
    size_t const keep = std::min(held.size() - begin, separator.size() - 1);
    if (held.size() - keep > begin) sink.text(std::string_view(held).substr(begin, held.size() - keep - begin));
    held.erase(0, held.size() - keep);
  });
  if (!held.empty()) sink.text(held);
  sink.end();
}

std::string unescaped(std::string_view s) {
  std::string out;
  auto const digit = [&](size_t i) {
    char const c = i < s.size() ? s[i] : ' ';
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '\\') {
      out += s[i];
      continue;
    }
    char const c = ++i < s.size() ? s[i] : ' ';
    if (c == 'n') out += '\n';
    else if (c == 't') out += '\t';
    else if (c == '\\') out += '\\';
    else if (c == 'x' && digit(i + 1) >= 0 && digit(i + 2) >= 0) {
      out += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    } else {
      fail(Fault::usage, "--separator {}: a backslash stands before n, t, another backslash or xNN", s);
    }
  }
  return out;
}

uint64_t count_characters(std::string_view s) {
  uint64_t n = 0;
  for (char c : s) n += (c & 0xc0) != 0x80;
  return n;
}

size_t find_cut(std::string_view s) {
  for (size_t i = s.size(); i-- > 1;)
    if (is_space(s[i]) && is_sign(s.substr(0, i))) return i;
  return 0;
}

}  // namespace folio::data
