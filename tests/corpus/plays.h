// The plays that set-up placed in the data directory (scripts/get-data), and which of them the demo holds out.
#pragma once

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace folio::corpus {

constexpr std::array<std::string_view, 3> kHeldOut = {"hamlet", "the-tempest", "twelfth-night"};
constexpr size_t kPlays = 38;
constexpr size_t kBytes = 4'784'039;  // of all plays together
constexpr size_t kHeldOutBytes = 373'269;

/// By the same rule as folio and scripts/get-data.
inline std::filesystem::path plays_folder() {
  auto set = [](char const* name) {
    char const* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  std::filesystem::path base;
  if (auto data = set("FOLIO_DATA"); !data.empty()) base = data;
  else if (auto xdg = set("XDG_DATA_HOME"); xdg.starts_with('/')) base = std::filesystem::path(xdg) / "folio";
  else base = std::filesystem::path(set("HOME")) / ".local" / "share" / "folio";
  return base / "shakespeare";
}

inline std::string file_text(std::filesystem::path const& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Name without ".txt" to text, by name. Empty where set-up has not run.
inline std::map<std::string, std::string> read_plays() {
  std::map<std::string, std::string> plays;
  std::error_code none;
  for (auto const& entry : std::filesystem::directory_iterator(plays_folder(), none))
    if (entry.path().extension() == ".txt") plays[entry.path().stem()] = file_text(entry.path());
  return plays;
}

inline bool is_held_out(std::string_view play) { return std::ranges::find(kHeldOut, play) != kHeldOut.end(); }

inline std::vector<std::string_view> split(std::map<std::string, std::string> const& plays, bool held_out) {
  std::vector<std::string_view> texts;
  for (auto const& [name, text] : plays)
    if (is_held_out(name) == held_out) texts.push_back(text);
  return texts;
}

inline std::string sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i)
    for (int nibble : {digest[i] >> 4, digest[i] & 15}) hex += "0123456789abcdef"[nibble];
  return hex;
}

}  // namespace folio::corpus
