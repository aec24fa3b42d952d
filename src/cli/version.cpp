#include "cli/version.h"

#include <fmt/core.h>
#include <openssl/crypto.h>
#include <spdlog/version.h>
#include <toml++/impl/version.h>
#include <xxhash.h>

#include <CLI/Version.hpp>
#include <nlohmann/detail/abi_macros.hpp>

#include "backend/info.h"
#include "cli/verb.h"
#include "folio_version.h"

namespace folio::cli {

namespace {
std::string dotted(unsigned number) {  // 90100 is 9.1.0
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}
}  // namespace

std::string version_number() { return FOLIO_VERSION; }

std::string version_date() { return FOLIO_DATE; }

std::string version_line() { return fmt::format("folio {} ({})", FOLIO_VERSION, FOLIO_COMMIT); }

std::string version_text() {
  std::string libraries = vendor_libraries();
  libraries +=
      fmt::format(", fmt {}, spdlog {}.{}.{}, CLI11 {}, nlohmann-json {}.{}.{}, toml++ {}.{}.{}, xxhash {}, OpenSSL {}",
                  dotted(FMT_VERSION), SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH, CLI11_VERSION,
                  NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH, TOML_LIB_MAJOR,
                  TOML_LIB_MINOR, TOML_LIB_PATCH, dotted(XXH_versionNumber()), OpenSSL_version(OPENSSL_VERSION_STRING));
  return version_line() + '\n' + wrapped(fmt::format("compiler: {}, C++20", FOLIO_COMPILER), 2) +
         wrapped(fmt::format("this CPU: {}: {}", processor().model, processor().levels_text()), 2) +
         wrapped("libraries: " + libraries, 2);
}

}  // namespace folio::cli
