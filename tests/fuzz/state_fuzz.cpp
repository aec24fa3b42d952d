// state.json of a checkpoint: what is read is written, and read again as it was.
#include <nlohmann/json.hpp>

#include "backend/spike_score.h"
#include "core/error.h"
#include "core/json.h"
#include "tests/fuzz/fuzz.h"
#include "train/checkpoint.h"

using namespace folio;

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  return fuzz::run(
      [&] {
        train::RunState const state =
            train::run_state_from(parse_json(fuzz::text_of(data, size), "state.json"), "state.json");
        StepState step = state.step_state;  // what the next step does with it
        spike_score(step), enter(step);
        std::string const once = dump(train::to_json(state));
        check(dump(train::to_json(train::run_state_from(parse_json(once, "written"), "written"))) == once,
              "what was written is read otherwise: {}", once);
      },
      size, {.each = 40});
}
