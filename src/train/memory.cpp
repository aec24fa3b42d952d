#include "train/memory.h"

#include <malloc.h>

#include <algorithm>

#include "train/metrics.h"

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

size_t memory_before() {
  ::malloc_trim(0);
  return size_t(resident_memory());
}

MemoryPlan memory_plan(Backend const& backend, Trainer& trainer, std::vector<MemoryRole> const& more, size_t before) {
  MemoryPlan plan;
  auto const add = [&](std::string const& name, size_t bytes) {
    if (bytes == 0) return;
    if (!plan.roles.empty() && plan.roles.back().name == name) plan.roles.back().bytes += bytes;
    else plan.roles.push_back({name, bytes});
  };
  for (Arena const* a : trainer.arenas()) {
    bool const moments = a->role() == "first moments" || a->role() == "second moments";
    add(moments ? "optimizer state" : a->role(), a->bytes());
  }
  for (MemoryRole const& role : more) add(role.name, role.bytes);
  plan.device = backend.device_memory();
  // On a device nothing planned is resident, and what its driver holds of the process was not there before.
  size_t const there = plan.device.total ? memory_before() : before;
  plan.process = {"program and libraries", there + besides(plan.of_roles())};
  return plan;
}

}  // namespace folio::train
