// What the page says first: its title and the two sentences under it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/run_report_parts.h"

namespace folio::train {
namespace {

// "B learns its text by heart from step 1,250".
std::string phrase(std::string const& who, Drawn const& d) {
  Finding const& f = *main_finding(d);
  std::string const since = step_text(began(d, f));
  switch (f.state) {
    case State::healthy:
      return who + " is healthy";
    case State::overfitting:
      return fmt::format("{} learns its text by heart from step {}", who, since);
    case State::rate_too_high:
      return fmt::format("{} has too high a rate from step {}", who, since);
    case State::rate_too_low:
      return who + " learns slower than it could: its rate is too low";
    case State::plateau:
      return fmt::format("{} stands still from step {}", who, since);
    case State::vanishing_gradient:
      return who + " loses its gradient on the way down";
    case State::exploding_gradient:
      return fmt::format("The gradient of {} explodes at step {}", who, since);
    case State::quiet_layer:
      return who + " has a layer that went quiet";
    case State::repeating_data:
      return fmt::format("{} sees the same text again and again", who);
    case State::not_learning:
      return who + " does not learn";
    case State::not_finite:
      return fmt::format("{} breaks at step {}: its numbers are no longer finite", who, since);
  }
  return who;
}

Drawn const* best_of(Drawing const& all) {
  Drawn const* best = nullptr;
  for (Drawn const& d : all.runs)
    if (std::isfinite(d.numbers.best) && (!best || d.numbers.best < best->numbers.best)) best = &d;
  return best;
}

constexpr char const* kDifferentData = "read different data, so their losses do not compare";

int64_t evaluated(Drawn const& d) { return d.history.evals.back().step; }  // the last time

bool ill(Drawn const& d) { return main_finding(d) && main_finding(d)->state != State::healthy; }

std::string headline_of_one(Drawn const& d) {
  std::string const so_far = d.run.running ? " so far" : "";
  if (ill(d)) {
    std::string said = phrase("the run", d);
    said[0] = char(std::toupper(static_cast<unsigned char>(said[0])));
    return said;
  }
  if (!std::isfinite(d.numbers.best))
    return fmt::format("{} steps are done, and none is evaluated yet", step_text(d.numbers.last_step));
  return fmt::format("{}{}: {} loss {} after {} steps", main_finding(d) ? "The run is healthy" : "The run", so_far,
                     d.numbers.judged_by_val ? "val" : "train", report::loss_text(d.numbers.best),
                     step_text(d.numbers.best_step));
}

std::string where_it_is(Drawing const& all, Drawn const& d) {  // "A predicts unseen text at 1.420 nats a token"
  return fmt::format("{} {} text at {} nats a token", subject(all, d),
                     d.numbers.judged_by_val ? "predicts unseen" : "predicts its training",
                     report::loss_text(d.numbers.final));
}

}  // namespace

bool comparable(Drawing const& all) {
  Drawn const* first = nullptr;
  for (Drawn const& d : all.runs) {
    if (!d.run.configured) continue;
    if (!first) first = &d;
    if (d.run.data != first->run.data || d.run.config.vocab != first->run.config.vocab) return false;
  }
  return true;
}

std::string headline(Drawing const& all) {
  if (std::ranges::all_of(all.runs, [](Drawn const& d) { return d.history.steps.empty() && d.history.evals.empty(); }))
    return all.several() ? "No run has a step yet" : "The run has no step yet";
  if (!all.several()) return headline_of_one(all.runs[0]);
  size_t ills = 0;
  Drawn const* worst = nullptr;
  for (Drawn const& d : all.runs) {
    ills += ill(d);
    if (ill(d) && (!worst || level_of(*main_finding(d)) > level_of(*main_finding(*worst)))) worst = &d;
  }
  Drawn const* best = best_of(all);
  std::string const lowest = !best             ? ""
                             : comparable(all) ? fmt::format("{} reaches the lowest {} loss, {}", best->letter,
                                                             judged_words(all), report::loss_text(best->numbers.best))
                                               : fmt::format("The runs {}", kDifferentData);
  if (!worst) return best ? lowest : "No evaluation yet";
  std::string const first = phrase(worst->letter, *worst);
  if (all.runs.size() == 2) {
    Drawn const& other = all.runs[worst == &all.runs[0] ? 1 : 0];
    return main_finding(other) ? first + "; " + phrase(other.letter, other) : first;
  }
  if (ills == 1) return best ? lowest + "; " + first : first;
  return fmt::format("{}{} of {} runs are not healthy", best ? lowest + "; " : "", ills, all.runs.size());
}

std::string lede(Drawing const& all) {
  std::vector<Drawn const*> known;
  for (Drawn const& d : all.runs)
    if (std::isfinite(d.numbers.final)) known.push_back(&d);
  if (known.empty())
    return std::string("There is no evaluation to draw") +
           (std::ranges::any_of(all.runs, [](Drawn const& d) { return d.run.running; })
                ? " yet. The page can be written again at any time while the run goes on."
                : ".");
  if (!all.several()) {
    Drawn const& d = all.runs[0];
    Summary const& s = d.numbers;
    std::string out = fmt::format("After {} steps {}", step_text(evaluated(d)), where_it_is(all, d));
    if (std::isfinite(s.best_bits_per_byte) && s.best_step == d.history.evals.back().step)
      out += fmt::format(" ({:.2f} bits a byte)", s.best_bits_per_byte);
    out += ". ";
    if (s.best_step < d.history.evals.back().step)
      return out + fmt::format("Its best moment, {}, lies {} steps back.", report::loss_text(s.best),
                               step_text(d.history.evals.back().step - s.best_step));
    if (s.half_step < 0) return out;
    return out + fmt::format("That is {} less than it began with, and half of the way took {} {}.",
                             report::share_text(s.removed), step_text(s.half_step),
                             s.half_step == 1 ? "step" : "steps");
  }
  std::vector<Drawn const*> told = known;
  if (known.size() > 4 && comparable(all)) {
    std::ranges::stable_sort(told, {}, [](Drawn const* d) { return d->numbers.final; });
    told = {told.front(), told.back()};
  }
  bool const same = std::ranges::all_of(known, [&](Drawn const* d) { return evaluated(*d) == evaluated(*known[0]); });
  std::vector<std::string> places;
  for (Drawn const* d : told)
    places.push_back(fmt::format("{} at {}{}{}", d->letter, report::loss_text(d->numbers.final),
                                 places.empty() ? std::string(kBlank) + "nats a token" : "",
                                 same ? "" : fmt::format(" after {} steps", step_text(evaluated(*d)))));
  std::string out = same ? fmt::format("After {} steps {} text is predicted by ", step_text(evaluated(*known[0])),
                                       with_val(all) ? "unseen" : "its training")
                    : with_val(all) ? "Unseen text is predicted by "
                                    : "Its training text is predicted by ";
  out += report::joined_words(places) + ". ";
  if (!comparable(all)) out += fmt::format("They {}; bits a byte do, where the texts are alike. ", kDifferentData);
  auto const differ = settings_that_differ(all);
  if (differ.empty()) return out;
  if (differ.size() > 4) return out + fmt::format("They differ in {} settings.", differ.size());
  return out + fmt::format("They differ in {}.", report::joined_words(differ));
}

}  // namespace folio::train
