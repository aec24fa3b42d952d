// folio export: a model directory in another type.
#include "model/export.h"

#include <nlohmann/json.hpp>

#include "cli/resolve_model.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "core/progress.h"

namespace folio::cli {

int export_(Arguments const& arguments) {
  std::vector<std::string> models;
  std::string out, dtype = "bf16";
  bool json = false;
  Spec const spec{
      .name = "export",
      .summary = "a model in another type: half the size as bf16 or f16",
      .details =
          "Writes a Hugging Face directory: the tensors rounded to the nearest value of the type, config.json, the "
          "tokenizer and whatever else lies beside the model. What only training needs stays behind.",
      .example = "folio export runs/first --out small --dtype bf16",
      .positionals = {{"MODEL", &models, "a model directory, a run or a checkpoint"}},
      .fields = {{"out", &out, "directory to make", {}, "Output"},
                 {"dtype",
                  &dtype,
                  "type of the tensors; FOLIO_DTYPE, which is for computing, does not set it",
                  {.choices = {"bf16", "f16", "f32"}, .by_flag_only = true},
                  "Output"},
                 {"json", &json, "print one JSON object", {}, "Output"}}};
  if (!parse(spec, arguments)) return 0;
  check(!out.empty(), Fault::usage, "where to? Give --out with a directory to make");
  model::ModelDirectory const model(verified_model(models[0]));
  FolderWriter folder(out);
  export_model(folder.path(), model, dtype == "bf16" ? DType::bf16 : dtype == "f16" ? DType::f16 : DType::f32);
  folder.commit();
  uint64_t const bytes = model::ModelDirectory(out).stored_bytes();
  if (json)
    print(
        dump(Json{{"path", out}, {"dtype", dtype}, {"stored_bytes", bytes}, {"from_bytes", model.stored_bytes()}}, 2) +
        '\n');
  else
    print(wrapped(fmt::format("{}: {} in {}, from {} in {}", out, format_bytes(double(bytes)), dtype,
                              format_bytes(double(model.stored_bytes())), model.dtype()),
                  0));
  return 0;
}

}  // namespace folio::cli
