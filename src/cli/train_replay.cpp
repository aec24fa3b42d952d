#include "cli/train_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/verbs.h"
#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "train/broken_step.h"
#include "train/step_file.h"

namespace folio::cli {
namespace {

constexpr std::string_view kOfThisCall[] = {"replay", "device", "threads", "json", "tf32", "graph"};

}  // namespace

int replay_step(TrainCommand const& c, Origins const& given) {
  for (auto const& [name, origin] : given)
    check(std::ranges::find(kOfThisCall, name) != std::end(kOfThisCall), Fault::value,
          "--{} beside --replay: the step is taken as its file says; only --device, --threads and --json may be given",
          name);
  train::SavedStep const step = train::read_step(c.replay);
  BackendChoice choice = c.backend;
  choice.dtype = name_of(step.dtype);
  refuse_idle(choice.fields(true), given);
  auto const backend = choice.make();
  train::TrainerOptions options = train::trainer_options(step.options, step.config, step.config.context);
  options.dtype = choice.compute_type();
  options.initialise = false;
  train::Trainer trainer(*backend, options);
  train::load_step_weights(c.replay, *backend, trainer);
  say(fmt::format("step {} of a run of {} steps, {}, rate {}", step.before.attempted + 1, step.options.steps,
                  choice.description(), format_rate(step.rate)));
  train::BrokenStep const taken = train::take_again(*backend, trainer, step.batch, step.rate, step.before);
  train::BatchNumbers const batch = train::numbers_of(step.batch);
  if (c.json) {
    print(dump(to_json(taken, batch), 2) + "\n");
    return 0;
  }
  auto const words = [](double v) { return std::isnan(v) ? std::string("NaN") : fmt::format("{:.4g}", v); };
  std::string text = fmt::format("loss {}, gradient norm {}\n", words(taken.after.loss), words(taken.after.norm));
  for (std::string const& sentence : in_words(taken, batch)) text += sentence + "\n";
  print(text);
  return 0;
}

}  // namespace folio::cli
