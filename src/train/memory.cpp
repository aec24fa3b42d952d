#include "train/memory.h"

#include <malloc.h>

#include <algorithm>

#include "model/evaluate.h"
#include "train/metrics.h"
#include "train/statistics.h"

namespace folio::train {
namespace {

// What training adds outside its arenas, as measured: stacks of threads and the libraries' code as it is first used,
// and with the size of the model the products' primitives and packed blocks, and what is left over of large pages.
size_t besides(size_t arenas) { return (size_t{8} << 20) + std::min(size_t{32} << 20, arenas / 8); }

}  // namespace

size_t MemoryPlan::of_roles() const {
  size_t sum = 0;
  for (MemoryRole const& role : roles) sum += role.bytes;
  return sum;
}
size_t MemoryPlan::total() const { return process.bytes + (device.total ? 0 : of_roles()); }

size_t MemoryPlan::asks() const { return device.total ? of_roles() : total() - held; }

size_t memory_before() {
  ::malloc_trim(0);
  return size_t(resident_memory());
}

std::vector<MemoryRole> run_roles(Backend& backend, RunOptions const& run, TrainerOptions const& o) {
  std::vector<MemoryRole> roles = Trainer::plan(backend, o);
  roles.push_back(model::Evaluator::plan(backend, o.config, o.batch, o.length, o.dtype));
  if (run.stats_every > 0) roles.push_back(StatisticsTaker::plan(o.config, o.dtype));
  return roles;
}

MemoryPlan memory_plan(Backend const& backend, std::vector<MemoryRole> const& roles, size_t before) {
  MemoryPlan plan;
  for (auto const& [role, bytes] : roles) {
    bool const moments = role == "first moments" || role == "second moments";
    std::string const name = moments ? "optimizer state" : role;
    if (bytes == 0) continue;
    if (!plan.roles.empty() && plan.roles.back().name == name) plan.roles.back().bytes += bytes;
    else plan.roles.push_back({name, bytes});
  }
  plan.device = backend.device_memory();
  // What a device's driver holds of the process was not there before; nothing planned is.
  size_t const there = plan.device.total ? memory_before() : before;
  plan.held = there;
  plan.process = {"program and libraries", there + besides(plan.of_roles())};
  return plan;
}

}  // namespace folio::train
