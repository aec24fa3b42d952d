#include "cli/reported_run.h"

#include "cli/train_setup.h"
#include "core/error.h"
#include "core/log.h"
#include "train/diagnosis.h"

namespace folio::cli {

using train::ReportedRun;

namespace {

// As the run itself said it where it did at its last step: judged again with that finding in the log, a threshold that
// holds a state standing would weigh differently.
std::vector<train::Finding> findings_of(train::History& h, train::Facts const& facts) {
  int64_t const last = std::max(h.steps.empty() ? 0 : h.steps.back().step, h.evals.empty() ? 0 : h.evals.back().step);
  if (h.findings.empty() || h.findings.back().step != last) return diagnose(h, facts);
  train::Finding const logged = h.findings.back();
  h.findings.pop_back();
  auto findings = diagnose(h, facts);
  h.findings.push_back(logged);
  if (findings[0].state != logged.state) return {logged};
  findings[0] = logged;
  return findings;
}

// A rate of dropout that all sites have is one setting.
void take_settings(TrainCommand& c, ReportedRun& run) {
  bool const one_rate = c.model.config().dropout.all_equal();
  for (Field const& f : c.run_fields()) {
    bool const of_site = f.name.ends_with("-dropout");
    if (f.name == "data" || f.name == "size" || (one_rate ? of_site : f.name == "dropout")) continue;
    run.settings.emplace_back(f.name, text_of(f));
  }
  TrainCommand unset = c;
  train::RunOptions const defaults;
  unset.run.schedule.warmup = defaults.schedule.warmup, unset.run.schedule.min_lr = defaults.schedule.min_lr;
  unset.run.weight_decay = defaults.weight_decay, unset.run.momentum = defaults.momentum;
  settle_rates(unset.run, {});
  Fields const is = c.run_fields(), would_be = unset.run_fields();
  for (char const* name : {"warmup", "min-lr", "weight-decay", "momentum"})
    if (text_of(*find(is, name)) == text_of(*find(would_be, name))) run.derived.push_back(name);
}

void take_config(Path const& path, ReportedRun& run) {
  TrainCommand c;
  read_config_of_run(c, path);
  take_settings(c, run);
  run.data = Path(c.data).filename().string();
  run.settings.emplace_back("data", run.data);
  run.options = c.run;
  train::Facts facts{.options = c.run, .config = {}, .from_model = !c.from.empty()};
  int64_t vocab = c.model.vocab;
  try {
    data::Dataset const data = data_of(c, path);
    vocab = vocab ? vocab : data.vocab();
    if (!data.tokenizer_name().empty() && data.tokenizer_name() != run.data) run.data += ", " + data.tokenizer_name();
  } catch (Error const&) {  // moved or gone since: the report does without
  }
  facts.config = run.config = c.model.config(vocab);
  run.rules = tensor_rules(run.options, run.config);
  run.configured = true;
  if (!run.history.steps.empty() || !run.history.evals.empty()) run.findings = findings_of(run.history, facts);
}

}  // namespace

ReportedRun reported_run(Path const& path, std::string const& name) {
  std::error_code error;
  bool const logged = std::filesystem::exists(path / "metrics.jsonl", error);
  check(logged || !std::filesystem::exists(path / "sweep.json", error), Fault::missing,
        "{0} is a sweep, not a run: folio sweep writes its page; its runs are drawn by folio report {0}/runs/*/",
        path.string());
  check(logged || train::is_run_directory(path), Fault::missing,
        "{} is not a run: a run has config.toml and metrics.jsonl", path.string());
  ReportedRun run{.name = name, .history = {}};
  run.running = is_locked(path / "lock");
  if (logged) run.history = train::read_history(path / "metrics.jsonl");
  try {
    take_config(path, run);
  } catch (Error const& e) {
    run.lacks = fmt::format("{}; the run is drawn from its log alone", e.what());
    say(Level::warning, run.lacks);
  }
  return run;
}

}  // namespace folio::cli
