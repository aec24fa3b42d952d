// Model directories: what is saved is loaded, in every variant that Hugging Face directories come in; what does not fit
// is refused with the tensor's name; manifests; and the evaluator, against the trainer's own loss.
#include "model/checkpoint.h"
#include "core/json.h"
#include "model/config_json.h"
#include "model/safetensors.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/support/formula_weights.h"
#include "tests/support/reader.h"
#include "tests/support/scratch_folder.h"

namespace folio::model {
namespace {

using test::error_of;
using test::ScratchFolder;

struct Model {  // weights of any scalar on the reference backend
  Model(Config const& c, DType dtype) : backend(make_reference_backend()) {
    lay_out_weights(arenas, *backend, c, dtype, false);
    arenas.masters.allocate(*backend), arenas.compute.allocate(*backend);
    weights = lay_out_weights(arenas, *backend, c, dtype, false);
  }
  std::unique_ptr<Backend> backend;
  WeightArenas arenas;
  Weights weights;
};

Config small(bool bias = true, bool tied = true) {
  return {.layers = 2,
          .heads = 2,
          .channels = 8,
          .vocab = 13,
          .context = 6,
          .bias = bias,
          .tied = tied,
          .dropout = {0.1, 0.1, 0.1, 0.2}};
}

std::vector<double> all_values(Model& m) {
  std::vector<double> out;
  for_each(m.weights, [&](std::string const&, Weight const& w, Spec const&) {
    if (w.master.dtype == DType::c128) {
      for (std::complex<double> v : test::host<std::complex<double>>(*m.backend, w.master)) {
        EXPECT_EQ(v.imag(), 0);
        out.push_back(v.real());
      }
    } else {
      for (double v : test::values(*m.backend, w.master)) out.push_back(v);
    }
  });
  return out;
}

class Directory : public ::testing::Test {
 protected:
  Path save(Config const& c, DType dtype = DType::f32) {
    Model m(c, dtype);
    test::set_formula_weights(*m.backend, m.weights, 5, 3);
    values_ = all_values(m);
    make_folders(folder_ / "model");
    Attachment const files[] = {{"vocab.json", "{}"}};
    save_model(folder_ / "model", *m.backend, m.weights, {.tokenizer = "char", .end_of_text = 3}, files);
    return folder_ / "model";
  }
  // Writes the stored tensors again, changed: f(name, dtype, shape, bytes) returns false to leave one out.
  struct Raw {
    std::string name, dtype;
    std::vector<int64_t> shape;
    std::string bytes;
  };
  static std::vector<Raw> raw(Path const& file) {
    SafetensorsFile const f(file);
    std::vector<Raw> out;
    for (StoredTensor const& t : f.tensors())
      out.push_back({t.name, t.dtype, t.shape, std::string(reinterpret_cast<char const*>(f.bytes(t).data()), t.bytes)});
    return out;
  }
  static void write_raw(Path const& file, std::vector<Raw> const& list) {
    Json header = Json::object();
    std::string data;
    for (Raw const& r : list) {
      header[r.name] = {
          {"dtype", r.dtype}, {"shape", r.shape}, {"data_offsets", {data.size(), data.size() + r.bytes.size()}}};
      data += r.bytes;
    }
    std::string const text = dump(header);
    uint64_t const n = text.size();
    write_file(file, std::string(reinterpret_cast<char const*>(&n), 8) + text + data);
  }
  template <class F>
  void change(F f) {
    std::vector<Raw> list = raw(folder_ / "model/model.safetensors");
    f(list);
    write_raw(folder_ / "model/model.safetensors", list);
  }
  void change_config(std::string const& key, Json const& value) {
    Json j = read_json(folder_ / "model/config.json");
    j[key] = value;
    write_json(folder_ / "model/config.json", j);
  }
  std::string refusal() {
    Error const e = error_of([&] {
      ModelDirectory const d(folder_ / "model");
      Model m(d.config(), DType::f32);
      d.load(*m.backend, m.weights);
    });
    EXPECT_EQ(e.fault, Fault::content) << e.what();
    return e.what();
  }
  std::vector<double> loaded(DType dtype = DType::f32) {
    ModelDirectory const d(folder_ / "model");
    Model m(d.config(), dtype);
    d.load(*m.backend, m.weights);
    return all_values(m);
  }
  ScratchFolder folder_;
  std::vector<double> values_;  // of the model that was saved
};

TEST_F(Directory, SavedAndLoadedIsTheSameInEveryVariant) {
  for (bool bias : {true, false})
    for (bool tied : {true, false})
      for (DType dtype : {DType::f32, DType::f64}) {
        Config const c = small(bias, tied);
        ModelDirectory const d(save(c, dtype));
        EXPECT_EQ(d.config(), c);
        EXPECT_EQ(d.info().tokenizer, "char");
        EXPECT_EQ(d.info().end_of_text, 3);
        EXPECT_EQ(d.dtype(), dtype == DType::f32 ? "F32" : "F64");
        EXPECT_EQ(loaded(DType::f32), values_);
        EXPECT_EQ(loaded(DType::f64), values_);
        EXPECT_EQ(loaded(DType::c128), values_);
        EXPECT_EQ(read_file(d.path() / "vocab.json"), "{}");
      }
}

TEST_F(Directory, HoldsHuggingFacesNamesAndZeroBiases) {
  save(small(false, true));
  SafetensorsFile const file(folder_ / "model/model.safetensors");
  EXPECT_EQ(file.tensors().size(), 2u + 2 * 12 + 2);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.find("transformer.h.1.attn.c_attn.weight")->shape, (std::vector<int64_t>{8, 24}));
  EXPECT_EQ(file.find("transformer.wpe.weight")->shape, (std::vector<int64_t>{6, 8}));
  EXPECT_EQ(file.find("lm_head.weight"), nullptr);
  StoredTensor const* const bias = file.find("transformer.h.0.mlp.c_fc.bias");
  ASSERT_NE(bias, nullptr);
  EXPECT_EQ(bias->shape, std::vector<int64_t>{32});
  for (std::byte b : file.bytes(*bias)) EXPECT_EQ(b, std::byte{0});
  save(small(true, false));
  EXPECT_NE(SafetensorsFile(folder_ / "model/model.safetensors").find("lm_head.weight"), nullptr);
}

TEST_F(Directory, PrefixesAndMasksMakeNoDifference) {
  save(small());
  change([](std::vector<Raw>& list) {
    for (Raw& r : list) r.name = r.name.substr(std::string("transformer.").size());
    list.push_back({"h.0.attn.bias", "BOOL", {1, 1, 6, 6}, std::string(36, '\1')});
    list.push_back({"h.1.attn.masked_bias", "F32", {}, std::string(4, '\0')});
  });
  EXPECT_EQ(loaded(), values_);
  change([](std::vector<Raw>& list) { list.push_back(list[0]), list.back().name = "transformer." + list[0].name; });
  EXPECT_NE(refusal().find("is there twice"), std::string::npos);
}

TEST_F(Directory, HalvesAreWidenedExactly) {
  save(small());
  std::vector<double> rounded = values_;
  for (double& v : rounded) v = std::bit_cast<float>(std::bit_cast<uint32_t>(float(v)) & 0xffff0000u);
  change([](std::vector<Raw>& list) {
    for (Raw& r : list) {
      std::string halves;
      for (size_t i = 2; i < r.bytes.size(); i += 4) halves += r.bytes.substr(i, 2);  // the upper half: cut to bf16
      r.dtype = "BF16", r.bytes = halves;
    }
  });
  EXPECT_EQ(ModelDirectory(folder_ / "model").dtype(), "BF16");
  EXPECT_EQ(loaded(), rounded);
  EXPECT_EQ(loaded(DType::f64), rounded);
}

TEST_F(Directory, AStoredTiedHeadMustBeWhatItIsTiedTo) {
  save(small());
  change([](std::vector<Raw>& list) { list.push_back(list[0]), list.back().name = "lm_head.weight"; });
  EXPECT_EQ(loaded(), values_);
  change([](std::vector<Raw>& list) { list.back().bytes[5] ^= 1; });
  EXPECT_NE(refusal().find("lm_head.weight differs from wte.weight"), std::string::npos);
  change_config("tie_word_embeddings", false);
  EXPECT_EQ(loaded().size(), values_.size() + 13 * 8);
}

TEST_F(Directory, BiasesOfAModelWithoutAnyMustBeZeroOrAbsent) {
  save(small(false));
  change([](std::vector<Raw>& list) {
    std::erase_if(list, [](Raw const& r) { return r.name == "transformer.ln_f.bias"; });
  });
  EXPECT_EQ(loaded(), values_);
  change([](std::vector<Raw>& list) {
    for (Raw& r : list)
      if (r.name == "transformer.h.1.ln_2.bias") r.bytes[3] = '\x3f';
  });
  EXPECT_NE(refusal().find("transformer.h.1.ln_2.bias is not zero"), std::string::npos);
}

TEST_F(Directory, WhatDoesNotFitIsNamed) {
  auto refusal_after = [&](auto change_list) {
    save(small());
    change(change_list);
    return refusal();
  };
  std::string s = refusal_after([](std::vector<Raw>& list) { list.erase(list.begin() + 5); });
  EXPECT_NE(s.find("h.0.attn.c_attn.bias (24) is missing"), std::string::npos) << s;
  s = refusal_after([](std::vector<Raw>& list) { list[4].shape = {24, 8}; });
  EXPECT_NE(s.find("transformer.h.0.attn.c_attn.weight is (24, 8), but config.json"), std::string::npos) << s;
  EXPECT_NE(s.find("needs (8, 24)"), std::string::npos) << s;
  s = refusal_after([](std::vector<Raw>& list) { list.push_back({"score.weight", "F32", {1}, "1234"}); });
  EXPECT_NE(s.find("score.weight (1) is not a tensor of this GPT-2"), std::string::npos) << s;
  s = refusal_after([](std::vector<Raw>& list) { list[0].dtype = "I32"; });
  EXPECT_NE(s.find("transformer.wte.weight is of I32"), std::string::npos) << s;
  s = refusal_after([](std::vector<Raw>& list) {
    list.push_back({"h.7.ln_1.weight", "F32", {8}, std::string(32, 'x')});
  });
  EXPECT_NE(s.find("config.json says 2 layers, but the tensors are of 8"), std::string::npos) << s;
  save(small());
  change_config("n_layer", 65535);
  EXPECT_NE(refusal().find("65535 layers"), std::string::npos);
  save(small());
  change_config("n_embd", 16);
  EXPECT_NE(refusal().find("transformer.wte.weight is (13, 8)"), std::string::npos);
  save(small());
  change_config("tie_word_embeddings", false);
  EXPECT_NE(refusal().find("lm_head.weight (13, 8) is missing"), std::string::npos);
}

TEST_F(Directory, NoDirectoryNoConfigNoTensorsEachHaveTheirSentence) {
  Error const missing = error_of([&] { ModelDirectory(folder_ / "nowhere"); });
  EXPECT_EQ(missing.fault, Fault::missing);
  write_file(folder_ / "file", "x");
  EXPECT_EQ(error_of([&] { ModelDirectory(folder_ / "file"); }).fault, Fault::content);
  make_folders(folder_ / "model");
  EXPECT_NE(refusal().find("has no config.json"), std::string::npos);
  write_file(folder_ / "model/config.json", config_json({.config = small()}));
  EXPECT_NE(refusal().find("has no model.safetensors"), std::string::npos);
  write_file(folder_ / "model/pytorch_model.bin", "x");
  EXPECT_NE(refusal().find("pytorch_model.bin is not read"), std::string::npos);
}

TEST_F(Directory, ShardsAreReadThroughTheirIndexAndALyingOneIsRefused) {
  Path const model = save(small(true, false));
  std::vector<Raw> const list = raw(model / "model.safetensors");
  size_t const half = list.size() / 2;
  std::filesystem::remove(model / "model.safetensors");
  write_raw(model / "one.safetensors", {list.begin(), list.begin() + std::ptrdiff_t(half)});
  write_raw(model / "two.safetensors", {list.begin() + std::ptrdiff_t(half), list.end()});
  Json map = Json::object();
  for (size_t i = 0; i < list.size(); ++i) map[list[i].name] = i < half ? "one.safetensors" : "two.safetensors";
  auto write_index = [&](Json const& m) {
    write_json(model / "model.safetensors.index.json", Json{{"weight_map", m}});
  };
  write_index(map);
  EXPECT_EQ(loaded(), values_);
  for (auto const& [name, file, part] :
       {std::tuple(list[0].name, "two.safetensors", "the index does not say"),
        {list[0].name, "../one.safetensors", "not the name of a file beside it"},
        {list[0].name, "gone.safetensors", "which is missing"},
        {std::string("more"), "one.safetensors", "more is missing in one.safetensors"}}) {
    Json lying = map;
    lying[name] = file;
    write_index(lying);
    EXPECT_NE(refusal().find(part), std::string::npos) << part << ": " << refusal();
  }
}

TEST_F(Directory, TruncatedTensorsAreRefusedAtEveryLength) {
  Path const file = save(small()) / "model.safetensors";
  std::string const whole = read_file(file);
  for (size_t n = 0; n < whole.size(); n += 1 + n / 16) {
    write_file(file, whole.substr(0, n));
    EXPECT_NE(refusal().find("model.safetensors"), std::string::npos) << n;
  }
}

TEST_F(Directory, AManifestNamesWhatIsDamagedOrMissing) {
  Path const model = save(small());
  EXPECT_EQ(error_of([&] { verify_manifest(model); }).fault, Fault::content);
  write_manifest(model);
  EXPECT_NO_THROW(verify_manifest(model));
  std::string const whole = read_file(model / "model.safetensors");
  auto refused = [&](std::string const& part) {
    Error const e = error_of([&] { verify_manifest(model); });
    EXPECT_EQ(e.fault, Fault::content);
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  };
  std::string damaged = whole;
  damaged[damaged.size() / 2] ^= 1;
  write_file(model / "model.safetensors", damaged);
  refused("model.safetensors is damaged");
  write_file(model / "model.safetensors", whole.substr(0, whole.size() - 1));
  refused("model.safetensors holds");
  write_file(model / "model.safetensors", whole);
  EXPECT_NO_THROW(verify_manifest(model));
  std::filesystem::remove(model / "vocab.json");
  refused("vocab.json is missing");
  write_file(model / "vocab.json", "{}");
  Json const manifest = read_json(model / "manifest.json");
  EXPECT_EQ(manifest["format"], "folio-checkpoint");
  EXPECT_EQ(manifest["files"].size(), 3u);
  EXPECT_EQ(manifest["files"]["vocab.json"]["size"], 2);
  Json other = manifest;
  other["version"] = 2;
  write_json(model / "manifest.json", other);
  refused("has version 2, this folio reads up to 1");
  other = manifest;
  other["files"]["../x"] = other["files"]["vocab.json"];
  write_json(model / "manifest.json", other);
  refused("not the name of a file");
  other = manifest;
  other["files"].erase("model.safetensors");
  write_json(model / "manifest.json", other);
  refused("does not list model.safetensors");
}

// Of a model directory, in f64: logits of the sequence 1, 8, 15, … of T tokens, or the sentence of its refusal.
void answer(Path const& model, Path const& answer) {
  try {
    ModelDirectory const d(model);
    auto const backend = make_reference_backend();
    test::Reader reader(*backend, d.config(), DType::f64);
    d.load(*backend, reader.weights());
    test::Tokens tokens(static_cast<size_t>(d.config().context));
    for (size_t t = 0; t < tokens.size(); ++t) tokens[t] = int32_t(int64_t(7 * t + 1) % d.config().vocab);
    write_json(answer, Json{{"logits", reader.full(tokens).logits}});
  } catch (Error const& e) {
    write_json(answer, Json{{"error", e.what()}});
  }
}

// Writes models into FOLDER/ours for transformers to load, and reads those of FOLDER/theirs.
TEST_F(Directory, AnswersTransformers) {
  char const* const asked = std::getenv("FOLIO_CHECK_TRANSFORMERS");
  if (asked == nullptr) GTEST_SKIP() << "tools/check_transformers.py asks this test by FOLIO_CHECK_TRANSFORMERS";
  Path const folder = asked;
  for (DType dtype : {DType::f32, DType::f64})
    for (bool bias : {true, false})
      for (bool tied : {true, false}) {
        Config c = small(bias, tied);
        c.channels = 16, c.vocab = 31, c.context = 12;
        Model m(c, dtype);
        test::set_formula_weights(*m.backend, m.weights, 5, 4);
        Path const model = folder / "ours" /
                           fmt::format("{} {} {}", name_of(dtype), bias ? "bias" : "plain", tied ? "tied" : "untied");
        make_folders(model);
        save_model(model, *m.backend, m.weights, {.end_of_text = 30});
        answer(model, model.string() + ".json");
      }
  for (auto const& entry : std::filesystem::directory_iterator(folder / "theirs"))
    if (entry.is_directory()) answer(entry.path(), entry.path().string() + ".json");
}

}  // namespace
}  // namespace folio::model
