#include "train/bad_steps.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"

namespace folio::train {
namespace {

constexpr int64_t kPast = 32;  // steps behind where it failed: the run has got past it
constexpr int64_t kSoon = 10;  // steps behind a checkpoint: it may hold what made the step bad

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
  check(0 <= r.to && r.to < r.step && 1 <= r.in_a_row && r.in_a_row <= kMostRollbacks, Fault::content,
        "{}: a rollback from step {} to {}, {} in a row", where, r.step, r.to, r.in_a_row);
  return r;
}

std::optional<Retreat> retreat_from(int64_t step, std::vector<Rollback> const& before,
                                    std::vector<int64_t> const& checkpoints) {
  Retreat retreat;
  int64_t below = step;
  if (!before.empty()) {
    Rollback const& last = before.back();
    int64_t furthest = 0;
    for (size_t i = before.size() - std::min(before.size(), size_t(last.in_a_row)); i < before.size(); ++i)
      furthest = std::max(furthest, before[i].step);
    if (step <= furthest + kPast) retreat.in_a_row = last.in_a_row + 1;
    if (retreat.in_a_row > 1 && step <= last.to + kSoon) below = last.to;
  }
  for (int64_t const limit : {below, step}) {
    auto const at = std::ranges::lower_bound(checkpoints, limit);
    if (at == checkpoints.begin()) continue;
    retreat.to = at[-1];
    return retreat;
  }
  return {};
}

std::optional<LoggedRollback> rollback_behind(Path const& metrics, uint64_t bytes, int64_t newest) {
  std::string const text = read_file(metrics);
  std::vector<Rollback> seen;
  std::optional<LoggedRollback> found;
  for (size_t at = bytes, end; (end = text.find('\n', at)) != text.npos; at = end + 1) {
    std::string_view const line = std::string_view(text).substr(at, end - at);
    if (line.find("\"rollback\"") == line.npos) continue;
    try {
      Json const json = parse_json(line, metrics.string());
      if (!json.is_object() || find_string(json, "type", metrics.string()) != "rollback") continue;
      seen.push_back(rollback_from(json, metrics.string()));
    } catch (Error const&) {
      continue;  // behind what a checkpoint knows, a crash may have left anything
    }
    if (seen.back().to <= newest) found = LoggedRollback{seen, end + 1};
  }
  return found;
}

}  // namespace folio::train
