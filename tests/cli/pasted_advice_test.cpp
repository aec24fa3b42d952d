// The flags of every finding, pasted behind the command of the run that they were found in, are taken: whatever its
// schedule, its optimizer and their options.
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "tests/support/drawn_run.h"
#include "tests/support/new_run.h"
#include "tests/support/program.h"

namespace folio {
namespace {

using cli::TrainCommand;
using test::Curve;
using test::Drawn;
using test::usual;

constexpr int64_t kVocab = 65;

// What a new run is told by these words, after the checks of `folio train`. Throws what these throw.
TrainCommand told(std::string const& words) {
  TrainCommand const c = test::new_run(test::words_of(words, {"--group", "h.3.*: rate 0.5"}));
  validate(c.run);
  (void)tensor_rules(c.run, c.model.config(kVocab));
  return c;
}

struct Sick {
  char const* state;
  char const* lr;
  Curve train = usual, val = {};
  int64_t until = test::kSteps;
  std::function<void(Drawn&)> besides = [](Drawn&) {};
};

Curve rising_val(double rise) {
  return [=](double x) { return x <= 400 ? usual(x) : usual(400) * (1 + rise * (x - 400) / 600); };
}

void add_statistics(Drawn& run, double first_norm, double quiet) {
  train::Statistics s{.step = 300, .period = 100};
  for (int layer = 0; layer < 2; ++layer)
    s.tensors.push_back({fmt::format("h.{}.mlp.c_fc.weight", layer), {0, 0.02, 1, layer == 0 ? first_norm : 1, 1e-3}});
  s.quiet = {quiet, 0};
  run.history.statistics = {s};
}

Drawn until(Drawn run, int64_t step) {
  std::erase_if(run.history.steps, [&](auto const& s) { return s.step > step; });
  std::erase_if(run.history.evals, [&](auto const& e) { return e.step > step; });
  return run;
}

double flat(double x) { return std::max(usual(x), usual(300)); }
double stays(double x) { return x < 100 ? 4.17 : 4.1; }
double comes_back(double x) { return x < 40 ? 4.17 : x < 120 ? 9 : 3.6; }
double lost(double x) { return x < 60 ? 4.17 - x / 100 : 3.6 + (x - 60) / 20; }

std::vector<Sick> const& all_sick() {
  static std::vector<Sick> const all = {
      {"not finite",
       "1e-3",
       usual,
       {},
       500,
       [](Drawn& run) { run.history.steps.back().loss = NAN, run.history.steps.back().accepted = false; }},
      {"overfitting, slight", "1e-3", usual, rising_val(0.03)},
      {"overfitting, moderate", "1e-3", usual, rising_val(0.08)},
      {"overfitting, strong", "1e-3", usual, rising_val(0.2)},
      {"overfitting, severe", "1e-3", usual, rising_val(0.4)},
      {"repeating data", "1e-3", usual, [](double x) { return 1.5 * usual(x); }, 500,
       [](Drawn& run) { run.history.data->train_tokens = 20000; }},
      {"rate too high, diverged", "1", lost, {}, 200},
      {"rate too high, diverged",
       "1",
       comes_back,
       {},
       600,
       [](Drawn& run) { run.history.findings = {diagnose(until(run, 110).history, run.facts).at(0)}; }},
      {"rate too high, stuck", "0.1", [](double) { return 3.2; }, {}, 200},
      {"rate too high, rising", "0.1", [](double x) { return x < 300 ? usual(x) : 1.1 * usual(300); }, {}, 500},
      {"exploding gradient", "1e-2", usual, {}, 300, [](Drawn& run) { add_statistics(run, 1000, 0); }},
      {"vanishing gradient", "1e-2", usual, {}, 300, [](Drawn& run) { add_statistics(run, 1e-3, 0); }},
      {"quiet layer", "1e-2", usual, {}, 300, [](Drawn& run) { add_statistics(run, 1, 0.9); }},
      {"not learning, because of the rate", "1e-9", [](double) { return 4.17; }, {}, 600},
      {"not learning, because of the rate", "1e-6", comes_back, {}, 600},
      {"not learning, because of the rate or of the data", "1e30", [](double) { return 4.17; }, {}, 600},
      {"not learning, because of the decay", "0.1", stays, {}, 600},
      {"rate too low", "1e-5", [](double x) { return 4.17 - 0.0005 * x; }, {}, 250},
      {"plateau", "1e-3", flat, {}, 600},
      {"plateau", "1e-4", flat, {}, 600},
      {"plateau", "1e-4", flat, {}, 600, [](Drawn& run) { run.facts.from_model = true; }},
  };
  return all;
}

constexpr char const* kSchedules[] = {
    "constant",
    "linear",
    "cosine --warmup-start zero",
    "step --step-every 900 --step-factor 0.5",
    "inverse-sqrt",
    "polynomial --polynomial-power 1.5",
    "wsd --wsd-tail linear",
    "wsd --wsd-tail cosine --wsd-tail-steps 990",
    "restarts --restart-every 120 --restart-growth 1.5",
};
constexpr char const* kRest[] = {
    "--optimizer adamw --beta1 0.8 --beta2 0.9 --epsilon 1e-7 --weight-decay 0.3 --clip 0",
    "--optimizer adam --weight-decay 0.1 --decay linear --patience 9 --min-improvement 0.01",
    "--optimizer sgd --momentum 0.8 --nesterov --weight-decay 0.2",
    "--optimizer sgd --decay none --attention-dropout 0.2 --embedding-dropout 0.6",
    "--optimizer muon --momentum 0.9 --dropout 0.5",
};

// The run's findings, as its log and its options have them.
std::vector<train::Finding> found_in(Sick const& sick, TrainCommand const& c) {
  Drawn run = test::drawn(sick.train, sick.val, sick.until);
  run.facts.options = c.run, run.facts.config = c.model.config(kVocab);
  for (train::StepReport& s : run.history.steps) s.rate = c.run.schedule.lr;
  sick.besides(run);
  return diagnose(run.history, run.facts);
}

// Whether the command takes the flags, and a rate that they name is above its floor.
void expect_taken(std::string const& command, train::Finding const& found) {
  std::string const line = command + " " + found.flags;
  try {
    train::ScheduleOptions const s = told(line).run.schedule;
    if (found.flags.find("--lr ") != std::string::npos && s.schedule != "constant") {
      EXPECT_LE(s.min_lr, 0.11 * s.lr) << line;
    }
  } catch (Error const& e) {
    ADD_FAILURE() << train::title_of(found) << ": " << line << "\n" << e.what();
  }
}

TEST(PastedAdvice, IsTakenBehindEveryScheduleAndOptimizer) {
  for (std::string const schedule : kSchedules) {
    std::set<Sick const*> seen;
    for (std::string const rest : kRest)
      for (Sick const& sick : all_sick()) {
        std::string const floor = schedule == "constant" ? "" : fmt::format(" --min-lr {}", sick.lr);
        std::string const command = fmt::format(
            "--data x --out y --layers 4 --heads 4 --embd 384 --context 64 --steps 1000 --eval-every 50 --batch 16 "
            "--warmup 5 --lr {}{} --schedule {} {}",
            sick.lr, floor, schedule, rest);
        for (train::Finding const& found : found_in(sick, told(command))) {
          if (found.flags.empty()) continue;
          if (train::title_of(found) == sick.state) seen.insert(&sick);
          expect_taken(command, found);
        }
      }
    for (Sick const& sick : all_sick())
      EXPECT_TRUE(seen.contains(&sick)) << sick.state << ", rate " << sick.lr << ", is not found under " << schedule;
  }
}

}  // namespace
}  // namespace folio
