// A safetensors file: its header and layout, then every array of floating-point numbers, a piece at a time.
#include <algorithm>

#include "model/safetensors.h"
#include "tests/fuzz/fuzz.h"

using namespace folio;

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  Path const path = fuzz::put("x.safetensors", fuzz::text_of(data, size));
  return fuzz::run(
      [&] {
        model::SafetensorsFile const file(path);
        for (model::StoredTensor const& t : file.tensors()) {
          (void)file.bytes(t);
          auto const type = model::dtype_named(t.dtype);
          if (!type || (*type != DType::f32 && *type != DType::f64 && *type != DType::f16 && *type != DType::bf16))
            continue;
          std::vector<float> piece(1024);
          for (int64_t at = 0; at < t.count; at += int64_t(piece.size()))
            file.read(t, at, std::span(piece).first(size_t(std::min(t.count - at, int64_t(piece.size())))));
        }
      },
      size, {.each = 40});
}
