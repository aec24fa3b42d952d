#pragma once

#include "core/fields.h"
#include "core/json.h"

namespace folio {

Json to_json(Fields const&);  // an object: name to value, in the order of the list

}  // namespace folio
