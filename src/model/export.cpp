#include "model/export.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/error.h"
#include "core/file.h"
#include "model/config_json.h"
#include "model/safetensors.h"

namespace folio::model {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPiece = 1 << 20;  // elements converted at once
constexpr uint64_t kLargestAttachment = uint64_t{1} << 28;

struct TooLarge {  // for f16
  int64_t count = 0;
  std::string first;  // tensor
};

void write_piece(SafetensorsWriter& file, std::span<float const> values, DType dtype) {
  if (dtype == DType::f32) return file.write(std::as_bytes(values));
  std::vector<uint16_t> narrow(values.size());
  std::ranges::transform(values, narrow.begin(),
                         [&](float v) { return dtype == DType::bf16 ? to_bf16(v).bits : to_f16(v).bits; });
  file.write(std::as_bytes(std::span(narrow)));
}

void write_stored(SafetensorsWriter& file, ModelDirectory::Stored const& s, DType dtype, TooLarge& too_large) {
  std::vector<float> piece;
  for (int64_t first = 0, n = s.shape.size(); first < n; first += kPiece) {
    piece.assign(static_cast<size_t>(std::min(kPiece, n - first)), 0);
    if (s.tensor != nullptr) s.file->read(*s.tensor, first, std::span(piece));
    if (dtype == DType::f16)
      if (auto const count = std::ranges::count_if(
              piece, [](float v) { return std::isfinite(v) && (to_f16(v).bits & 0x7fff) == 0x7c00; });
          count > 0) {
        if (too_large.count == 0) too_large.first = s.name;
        too_large.count += count;
      }
    write_piece(file, piece, dtype);
  }
}

bool travels(Path const& file) {
  constexpr std::array<char const*, 4> own = {"config.json", "manifest.json", "state.json",
                                              "model.safetensors.index.json"};
  constexpr std::array<char const*, 11> weights = {".safetensors", ".bin", ".pt",   ".pth",  ".ckpt", ".h5",
                                                   ".msgpack",     ".ot",  ".onnx", ".gguf", ".npz"};
  std::string const name = file.filename().string();
  return name[0] != '.' && std::ranges::find(own, name) == own.end() &&
         std::ranges::find(weights, file.extension().string()) == weights.end() && !is_temporary(file) &&
         !name.ends_with(".index.json");
}

}  // namespace

void export_model(Path const& folder, ModelDirectory const& model, DType dtype) {
  check(dtype == DType::bf16 || dtype == DType::f16 || dtype == DType::f32, "a model cannot be exported as {}",
        name_of(dtype));
  std::vector<ModelDirectory::Stored> const stored = model.stored();
  std::vector<SafetensorsWriter::Entry> entries;
  for (auto const& s : stored) entries.push_back({s.name, dtype, s.shape});
  SafetensorsWriter file(folder / "model.safetensors", entries, {{"format", "pt"}});
  TooLarge too_large;
  for (auto const& s : stored) write_stored(file, s, dtype, too_large);
  check(too_large.count == 0, Fault::content,
        "{} of the model's values are beyond f16's largest, 65,504 (the first in {}): export bf16 or f32",
        too_large.count, too_large.first);
  file.commit();
  for (auto const& entry : fs::directory_iterator(model.path()))
    if (entry.is_regular_file() && travels(entry.path()))
      write_file(folder / entry.path().filename(), read_file(entry.path(), kLargestAttachment));
  write_file(folder / "config.json", config_json(model.info(), dtype));
}

}  // namespace folio::model
