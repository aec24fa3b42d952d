// folio verify-resume: shows on the user's machine, model and data that a run which is interrupted and resumed is the
// run that nothing interrupted.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/resume_proof.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"

namespace folio::cli {
namespace {

Json json_of(std::vector<ResumeRound> const& rounds, bool exact) {
  Json list = Json::array();
  for (ResumeRound const& r : rounds)
    list.push_back({{"interruption", r.name},
                    {"where", r.where},
                    {"same", r.result.same()},
                    {"difference", r.result.same() ? Json() : Json(r.result.difference)},
                    {"step", r.result.step},
                    {"weights", r.result.weights},
                    {"moments", r.result.moments},
                    {"log_lines", r.result.lines}});
  return {{"exact", exact}, {"rounds", list}};
}

}  // namespace

int verify_resume(Arguments const& arguments) {
  TrainCommand c;
  int64_t steps = 12;
  Fields const own = {
      {"out",
       &c.out,
       "a new folder for the runs, kept; without it they lie in a temporary one, and go",
       {.form = "DIR"},
       "Data"},
      {"verify-steps", &steps, "how many of the run's steps are trained", {.min = 4, .max = 100000}, "Data"},
      {"json", &c.json, "print the result as JSON", {}, "Output"}};
  Spec const spec{
      .name = "verify-resume",
      .summary = "show on this machine that a resumed run is the uninterrupted one, bit for bit",
      .details =
          "Takes what train takes, and trains the first steps of that run six times: twice left alone, and asked "
          "to stop, killed, killed between two micro-batches, and all three, each time resumed. "
          "Weights, moments, counters and log are compared bit for bit, wall-clock fields aside. A step has two "
          "micro-batches at least. Without --out two runs at most lie there at a time; the room that their checkpoints "
          "take is said before. Exit code 1 where anything differs.",
      .example =
          "folio verify-resume --data input.txt --layers 2 --heads 2 --embd 64\n"
          "folio verify-resume --config runs/first/config.toml",
      .fields = joined({c.run_fields(), own}),
      .configurable = true};
  Origins given;
  if (!parse(spec, arguments, &given)) return 0;
  check_groups(c.run, given);
  expect_data(c);
  settle(c, given);
  validate(c.run);
  steps = std::min(steps, c.run.steps);
  check(steps >= 4, Fault::value, "--steps {}: four are needed to be interrupted", c.run.steps);
  catch_signals();
  ProofFolder const folder(c.out);
  auto const rounds = prove_resume(c, steps, folder, [](std::string const& line) { say(line); });
  bool const exact = std::ranges::all_of(rounds, [](ResumeRound const& r) { return r.result.same(); });
  if (c.json) print(dump(json_of(rounds, exact), 2) + "\n");
  else
    print(exact ? fmt::format("resuming is exact here: {} runs of {} steps, the same bits\n", rounds.size() + 1, steps)
                : "resuming is NOT exact here: see the lines that differ\n");
  return exact ? 0 : static_cast<int>(Fault::failed);
}

}  // namespace folio::cli
