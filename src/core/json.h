// JSON from outside, guarded: at most 64 levels, no duplicate keys, a size limit, the whole text consumed; and small
// helpers that read a member with a sentence where it is missing or of another type. Values are nlohmann's.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"

namespace folio {

using Json = nlohmann::ordered_json;

struct JsonLimits {
  size_t bytes = size_t{64} << 20;
  int depth = 64;
  size_t items = SIZE_MAX, members = SIZE_MAX;  // of one list, of one object
};

/// Throws Fault::content with `name`, the position and the reason.
Json parse_json(std::string_view text, std::string const& name, JsonLimits = {});
Json read_json(Path const&, JsonLimits = {});
void write_json(Path const&, Json const&, int indent = 2);  // whole, see core/file.h
std::string dump(Json const&, int indent = -1);             // invalid UTF-8 becomes U+FFFD

/// Member `key` of an object; throws Fault::content where it is absent or of another type. `name` is for the sentence.
int64_t get_integer(Json const&, std::string const& key, std::string const& name);
double get_number(Json const&, std::string const& key, std::string const& name);
std::string get_string(Json const&, std::string const& key, std::string const& name);
bool get_bool(Json const&, std::string const& key, std::string const& name);
std::optional<int64_t> find_integer(Json const&, std::string const& key,
                                    std::string const& name);  // absent or null: none
std::optional<double> find_number(Json const&, std::string const& key, std::string const& name);
std::optional<std::string> find_string(Json const&, std::string const& key, std::string const& name);
std::optional<bool> find_bool(Json const&, std::string const& key, std::string const& name);

/// The member `version`: 1 to `known`. Throws Fault::content where it is newer, and where no version is of that number.
int64_t get_version(Json const&, int64_t known, std::string const& name);

Json finite_or_null(double);  // JSON knows neither NaN nor ∞

/// A double as 16 hex digits of its bits, and back: floats that must survive a file bit for bit.
std::string bits_of(double);
double from_bits(std::string const&, std::string const& name);

}  // namespace folio
