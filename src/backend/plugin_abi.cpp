// Compiled into the program and into each plug-in: the two must say the same.
#include <fmt/core.h>

#include "backend/plugin.h"

namespace folio {

std::string plugin_abi() {
  return fmt::format("folio {}, headers {}, g++ {}, ABI {}/{}, libstdc++ {}/{}", FOLIO_PLUGIN_VERSION,
                     FOLIO_PLUGIN_INTERFACE, __VERSION__, __GXX_ABI_VERSION, _GLIBCXX_USE_CXX11_ABI, _GLIBCXX_RELEASE,
                     __GLIBCXX__);
}

std::string cuda_version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

}  // namespace folio
