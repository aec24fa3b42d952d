// config.json of a model: what is read is written, and read again as it was.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "model/config_json.h"
#include "tests/fuzz/fuzz.h"

using namespace folio;

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  return fuzz::run(
      [&] {
        model::ModelInfo const info =
            model::parse_config(parse_json(fuzz::text_of(data, size), "config.json"), "config.json");
        std::string const written = model::config_json(info);
        check(model::parse_config(parse_json(written, "written"), "written").config == info.config,
              "what was written is read otherwise: {}", written);
      },
      size, {.each = 40});
}
