// What this machine's processor offers and which vendor libraries are linked: for `folio --version` and `folio doctor`,
// so that vendor headers stay under backend/.
#pragma once

#include <string>

namespace folio {

struct Processor {
  std::string model;  // as the system names it; "unknown processor" where it does not
  bool avx2 = false, avx512 = false, avx512_bf16 = false, amx = false;  // usable: the system saves their registers too
  std::string levels_text() const;                                      // "avx2 avx512", or "none that folio uses"
};
Processor const& processor();

std::string vendor_libraries();  // "oneDNN 2.6.3"
int openmp_threads();            // that a parallel region gets, OMP_NUM_THREADS counted in

}  // namespace folio
