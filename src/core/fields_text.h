// Between fields.cpp and fields_toml.cpp.
#pragma once

#include "core/fields.h"

namespace folio {

/// `there is no "stepz"; did you mean steps?`
std::string unknown_key(Fields const&, std::string_view given);

}  // namespace folio
