// A run's config.toml, and the same text as the plan of a sweep.
#include "core/error.h"
#include "model/sizes.h"
#include "tests/fuzz/fuzz.h"
#include "train/options.h"
#include "train/sweep_spec.h"

using namespace folio;

namespace {

struct Told {
  train::RunOptions run;
  model::ModelOptions model;
  Fields fields() { return joined({model.fields(), train::fields(run)}); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  auto const text = fuzz::text_of(data, size);
  int const config = fuzz::run(
      [&] {
        Told told, again;
        from_toml(told.fields(), text, "config.toml");
        from_toml(again.fields(), to_toml(told.fields()), "written");
        check(to_toml(again.fields()) == to_toml(told.fields()), "what was written is read otherwise");
        train::validate(told.run);
      },
      size, {.each = 200});
  int const sweep = fuzz::run(
      [&] {
        Told base, probe;
        (void)train::config_of_sweep(text, "sweep.toml");
        (void)train::read_sweep(text, "sweep.toml", base.fields(), probe.fields());
      },
      size, {.each = 2000});
  return config | sweep;
}
