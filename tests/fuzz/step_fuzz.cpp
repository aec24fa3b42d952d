// A step in a file, for folio train --replay.
#include "tests/fuzz/fuzz.h"
#include "train/step_file.h"

using namespace folio;

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  Path const path = fuzz::put("step.safetensors", fuzz::text_of(data, size));
  return fuzz::run([&] { (void)train::read_step(path); }, size, {.each = 60});
}
