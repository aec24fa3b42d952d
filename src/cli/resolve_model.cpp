#include "cli/resolve_model.h"

#include "cli/kind.h"
#include "model/checkpoint.h"
#include "train/run_directory.h"

namespace folio::cli {

Path resolve_model(Path const& path) {
  Kind const kind = what_is(path);
  if (kind == Kind::run) return train::preferred_checkpoint(path);
  std::error_code ignored;  // half a model: model::ModelDirectory says which half is missing
  for (char const* part : {"config.json", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"})
    if (kind != Kind::data && std::filesystem::exists(path / part, ignored)) return path;
  expect_model(path);
  return path;
}

Path verified_model(Path const& path) {
  Path const model = resolve_model(path);
  std::error_code ignored;
  if (what_is(model) == Kind::checkpoint && std::filesystem::exists(model / "manifest.json", ignored))
    model::verify_manifest(model, "optimizer.safetensors");
  return model;
}

}  // namespace folio::cli
