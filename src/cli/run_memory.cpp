#include "cli/run_memory.h"

#include <algorithm>

#include "cli/train_sampler.h"
#include "core/error.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/progress.h"
#include "text/tokenizer.h"
#include "train/live_diagnosis.h"

namespace folio::cli {
namespace {

using train::Ladder;
using train::MemoryPlan;
using train::Rung;

bool host_fits(MemoryPlan const& plan) {
  return plan.device.total == 0 || with_reserve(plan.asks_of_host()) <= look_at_machine().available_memory;
}

model::Config with_context(model::Config c, int64_t context) {
  c.context = context;
  return c;
}

Rung const* first_that_fits(std::vector<Rung> const& rungs, model::Config const& config, DType dtype, Backend& backend,
                            size_t before) {
  Available const there = available_memory(backend);
  for (Rung const& r : rungs)
    if (fits(plan_of(r.run, with_context(config, r.context), dtype, backend, before), there)) return &r;
  return nullptr;
}

std::string text_of(MemoryPlan const& plan) {
  std::vector<MemoryRole> all = plan.roles;
  if (plan.device.total == 0) all.push_back(plan.process);
  return amount_text(all);
}

std::string text_of(Available const& there, MemoryPlan const& plan) {
  uint64_t const bytes = there.bytes + (plan.device.total ? 0 : plan.held);  // what it holds already was granted, too
  return fmt::format("{} can be had ({} {}), of which {} stay free", format_bytes(double(bytes)),
                     format_bytes(double(there.bytes)), there.by,
                     format_bytes(double(with_reserve(plan.asks()) - plan.asks())));
}

std::string text_of_host() {
  Machine const machine = look_at_machine();
  return fmt::format("beside the GPU {} can be had ({})", format_bytes(double(machine.available_memory)),
                     machine.available_by);
}

}  // namespace

MemoryPlan plan_of(train::RunOptions const& run, model::Config const& config, DType dtype, Backend& backend,
                   size_t before) {
  train::TrainerOptions options = train::trainer_options(run, config, config.context);
  options.dtype = dtype;
  std::vector<MemoryRole> roles = train::run_roles(backend, run, options);
  if (run.sample_every > 0) roles.push_back(TrainSampler::plan(backend, config, dtype));
  roles.push_back(train::LiveDiagnosis::plan(run, config));
  return train::memory_plan(backend, roles, options, before);
}

bool fits(MemoryPlan const& plan, Available const& there) {
  return with_reserve(plan.asks()) <= there.bytes && host_fits(plan);
}

std::string mends_of(train::RunOptions const& run, model::Config const& config, DType dtype, Backend& backend,
                     size_t before, bool is_there) {
  auto const flags = [&](Ladder kind) {
    auto const rungs = train::ladder(run, config.context, kind);
    Rung const* const r = first_that_fits(rungs, config, dtype, backend, before);
    return r ? flags_of(*r, run, config.context) : "";
  };
  if (std::string const same = flags(Ladder::same_bits); same == "--save foreground")
    return "give --save foreground, which has no snapshot, or --fit, which takes it";
  else if (is_there)
    return same.empty()
               ? "no --recompute and no --save makes a run that is there fit, and nothing else keeps its bits: "
                 "free memory, or go on on a larger machine"
               : fmt::format("give {}, which keeps the bits of the run, or --fit, which takes it", same);
  if (std::string const some = flags(Ladder::same_context); !some.empty())
    return fmt::format("give --fit, which takes {}", some);
  if (std::string const some = flags(Ladder::shorter_context); !some.empty())
    return fmt::format("give --fit context, which takes {}", some);
  return "give a smaller --size or --vocab";
}

void expect_fit(train::RunOptions const& run, model::Config const& config, DType dtype, Backend& backend,
                MemoryPlan const& plan, bool is_there) {
  Available const there = available_memory(backend);
  if (fits(plan, there)) return;
  fail(Fault::memory, "the run would hold {}, and {}: {}; folio plan shows what each role takes", text_of(plan),
       host_fits(plan) ? text_of(there, plan) : text_of_host(),
       mends_of(run, config, dtype, backend, plan.held, is_there));
}

std::string fit(TrainCommand& c, model::Config const& config, Backend& backend, Ladder kind, size_t before) {
  DType const dtype = c.backend.compute_type();
  MemoryPlan const was = plan_of(c.run, config, dtype, backend, before);
  Available const there = available_memory(backend);
  if (fits(was, there)) return "";
  auto const rungs = train::ladder(c.run, config.context, kind);
  Rung const* const r = first_that_fits(rungs, config, dtype, backend, before);
  if (!r) return "";
  MemoryPlan const now = plan_of(r->run, with_context(config, r->context), dtype, backend, before);
  std::string const text = fmt::format("the run would hold {}, and {}; it takes {}, {}, with as many tokens a step",
                                       text_of(was), text_of(there, was), flags_of(*r, c.run, config.context),
                                       format_bytes(double(now.device.total ? now.of_roles() : now.total())));
  c.run = r->run;
  c.model.context = r->context;
  return text;
}

Ladder ladder_of(TrainCommand const& c, bool is_there) {
  if (is_there) return Ladder::same_bits;
  return c.fit == "context" ? Ladder::shorter_context : Ladder::same_context;
}

void fit_as_told(TrainCommand& c, model::Config const& config, data::Dataset const& data, bool is_there) {
  if (c.fit == "no") return;
  std::unique_ptr<text::Tokenizer> held;
  if (data.tokenizer_directory()) held = text::load_tokenizer(data.tokenizer_directory()->string());
  size_t const before = train::memory_before();
  auto const backend = c.backend.make();
  if (std::string const chosen = fit(c, config, *backend, ladder_of(c, is_there), before); !chosen.empty())
    say("--fit: " + chosen);
}

int64_t largest_batch(train::RunOptions const& run, model::Config const& config, DType dtype, Backend& backend,
                      size_t before) {
  Available const there = available_memory(backend);
  return train::largest(int64_t{1} << 20, [&](int64_t batch) {
    train::RunOptions larger = run;
    larger.batch = batch;
    return fits(plan_of(larger, config, dtype, backend, before), there);
  });
}

Ask ask_for_batch(Backend const& backend, std::string const& what, int64_t batch,
                  std::function<std::vector<MemoryRole>(int64_t)> const& roles) {
  auto const of = [&](int64_t b) -> Ask { return {fmt::format("{} of {} sequences at once", what, b), roles(b), ""}; };
  Ask ask = of(batch);
  if (has_room(backend, ask)) ask.mends = "a smaller --batch asks for less";
  else if (int64_t const most = train::largest(batch, [&](int64_t b) { return has_room(backend, of(b)); }); most > 0)
    ask.mends = fmt::format("--batch {} fits", most);
  else ask.mends = "not one sequence fits, not even with --batch 1: a smaller model asks for less";
  return ask;
}

std::vector<std::string> with_values_of_lone_flags(std::vector<std::string> arguments) {
  struct Lone {
    char const* flag;
    std::vector<std::string> values;
  };
  for (Lone const& lone : {Lone{"--resume", {"auto", "yes", "no"}}, Lone{"--fit", {"context", "yes", "no"}}})
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (arguments[i] != lone.flag) continue;
      bool const has_value =
          i + 1 < arguments.size() && std::ranges::find(lone.values, arguments[i + 1]) != lone.values.end();
      arguments[i] += "=" + (has_value ? arguments[i + 1] : "yes");
      if (has_value) arguments.erase(arguments.begin() + int64_t(i) + 1);
    }
  return arguments;
}

}  // namespace folio::cli
