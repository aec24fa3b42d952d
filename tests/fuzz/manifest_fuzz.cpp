// manifest.json of a checkpoint, beside one file, and of prepared data; and best.json.
#include "data/manifest.h"
#include "model/checkpoint.h"
#include "tests/fuzz/fuzz.h"
#include "train/run_directory.h"

using namespace folio;

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  auto const text = fuzz::text_of(data, size);
  fuzz::put("whole/a.txt", "a");
  Path const folder = fuzz::put("whole/manifest.json", text).parent_path();
  Path const run = fuzz::put("run/best.json", text).parent_path();
  int result = fuzz::run([&] { (void)model::damage_of(folder); }, size, {.each = 60});
  result |= fuzz::run([&] { (void)data::read_manifest(folder); }, size, {.each = 60});
  result |= fuzz::run([&] { (void)train::read_best(run); }, size, {.each = 60});
  return result;
}
