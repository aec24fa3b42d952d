// folio sweep: the runs that a file describes, trained one after the other or side by side, each a process of its own.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "cli/child.h"
#include "cli/kind.h"
#include "cli/reported_run.h"
#include "cli/signals.h"
#include "cli/train_setup.h"
#include "cli/verbs.h"
#include "cli/version.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/progress.h"
#include "report/table.h"
#include "train/summary.h"
#include "train/sweep_report.h"

namespace folio::cli {
namespace {

using train::ReportedRun;
using train::RunStatus;
using train::SweepRun;

struct Command {
  std::vector<std::string> file;
  std::string out;
  int64_t jobs = 1;
  bool json = false;
  TrainCommand train;

  Spec spec() {
    return {
        .name = "sweep",
        .summary = "train many runs that differ in what a file says, and rank them",
        .details =
            "SPEC names what all runs have in common and, in [grid], [random] or [[list]], what differs; "
            "docs/training.md "
            "describes it. A flag of folio train given here wins over what all runs have in common. The same command "
            "again goes on where the sweep was stopped or killed; a run that has ended is not repeated. Ctrl-C saves "
            "and exits with 75. A run that diverges ends nothing but itself.",
        .example =
            "folio sweep examples/sweeps/one-thing-each.toml --data input.txt --out first\n"
            "folio sweep rates.toml --out sweeps/rates --jobs 4 --json\n"
            "folio sweep rates.toml --out sweeps/short --steps 200",
        .positionals = {{"SPEC", &file, "what to train, a TOML file"}},
        .fields = joined(
            {{{"out", &out, "the folder of the sweep, new or to be gone on with", {.form = "DIR"}, "Sweep"},
              {"jobs", &jobs, "runs at a time, which share the processor's threads", {.min = 1, .max = 1024}, "Sweep"},
              {"json", &json, "print the result as JSON", {}, "Sweep"}},
             train.run_fields()}),
        .configurable = true};
  }
};

struct Plan {
  TrainCommand base;
  Origins given;  // for all runs; `common` what SPEC and this call say of them
  train::SweepSpec spec;
};

bool is_train_flag(std::string const& name) {
  TrainCommand any;
  return find(any.run_fields(), name) != nullptr;
}

// SPEC's config, then SPEC, then what this call was given.
Plan plan_of(Command& c, Arguments const& arguments) {
  Command first;
  parse(first.spec(), arguments);
  std::string const name = first.file[0], text = read_file(name, uint64_t{1} << 20);
  Plan plan;
  if (std::string const config = train::config_of_sweep(text, name); !config.empty())
    plan.given = read_config(c.train, Path(name).parent_path() / config);
  TrainCommand probe;
  plan.spec = train::read_sweep(text, name, c.train.run_fields(), probe.run_fields());
  for (std::string const& field : plan.spec.base) plan.given[field] = {"common", name + ", " + field};
  Origins over;
  parse(c.spec(), arguments, &over);
  for (auto const& [field, origin] : over) {
    if (!is_train_flag(field)) continue;
    auto const varied = plan.spec.varied();
    check(std::ranges::find(varied, field) == varied.end(), Fault::value,
          "{}: {} is varied by {}: leave it out here, or there", origin.text(), field, name);
    check(field != "seed" || plan.spec.seeds.empty(), Fault::value, "{}: {} gives seeds: leave it out here, or there",
          origin.text(), name);
    bool const of_this_call = origin.kind == "flag" || origin.kind == "set";
    plan.given[field] = {of_this_call ? "common" : origin.kind, origin.where, origin.line};
  }
  check_groups(c.train.run, over);
  plan.base = c.train;
  return plan;
}

// The data of all runs. A text is prepared once, into the sweep, where nothing that this depends on is varied: then the
// command that names the text.
std::optional<TrainCommand> settle_data(Plan& plan, Path const& out) {
  TrainCommand& c = plan.base;
  auto const varied = plan.spec.varied();
  auto const varies = [&](char const* name) { return std::ranges::find(varied, name) != varied.end(); };
  if (varies("data")) return {};
  expect_data(c);
  c.data = std::filesystem::absolute(c.data).lexically_normal().string();
  if (!is_text(what_is(c.data)) || varies("tokenizer") || varies("from")) return {};
  TrainCommand const with_text = c;
  c.data = std::filesystem::absolute(out / "data").lexically_normal().string();
  return with_text;
}

// A new sweep whose text cannot be prepared leaves nothing behind.
void prepare_once(TrainCommand const& c, train::Sweep const& sweep) {
  std::error_code error;
  if (std::filesystem::exists(sweep.path() / "data", error)) return;
  try {
    prepare_text(c, model_of_from(c), sweep.path());
  } catch (...) {
    if (!sweep.resumed()) std::filesystem::remove_all(sweep.path(), error);
    throw;
  }
}

// What all runs have in common, or is drawn for each, counts in one of them at least.
class Common {
 public:
  void look_at(Fields const& fields, Origins const& given) {
    for (auto const& [name, origin] : given) {
      if (origin.kind != "common") continue;
      std::string const why = idle(fields, *find(fields, name), origin.text());
      if (why.empty()) counts_.insert(name);
      else idle_.try_emplace(name, why);
    }
  }
  void check_all() const {
    for (auto const& [name, why] : idle_) check(counts_.contains(name), Fault::value, "no run looks at it: {}", why);
  }

 private:
  std::set<std::string> counts_;
  std::map<std::string, std::string> idle_;
};

SweepRun run_of(Plan const& plan, size_t setting, std::optional<uint64_t> seed, Common& common) {
  train::Setting const& s = plan.spec.settings[setting];
  TrainCommand c = plan.base;
  Origins given = plan.given;
  try {
    Fields const fields = c.run_fields();
    for (auto const& [field, text] : s.values) {
      set(*find(fields, field), text, field);
      given[field] = {s.of == train::Setting::Of::random ? "common" : "setting", field};
    }
    if (seed) c.run.seed = *seed, given["seed"] = {"setting", "seed"};
    settle(c, given);
    common.look_at(fields, given);
    validate(c.run);
    (void)tensor_rules(c.run, c.model.config());
    (void)c.backend.compute_type();
    c.backend.threads = 0;  // of each call
  } catch (Error const& e) {
    fail(e.fault == Fault::usage ? Fault::content : e.fault, "the setting \"{}\": {}", s.name, e.what());
  }
  SweepRun r{.folder = train::folder_name(setting + 1, s.name, seed),
             .setting = setting,
             .seed = c.run.seed,
             .steps = c.run.steps,
             .eval_every = c.run.eval_every,
             .toml = to_toml(c.run_fields()),
             .options = c.run,
             .shape = c.model.config()};
  Fields const fields = c.run_fields();
  for (std::string const& field : plan.spec.varied()) r.values[field] = text_of(*find(fields, field));
  return r;
}

std::vector<SweepRun> runs_of(Plan const& plan) {
  std::vector<SweepRun> runs;
  Common common;
  for (size_t s = 0; s < plan.spec.settings.size(); ++s) {
    if (plan.spec.seeds.empty()) runs.push_back(run_of(plan, s, {}, common));
    for (uint64_t const seed : plan.spec.seeds) runs.push_back(run_of(plan, s, seed, common));
  }
  common.check_all();
  return runs;
}

class Pool {  // of runs that are going on
 public:
  Pool(train::Sweep& sweep, TrainCommand const& base, int64_t jobs) : sweep_(sweep), jobs_(size_t(jobs)) {
    if (base.backend.threads > 0) threads_ = base.backend.threads;
    else if (jobs > 1) threads_ = std::max<int64_t>(1, look_at_machine().granted_cores() / jobs);
  }

  void run() {
    for (;;) {
      while (!signalled() && going_.size() < jobs_) {
        auto const job = sweep_.next();
        if (!job) break;
        going_.push_back({*job, std::chrono::steady_clock::now()});
      }
      if (going_.empty()) return;
      if (!signalled())
        for (Going& g : going_)
          if (!g.child && !g.there && free(g)) start(g);
      if (signalled() && !told_) {
        for (Going& g : going_)
          if (g.child) g.child->stop();
        told_ = true;
      }
      collect();
      show();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

 private:
  struct Going {
    train::SweepJob job;
    std::chrono::steady_clock::time_point since;
    std::unique_ptr<Child> child = nullptr;  // null while another process holds the run
    bool waits = false, there = false;       // there: what held it had come so far
  };

  // A sweep that was killed leaves runs that save and stop by themselves, which takes a moment.
  bool free(Going& g) const {
    constexpr std::chrono::seconds kPatience(120);
    SweepRun const& r = sweep_.runs()[g.job.run];
    Path const lock = sweep_.folder_of(r) / "lock";
    if (!is_locked(lock)) return true;
    std::string const by = last_line(lock);
    check(std::chrono::steady_clock::now() - g.since < kPatience, Fault::exists,
          "the run {} is in use by {}: end that, and the same command goes on", sweep_.folder_of(r).string(), by);
    if (!g.waits) say(fmt::format("waits for {}, which still works on {}", by, r.folder));
    g.waits = true;
    return false;
  }

  void start(Going& g) {
    train::SweepJob const& job = g.job;
    SweepRun const& r = sweep_.runs()[job.run];
    Path const folder = sweep_.folder_of(r), config = folder.string() + ".toml";
    auto const saved = train::checkpoint_steps(folder);
    int64_t const step = saved.empty() ? 0 : saved.back();
    g.there = step >= job.until;
    if (g.there) return;
    std::vector<std::string> words = {"train", "--out", folder.string(), "--quiet", "--resume", "auto"};
    if (!train::is_run_directory(folder)) words.insert(words.end(), {"--config", config.string()});
    words.insert(words.end(), {"--stop-after", std::to_string(job.until < r.steps ? job.until - step : 0)});
    if (threads_ > 0) words.insert(words.end(), {"--threads", std::to_string(threads_)});
    g.child = std::make_unique<Child>(words, variables_, log_of(r));
  }

  Path log_of(SweepRun const& r) const { return sweep_.folder_of(r).string() + ".log"; }

  static std::optional<int> ended(Going& g) {
    if (g.child) return g.child->ended();
    return g.there || signalled() ? std::optional(static_cast<int>(Fault::stopped)) : std::nullopt;
  }

  void collect() {
    for (size_t i = going_.size(); i-- > 0;) {
      auto const code = ended(going_[i]);
      if (!code) continue;
      train::SweepJob const job = going_[i].job;
      going_.erase(going_.begin() + int64_t(i));
      SweepRun const& r = sweep_.runs()[job.run];
      std::string const why = *code > 128 ? fmt::format("ended by signal {}", *code - 128) : last_line(log_of(r));
      bool const asked = signalled() && *code != 0 && *code != static_cast<int>(Fault::diverged);
      sweep_.ended(job, asked ? static_cast<int>(Fault::stopped) : *code, why);
      if (!asked) tell(r);
    }
  }

  void tell(SweepRun const& r) {
    std::string const& name = sweep_.settings()[r.setting].name;
    std::string const of = sweep_.spec().seeds.empty() ? name : fmt::format("{}, seed {}", name, r.seed);
    if (r.status == RunStatus::failed) say(Level::warning, fmt::format("{} failed: {}", of, r.why));
    else if (r.status == RunStatus::diverged) say(Level::warning, of + " diverged; the sweep goes on");
    else say(fmt::format("{}: val {} after step {} of {}", of, train::loss_number(r.val, 4), r.step, r.steps));
  }

  void show() {
    if (!progress_.due() || going_.empty()) return;
    size_t ended = 0;
    double best = INFINITY;
    for (SweepRun const& r : sweep_.runs()) {
      ended += r.status != RunStatus::waiting;
      if (r.val < best) best = r.val;
    }
    SweepRun const& r = sweep_.runs()[going_[0].job.run];
    std::string log;
    std::error_code error;
    if (std::filesystem::exists(sweep_.folder_of(r) / "metrics.jsonl", error))
      log = step_in(sweep_.folder_of(r) / "metrics.jsonl");
    std::vector<std::string> fields = {fmt::format("{} of {} runs ended", ended, sweep_.runs().size()),
                                       sweep_.settings()[r.setting].name};
    if (!log.empty()) fields.push_back(fmt::format("{}/{}", log, r.steps));
    if (std::isfinite(best)) fields.push_back(fmt::format("best val {:.3f}", best));
    progress_.show(fields);
  }

  // The number of the last step in a log's last 8 KiB.
  static std::string step_in(Path const& metrics) {
    std::ifstream in(metrics, std::ios::ate | std::ios::binary);
    auto const size = int64_t(in.tellg()), from = std::max<int64_t>(0, size - 8192);
    std::string tail(size_t(size - from), '\0');
    in.seekg(from).read(tail.data(), std::streamsize(tail.size()));
    size_t const at = tail.rfind("\"type\":\"step\",\"step\":");
    if (at == tail.npos) return "";
    size_t const begin = at + 21, end = tail.find(',', begin);
    return end == tail.npos ? "" : tail.substr(begin, end - begin);
  }

  train::Sweep& sweep_;
  size_t jobs_;
  int64_t threads_ = 0;
  bool told_ = false;
  std::vector<std::string> variables_ = variables_of_train();
  std::vector<Going> going_;
  Progress progress_;
};

std::string table_of(train::Sweep const& sweep) {
  bool const seeds = sweep.spec().seeds.size() > 1;
  std::vector<report::Table::Column> columns = {{"#"}, {"setting", false}, {"val"}};
  if (seeds) columns.push_back({"±"});
  columns.insert(columns.end(), {{"steps"}, {"became", false}});
  report::Table table(columns);
  int64_t rank = 0;
  // A name says all that is varied: it is cut only where a terminal has no room for it.
  constexpr size_t kOthers = 44;
  Terminal const t = terminal();
  size_t const room =
      t.out_is_terminal ? std::max<size_t>(40, size_t(t.width) - std::min(size_t(t.width), kOthers)) : 200;
  for (train::Ranked const& r : sweep.ranking()) {
    std::vector<std::string> row = {std::to_string(++rank), report::shortened(sweep.settings()[r.setting].name, room),
                                    val_text(r, 4)};
    if (seeds) row.push_back(deviation_text(r, 4));
    row.insert(row.end(), {report::grouped(r.step), name_of(r.status)});
    table.row(std::move(row));
  }
  return table.text();
}

// The page, and a report of the best run of each setting, up to the hundredth, that it leads to.
void write_pages(Command const& c, train::Sweep const& sweep, Path const& page) {
  constexpr size_t kMostReports = 100;
  train::ReportedBy const by{
      .command = fmt::format("folio sweep {} --out {}", shell_quoted(c.file[0]), shell_quoted(c.out)),
      .version = version_line()};
  std::vector<ReportedRun> drawn;
  auto const ranking = sweep.ranking();
  for (size_t rank = 0; rank < std::min(ranking.size(), kMostReports); ++rank) {
    SweepRun const& r = sweep.runs()[best_run(sweep, ranking[rank])];
    std::error_code error;
    if (!std::filesystem::exists(sweep.folder_of(r) / "metrics.jsonl", error)) continue;
    auto run = reported_run(sweep.folder_of(r), sweep.settings()[r.setting].name);
    write_file(sweep.folder_of(r).string() + ".html", train::run_report({run}, by));
    if (ranking[rank].learnt() && drawn.size() < train::kMostDrawn) drawn.push_back(std::move(run));
  }
  write_file(page, train::sweep_page(sweep, drawn, by));
}

int result(Command const& c, train::Sweep const& sweep) {
  Path const page = sweep.path() / "sweep.html";
  write_pages(c, sweep, page);
  if (c.json) print(dump(sweep.json(), 2) + "\n");
  else print(table_of(sweep));
  auto const any = [&](RunStatus status) {
    return std::ranges::any_of(sweep.runs(), [&](SweepRun const& r) { return r.status == status; });
  };
  if (signalled()) {
    say(fmt::format("stopped; every run is saved. The same command goes on. So far: {}", page.string()));
    return static_cast<int>(Fault::stopped);
  }
  if (any(RunStatus::finished)) {
    auto const best = std::ranges::find(sweep.runs(), sweep.ranking()[0].setting, &SweepRun::setting);
    say(fmt::format("finished; report: {}; best: folio generate {} --prompt TEXT", page.string(),
                    shell_quoted(sweep.folder_of(*best).string())));
    return 0;
  }
  say(Level::warning, fmt::format("no run came to its end: see {}", (sweep.path() / "runs").string()));
  return static_cast<int>(any(RunStatus::failed) ? Fault::failed : Fault::diverged);
}

}  // namespace

int sweep(Arguments const& arguments) {
  Command asked, c;
  if (!parse(asked.spec(), arguments)) return 0;
  check(!asked.out.empty(), Fault::usage, "where to? Give --out with the name of the sweep's folder");
  Plan plan = plan_of(c, arguments);
  catch_signals();
  auto const with_text = settle_data(plan, c.out);
  train::Sweep sweep(c.out, plan.spec, runs_of(plan));
  if (with_text) prepare_once(*with_text, sweep);
  size_t const runs = sweep.runs().size();
  say(fmt::format("{} {} runs of {} settings in {}", sweep.resumed() ? "goes on:" : "sweep:", runs,
                  sweep.settings().size(), c.out));
  Pool(sweep, plan.base, c.jobs).run();
  return result(c, sweep);
}

}  // namespace folio::cli
