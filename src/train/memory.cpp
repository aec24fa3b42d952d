#include "train/memory.h"

#include <malloc.h>

#include <algorithm>

#include "core/host_memory.h"
#include "model/evaluate.h"
#include "train/live_diagnosis.h"
#include "train/metrics.h"
#include "train/statistics.h"

namespace folio::train {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// What training adds outside its arenas, as measured (docs/performance.md): stacks of threads, the libraries' code as
// it is first used, the products' primitives and what they pack into. In a narrow type the largest of that are a chunk
// of logits and the left factor of the widest product.
size_t besides(size_t arenas, TrainerOptions const& o) {
  bool const narrow = o.dtype == DType::bf16 || o.dtype == DType::f16;
  size_t const common = (narrow ? 6 * kMiB : 10 * kMiB) + std::min(10 * kMiB, arenas / 32);
  if (!narrow) return common;
  return common + size_t(o.chunk * o.config.vocab) + 2 * size_t(o.batch * o.length * 4 * o.config.channels);
}

}  // namespace

bool on_host(MemoryRole const& role) { return role.name == Saver::kRole || role.name == LiveDiagnosis::kRole; }

size_t MemoryPlan::of_roles() const {
  size_t sum = 0;
  for (MemoryRole const& role : roles)
    if (!device.total || !on_host(role)) sum += role.bytes;
  return sum;
}
size_t MemoryPlan::total() const {
  size_t sum = process.bytes;
  for (MemoryRole const& role : roles)
    if (!device.total || on_host(role)) sum += role.bytes;
  return sum;
}

size_t MemoryPlan::asks_of_host() const { return device.total ? total() - held : 0; }

size_t MemoryPlan::asks() const { return device.total ? of_roles() : total() - held; }

size_t memory_before() {
  ::malloc_trim(0);
  return size_t(resident_memory());
}

std::vector<MemoryRole> run_roles(Backend& backend, RunOptions const& run, TrainerOptions const& o) {
  std::vector<MemoryRole> roles = Trainer::plan(backend, o);
  if (MemoryRole const snapshot = Saver::plan(save_options(run), roles); snapshot.bytes > 0) roles.push_back(snapshot);
  roles.push_back(model::Evaluator::plan(backend, o.config, o.batch, o.length, o.dtype));
  if (run.stats_every > 0) roles.push_back(StatisticsTaker::plan(o.config, o.dtype));
  return roles;
}

MemoryPlan memory_plan(Backend const& backend, std::vector<MemoryRole> const& roles, TrainerOptions const& options,
                       size_t before) {
  MemoryPlan plan;
  size_t rounding = 0;
  for (auto const& [role, bytes] : roles) {
    bool const moments = role == "first moments" || role == "second moments";
    std::string const name = moments ? "optimizer state" : role;
    if (bytes == 0) continue;
    rounding += in_large_pages(bytes) - bytes;
    if (!plan.roles.empty() && plan.roles.back().name == name) plan.roles.back().bytes += bytes;
    else plan.roles.push_back({name, bytes});
  }
  plan.device = backend.device_memory();
  // What a device's driver holds of the process was not there before; nothing planned is.
  size_t const there = plan.device.total ? memory_before() : before;
  plan.held = there;
  plan.process = {"program and libraries",
                  there + besides(plan.of_roles(), options) + (plan.device.total ? 0 : rounding)};
  return plan;
}

}  // namespace folio::train
