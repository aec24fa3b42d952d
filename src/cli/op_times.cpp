#include "cli/op_times.h"

#include <algorithm>

#include "core/clock.h"
#include "core/error.h"

namespace folio::cli {
namespace {

char const* name_of(Phase p) {
  constexpr char const* names[] = {"forward", "recompute", "backward", "update"};
  return names[static_cast<int>(p)];
}

}  // namespace

OpTimes::OpTimes(Backend& backend, Tensor probe) : backend_(backend), probe_(probe.reshaped({1})) {
  backend.observe([this](Event const& e) {
    wait();
    double const time = now();
    Spent& s = spent_[{e.op, e.phase}];
    s.seconds += time - last_, ++s.calls;
    last_ = time;
  });
}
OpTimes::~OpTimes() { backend_.observe({}); }

void OpTimes::wait() {
  std::byte element[16];
  backend_.download(element, probe_);
}

void OpTimes::begin() {
  wait();
  last_ = now();
}

std::vector<BenchRow> OpTimes::rows() const {
  std::vector<BenchRow> rows;
  double total = 0;
  for (auto const& [key, s] : spent_) total += s.seconds;
  for (auto const& [key, s] : spent_)
    rows.push_back({.name = fmt::format("  {}, {} × {}", key.first, name_of(key.second), s.calls),
                    .value = 100 * s.seconds / total,
                    .unit = "%",
                    .seconds = s.seconds});
  std::ranges::sort(rows, std::greater{}, &BenchRow::seconds);
  return rows;
}

}  // namespace folio::cli
