// safetensors: named arrays in one file, read through a map of its bytes.
//
//   u64 LE   n, the length of the header
//   n bytes  JSON: {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …,
//                   "__metadata__": {"KEY": "TEXT", …}}, padded with blanks
//   the rest the arrays, row-major and little-endian, one after the other; offsets count from the first of them
//
// A file is refused unless every byte of it is accounted for: the offsets ascend from 0 without a hole or an overlap
// and end where the file ends, and each array is as long as its shape and dtype say.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/file.h"
#include "core/tensor.h"
#include "model/weights.h"

namespace folio::model {

struct StoredTensor {
  std::string name;
  std::string dtype;             // as the format names it: F32, BF16, I64, …
  std::vector<int64_t> shape;    // of any rank; empty: one number
  int64_t count = 0;             // elements
  size_t offset = 0, bytes = 0;  // in the data
};

std::string shape_text(std::vector<int64_t> const&);   // "(2, 3)"
std::optional<DType> dtype_named(std::string const&);  // what folio has a type for: U8, I32, I64, BF16, F16, F32, F64
char const* stored_name(DType);                        // and back

class SafetensorsFile {
 public:
  /// Throws Fault::missing where there is no such file, Fault::content with the broken rule.
  explicit SafetensorsFile(Path const&);

  Path const& path() const { return file_.path(); }
  std::vector<StoredTensor> const& tensors() const { return tensors_; }  // in the order of their bytes
  StoredTensor const* find(std::string const& name) const;               // null: not there
  std::map<std::string, std::string> const& metadata() const { return metadata_; }
  Bytes bytes(StoredTensor const&) const;  // aligned to nothing
  void was_read(size_t bytes) const { file_.was_read(bytes); }

  /// Elements [first, first + to.size()) of a floating-point array (F16, BF16, F32 or F64), rounded to T where T is
  /// narrower. T is float or double. Throws Fault::content for another dtype.
  template <class T>
  void read(StoredTensor const&, int64_t first, std::span<T> to) const;

 private:
  void read_header();
  void check_layout(size_t data_size);

  MappedFile file_;
  size_t data_ = 0;  // where the data begins
  std::vector<StoredTensor> tensors_;
  std::map<std::string, size_t> index_;  // by name
  std::map<std::string, std::string> metadata_;
};

/// A new file, streamed: the header at once, then the data in any pieces, in the order of the entries.
class SafetensorsWriter {
 public:
  struct Entry {
    std::string name;
    DType dtype;  // of those dtype_named() knows
    Shape shape;
  };
  SafetensorsWriter(Path const&, std::span<Entry const>, std::map<std::string, std::string> const& metadata);
  void write(Bytes data) { file_.write(data); }
  void commit();  // throws Fault::bug where the data are not as long as the entries say

 private:
  FileWriter file_;
  uint64_t expected_ = 0;  // size of the whole file
};

struct NamedTensor {
  std::string name;
  Tensor tensor;  // not empty, not c128
};

/// Tensors of any dtype but c128, bit for bit: f64 stays f64. What train keeps its moments with.
void save_tensors(Path const&, std::span<NamedTensor const>, TensorSource,
                  std::map<std::string, std::string> const& metadata = {});

/// Reads them back into place. The file must hold exactly these names with these shapes and dtypes; else Fault::content
/// with the first that differs, and nothing has been written.
void load_tensors(Path const&, std::span<NamedTensor const>, Backend&);

/// Streams a tensor into the file, a few MiB at a time.
void write_tensor(SafetensorsWriter&, Tensor, TensorSource);

/// And back, from F16, BF16, F32 or F64 to a tensor of f32, f64 or c128; any dtype to its own.
void read_tensor(SafetensorsFile const&, StoredTensor const&, Tensor to, Backend&);

}  // namespace folio::model
