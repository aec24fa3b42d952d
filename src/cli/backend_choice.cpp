#include "cli/backend_choice.h"

#include "backend/info.h"
#include "cli/version.h"
#include "core/error.h"

namespace folio::cli {

Fields BackendChoice::fields() {
  char const* group = "Machine";
  return {
      {"device", &device, "where to compute", {.choices = {"cpu", "reference"}}, group},
      {"dtype", &dtype, "type to compute in", {.choices = {"f32"}}, group},
      {"threads",
       &threads,
       "processor threads; 0: every core that the process may keep busy",
       {.min = 0, .max = 1024},
       group},
  };
}

std::unique_ptr<Backend> BackendChoice::make() const {
  return device == "reference" ? make_reference_backend() : make_cpu_backend(static_cast<int>(threads));
}

std::map<std::string, std::string> what_bits_depend_on(BackendChoice const& choice) {
  return {{"build", version_line()},
          {"device", choice.device},
          {"dtype", choice.dtype},
          {"instruction set", choice.device == "cpu" ? name_of(level_in_use()) : "none"},
          {"threads", std::to_string(choice.threads > 0 ? int(choice.threads) : default_threads())},
          {"libraries", vendor_libraries()}};
}

}  // namespace folio::cli
