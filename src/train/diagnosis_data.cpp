// Rules that set the loss on the training text beside the one on unseen text, and beside how often that text was seen.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "train/diagnosis_rules.h"

namespace folio::train::rules {
namespace {

struct Grade {
  char const* name;
  double rise;   // of val over its best, as a share of the best
  double still;  // what is left of that for the grade to stand
};
constexpr std::array<Grade, 4> kGrades = {
    {{"slight", 0.015, 0.007}, {"moderate", 0.05, 0.04}, {"strong", 0.12, 0.10}, {"severe", 0.25, 0.22}}};
constexpr double kTrainStill = 1.02;  // times what train was at the best: as long as it is below, a grade stands

// 0: none; 1 … 4. Grades up to `standing` were said before. A single evaluation is no trend: of the last two the lower
// one counts, and for a grade that stands the higher one.
int grade_at(std::vector<EvalReport> const& evals, size_t best, size_t i, int standing) {
  if (i < (standing > 0 ? 1 : best + 2) || evals[i].train >= (standing > 0 ? kTrainStill : 1) * evals[best].train)
    return 0;
  auto const [lower, higher] = std::minmax(evals[i].val, evals[i - 1].val);
  int grade = 0;
  for (Grade const& g : kGrades)
    grade += grade < standing ? higher / evals[best].val - 1 >= g.still : lower / evals[best].val - 1 >= g.rise;
  return grade;
}

int standing_grade(Seen const& s) {
  for (size_t i = kGrades.size(); i-- > 0;)
    if (was(s, State::overfitting, kGrades[i].name)) return int(i) + 1;
  return 0;
}

constexpr int64_t kPatience = 5;  // evaluations: a run with dropout learns for longer, and how long is not known

// " --dropout 0.2": a flag that raises what the run has; one that would not is left away.
std::string raised(char const* name, double rate, int grade) {
  double const more = std::min(0.5, rate < 0.1 ? (grade > 1 ? 0.2 : 0.1) : rate + 0.1);
  return more > rate ? fmt::format(" --{} {:.2g}", name, more) : "";
}

std::string more_dropout(model::DropoutRates const& d, int grade) {
  if (d.all_equal()) return raised("dropout", d.embedding, grade);
  std::string flags;  // a site that was given a rate would not look at --dropout
  for (auto const& [name, rate] : {std::pair("embedding-dropout", d.embedding),
                                   {"attention-dropout", d.attention},
                                   {"attention-residual-dropout", d.attention_residual},
                                   {"mlp-residual-dropout", d.mlp_residual}})
    if (rate > 0) flags += raised(name, rate, grade);
  return flags;
}

std::string regularised(Seen const& s, int grade) {
  RunOptions const& o = s.facts.options;
  std::string flags = more_dropout(s.facts.config.dropout, grade);
  bool const apart = !decay_is_coupled(o);  // where it is, less is much
  double const decay =
      apart ? std::max(0.2, std::min(0.5, 1.5 * o.weight_decay)) : std::max(1e-3, std::min(1e-2, 1.5 * o.weight_decay));
  if (o.decay != "none" && decay > o.weight_decay) flags += fmt::format(" --weight-decay {:.2g}", decay);
  if (grade > 1 && o.patience == 0) flags += fmt::format(" --patience {}", kPatience);
  return flags.empty() ? flags : flags.substr(1);
}

}  // namespace

std::optional<Finding> overfitting(Seen const& s) {
  std::vector<EvalReport> evals;
  for (EvalReport const& e : s.history.evals)
    if (e.step > 0 && std::isfinite(e.train) && std::isfinite(e.val)) evals.push_back(e);
  if (evals.size() < 3) return {};
  size_t const best = size_t(std::ranges::min_element(evals, {}, &EvalReport::val) - evals.begin());
  EvalReport const &last = evals.back(), &at = evals[best];
  int const standing = standing_grade(s), grade = grade_at(evals, best, evals.size() - 1, standing);
  if (grade == 0) return {};
  size_t since = evals.size() - 1;
  while (since > best + 1 && grade_at(evals, best, since - 1, standing) >= grade) --since;
  Finding f{.state = State::overfitting, .grade = kGrades[size_t(grade) - 1].name, .since = evals[since].step};
  f.evidence.push_back(
      fmt::format("val +{} over its best {} ({})", loss_text(last.val - at.val), loss_text(at.val), at.step));
  f.evidence.push_back(fmt::format("train fell by {} in the same steps; the gap is {}",
                                   loss_text(at.train - last.train), loss_text(last.val - last.train)));
  if (s.epochs > 1.5) f.evidence.push_back(fmt::format("each token was seen {:.0f} times", s.epochs));
  f.flags = regularised(s, grade);
  f.advice = fmt::format("The best model is that of step {}. {}", at.step,
                         f.flags.empty() ? "More text would help more than more dropout." : "Next time:");
  return f;
}

namespace {

constexpr double kRecurring = 0.5;  // of the windows stand at another place of the text too
constexpr double kEpochs = 5;       // up to four, repeated text is nearly as good as new (Muennighoff et al. 2023)
constexpr double kGap = 0.3;        // of val: what train has fallen below it,
constexpr double kGapStill = 0.25;  // and for as long as it is so far below

}  // namespace

std::optional<Finding> repeating_data(Seen const& s) {
  Finding f{.state = State::repeating_data};
  if (s.history.data && s.history.data->recurring >= kRecurring) {
    DataFacts const& data = *s.history.data;
    f.evidence.push_back(
        fmt::format("{} of the training text stands at another place of it too", share_text(data.recurring)));
    if (data.val_in_train >= kRecurring)
      f.evidence.push_back(
          fmt::format("{} of the validation text is in the training text: val says nothing about new text",
                      share_text(data.val_in_train)));
    f.advice = "Leave the repetitions out and prepare the text again; folio inspect DATA counts them.";
    return f;
  }
  if (s.history.evals.empty() || !(s.epochs >= kEpochs)) return {};
  EvalReport const& last = s.history.evals.back();
  double const gap = was(s, State::repeating_data) ? kGapStill : kGap;
  if (!(last.val - last.train >= gap * last.val)) return {};
  f.since = int64_t(kEpochs * double(s.step) / s.epochs);
  for (EvalReport const& e : s.history.evals)
    if (!(e.val - e.train >= gap * e.val)) f.since = std::max(f.since, e.step);
  f.evidence.push_back(fmt::format("each token was seen {:.1f} times", s.epochs));
  f.evidence.push_back(fmt::format("train {} lies {} under val {}", loss_text(last.train),
                                   loss_text(last.val - last.train), loss_text(last.val)));
  f.flags = regularised(s, 1);
  f.advice = "More text would help more than more steps.";
  if (!f.flags.empty()) f.advice += " With this text:";
  return f;
}

}  // namespace folio::train::rules
