// What this machine's processor offers and which vendor libraries are linked: for `folio --version` and `folio doctor`,
// so that vendor headers stay under backend/.
#pragma once

#include <cstdint>
#include <string>

namespace folio {

/// What the cpu backend is compiled for, each with all that is before it: none is a processor without AVX2 and FMA; amx
/// has the kernels of avx512_bf16, and oneDNN's products in tiles.
enum class CpuLevel : uint8_t { none, avx2, avx512, avx512_bf16, amx };
char const* name_of(CpuLevel);

/// The highest level of this processor, or FOLIO_ISA=LEVEL where that is lower. Read once. Throws Fault::value for a
/// level that there is not.
CpuLevel level_in_use();

struct Processor {
  std::string model;  // as the system names it; "unknown processor" where it does not
  bool avx2 = false, avx512 = false, avx512_bf16 = false, amx = false;  // usable: the system saves their registers too
  CpuLevel level() const;                                               // the highest
  std::string levels_text() const;                                      // "avx2 avx512", or "none that folio uses"
};
Processor const& processor();

std::string vendor_libraries();  // "oneDNN 2.6.3"
int default_threads();           // OMP_NUM_THREADS, or the cores that this process may keep busy: core/machine.h

}  // namespace folio
