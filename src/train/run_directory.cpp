#include "train/run_directory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

namespace folio::train {
namespace {

constexpr int kBestVersion = 1;

std::string who() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  auto const now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  char when[32] = "";
  std::strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", std::gmtime(&now));
  return fmt::format("process {} on {} since {}", getpid(), host, when);
}

std::optional<int64_t> step_of(std::string const& name) {
  constexpr std::string_view kPrefix = "step-";
  if (name.size() < kPrefix.size() + 8 || !name.starts_with(kPrefix)) return {};
  int64_t step = 0;
  char const* const end = name.data() + name.size();
  auto const [at, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || at != end) return {};
  return step;
}

}  // namespace

RunDirectory::RunDirectory(Path const& path) : path_(path) {
  lock_ = std::make_unique<FileLock>(path / "lock", who(), "the run " + path.string());
  if (!lock_->previous().empty())
    notes_.push_back(fmt::format("the run was left locked by {}, which is gone: taken over", lock_->previous()));
}

RunDirectory RunDirectory::create(Path const& path, std::function<std::string(Path const&)> const& fill) {
  std::error_code error;
  check(!std::filesystem::exists(path, error), Fault::exists,
        "{} exists: give another --out, or continue the run in it with --resume", path.string());
  {
    FolderWriter folder(path);
    write_file(folder.path() / "config.toml", fill(folder.path()));
    make_folders(folder.path() / "checkpoints");
    folder.commit();
  }
  return RunDirectory(path);
}

RunDirectory RunDirectory::open(Path const& path) {
  check(is_run_directory(path), Fault::missing, "{} is not a run: a run has config.toml and checkpoints/",
        path.string());
  for (char const* name : {"config.toml", "best.json", "metrics.jsonl"}) check_regular(path / name);
  RunDirectory run(path);
  int cleared = 0;
  for (Path const& folder : {path, path / "checkpoints"}) cleared += clear_left_behind(folder);
  if (cleared > 0)
    run.notes_.push_back(fmt::format("cleared away {} unfinished save(s) of an interrupted run", cleared));
  return run;
}

bool is_run_directory(Path const& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path / "config.toml", error) &&
         std::filesystem::is_directory(path / "checkpoints", error);
}

Path checkpoint_path(Path const& run, int64_t step) { return run / "checkpoints" / fmt::format("step-{:08}", step); }
Path RunDirectory::checkpoint(int64_t step) const { return checkpoint_path(path_, step); }

std::vector<int64_t> checkpoint_steps(Path const& run) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (auto const& entry : std::filesystem::directory_iterator(run / "checkpoints", error))
    if (auto const step = step_of(entry.path().filename().string())) steps.push_back(*step);
  std::ranges::sort(steps);
  return steps;
}

std::string RunDirectory::broken_step(int64_t step) const {
  std::string const name = fmt::format("not-finite-{:08}.safetensors", step);
  std::error_code error;
  for (auto const& entry : std::filesystem::directory_iterator(path_, error))
    if (std::string const other = entry.path().filename().string();
        other.starts_with("not-finite-") && other.ends_with(".safetensors") && other != name)
      return "";
  return name;
}

void RunDirectory::set_best(Best const& best) {
  write_json(
      path_ / "best.json",
      {{"format", "folio-best"}, {"version", kBestVersion}, {"step", best.step}, {"val_loss", bits_of(best.val)}});
}

void RunDirectory::forget_after(int64_t step, std::optional<Best> const& best) {
  if (best && std::filesystem::is_directory(checkpoint(best->step))) set_best(*best);
  else folio::remove_all(path_ / "best.json");
  for (int64_t const left : checkpoint_steps(path_))
    if (left > step) folio::remove_all(checkpoint(left));
}

std::optional<Best> read_best(Path const& run) {
  Path const path = run / "best.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  Json const json = read_json(path);
  check(json.is_object() && find_string(json, "format", path.string()) == "folio-best", Fault::content,
        "{} is not folio's record of the best checkpoint: remove it, and the newest checkpoint counts", path.string());
  get_version(json, kBestVersion, path.string());
  Best const best{get_integer(json, "step", path.string()),
                  from_bits(get_string(json, "val_loss", path.string()), path.string())};
  if (!std::filesystem::is_directory(checkpoint_path(run, best.step), error)) return {};
  return best;
}

Path preferred_checkpoint(Path const& run) {
  if (auto const best = read_best(run)) return checkpoint_path(run, best->step);
  auto const steps = checkpoint_steps(run);
  check(!steps.empty(), Fault::missing, "{} has no checkpoint yet: train on with `folio train --out {} --resume auto`",
        run.string(), run.string());
  return checkpoint_path(run, steps.back());
}

void RunDirectory::restore_best(std::optional<Best> const& best) {
  std::optional<Best> named;
  std::string damage;
  try {
    named = read_best(path_);
  } catch (Error const& e) {
    if (e.fault != Fault::content) throw;
    damage = e.what();
  }
  if (best && std::filesystem::is_directory(checkpoint(best->step))) {
    if (!named || *named != *best) set_best(*best);  // what is right is not written: the disk may be full
    return;
  }
  if (named) return;
  if (!damage.empty())
    say(Level::warning, fmt::format("{}: it goes, for the run knows of no best checkpoint yet", damage));
  folio::remove_all(path_ / "best.json");
}

void RunDirectory::rotate(int64_t keep, int64_t every, std::optional<Best> const& best,
                          std::function<bool(int64_t)> const& was_due) {
  auto const steps = checkpoint_steps(path_);
  auto const named = read_best(path_);
  std::vector<int64_t> left;
  bool const newest_due = !steps.empty() && was_due(steps.back());
  int64_t newer = 0, newer_due = 0;
  for (size_t i = steps.size(); i-- > 0;) {
    int64_t const step = steps[i];
    bool const is_best = (named && named->step == step) || (best && best->step == step);
    bool const due = (newer_due < keep || !newest_due) && was_due(step);
    if (newer >= keep && !due && !is_best && (every == 0 || step == 0 || step % every != 0)) left.push_back(step);
    ++newer, newer_due += due;
  }
  for (size_t i = left.size(); i-- > 0;) folio::remove_all(checkpoint(left[i]));
}

}  // namespace folio::train
