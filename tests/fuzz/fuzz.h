// What the fuzz targets share. libFuzzer hands a target any bytes; the target hands them, as a text or as files, to a
// reader of src/, which may do one of two things: take them, or refuse them with an Error that lays the fault on the
// input. Anything else stops the fuzzer: a crash, a sanitizer's report, an error that calls itself folio's own mistake,
// another exception, memory out of proportion to the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/path.h"

namespace folio::fuzz {

/// What a reader may hold at most: so many bytes for each of the input, beside kAllowance. 4 for what is read as it
/// lies; a JSON document becomes a tree, whose nodes are larger than their text.
struct Memory {
  double each = 4;
};
inline constexpr size_t kAllowance = size_t{256} << 10;

/// Runs the reader on an input of `size` bytes, and aborts with a sentence where it breaks a rule above.
int run(std::function<void()> const& reader, size_t size, Memory = {});

/// A folder in memory that lasts as long as the process.
Path const& folder();
/// Writes the bytes there under that name, and returns its path.
Path put(std::string const& name, std::string_view bytes);

/// The input as `count` files: parted at the first bytes 0x1e (record separator); the last takes what is left.
std::vector<std::string_view> parts(std::string_view bytes, size_t count);

inline std::string_view text_of(uint8_t const* data, size_t size) {
  return {reinterpret_cast<char const*>(data), size};
}

}  // namespace folio::fuzz

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size);
