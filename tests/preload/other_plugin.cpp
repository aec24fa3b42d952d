// A plug-in that must be refused before anything else of it is called. FOLIO_OTHER_PLUGIN_SAYS: `same`, what this folio
// says, though it has none of the functions; `nothing`; else what another folio would say.
#include <cstdlib>
#include <string_view>

#include "backend/plugin.h"

extern "C" __attribute__((visibility("default"))) char const* folio_plugin_abi() {
  char const* const given = std::getenv("FOLIO_OTHER_PLUGIN_SAYS");
  std::string_view const says = given ? given : "";
  static std::string const same = folio::plugin_abi();
  return says == "same" ? same.c_str() : says == "nothing" ? nullptr : "folio 0.0.0, g++ 4.1";
}
