#include "cli/backend_choice.h"

#include "backend/info.h"
#include "cli/version.h"
#include "core/error.h"

namespace folio::cli {

Fields BackendChoice::fields() {
  char const* group = "Machine";
  return {
      {"device", &device, "where to compute", {.choices = {"cpu", "reference"}}, group},
      {"dtype",
       &dtype,
       "type to compute in; auto: bf16 where the processor multiplies it, else f32",
       {.choices = {"auto", "f32", "bf16"}},
       group},
      {"threads",
       &threads,
       "processor threads; 0: every core that the process may keep busy",
       {.min = 0, .max = 1024},
       group},
  };
}

std::unique_ptr<Backend> BackendChoice::make() const {
  (void)compute_type();
  return device == "reference" ? make_reference_backend() : make_cpu_backend(static_cast<int>(threads));
}

DType BackendChoice::compute_type() const {
  bool const reference = device == "reference";
  check(!(reference && dtype == "bf16"), Fault::value,
        "--dtype bf16: the reference device has no bf16, it is what bf16 is compared with; give f32, or --device cpu");
  bool const native = !reference && level_in_use() >= CpuLevel::avx512_bf16;
  return dtype == "bf16" || (dtype == "auto" && native) ? DType::bf16 : DType::f32;
}

std::string BackendChoice::description() const {
  DType const d = compute_type();
  char const* more = d != DType::bf16                          ? ""
                     : level_in_use() >= CpuLevel::avx512_bf16 ? ", weights kept and sums in f32"
                                                               : ": stored so, multiplied in f32";
  return fmt::format("{} on {}{}", name_of(d), device == "cpu" ? name_of(level_in_use()) : device, more);
}

std::map<std::string, std::string> what_bits_depend_on(BackendChoice const& choice) {
  return {{"build", version_line()},
          {"device", choice.device},
          {"dtype", name_of(choice.compute_type())},
          {"instruction set", choice.device == "cpu" ? name_of(level_in_use()) : "none"},
          {"threads", std::to_string(choice.threads > 0 ? int(choice.threads) : default_threads())},
          {"libraries", vendor_libraries()}};
}

}  // namespace folio::cli
