// TOML from outside, by toml++: how a file is read, what a place in it is called, and how a value becomes a field's
// text. For who reads a file that is no plain list of fields; from_toml (fields.h) reads those.
#pragma once

namespace folio {
/// Where toml++ 3.0 asserts that a text is what its parser took for granted (a key behind a bracket, say), the text is
/// at fault.
[[noreturn]] void refuse_toml(char const* expected);
}  // namespace folio

#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expected) ((expected) ? void() : folio::refuse_toml(#expected))
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <string>

#include "core/fields.h"

namespace folio {

/// Throws Fault::content for what is no TOML, is above 1 MiB or of a newer version; the key `version` is taken out.
toml::table parse_toml(std::string_view text, std::string const& name);

/// "sweep.toml, line 3, lr"
std::string place(std::string const& name, toml::node const&, std::string_view key);

/// The text that set() reads into the field. Throws Fault::content for a value of another type.
std::string text_of_node(Field const&, toml::node const&, std::string const& origin);

/// Sets a field; for a list of texts the node is a list, and becomes the value.
void set_node(Field const&, toml::node const&, std::string const& origin);

}  // namespace folio
