#include "train/sweep.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/error.h"
#include "core/file.h"
#include "train/history.h"
#include "train/run_directory.h"

namespace folio::train {
namespace {

constexpr int kVersion = 1;

constexpr std::pair<RunStatus, char const*> kNames[] = {{RunStatus::waiting, "waiting"},
                                                        {RunStatus::finished, "finished"},
                                                        {RunStatus::dropped, "dropped"},
                                                        {RunStatus::diverged, "diverged"},
                                                        {RunStatus::failed, "failed"}};

RunStatus status_named(std::string const& name, std::string const& file) {
  for (auto const& [status, text] : kNames)
    if (name == text) return status;
  fail(Fault::content, "{}: a run is \"{}\", which folio does not know", file, name);
}

bool judged(EvalReport const& e) { return e.step > 0 && std::isfinite(e.val); }

// Whether the folder holds no more than what a sweep writes before its record: killed there, it begins again.
bool only_begun(Path const& folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) return false;
  for (auto const& entry : std::filesystem::directory_iterator(folder)) {
    Path const& path = entry.path();
    if (path.filename() == "runs" && entry.is_directory()) {
      for (auto const& setting : std::filesystem::directory_iterator(path))
        if (setting.path().extension() != ".toml" && !is_temporary(setting.path())) return false;
    } else if (path.filename() != "lock" && !is_temporary(path)) {
      return false;
    }
  }
  return true;
}

}  // namespace

char const* name_of(RunStatus status) {
  for (auto const& [s, text] : kNames)
    if (s == status) return text;
  return "";
}

std::string folder_name(size_t number, std::string const& setting, std::optional<uint64_t> seed) {
  std::string out = fmt::format("{:03}-", number);
  for (char const c : setting) {
    bool const plain = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '=';
    if (plain) out += c;
    else if (out.back() != '-') out += '-';
    if (out.size() >= 60) break;
  }
  while (out.back() == '-') out.pop_back();
  return seed ? out + fmt::format("-seed-{}", *seed) : out;
}

Sweep::Sweep(Path const& folder, SweepSpec const& spec, std::vector<SweepRun> runs)
    : path_(folder), spec_(spec), runs_(std::move(runs)) {
  if (spec_.halving)
    for (SweepRun const& r : runs_)
      check(r.eval_every <= spec_.halving->first, Fault::value,
            "halving looks at step {}, before the first evaluation of {} at step {}: give a larger `first`, or a "
            "smaller eval-every",
            spec_.halving->first, r.folder, r.eval_every);
  std::error_code error;
  bool const there = std::filesystem::exists(folder, error);
  check(!there || std::filesystem::exists(folder / "sweep.json", error) || only_begun(folder), Fault::exists,
        "{} exists and is no sweep: give another --out", folder.string());
  make_folders(folder / "runs");
  lock_ =
      std::make_unique<FileLock>(folder / "lock", fmt::format("process {}", getpid()), "the sweep " + folder.string());
  clear_left_behind(folder);
  if (std::filesystem::exists(folder / "sweep.json", error)) {
    take_up(read_json(folder / "sweep.json"));
  } else {
    for (SweepRun const& r : runs_) write_file(path_ / "runs" / (r.folder + ".toml"), r.toml);
  }
  for (SweepRun& r : runs_) look(r);
  save();
}

void Sweep::take_up(Json const& record) {
  std::string const name = (path_ / "sweep.json").string();
  check(record.is_object() && find_string(record, "format", name) == "folio-sweep" && record.contains("runs") &&
            record["runs"].is_array(),
        Fault::content, "{} is not folio's record of a sweep: move it away, and the sweep begins again", name);
  get_version(record, kVersion, name);
  resumed_ = true;
  Json const now = json();
  for (char const* part : {"settings", "halving"})
    check(record.contains(part) && record[part] == now[part], Fault::value,
          "{} was begun with other {}: give it the file that it was begun with, or another --out", path_.string(),
          part);
  check(record["runs"].size() == runs_.size(), Fault::value,
        "{} was begun with {} runs, and now there would be {}: give it the seeds that it was begun with, or another "
        "--out",
        path_.string(), record["runs"].size(), runs_.size());
  for (size_t i = 0; i < runs_.size(); ++i) {
    SweepRun& r = runs_[i];
    Json const& was = record["runs"][i];
    check(get_string(was, "folder", name) == r.folder, Fault::value,
          "{} was begun with other runs: {} where now {} would be; give it the file that it was begun with, or another "
          "--out",
          path_.string(), get_string(was, "folder", name), r.folder);
    check(read_file(path_ / "runs" / (r.folder + ".toml")) == r.toml, Fault::value,
          "{} was begun with other values than now: see runs/{}.toml there; give them again, or another --out",
          path_.string(), r.folder);
    RunStatus const status = status_named(get_string(was, "status", name), name);
    if (status == RunStatus::diverged || status == RunStatus::finished) r.status = status;
  }
}

void Sweep::look(SweepRun& r) const {
  Path const run = folder_of(r);
  auto const steps = checkpoint_steps(run);
  r.step = steps.empty() ? 0 : steps.back();
  if (r.status == RunStatus::waiting && r.step >= r.steps) r.status = RunStatus::finished;
  History const history = history_of(run);
  r.val = r.last = NAN;
  for (EvalReport const& e : history.evals) {
    if (!judged(e)) continue;
    r.last = e.val;
    if (!(e.val >= r.val)) r.val = e.val, r.best_step = e.step;
  }
  r.seconds = history.steps.empty() ? 0 : history.steps.back().seconds;
  r.finding = history.findings.empty() ? std::nullopt : std::optional(history.findings.back());
  Path const config = checkpoint_path(run, r.step) / "config.json";
  std::error_code error;
  if (std::filesystem::exists(config, error))
    r.guessing = std::log(double(get_integer(read_json(config), "vocab_size", config.string())));
}

double Sweep::val_at(SweepRun const& r, int64_t step) const {
  double best = INFINITY;
  for (EvalReport const& e : history_of(folder_of(r)).evals)
    if (judged(e) && e.step <= step) best = std::min(best, e.val);
  return best;
}

double Sweep::val_by(size_t setting, int64_t step) const {
  double sum = 0, runs = 0;
  for (SweepRun const& r : runs_)
    if (r.setting == setting) sum += val_at(r, step), runs += 1;
  return sum / runs;
}

bool Sweep::alive(size_t setting) const {
  return std::ranges::none_of(runs_, [&](SweepRun const& r) {
    return r.setting == setting &&
           (r.status == RunStatus::dropped || r.status == RunStatus::diverged || r.status == RunStatus::failed);
  });
}

// Of the settings that are left the best 1/eta go on, at least one. Means over seeds; ties by the order of the file.
void Sweep::halve(int64_t at) {
  std::vector<std::pair<double, size_t>> order;
  auto const drop = [&](size_t setting) {
    for (SweepRun& r : runs_)
      if (r.setting == setting && r.status == RunStatus::waiting) r.status = RunStatus::dropped;
  };
  for (size_t s = 0; s < spec_.settings.size(); ++s) {
    double sum = 0;
    for (SweepRun const& r : runs_)
      if (r.setting == s) sum += val_at(r, at);
    if (alive(s)) order.emplace_back(sum, s);
    else drop(s);  // what one seed ruled out
  }
  std::ranges::sort(order);
  size_t const keep = (order.size() + size_t(spec_.halving->eta) - 1) / size_t(spec_.halving->eta);
  for (size_t i = std::max<size_t>(1, keep); i < order.size(); ++i) drop(order[i].second);
}

std::optional<SweepJob> Sweep::next() {
  for (;;) {
    int64_t at = INT64_MAX;
    if (spec_.halving) {
      int64_t most = 0;
      for (SweepRun const& r : runs_) most = std::max(most, r.steps);
      at = spec_.halving->first;
      for (int64_t i = 0; i < level_ && at < most; ++i) at *= spec_.halving->eta;
      if (at >= most) at = INT64_MAX;
    }
    for (size_t i = 0; i < runs_.size(); ++i) {
      SweepRun const& r = runs_[i];
      int64_t const until = std::min(at, r.steps);
      if (r.status != RunStatus::waiting || going_on_.contains(i) || r.step >= until) continue;
      going_on_.insert(i);
      return SweepJob{i, until};
    }
    if (!going_on_.empty() || at == INT64_MAX) return {};
    halve(at);
    ++level_;
    save();
  }
}

void Sweep::ended(SweepJob const& job, int code, std::string const& why) {
  SweepRun& r = runs_[job.run];
  going_on_.erase(job.run);
  look(r);
  bool const stopped = code == static_cast<int>(Fault::stopped);
  if (code == 0) r.status = RunStatus::finished;
  else if (code == static_cast<int>(Fault::diverged)) r.status = RunStatus::diverged;
  else if (!stopped) r.status = RunStatus::failed, r.why = why;
  save();
}

std::vector<Ranked> Sweep::ranking() const {
  std::vector<Ranked> all;
  for (size_t s = 0; s < spec_.settings.size(); ++s) {
    Ranked ranked{s};
    std::vector<double> vals;
    ranked.step = INT64_MAX;
    ranked.status = RunStatus::finished;
    auto const severity = [](RunStatus status) {
      return status == RunStatus::finished ? 0 : status == RunStatus::waiting ? 1 : static_cast<int>(status);
    };
    for (SweepRun const& r : runs_) {
      if (r.setting != s) continue;
      vals.push_back(r.val);
      ranked.step = std::min(ranked.step, r.step);
      ranked.guessing = std::fmax(ranked.guessing, r.guessing);
      if (severity(r.status) > severity(ranked.status)) ranked.status = r.status;
    }
    double sum = 0, squares = 0;
    for (double const v : vals) sum += v;
    ranked.val = sum / double(vals.size());
    for (double const v : vals) squares += (v - ranked.val) * (v - ranked.val);
    if (vals.size() > 1) ranked.deviation = std::sqrt(squares / double(vals.size() - 1));
    all.push_back(ranked);
  }
  auto const group = [](Ranked const& r) {
    return r.status == RunStatus::diverged || r.status == RunStatus::failed ? 2 : r.status == RunStatus::dropped;
  };
  std::ranges::stable_sort(all, {}, [&](Ranked const& r) {
    return std::tuple(group(r), group(r) == 1 ? -r.step : 0, std::isfinite(r.val) ? r.val : INFINITY);
  });
  return all;
}

Json Sweep::json() const {
  Json settings = Json::array(), runs = Json::array(), ranks = Json::array();
  for (Setting const& s : spec_.settings) {
    Json values = Json::object();
    for (auto const& [field, text] : s.values) values[field] = text;
    settings.push_back({{"name", s.name}, {"values", values}});
  }
  for (SweepRun const& r : runs_) {
    Json run = {{"folder", r.folder},
                {"setting", r.setting},
                {"seed", r.seed},
                {"steps", r.steps},
                {"status", name_of(r.status)},
                {"step", r.step},
                {"val", finite_or_null(r.val)},
                {"best_step", r.best_step},
                {"last", finite_or_null(r.last)},
                {"seconds", r.seconds}};
    if (!r.why.empty()) run["why"] = r.why;
    runs.push_back(std::move(run));
  }
  for (Ranked const& r : ranking())
    ranks.push_back({{"setting", r.setting},
                     {"name", spec_.settings[r.setting].name},
                     {"val", finite_or_null(r.val)},
                     {"deviation", r.deviation},
                     {"step", r.step},
                     {"status", name_of(r.status)}});
  Json all = {{"format", "folio-sweep"}, {"version", kVersion}, {"settings", settings}, {"halving", nullptr}};
  if (spec_.halving) all["halving"] = {{"first", spec_.halving->first}, {"eta", spec_.halving->eta}};
  all["runs"] = runs;
  all["ranking"] = ranks;
  return all;
}

void Sweep::save() const { write_json(path_ / "sweep.json", json()); }

}  // namespace folio::train
