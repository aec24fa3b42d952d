// A model directory: config.json, the index of a model in parts (empty: none), model.safetensors.
#include "model/checkpoint.h"
#include "tests/fuzz/fuzz.h"

using namespace folio;

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  auto const files = fuzz::parts(fuzz::text_of(data, size), 3);
  Path const folder = fuzz::folder() / "model";
  fuzz::put("model/config.json", files[0]);
  bool const parted = !files[1].empty();
  std::filesystem::remove(folder / (parted ? "model.safetensors" : "part.safetensors"));
  std::filesystem::remove(folder / "model.safetensors.index.json");
  if (parted) fuzz::put("model/model.safetensors.index.json", files[1]);
  fuzz::put(parted ? "model/part.safetensors" : "model/model.safetensors", files[2]);
  return fuzz::run(
      [&] {
        model::ModelDirectory const model(folder);
        (void)model.dtype(), (void)model.stored(), (void)model.stored_bytes();
      },
      size, {.each = 60});
}
