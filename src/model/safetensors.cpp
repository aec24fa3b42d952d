#include "model/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "backend/backend.h"
#include "core/json.h"
#include "core/size.h"

namespace folio::model {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian and is read in place");

constexpr uint64_t kMostHeader = 100'000'000;                   // the format's own limit
constexpr size_t kMostDimensions = 64, kMostTensors = 1 << 18;  // of what a header may ask memory for
constexpr size_t kPiece = size_t{4} << 20;                      // bytes of data moved at once

struct StoredType {
  char const* name;
  int bits;
  std::optional<DType> dtype;  // folio's, where it has one
};
constexpr StoredType kTypes[] = {
    {"BOOL", 8, {}},         {"U8", 8, DType::u8},    {"I8", 8, {}},
    {"F4", 4, {}},           {"F6_E2M3", 6, {}},      {"F6_E3M2", 6, {}},
    {"F8_E5M2", 8, {}},      {"F8_E4M3", 8, {}},      {"F8_E8M0", 8, {}},
    {"F8_E4M3FNUZ", 8, {}},  {"F8_E5M2FNUZ", 8, {}},  {"I16", 16, {}},
    {"U16", 16, {}},         {"F16", 16, DType::f16}, {"BF16", 16, DType::bf16},
    {"I32", 32, DType::i32}, {"U32", 32, {}},         {"F32", 32, DType::f32},
    {"I64", 64, DType::i64}, {"U64", 64, {}},         {"F64", 64, DType::f64},
    {"C64", 64, {}},
};
StoredType const* type_named(std::string const& name) {
  for (StoredType const& t : kTypes)
    if (name == t.name) return &t;
  return nullptr;
}

// to[i] = convert(element i of from), where the elements may lie at any address.
template <class Stored, class T, class F>
void read_elements(std::byte const* from, std::span<T> to, F convert) {
  for (size_t i = 0; i < to.size(); ++i) {
    Stored value;
    std::memcpy(&value, from + i * sizeof value, sizeof value);
    to[i] = static_cast<T>(convert(value));
  }
}

bool is_unsigned(Json const& j) { return j.is_number_unsigned() || (j.is_number_integer() && j.get<int64_t>() >= 0); }

}  // namespace

std::string shape_text(std::vector<int64_t> const& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + ")";
}

std::optional<DType> dtype_named(std::string const& name) {
  StoredType const* type = type_named(name);
  return type ? type->dtype : std::nullopt;
}

char const* stored_name(DType d) {
  for (StoredType const& t : kTypes)
    if (t.dtype == d) return t.name;
  fail(Fault::bug, "safetensors: {} has no name in the format", name_of(d));
}

SafetensorsFile::SafetensorsFile(Path const& path) : file_(path) { read_header(); }

void SafetensorsFile::read_header() {
  std::string const file = path().string();
  Bytes const all = file_.bytes();
  uint64_t length = 0;
  check(all.size() >= sizeof length, Fault::content, "{}: {} bytes are too few for a safetensors file", file,
        all.size());
  std::memcpy(&length, all.data(), sizeof length);
  check(length <= kMostHeader, Fault::content,
        "{}: a header of {} bytes is announced, above the limit of {}: not a safetensors file", file, length,
        kMostHeader);
  check(length <= all.size() - sizeof length, Fault::content,
        "{}: a header of {} bytes is announced in a file of {}: it is cut off", file, length, all.size());
  std::string_view const text(reinterpret_cast<char const*>(all.data()) + sizeof length, length);
  check(text.starts_with('{'), Fault::content, "{}: the header does not begin with {{", file);
  data_ = sizeof length + length;

  Json const header = parse_json(text, file, {.bytes = kMostHeader, .items = kMostDimensions, .members = kMostTensors});
  check(header.is_object(), Fault::content, "{}: the header is not an object", file);
  tensors_.reserve(header.size());
  for (auto const& [name, value] : header.items()) {
    check(value.is_object(), Fault::content, "{}: the header's {} is not an object", file, name);
    if (name == "__metadata__") {
      for (auto const& [key, entry] : value.items()) {
        check(entry.is_string(), Fault::content, "{}: the metadata's {} is not a text", file, key);
        metadata_.emplace(key, entry.get<std::string>());
      }
      continue;
    }
    StoredTensor t{.name = name, .dtype = get_string(value, "dtype", file + ": " + name), .shape = {}};
    auto const numbers = [&](char const* key) -> Json const& {
      auto const at = value.find(key);
      check(at != value.end() && at->is_array() && std::all_of(at->begin(), at->end(), is_unsigned), Fault::content,
            "{}: the {} of {} must be a list of whole numbers that are not negative", file, key, name);
      return *at;
    };
    for (Json const& dimension : numbers("shape")) {
      auto const n = dimension.get<uint64_t>();
      check(n <= uint64_t{INT64_MAX}, Fault::content, "{}: {} has a dimension of {}, above what 63 bits hold", file,
            name, n);
      t.shape.push_back(static_cast<int64_t>(n));
    }
    Json const& offsets = numbers("data_offsets");
    check(offsets.size() == 2, Fault::content, "{}: {} has {} data_offsets; a begin and an end are expected", file,
          name, offsets.size());
    auto const begin = offsets[0].get<uint64_t>(), end = offsets[1].get<uint64_t>();
    check(begin <= end, Fault::content, "{}: {} ends at {}, before it begins at {}", file, name, end, begin);
    t.offset = begin, t.bytes = end - begin;
    tensors_.push_back(std::move(t));
  }
  std::stable_sort(tensors_.begin(), tensors_.end(), [](StoredTensor const& a, StoredTensor const& b) {
    return std::pair(a.offset, a.offset + a.bytes) < std::pair(b.offset, b.offset + b.bytes);
  });
  check_layout(all.size() - data_);
  for (size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
}

void SafetensorsFile::check_layout(size_t data_size) {
  std::string const file = path().string();
  uint64_t position = 0;
  for (StoredTensor& t : tensors_) {
    check(t.offset == position, Fault::content, "{}: {} begins at {}, but the one before it ends at {}: {}", file,
          t.name, t.offset, position, t.offset < position ? "they overlap" : "there is a hole between them");
    StoredType const* const type = type_named(t.dtype);
    check(type != nullptr, Fault::content, "{}: {} has the dtype {}, which the format does not know", file, t.name,
          t.dtype);
    Size count(1);
    for (int64_t const n : t.shape) count = count * Size(static_cast<uint64_t>(n));
    Size const bits = count * Size(static_cast<uint64_t>(type->bits));
    check(bits.value() && *bits.value() % 8 == 0 && *bits.value() / 8 == t.bytes, Fault::content,
          "{}: {} is {} of {}, which takes {} bits, but its offsets give it {} bytes", file, t.name,
          shape_text(t.shape), t.dtype, bits.text(), t.bytes);
    t.count = static_cast<int64_t>(*count.value());  // below 2⁶³: its bits fit in 64, and no type has one bit
    position += t.bytes;  // cannot wrap: it is compared with the next begin, and below with the file
    check(position <= data_size, Fault::content,
          "{}: {} ends at byte {} of the data, but the file holds {}: it is cut off", file, t.name, position,
          data_size);
  }
  check(position == data_size, Fault::content, "{}: the data end at byte {}, but the file holds {}", file, position,
        data_size);
}

StoredTensor const* SafetensorsFile::find(std::string const& name) const {
  auto const at = index_.find(name);
  return at == index_.end() ? nullptr : &tensors_[at->second];
}

Bytes SafetensorsFile::bytes(StoredTensor const& t) const { return file_.bytes().subspan(data_ + t.offset, t.bytes); }

template <class T>
void SafetensorsFile::read(StoredTensor const& t, int64_t first, std::span<T> to) const {
  check(0 <= first && first <= t.count && static_cast<int64_t>(to.size()) <= t.count - first,
        "safetensors: elements {} to {} of {}, which has {}", first, first + static_cast<int64_t>(to.size()), t.name,
        t.count);
  auto const from = [&](size_t size) { return bytes(t).data() + static_cast<size_t>(first) * size; };
  auto const same = [](auto v) { return v; };
  std::optional<DType> const d = dtype_named(t.dtype);
  if (d == DType::f32) return read_elements<float>(from(4), to, same);
  if (d == DType::f64) return read_elements<double>(from(8), to, same);
  if (d == DType::f16) return read_elements<f16>(from(2), to, [](f16 v) { return to_float(v); });
  check(d == DType::bf16, Fault::content, "{}: {} has the dtype {}; F32, F16, BF16 or F64 is expected", path().string(),
        t.name, t.dtype);
  read_elements<bf16>(from(2), to, [](bf16 v) { return to_float(v); });
}
template void SafetensorsFile::read<float>(StoredTensor const&, int64_t, std::span<float>) const;
template void SafetensorsFile::read<double>(StoredTensor const&, int64_t, std::span<double>) const;

SafetensorsWriter::SafetensorsWriter(Path const& path, std::span<Entry const> entries,
                                     std::map<std::string, std::string> const& metadata)
    : file_(path) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t position = 0;
  for (Entry const& e : entries) {
    check(!e.name.empty() && e.name != "__metadata__", "safetensors: a tensor cannot be called \"{}\"", e.name);
    std::vector<int64_t> shape(static_cast<size_t>(e.shape.rank()));
    for (int i = 0; i < e.shape.rank(); ++i) shape[static_cast<size_t>(i)] = e.shape[i];
    uint64_t const end = position + static_cast<uint64_t>(e.shape.size()) * size_of(e.dtype);
    header[e.name] = Json{{"dtype", stored_name(e.dtype)}, {"shape", shape}, {"data_offsets", {position, end}}};
    position = end;
  }
  check(header.size() == entries.size() + !metadata.empty(), "safetensors: two tensors have one name");
  std::string text = dump(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  uint64_t const length = text.size();
  check(length <= kMostHeader, "safetensors: a header of {} bytes is above the format's limit", length);
  file_.write(std::as_bytes(std::span(&length, 1)));
  file_.write(text);
  expected_ = file_.size() + position;
}

void SafetensorsWriter::commit() {
  check(file_.size() == expected_, "safetensors: {} bytes written where the header announces {}", file_.size(),
        expected_);
  file_.commit();
}

void write_tensor(SafetensorsWriter& file, Tensor t, TensorSource source) {
  auto const per_piece = static_cast<int64_t>(kPiece / size_of(t.dtype));
  Tensor const flat = t.reshaped({t.size()});
  std::vector<std::byte> room;
  for (int64_t first = 0; first < t.size(); first += per_piece)
    file.write(source.read(flat.slice(first, std::min(first + per_piece, t.size())), room));
}

namespace {

// f(first, end) for a few MiB of elements after the other.
template <class F>
void for_each_piece(SafetensorsFile const& file, StoredTensor const& from, Tensor to, F f) {
  check(from.count == to.size(), "{} has {} elements, {} {}", from.name, from.count, to.label, to.size());
  int64_t const most = from.count == 0 ? 1 : std::max<int64_t>(1, kPiece / (from.bytes / size_t(from.count)));
  for (int64_t first = 0; first < from.count; first += most) {
    int64_t const end = std::min(from.count, first + most);
    f(first, end);
    file.was_read(size_t(end - first) * (from.bytes / size_t(from.count)));
  }
}

// Converted to T and uploaded to a tensor of the same scalar, or to complex numbers of it.
template <class T, class Master = T>
void read_as(SafetensorsFile const& file, StoredTensor const& from, Tensor to, Backend& backend) {
  std::vector<T> piece;
  std::vector<Master> masters;
  for_each_piece(file, from, to, [&](int64_t first, int64_t end) {
    piece.resize(size_t(end - first));
    file.read(from, first, std::span(piece));
    masters.assign(piece.begin(), piece.end());
    backend.upload(to.reshaped({to.size()}).slice(first, end), masters.data());
  });
}

}  // namespace

void read_tensor(SafetensorsFile const& file, StoredTensor const& from, Tensor to, Backend& backend) {
  if (dtype_named(from.dtype) == to.dtype)
    return for_each_piece(file, from, to, [&](int64_t first, int64_t end) {
      backend.upload(to.reshaped({to.size()}).slice(first, end),
                     file.bytes(from).subspan(size_t(first) * size_of(to.dtype)).data());
    });
  if (to.dtype == DType::f32) return read_as<float>(file, from, to, backend);
  if (to.dtype == DType::f64) return read_as<double>(file, from, to, backend);
  check(to.dtype == DType::c128, "masters of {} cannot be read from a file", name_of(to.dtype));
  read_as<double, std::complex<double>>(file, from, to, backend);
}

void save_tensors(Path const& path, std::span<NamedTensor const> list, TensorSource source,
                  std::map<std::string, std::string> const& metadata) {
  std::vector<SafetensorsWriter::Entry> entries;
  for (NamedTensor const& n : list) {
    check(!n.tensor.empty(), "save_tensors: {} is absent", n.name);
    entries.push_back({n.name, n.tensor.dtype, n.tensor.shape});
  }
  SafetensorsWriter file(path, entries, metadata);
  for (NamedTensor const& n : list) write_tensor(file, n.tensor, source);
  file.commit();
}

void load_tensors(Path const& path, std::span<NamedTensor const> list, Backend& backend) {
  SafetensorsFile const file(path);
  for (NamedTensor const& n : list) {
    StoredTensor const* const t = file.find(n.name);
    check(t != nullptr, Fault::content, "{}: {} is missing", path.string(), n.name);
    std::vector<int64_t> shape;
    for (int i = 0; i < n.tensor.shape.rank(); ++i) shape.push_back(n.tensor.shape[i]);
    check(t->shape == shape && dtype_named(t->dtype) == n.tensor.dtype, Fault::content,
          "{}: {} is {} of {}; {} of {} is expected", path.string(), n.name, shape_text(t->shape), t->dtype,
          n.tensor.shape, stored_name(n.tensor.dtype));
  }
  if (file.tensors().size() != list.size())
    for (StoredTensor const& t : file.tensors())
      check(std::any_of(list.begin(), list.end(), [&](NamedTensor const& n) { return n.name == t.name; }),
            Fault::content, "{}: {} is not expected here", path.string(), t.name);
  for (NamedTensor const& n : list) read_tensor(file, *file.find(n.name), n.tensor, backend);
}

}  // namespace folio::model
