#include "cli/backend_choice.h"

#include "backend/info.h"
#include "backend/plugin.h"
#include "cli/version.h"
#include "core/error.h"

namespace folio::cli {

Fields BackendChoice::fields(bool training) {
  char const* group = "Machine";
  Fields const all = {
      {"device",
       &device,
       "where to compute; cuda: the first NVIDIA GPU, cuda:N: that of number N",
       {.choices = {"cpu", "cuda", "cuda:N", "reference"}},
       group},
      {"dtype",
       &dtype,
       "type to compute in; auto: bf16 where the device multiplies it, else f32; f16: the cpu device",
       {.choices = {"auto", "f32", "bf16", "f16"}},
       group},
      {"threads",
       &threads,
       "processor threads; 0: every core that the process may keep busy",
       {.min = 0, .max = 1024},
       group},
  };
  if (!training) return all;
  return joined({all,
                 {
                     {"tf32",
                      &tf32,
                      "on a GPU in f32: products of training read their factors rounded to TF32, faster and less exact",
                      {.with = {{"device", {"cuda", "cuda:N"}}, {"dtype", {"auto", "f32"}}}},
                      group},
                     {"graph",
                      &graph,
                      "on a GPU: a step of training is recorded and launched whole; the bits are the same",
                      {},
                      group},
                 }});
}

CudaOptions BackendChoice::cuda() const {
  size_t const colon = device.find(':');
  int const number = colon == device.npos ? 0 : std::stoi(device.substr(colon + 1));
  return {.device = number, .tf32 = in_tf32(), .graph = graph};
}

std::unique_ptr<Backend> BackendChoice::make() const {
  (void)compute_type();
  if (on_gpu()) return make_cuda_backend(cuda());
  return device == "reference" ? make_reference_backend() : make_cpu_backend(static_cast<int>(threads));
}

DType BackendChoice::compute_type() const {
  bool const reference = device == "reference";
  bool const narrow = dtype == "bf16" || dtype == "f16";
  check(!(reference && narrow), Fault::value,
        "--dtype {0}: the reference device has no {0}, it is what {0} is compared with; give f32, or --device cpu",
        dtype);
  check(!(on_gpu() && dtype == "f16"), Fault::value,
        "--dtype f16 with --device {}: every GPU that folio computes on multiplies bf16, which is as fast and needs no "
        "gradient scaler; give bf16, or --device cpu",
        device);
  // Every GPU that folio computes on multiplies bf16; what was asked to be TF32 is f32.
  bool const native = on_gpu() ? !tf32 : !reference && level_in_use() >= CpuLevel::avx512_bf16;
  if (dtype == "f16") return DType::f16;
  return dtype == "bf16" || (dtype == "auto" && native) ? DType::bf16 : DType::f32;
}

std::string BackendChoice::device_text() const {
  if (on_gpu()) return fmt::format("{} (cuda:{})", cuda_gpu(cuda().device).name, cuda().device);
  return device == "cpu" ? name_of(level_in_use()) : device;
}

std::string BackendChoice::type_text() const {
  return fmt::format("{}{}", name_of(compute_type()), in_tf32() ? " (TF32)" : "");
}

std::string BackendChoice::description() const {
  DType const d = compute_type();
  bool const native = d == DType::bf16 && (on_gpu() || level_in_use() >= CpuLevel::avx512_bf16);
  char const* more = in_tf32()         ? ", products in TF32"
                     : d == DType::f32 ? ""
                     : native          ? ", weights kept and sums in f32"
                                       : ": stored so, multiplied in f32";
  return fmt::format("{} on {}{}", name_of(d), device_text(), more);
}

std::map<std::string, std::string> what_bits_depend_on(BackendChoice const& choice) {
  std::map<std::string, std::string> what = {{"build", version_line()}, {"dtype", name_of(choice.compute_type())}};
  if (choice.on_gpu()) {  // the number of the GPU, and whether a step is a graph, change no bit
    CudaStatus const& s = cuda_status();
    std::string const device = choice.device_text();
    what["device"] = "cuda, " + device.substr(0, device.rfind(" ("));
    what["libraries"] = fmt::format("cublasLt {}, driver {}", s.cublaslt,
                                    s.driver_release.empty() ? cuda_version_text(s.driver) : s.driver_release);
    what["tf32"] = choice.in_tf32() ? "on" : "off";
    return what;
  }
  what["device"] = choice.device;
  what["instruction set"] = choice.device == "cpu" ? name_of(level_in_use()) : "none";
  what["threads"] = std::to_string(choice.threads > 0 ? int(choice.threads) : default_threads());
  what["libraries"] = vendor_libraries();
  return what;
}

}  // namespace folio::cli
