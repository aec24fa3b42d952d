// A text with its scores, as folio score shows it: in the terminal, as JSON, as a page.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "model/score.h"
#include "text/tokenizer.h"

namespace folio::cli {

struct ScoredText {
  std::string model, name;  // as they were given
  model::Config config;
  int64_t slide;
  std::string dtype;  // computed in
  text::Tokenizer const* tokenizer;
  std::vector<int32_t> ids;
  model::TextScores scores;

  /// Of a token; empty for an id of a padded vocabulary, which the tokenizer does not have.
  std::string_view bytes(int32_t id) const { return id < tokenizer->vocab() ? tokenizer->token(id) : ""; }
  int64_t bytes_scored() const {
    int64_t sum = 0;
    for (size_t i = 1; i < ids.size(); ++i) sum += static_cast<int64_t>(bytes(ids[i]).size());
    return sum;
  }
  double perplexity() const { return std::exp(scores.mean_loss()); }
  double bits_per_byte() const { return scores.loss_sum / std::numbers::ln2 / static_cast<double>(bytes_scored()); }
  int64_t ranked_first() const { return std::ranges::count(scores.ranks, 0); }
};

std::string percent(double probability, char const* blank = " ");  // "84 %", "6.9 %", "0.03 %", "<0.01 %"

/// One self-contained page: the text shaded by loss, loss by position, tables. `command` is what wrote it. A page has
/// to be small enough for a browser: its figures and its chart are of the whole text, but the text that it shows ends
/// after kMostOnPage tokens.
constexpr int64_t kMostOnPage = 20'000, kMostRivalsOnPage = 20;
std::string score_page(ScoredText const&, std::string const& command);
std::string what_the_page_lacks(ScoredText const&);  // says what it shows in place of all; empty where it has all

}  // namespace folio::cli
