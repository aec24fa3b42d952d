// --device, --dtype and --threads: the same on every verb that computes.
#pragma once

#include <map>
#include <memory>

#include "backend/backend.h"
#include "core/fields.h"

namespace folio::cli {

struct BackendChoice {
  std::string device = "cpu";
  std::string dtype = "f32";
  int64_t threads = 0;

  Fields fields();
  std::unique_ptr<Backend> make() const;  // Fault::device where it is not to be had
};

/// What equal bits depend on: build, device, instruction set, threads, libraries.
std::map<std::string, std::string> what_bits_depend_on(BackendChoice const&);

}  // namespace folio::cli
