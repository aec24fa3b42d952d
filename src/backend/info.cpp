#include "backend/info.h"

#include <cpuid.h>
#include <fmt/core.h>
#include <omp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>

#include "core/error.h"
#include "core/log.h"
#include "core/machine.h"

namespace folio {

namespace {

std::string model_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name"))
      if (size_t const colon = line.find(": "); colon != line.npos) return line.substr(colon + 2);
  return "unknown processor";
}

bool amx_usable() {  // tiles and both products, and the system grants the tile registers on request
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25;
  if ((d & (kBf16 | kTile | kInt8)) != (kBf16 | kTile | kInt8)) return false;
  constexpr long kSupported = 0x1021, kTileData = 1L << 18;  // ARCH_GET_XCOMP_SUPP, XFEATURE_XTILEDATA
  unsigned long features = 0;
  return ::syscall(SYS_arch_prctl, kSupported, &features) == 0 && (features & kTileData) != 0;
}

Processor look() {
  __builtin_cpu_init();
  Processor p;
  p.model = model_name();
  p.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  p.avx512 = p.avx2 && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq");
  p.avx512_bf16 = p.avx512 && __builtin_cpu_supports("avx512bf16");
  p.amx = p.avx512_bf16 && amx_usable();
  return p;
}

constexpr CpuLevel kLevels[] = {CpuLevel::avx2, CpuLevel::avx512, CpuLevel::avx512_bf16, CpuLevel::amx};

CpuLevel chosen_level() {
  CpuLevel const most = processor().level();
  char const* const asked = std::getenv("FOLIO_ISA");
  if (!asked || !*asked) return most;
  for (CpuLevel const level : kLevels)
    if (name_of(level) == std::string_view(asked)) return std::min(level, most);
  fail(Fault::value, "FOLIO_ISA={}: avx2, avx512, avx512_bf16 or amx expected", asked);
}

}  // namespace

char const* name_of(CpuLevel level) {
  constexpr char const* kNames[] = {"none", "avx2", "avx512", "avx512_bf16", "amx"};
  return kNames[static_cast<int>(level)];
}

CpuLevel level_in_use() {
  static CpuLevel const level = chosen_level();
  return level;
}

CpuLevel Processor::level() const {
  return amx           ? CpuLevel::amx
         : avx512_bf16 ? CpuLevel::avx512_bf16
         : avx512      ? CpuLevel::avx512
         : avx2        ? CpuLevel::avx2
                       : CpuLevel::none;
}

std::string Processor::levels_text() const {
  std::string text;
  for (CpuLevel const l : kLevels)
    if (l <= level()) (text += text.empty() ? "" : " ") += name_of(l);
  return text.empty() ? "none that folio uses" : text;
}

Processor const& processor() {
  static Processor const found = look();
  return found;
}

std::string vendor_libraries() {
  dnnl_version_t const* v = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", v->major, v->minor, v->patch);
}

int default_threads() {
  constexpr int kMost = 1024;
  std::string_view const asked = [] {
    char const* const text = std::getenv("OMP_NUM_THREADS");
    return text ? std::string_view(text) : std::string_view();
  }();
  int threads = 0;  // "4", or "4,2": a list, of which the first counts
  auto const [end, error] = std::from_chars(asked.data(), asked.data() + asked.size(), threads);
  bool const whole = end == asked.data() + asked.size() || *end == ',';
  if (error == std::errc{} && whole && 1 <= threads && threads <= kMost) return threads;
  static std::once_flag said;
  if (!asked.empty())
    std::call_once(said, [&] {
      say(Level::warning, fmt::format("OMP_NUM_THREADS is {}: it is passed over, for it is no number from 1 to {}",
                                      asked.substr(0, 40), kMost));
    });
  return look_at_machine().granted_cores();
}

}  // namespace folio
