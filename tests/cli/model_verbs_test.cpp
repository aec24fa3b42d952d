// inspect and eval as a shell runs them: results, JSON, and models that are not what they should be.
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/json.h"
#include "model/checkpoint.h"
#include "model/sizes.h"
#include "tests/support/files.h"
#include "tests/support/formula_weights.h"
#include "tests/support/program.h"
#include "tests/support/reader.h"
#include "text/tokenizer.h"

namespace folio::test {
namespace {

constexpr char const* kText = "the quick brown fox jumps over the lazy dog, and the dog sleeps on\n";

model::Config shape() {
  return {.layers = 2, .heads = 2, .channels = 8, .vocab = 0, .context = 7, .bias = true, .tied = true, .dropout = {}};
}

class ModelVerbs : public testing::Test {
 protected:
  ModelVerbs() {
    std::string text;
    for (int i = 0; i < 30; ++i) text += std::string(kText).substr(size_t(i) % 40);
    text_ = text;
    write_file(folder_ / "text.txt", text);
    model_ = save_model_in("model");
    EXPECT_EQ(run({"prepare", path("text.txt"), "--tokenizer", "char", "--out", path("data")}).code, 0);
  }
  std::string path(std::string const& name) const { return (folder_ / name).string(); }
  std::string save_model_in(std::string const& name) {
    auto const tokenizer = text::make_char_tokenizer(text_);
    config_ = shape();
    config_.vocab = tokenizer->vocab();
    auto const backend = make_reference_backend();
    Reader reader(*backend, config_, DType::f32);
    set_formula_weights(*backend, reader.weights(), 5, 4);
    make_folders(folder_ / name);
    model::save_model(folder_ / name, *backend, reader.weights(), {.tokenizer = "char"}, tokenizer->files());
    return path(name);
  }
  // Code and sentence of a refusal: nothing on stdout, one line on stderr, no signal.
  void expect_refusal(std::vector<std::string> const& words, int code, std::string const& part) {
    Ended const e = run(words);
    EXPECT_EQ(e.code, code) << e.err;
    EXPECT_EQ(e.signal, 0);
    EXPECT_EQ(e.out, "");
    EXPECT_EQ(std::ranges::count(e.err, '\n'), 1) << e.err;
    EXPECT_NE(e.err.find(part), std::string::npos) << part << " in " << e.err;
  }
  Json json(std::vector<std::string> words) {
    if (words[0] == "eval")
      words.insert(words.end(), {"--threads", "1"});  // windows of seven tokens are no work for two
    Ended const e = run(words);
    EXPECT_EQ(e.code, 0) << e.err;
    return parse_json(e.out, "stdout");
  }
  ScratchFolder folder_;
  std::string text_, model_;
  model::Config config_;
};

TEST_F(ModelVerbs, EvalGivesTheMeanOverWindowsThatDoNotOverlap) {
  // By the definition: each window read alone, its token losses added up.
  std::vector<int32_t> const ids = text::make_char_tokenizer(text_)->encode(text_);
  auto const whole = json({"eval", model_, "--data", path("data"), "--split", "train", "--dtype", "f32", "--json"});
  int64_t const n = whole["tokens"].get<int64_t>() + 1;
  ASSERT_LT(n, int64_t(ids.size()));
  auto const backend = make_reference_backend();
  Reader reader(*backend, config_, DType::f64);
  model::ModelDirectory(model_).load(*backend, reader.weights());
  double sum = 0;
  for (int64_t start = 0; start + 1 < n; start += 7) {
    int64_t const T = std::min<int64_t>(7, n - 1 - start);
    std::vector<double> const z = reader.full({ids.begin() + start, ids.begin() + start + T}).logits;
    for (int64_t t = 0; t < T; ++t) {
      double total = 0;
      for (int64_t v = 0; v < config_.vocab; ++v) total += std::exp(z[size_t(t * config_.vocab + v)]);
      sum += std::log(total) - z[size_t(t * config_.vocab + ids[size_t(start + t + 1)])];
    }
  }
  double const loss = sum / double(n - 1);
  EXPECT_NEAR(whole["loss"].get<double>(), loss, 1e-5);
  EXPECT_NEAR(whole["perplexity"].get<double>(), std::exp(loss), 1e-4 * std::exp(loss));
  EXPECT_NEAR(whole["bits_per_byte"].get<double>(), loss / std::log(2.0), 1e-5);  // a character is a byte here
  EXPECT_EQ(whole["bytes"], n - 1);
  EXPECT_EQ(whole["split"], "train");
  EXPECT_EQ(whole["windows"], (n - 1 + 6) / 7);
  for (char const* batch : {"1", "3", "1000"})
    EXPECT_NEAR(json({"eval", model_, "--data", path("data"), "--split", "train", "--dtype", "f32", "--json", "--batch",
                      batch})["loss"]
                    .get<double>(),
                loss, 1e-5);
  Json const val = json({"eval", model_, "--data", path("data"), "--json"});
  EXPECT_EQ(val["split"], "val");
  EXPECT_EQ(val["tokens"].get<int64_t>() + 1 + n, int64_t(ids.size()));
  Ended const words = run({"eval", model_, "--data", path("data")});
  EXPECT_EQ(words.code, 0);
  EXPECT_NE(words.out.find("bits per byte"), std::string::npos) << words.out;
}

TEST_F(ModelVerbs, EvalWantsDataOfTheModelsVocabulary) {
  write_file(folder_ / "other.txt", std::string(kText) + kText + "ABCDEFGHIJKLMNOPQRSTUVWXYZ\n" + kText);
  ASSERT_EQ(run({"prepare", path("other.txt"), "--tokenizer", "char", "--out", path("other")}).code, 0);
  expect_refusal({"eval", model_, "--data", path("other")}, 65, "prepare the data with the model's tokenizer");
  write_file(folder_ / "shuffled.txt", [&] {
    std::string s = text_;
    for (char& c : s) c = c == 'q' ? 'Q' : c;  // as many characters, another set
    return s;
  }());
  ASSERT_EQ(run({"prepare", path("shuffled.txt"), "--tokenizer", "char", "--out", path("shuffled")}).code, 0);
  expect_refusal({"eval", model_, "--data", path("shuffled")}, 65, "prepared with another tokenizer");
  write_file(folder_ / "ids.bin", std::string("\1\0\2\0\377\0", 6));
  expect_refusal({"eval", model_, "--data", path("ids.bin"), "--split", "train"}, 65, "255");
}

TEST_F(ModelVerbs, OneKindGivenForAnotherIsNamed) {
  expect_refusal({"eval", path("data"), "--data", path("data")}, 65, "is prepared data, not a model");
  expect_refusal({"inspect", path("text.txt")}, 65, "is a text, not a model");
  expect_refusal({"inspect", path("nowhere")}, 66, "does not exist");
  expect_refusal({"eval", path("nowhere"), "--data", path("data")}, 66, "does not exist");
  expect_refusal({"eval", model_, "--data", path("nowhere")}, 66, "does not exist");
  expect_refusal({"eval", model_, "--data", model_}, 65, "is a model");
  expect_refusal({"eval", model_, "--data", path("text.txt")}, 65, "is text, not tokens");
  expect_refusal({"eval", model_}, 2, "--data");
  expect_refusal({"eval", "--data", path("data")}, 2, "MODEL");
  expect_refusal({"eval", model_, "--data", path("data"), "--split", "test"}, 78, "val");
}

TEST_F(ModelVerbs, DamagedModelsAreRefusedWithASentence) {
  Path const tensors = folder_ / "model/model.safetensors";
  std::string const whole = read_file(tensors);
  auto refused = [&](std::string const& part) {
    expect_refusal({"inspect", model_}, 65, part);
    expect_refusal({"eval", model_, "--data", path("data")}, 65, part);
  };
  for (size_t n : {size_t{0}, size_t{5}, size_t{8}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_file(tensors, whole.substr(0, n));
    refused("model.safetensors");
  }
  std::string lying = whole;
  lying[2] = '\x7f';  // a header of eight megabytes
  write_file(tensors, lying);
  refused("cut off");
  write_file(tensors, whole + "x");
  refused("but the file holds");
  write_file(tensors, whole);
  std::string const config = read_file(folder_ / "model/config.json");
  for (auto const& [key, value, part] : {std::tuple("n_layer", Json(3), "config.json says 3 layers"),
                                         {"n_embd", Json(16), "but config.json"},
                                         {"n_head", Json(3), "use 2 or 4"},
                                         {"vocab_size", Json(1000), "wte.weight"},
                                         {"n_positions", Json("7"), "n_positions"},
                                         {"activation_function", Json("relu"), "gelu_new"},
                                         {"n_layer", Json(1e18), "n_layer"}}) {
    Json j = parse_json(config, "config.json");
    j[key] = value;
    write_json(folder_ / "model/config.json", j);
    refused(part);
  }
  write_file(folder_ / "model/config.json", config.substr(0, config.size() / 2));
  refused("is not JSON");
  std::filesystem::remove(folder_ / "model/config.json");
  refused("has no config.json");
}

TEST_F(ModelVerbs, InspectCountsParametersByPart) {
  Json const j = json({"inspect", model_, "--json"});
  model::ParameterCounts const n = model::count_parameters(config_);
  EXPECT_EQ(j["parameters"]["total"], n.total());
  EXPECT_EQ(j["parameters"]["mlp"], n.mlp);
  EXPECT_EQ(j["saved_by_tying"], config_.vocab * 8);
  EXPECT_EQ(j["stored_dtype"], "F32");
  EXPECT_EQ(j["tokenizer"], "char");
  int64_t sum = 0;
  for (Json const& t : j["tensors"]) {
    int64_t size = t["times"];
    for (Json const& d : t["shape"]) size *= d.get<int64_t>();
    sum += size;
  }
  EXPECT_EQ(sum, n.total());
  EXPECT_EQ(json({"inspect", "--size", "1558M", "--json"})["parameters"]["total"], 1557611200);
  EXPECT_EQ(json({"inspect", "--size", "124M", "--layers", "2", "--untied", "--json"})["parameters"]["head"],
            50257 * 768);
  Ended const words = run({"inspect", "--size", "124M"});
  EXPECT_NE(words.out.find("total               124,439,808  100.0 %\n"), std::string::npos) << words.out;
  EXPECT_NE(words.out.find("h.*.attn.c_attn.weight  (768, 2304)"), std::string::npos) << words.out;
}

TEST_F(ModelVerbs, InspectRefusesShapesWithTheFix) {
  expect_refusal({"inspect", "--heads", "24", "--embd", "2048"}, 78,
                 "heads 24 does not divide embd 2048: use 16 or 32");
  expect_refusal({"inspect", "--size", "124m"}, 78, "did you mean 124M?");
  expect_refusal({"inspect", "--layers", "65535", "--heads", "4", "--embd", "1048576"}, 78, "parameters");
  expect_refusal({"inspect", "--dropout", "1"}, 78, "dropout");
  expect_refusal({"inspect"}, 2, "MODEL");
  expect_refusal({"inspect", model_, "--layers", "2"}, 78, "--layers contradicts");
  expect_refusal({"inspect", model_, "--window=8"}, 78, "--window is of data");
  expect_refusal({"inspect", path("data"), "--layers", "2"}, 78, "--layers is of models, and");
}

TEST_F(ModelVerbs, ARunStandsForItsBestElseItsNewestCheckpoint) {
  make_folders(folder_ / "run/checkpoints");
  write_file(folder_ / "run/config.toml", "");
  expect_refusal({"inspect", path("run")}, 66, "checkpoint");
  save_model_in("run/checkpoints/step-00000010");
  save_model_in("run/checkpoints/step-00000020");
  for (char const* step : {"step-00000010", "step-00000020"}) {
    write_file(folder_ / "run/checkpoints" / step / "state.json", "{}");
    model::write_manifest(folder_ / "run/checkpoints" / step);
  }
  EXPECT_EQ(json({"inspect", path("run"), "--json"})["path"], path("run/checkpoints/step-00000020"));
  EXPECT_EQ(run({"eval", path("run"), "--data", path("data")}).code, 0);
  EXPECT_EQ(json({"inspect", path("run/checkpoints/step-00000010"), "--json"})["path"],
            path("run/checkpoints/step-00000010"));
}

TEST_F(ModelVerbs, InspectMeasuresEachTensor) {
  Json const j = json({"inspect", model_, "--json"});
  Json const& norm = *std::ranges::find_if(j["tensors"], [](Json const& t) { return t["name"] == "h.1.ln_2.weight"; });
  auto const values = formula_values("h.1.ln_2.weight", 8, 5, 4);
  double sum = 0, squares = 0;
  for (float const v : values) sum += v;
  for (float const v : values) squares += (v - sum / 8) * (v - sum / 8);
  EXPECT_NEAR(norm["mean"].get<double>(), sum / 8, 1e-12);
  EXPECT_NEAR(norm["deviation"].get<double>(), std::sqrt(squares / 8), 1e-12);
  EXPECT_EQ(norm["max"].get<double>(), *std::ranges::max_element(values));
  EXPECT_EQ(norm["non_finite"], 0);
  Ended const words = run({"inspect", model_});
  EXPECT_NE(words.out.find("h.1.ln_2.weight"), std::string::npos) << words.out;
  EXPECT_EQ(words.err, "") << "work that is soon done shows no progress";
}

TEST_F(ModelVerbs, InspectSaysWhatIsInData) {
  Json const j = json({"inspect", path("data"), "--window", "8", "--json"});
  std::string const train = text_.substr(0, j["splits"]["train"]["tokens"].get<size_t>()),
                    val = text_.substr(train.size());
  EXPECT_EQ(j["splits"]["val"]["tokens"], val.size());
  EXPECT_EQ(j["splits"]["train"]["ids_used"], std::set<char>(train.begin(), train.end()).size());
  Json const& first = j["splits"]["train"]["most_frequent"][0];
  EXPECT_EQ(first["text"], " ");
  EXPECT_EQ(first["count"], std::ranges::count(train, ' '));
  int64_t found = 0, windows = 0;
  for (size_t at = 0; at + 8 <= val.size(); at += 8, ++windows) found += train.find(val.substr(at, 8)) != train.npos;
  EXPECT_EQ(j["val_in_train"]["windows"], windows);
  EXPECT_EQ(j["val_in_train"]["found"], found);
  EXPECT_NE(train.find(j["splits"]["train"]["sample"].get<std::string>()), train.npos);
  Ended const words = run({"inspect", path("data")});
  EXPECT_EQ(words.code, 0) << words.err;
  EXPECT_NE(words.out.find("Windows of val that stand in train"), std::string::npos) << words.out;
}

TEST_F(ModelVerbs, ExportedModelsAreModels) {
  Json const e = json({"export", model_, "--out", path("small"), "--dtype", "bf16", "--json"});
  EXPECT_EQ(e["stored_bytes"].get<int64_t>() * 2, e["from_bytes"].get<int64_t>());
  EXPECT_EQ(json({"inspect", path("small"), "--json"})["stored_dtype"], "BF16");
  double const loss = json({"eval", model_, "--data", path("data"), "--json"})["loss"];
  EXPECT_NEAR(json({"eval", path("small"), "--data", path("data"), "--json"})["loss"].get<double>(), loss, 0.02);
  expect_refusal({"export", model_, "--out", path("small")}, 73, "small");
  expect_refusal({"export", model_}, 2, "--out");
  expect_refusal({"export", path("data"), "--out", path("x")}, 65, "is prepared data, not a model");
}

TEST_F(ModelVerbs, ADamagedCheckpointIsNamedBeforeItIsUsed) {
  Path const step = folder_ / "run/checkpoints/step-00000010";
  make_folders(step.parent_path());
  write_file(folder_ / "run/config.toml", "");
  save_model_in("run/checkpoints/step-00000010");
  write_file(step / "state.json", "{}");
  write_file(step / "optimizer.safetensors", "moments");
  model::write_manifest(step);
  std::filesystem::remove(step / "optimizer.safetensors");  // only training reads it
  EXPECT_EQ(run({"eval", path("run"), "--data", path("data")}).code, 0);
  std::string bytes = read_file(step / "model.safetensors");
  bytes[bytes.size() - 3] ^= 1;
  write_file(step / "model.safetensors", bytes);
  write_file(folder_ / "part.txt", kText);
  for (std::vector<std::string> const& words :
       {std::vector<std::string>{"eval", path("run"), "--data", path("data")},
        {"generate", path("run"), "--prompt", "the"},
        {"score", path("run"), "--text", path("part.txt")},
        {"export", path("run"), "--out", path("out")},
        {"train", "--from", path("run"), "--data", path("data"), "--out", path("next"), "--steps", "1"}})
    expect_refusal(words, 65, "model.safetensors is damaged");
}

}  // namespace
}  // namespace folio::test
