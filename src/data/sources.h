// Where text comes from: files, folders of .txt files, stdin. Text is read in pieces, never whole.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"

namespace folio::data {

struct Source {
  Path path;
  std::string name;  // for sentences: the path as given, or "stdin"
  bool val = false;  // given as held out
};

/// The .txt files below a folder, by name; what begins with a dot is passed over. Throws Fault::io where a folder
/// cannot be read.
std::vector<Path> find_texts(Path const& folder);
bool holds_texts(Path const& folder);  // whether it would find one; what cannot be read holds none

/// Files, folders and "-" in the order given; those of `val` are marked, wherever else they are named. What is no
/// regular file (stdin, a pipe) is first copied into `spool`, for it is read twice; `copied` gets the bytes so far.
/// Throws Fault::missing, Fault::content (a folder without texts), Fault::value (a file given twice).
std::vector<Source> list_sources(std::vector<std::string> const& texts, std::vector<std::string> const& val,
                                 Path const& spool, std::function<void(uint64_t)> const& copied = {});

/// Hands out a file's documents in pieces of any length: `text` for each piece, `end` behind each document, which may
/// have been empty. `separator`, where it is not empty, stands between documents and belongs to none.
struct DocumentSink {
  std::function<void(std::string_view)> text;
  std::function<void()> end;
};
void read_documents(Source const&, std::string const& separator, DocumentSink const&);

/// \n, \t, \\ and \xNN as on a command line, for a separator. Throws Fault::usage for another letter.
std::string unescaped(std::string_view);

/// UTF-8 characters that begin in the bytes: all bytes but continuations, so parts of a text add up, valid or not.
uint64_t count_characters(std::string_view);

/// A place in (0, bytes.size()) where a text may be cut so that any tokenizer of folio gives the same ids for the two
/// parts as for the whole, the last there is; 0 where there is none.
///
/// It is where a white-space byte of ASCII follows a character that is not white space. A text of a character tokenizer
/// may be cut before any ASCII byte. GPT-2's words are
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// and are matched from left to right, each from where the last one ended. Call the white space w and what precedes
/// it x. No alternative holds white space behind anything else, so the match that holds x ends before w: the whole
/// has a word's end there. Every earlier match is also found without what follows: runs of letters, digits or signs
/// end at w as they end at the end of a text; a contraction holds no white space; a run of white space before x ends
/// at or before x, and the character that its look-ahead sees is x or stands before it. So the first part has the
/// words of the whole, and what begins at w is matched as before. Merges join bytes inside words only.
///
/// An added token that holds white space behind something else breaks this: see cut_is_safe.
size_t find_cut(std::string_view bytes);

}  // namespace folio::data
