// A model directory, as Hugging Face transformers writes and reads one: config.json, model.safetensors (or the shards
// that model.safetensors.index.json lists) and the tokenizer's files. A checkpoint of a run is a model directory too.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/api.h"
#include "core/path.h"
#include "model/weights.h"

namespace folio::model {

class SafetensorsFile;
struct StoredTensor;

class FOLIO_API ModelDirectory {
 public:
  /// Reads config.json and the headers of the tensors, and checks that they fit one another: every tensor that the
  /// shape needs, each with its shape, and no other (masks that old versions of transformers stored are passed over).
  /// Names may begin with "transformer." or not. Throws Fault::missing or Fault::content.
  explicit ModelDirectory(Path const&);
  ~ModelDirectory();
  ModelDirectory(ModelDirectory&&) noexcept;

  Path const& path() const { return path_; }
  ModelInfo const& info() const { return info_; }
  Config const& config() const { return info_.config; }
  std::string dtype() const;      // of the stored tensors: "F32", or "F32, BF16"
  uint64_t stored_bytes() const;  // of all tensors

  struct Stored {      // what a file of this model holds
    std::string name;  // as folio and transformers write it
    Shape shape;
    SafetensorsFile const* file;
    StoredTensor const* tensor;  // null: a bias that is zero because the model has none
  };
  std::vector<Stored> stored() const;  // in the order of a file, biases always

  /// Fills the masters from F32, F16, BF16 or F64 and prepares the weights. Their config is this one's, but for
  /// dropout, and, where any are allowed, for the positions: then the first ones are the file's, and those that it
  /// lacks stay as they are.
  enum class Positions { same, any };
  void load(Backend&, Weights const&, Positions = Positions::same) const;

 private:
  struct Place {  // where a tensor of the model lies
    SafetensorsFile const* file;
    StoredTensor const* tensor;
  };
  [[gnu::visibility("hidden")]] void open_files();
  [[gnu::visibility("hidden")]] void add_tensors(SafetensorsFile const&,
                                                 std::map<std::string, std::string> const* shard_of);
  [[gnu::visibility("hidden")]] void check_layers() const;
  [[gnu::visibility("hidden")]] void check_tensors();
  [[gnu::visibility("hidden")]] void check_zero(std::string const& name) const;
  [[gnu::visibility("hidden")]] void check_tied_head() const;

  Path path_;
  ModelInfo info_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> tensors_;  // by name, without the prefix
};

/// Writes config.json, model.safetensors (the masters' dtype, Hugging Face's names and layouts, zero biases where the
/// model has none) and the attachments into `folder`, which exists: a FolderWriter's path(), so that the directory is
/// there whole or not at all. Afterwards transformers' GPT2LMHeadModel and GPT2Model load it as it is.
FOLIO_API void save_model(Path const& folder, TensorSource, Weights const&, ModelInfo info,
                          std::span<Attachment const> attachments = {});

/// manifest.json: size and XXH3-128 of every other file of the folder, written last.
FOLIO_API void write_manifest(Path const& folder);

/// What is wrong with a folder that should be as its manifest says: the first file that is missing or differs, or the
/// manifest itself, also where it does not list what a checkpoint is read from. Empty where it is whole. Throws
/// Fault::content for a manifest of a newer version. `except`: a file that is not looked at, since the caller does not
/// read it.
FOLIO_API std::string damage_of(Path const& folder, std::string const& except = "");
/// Throws Fault::content with what damage_of says.
FOLIO_API void verify_manifest(Path const& folder, std::string const& except = "");

}  // namespace folio::model
