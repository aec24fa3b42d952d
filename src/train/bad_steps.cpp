#include "train/bad_steps.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "train/log_lines.h"

namespace folio::train {
namespace {

constexpr int64_t kSoon = 10;   // steps behind a checkpoint: it may hold what made the step bad
constexpr int64_t kClose = 10;  // steps between two failures: the place is the same

}  // namespace

Json to_json(Spike const& s) {
  return {{"type", "spike"}, {"step", s.step}, {"score", s.score}, {"accepted", s.accepted}};
}

Spike spike_from(Json const& line, std::string const& where) {
  return {.step = get_integer(line, "step", where),
          .score = get_number(line, "score", where),
          .accepted = get_bool(line, "accepted", where)};
}

Json to_json(Rollback const& r) {
  return {{"type", "rollback"},
          {"step", r.step},
          {"to", r.to},
          {"why", r.why},
          {"in_a_row", r.in_a_row},
          {"skipped", r.skipped},
          {"epoch", r.data.epoch},
          {"position", r.data.position}};
}

Rollback rollback_from(Json const& line, std::string const& where) {
  Rollback const r{
      .step = get_integer(line, "step", where),
      .to = get_integer(line, "to", where),
      .why = get_string(line, "why", where),
      .in_a_row = get_integer(line, "in_a_row", where),
      .skipped = get_integer(line, "skipped", where),
      .data = {.epoch = get_integer(line, "epoch", where), .position = get_integer(line, "position", where)}};
  check(0 <= r.to && r.to < r.step && r.step <= kMostSteps && 1 <= r.in_a_row && r.in_a_row <= kMostRollbacks &&
            0 <= r.skipped && r.skipped <= kMostSteps,
        Fault::content, "{}: a rollback from step {} to {}, {} in a row, {} batches passed over", where, r.step, r.to,
        r.in_a_row, r.skipped);
  return r;
}

std::optional<Retreat> retreat_from(int64_t step, std::vector<Rollback> const& before,
                                    std::vector<int64_t> const& checkpoints) {
  auto const newest_below = [&](int64_t limit) -> std::optional<int64_t> {
    auto const at = std::ranges::lower_bound(checkpoints, limit);
    return at == checkpoints.begin() ? std::nullopt : std::optional(at[-1]);
  };
  auto const newest = newest_below(step);
  if (!newest) return {};
  auto const row = std::ranges::max_element(before, {}, &Rollback::to);  // the first of them
  if (row == before.end() || row->to < *newest) return Retreat{.to = *newest};

  bool held = false, close = false;
  int64_t oldest = *newest;
  for (auto r = row; r != before.end(); ++r) {
    held |= r->to == *newest && step <= r->to + kSoon;
    close |= std::abs(step - r->step) <= kClose;
    oldest = std::min(oldest, r->to);
  }
  return Retreat{.to = held ? newest_below(oldest).value_or(*newest) : *newest,
                 .in_a_row = before.back().in_a_row + (held || close)};
}

std::optional<LoggedRollback> rollback_behind(Path const& metrics, uint64_t bytes, int64_t newest,
                                              std::function<bool(data::Batcher::State const&)> const& has) {
  LogLines lines(metrics, bytes);
  std::vector<Rollback> seen;
  std::optional<LoggedRollback> found;
  for (std::string line; lines.next(line);) {
    if (line.find("\"rollback\"") == line.npos) continue;
    try {
      Json const json = parse_json(line, metrics.string());
      if (!json.is_object() || find_string(json, "type", metrics.string()) != "rollback") continue;
      Rollback const rollback = rollback_from(json, metrics.string());
      if (!has(rollback.data)) continue;
      seen.push_back(rollback);
    } catch (Error const&) {
      continue;  // behind what a checkpoint knows, a crash may have left anything
    }
    if (seen.back().to <= newest) found = LoggedRollback{seen, lines.at()};
  }
  return found;
}

}  // namespace folio::train
