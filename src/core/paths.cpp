#include "core/paths.h"

#include <cstdlib>

#include "core/error.h"

namespace folio {

namespace {
std::string variable(char const* name) {
  char const* value = std::getenv(name);
  return value ? value : "";
}
}  // namespace

Path data_directory() {
  if (std::string const own = variable("FOLIO_DATA"); !own.empty()) return own;
  if (Path const shared = variable("XDG_DATA_HOME"); shared.is_absolute()) return shared / "folio";
  std::string const home = variable("HOME");
  check(!home.empty(), Fault::missing,
        "the data directory cannot be found, since HOME is not set: set FOLIO_DATA to the folder that set-up filled");
  return Path(home) / ".local/share/folio";
}

Path temporary_folder() {
  std::string const own = variable("TMPDIR");
  Path const folder = own.empty() ? "/tmp" : own;
  std::error_code error;
  check(std::filesystem::is_directory(folder, error), Fault::io,
        "{}, where temporary files go, is no folder: set TMPDIR to one that can be written", folder.string());
  return folder;
}

}  // namespace folio
