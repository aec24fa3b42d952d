// safetensors: what we write is read back, what Python's package writes is read, and every rule of the format is kept:
// hostile files give an error, never a crash.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "backend/backend.h"
#include "core/json.h"
#include "model/safetensors.h"
#include "tests/support/scratch_folder.h"

namespace folio::model {
namespace {

using test::ScratchFolder;

std::string file_of(std::string header, std::string const& data, int64_t length = -1) {
  uint64_t const n = length < 0 ? header.size() : static_cast<uint64_t>(length);
  std::string out(reinterpret_cast<char const*>(&n), 8);
  return out + header + data;
}

class Safetensors : public ::testing::Test {
 protected:
  Path write(std::string const& content) {
    Path const p = folder_ / "x.safetensors";
    std::ofstream(p, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
    return p;
  }
  // The sentence with which this file is refused.
  std::string refusal(std::string const& content) {
    Path const p = write(content);
    try {
      SafetensorsFile file(p);
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::content) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "accepted: " << content.substr(8, 200);
    return "";
  }
  ScratchFolder folder_;
};

constexpr char const* kGood =
    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I16","shape":[],"data_offsets":[8,10]}})";

TEST_F(Safetensors, AGoodFileIsRead) {
  float const values[] = {1.5f, -2};
  std::string const data = std::string(reinterpret_cast<char const*>(values), 8) + "xy";
  SafetensorsFile const file(write(file_of(kGood, data)));
  ASSERT_EQ(file.tensors().size(), 2u);
  StoredTensor const* const a = file.find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, std::vector<int64_t>{2});
  std::vector<double> read(2);
  file.read(*a, 0, std::span(read));
  EXPECT_EQ(read, (std::vector<double>{1.5, -2}));
  std::vector<float> second(1);
  file.read(*a, 1, std::span(second));
  EXPECT_EQ(second[0], -2);
  EXPECT_EQ(file.find("b")->dtype, "I16");
  EXPECT_EQ(file.find("b")->count, 1);
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_THROW(file.read(*file.find("b"), 0, std::span(second)), Error);
}

TEST_F(Safetensors, EveryBrokenRuleIsRefusedWithItsSentence) {
  struct Case {
    std::string content;
    char const* part;  // of the sentence
  };
  std::string const eight(8, 'x'), ten(10, 'x'), sixteen(16, 'x');
  auto one = [&](std::string const& dtype, std::string const& shape, std::string const& offsets,
                 std::string const& data) {
    return file_of(R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}", data);
  };
  for (
      Case const& x : {
          Case{"", "too few"},
          {"1234567", "too few"},
          {file_of("", ""), "does not begin with {"},
          {file_of(kGood, ten, 200), "cut off"},
          {file_of(kGood, ten, 100'000'001), "above the limit"},
          {file_of(kGood, ten, INT64_MAX), "above the limit"},
          {std::string(8, '\xff') + kGood, "above the limit"},
          {file_of("[]", ""), "does not begin with {"},
          {file_of(std::string(" ") + kGood, ten), "does not begin with {"},
          {file_of("{\"a\":", ""), "is not JSON"},
          {file_of(std::string(kGood) + "x", ten), "is not JSON"},
          {file_of("{\"\xff\":{}}", ""), "is not JSON"},
          {file_of(R"({"a":3})", ""), "is not an object"},
          {file_of(
               R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
               sixteen),
           "twice"},
          {file_of(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", eight), "\"dtype\" is missing"},
          {file_of(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", eight), "shape of a"},
          {file_of(R"({"a":{"dtype":"F32","shape":[2]}})", eight), "data_offsets of a"},
          {one("3", "[2]", "[0,8]", eight), "\"dtype\""},
          {one("\"F33\"", "[2]", "[0,8]", eight), "F33"},
          {one("\"f32\"", "[2]", "[0,8]", eight), "f32"},
          {one("\"F32\"", "2", "[0,8]", eight), "shape of a"},
          {one("\"F32\"", "[2.0]", "[0,8]", eight), "shape of a"},
          {one("\"F32\"", "[-2]", "[0,8]", eight), "shape of a"},
          {one("\"F32\"", "[\"2\"]", "[0,8]", eight), "shape of a"},
          {one("\"F32\"", "[9223372036854775808]", "[0,8]", eight), "63 bits"},
          {one("\"F32\"", "[18446744073709551616]", "[0,8]", eight), "shape of a"},
          {one("\"F32\"", "[4611686018427387904,4]", "[0,0]", ""), "more than 2^64"},
          {one("\"F32\"", "[4294967296,4294967296,2]", "[0,0]", ""), "more than 2^64"},
          {one("\"F32\"", "[2]", "[0]", eight), "data_offsets"},
          {one("\"F32\"", "[2]", "[0,8,8]", eight), "data_offsets"},
          {one("\"F32\"", "[2]", "[-8,0]", eight), "data_offsets"},
          {one("\"F32\"", "[2]", "[8,0]", eight), "before it begins"},
          {one("\"F32\"", "[2]", "[0,4]", "xxxx"), "takes 64 bits"},
          {one("\"F32\"", "[3]", "[0,8]", eight), "takes 96 bits"},
          {one("\"F4\"", "[3]", "[0,1]", "x"), "takes 12 bits"},
          {one("\"F32\"", "[2]", "[4,12]", std::string(12, 'x')), "hole"},
          {one("\"F32\"", "[2]", "[0,8]", "xxxx"), "cut off"},
          {one("\"F32\"", "[2]", "[0,8]", sixteen), "but the file holds 16"},
          {one("\"F32\"", "[2]", "[18446744073709551608,18446744073709551615]", eight), "hole"},
          {file_of(
               R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
               std::string(12, 'x')),
           "overlap"},
          {file_of(
               R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
               eight),
           "overlap"},
          {file_of(
               R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
               std::string(12, 'x')),
           "hole"},
          {file_of("{}", "x"), "but the file holds 1"},
          {file_of(R"({"__metadata__":{"a":1}})", ""), "is not a text"},
          {file_of(R"({"__metadata__":["a"]})", ""), "is not an object"},
          {file_of(R"({"__metadata__":{"a":{"b":"c"}}})", ""), "is not a text"},
          {file_of("{\"a\":" + std::string(200, '[') + std::string(200, ']') + "}", ""), "nested deeper"},
      })
    EXPECT_NE(refusal(x.content).find(x.part), std::string::npos) << "\"" << x.part << "\" in: " << refusal(x.content);
}

TEST_F(Safetensors, EmptyTensorsOddTypesAndMetadataAreTaken) {
  SafetensorsFile const file(write(file_of(
      R"({"__metadata__":{"k":"v"},"e":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},"u":{"dtype":"U16","shape":[1],"data_offsets":[0,2]}}    )",
      "xy")));
  EXPECT_EQ(file.metadata().at("k"), "v");
  EXPECT_EQ(file.find("e")->count, 0);
  EXPECT_EQ(file.bytes(*file.find("u")).size(), 2u);
  EXPECT_TRUE(SafetensorsFile(write(file_of("{}", ""))).tensors().empty());
}

TEST_F(Safetensors, TruncatedAnywhereItIsRefused) {
  std::string const whole = file_of(kGood, std::string(10, 'x'));
  for (size_t n = 0; n < whole.size(); ++n) refusal(whole.substr(0, n));
}

TEST_F(Safetensors, FlippedBitsGiveAnErrorOrAReadableFile) {
  std::string const whole = file_of(kGood, std::string(10, 'x'));
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = whole;
    for (int flips = 1 + i % 3; flips > 0; --flips)
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    try {
      SafetensorsFile const file(write(bytes));
      size_t sum = 0;
      for (StoredTensor const& t : file.tensors()) sum += file.bytes(t).size();
      EXPECT_EQ(sum, 10u);
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::content) << e.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

TEST_F(Safetensors, ManyTensorsAreReadInLinearTime) {
  std::string header = "{";
  for (int i = 0; i < 100000; ++i)
    header += (i ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  SafetensorsFile const file(write(file_of(header + "}", "")));
  EXPECT_EQ(file.tensors().size(), 100000u);
}

// Every half and bfloat, against the definition: sign · 2^(e − bias) · (1 + m / 2^bits).
double defined(uint16_t bits, int exponent_bits, int mantissa_bits) {
  int const bias = (1 << (exponent_bits - 1)) - 1, e = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  double const m = bits & ((1 << mantissa_bits) - 1), one = 1 << mantissa_bits, sign = bits & 0x8000 ? -1 : 1;
  if (e == (1 << exponent_bits) - 1) return m != 0 ? NAN : sign * INFINITY;
  return e == 0 ? sign * std::ldexp(m / one, 1 - bias) : sign * std::ldexp(1 + m / one, e - bias);
}

TEST_F(Safetensors, HalvesAndBfloatsConvertExactlyAtAnyAddress) {
  std::string data(2 * 65536, '\0');
  for (int i = 0; i < 65536; ++i) {
    auto const v = static_cast<uint16_t>(i);
    std::memcpy(&data[2 * static_cast<size_t>(i)], &v, 2);
  }
  for (std::string const& type : {std::string("F16"), std::string("BF16")}) {
    std::string header = R"({"a":{"dtype":")" + type + R"(","shape":[65536],"data_offsets":[0,131072]}})";
    if (header.size() % 2 == 0) header += ' ';  // an odd address
    SafetensorsFile const file(write(file_of(header, data)));
    std::vector<float> read(65536);
    file.read(file.tensors()[0], 0, std::span(read));
    for (int i = 0; i < 65536; ++i) {
      double const expected = type == "F16" ? defined(uint16_t(i), 5, 10) : defined(uint16_t(i), 8, 7);
      float const got = read[static_cast<size_t>(i)];
      if (std::isnan(expected)) EXPECT_TRUE(std::isnan(got)) << i;
      else EXPECT_EQ(double(got), expected) << i;
      EXPECT_EQ(std::signbit(got), i >= 0x8000) << i;
    }
  }
}

std::string hex(Bytes bytes) {
  std::string out;
  for (std::byte b : bytes) out += fmt::format("{:02x}", std::to_integer<int>(b));
  return out;
}

struct Stored {  // some tensors in a backend's memory
  Stored() : backend(make_reference_backend()) {
    for (int pass = 0; pass < 2; ++pass) {
      list = {{"f", arena.take("f", DType::f32, {3, 5})},
              {"d", arena.take("d", DType::f64, {7})},
              {"i", arena.take("i", DType::i64, {2})},
              {"big", arena.take("big", DType::f32, {1500, 1000})}};
      if (pass == 0) arena.allocate(*backend);
    }
  }
  void fill() {
    unsigned value = 1;
    for (NamedTensor const& n : list) {
      auto* bytes = static_cast<unsigned char*>(n.tensor.data);
      for (size_t i = 0; i < n.tensor.bytes(); ++i)
        bytes[i] = static_cast<unsigned char>((value = value * 1103515245 + 12345) >> 16);
    }
  }
  std::unique_ptr<Backend> backend;
  Arena arena{"test"};
  std::vector<NamedTensor> list;
};

TEST_F(Safetensors, SavedTensorsComeBackBitForBit) {
  Stored from, to;
  from.fill();
  Path const p = folder_ / "t.safetensors";
  save_tensors(p, from.list, *from.backend, {{"format", "pt"}});
  load_tensors(p, to.list, *to.backend);
  for (size_t i = 0; i < from.list.size(); ++i)
    EXPECT_EQ(std::memcmp(from.list[i].tensor.data, to.list[i].tensor.data, from.list[i].tensor.bytes()), 0)
        << from.list[i].name;
  SafetensorsFile const file(p);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  uint64_t header = 0;
  std::memcpy(&header, read_file(p).data(), 8);
  EXPECT_EQ(header % 8, 0u);
}

TEST_F(Safetensors, LoadingWantsExactlyTheNamesShapesAndTypes) {
  Stored from, to;
  from.fill();
  Path const p = folder_ / "t.safetensors";
  auto sentence = [&](std::vector<NamedTensor> const& saved) -> std::string {
    save_tensors(p, saved, *from.backend);
    std::vector<unsigned char> const before(static_cast<unsigned char*>(to.list[0].tensor.data),
                                            static_cast<unsigned char*>(to.list[0].tensor.data) + 60);
    try {
      load_tensors(p, to.list, *to.backend);
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::content);
      EXPECT_EQ(std::memcmp(before.data(), to.list[0].tensor.data, 60), 0) << "written before it was refused";
      return e.what();
    }
    return "accepted";
  };
  auto changed = [&](auto change) {
    std::vector<NamedTensor> list = from.list;
    change(list);
    return list;
  };
  EXPECT_NE(sentence(changed([](auto& l) { l.erase(l.begin() + 1); })).find("d is missing"), std::string::npos);
  EXPECT_NE(sentence(changed([](auto& l) {
              l[0].tensor.shape = {5, 3};
            })).find("f is (5, 3) of F32; (3, 5) of F32"),
            std::string::npos);
  EXPECT_NE(sentence(changed([](auto& l) { l[1].tensor.dtype = DType::i64; })).find("I64"), std::string::npos);
  EXPECT_NE(sentence(changed([](auto& l) { l.push_back(l[0]), l.back().name = "more"; })).find("more is not expected"),
            std::string::npos);
  EXPECT_EQ(sentence(from.list), "accepted");
}

TEST_F(Safetensors, AFileWithoutAllItsDataIsNeverCommitted) {
  Path const p = folder_ / "short.safetensors";
  SafetensorsWriter::Entry const entries[] = {{"a", DType::f32, {4}}};
  {
    SafetensorsWriter file(p, entries, {});
    file.write(bytes_of("12345678"));
    EXPECT_THROW(file.commit(), Error);
  }
  EXPECT_FALSE(std::filesystem::exists(p));
}

// Reads every file of FOLDER/theirs and says what is in it, or that it is refused; writes FOLDER/ours.safetensors.
TEST_F(Safetensors, AnswersTheOracle) {
  char const* const folder = std::getenv("FOLIO_SAFETENSORS_ORACLE");
  if (folder == nullptr)
    GTEST_SKIP() << "tests/oracles/safetensors_oracle.py asks this test by FOLIO_SAFETENSORS_ORACLE";
  Json answers = Json::object();
  for (auto const& entry : std::filesystem::directory_iterator(Path(folder) / "theirs")) {
    Json answer = Json::object();
    try {
      SafetensorsFile const file(entry.path());
      for (StoredTensor const& t : file.tensors()) {
        Json said = {{"dtype", t.dtype}, {"shape", t.shape}, {"bytes", hex(file.bytes(t))}};
        if (t.dtype == "F16" || t.dtype == "BF16" || t.dtype == "F32" || t.dtype == "F64") {
          std::vector<double> values(static_cast<size_t>(t.count));
          file.read(t, 0, std::span(values));
          said["values"] = hex(std::as_bytes(std::span(values)));
        }
        answer["tensors"][t.name] = said;
      }
      answer["metadata"] = file.metadata();
    } catch (Error const& e) {
      ASSERT_EQ(e.fault, Fault::content) << e.what();
      answer["error"] = e.what();
    }
    answers[entry.path().filename().string()] = answer;
  }
  write_json(Path(folder) / "answers.json", answers);
  Stored mine;
  mine.fill();
  save_tensors(Path(folder) / "ours.safetensors", mine.list, *mine.backend,
               {{"format", "pt"}, {"note", "\"\n\xc3\xbc"}});
  Json bytes = Json::object();
  for (NamedTensor const& n : mine.list)
    bytes[n.name] = hex(Bytes(static_cast<std::byte const*>(n.tensor.data), n.tensor.bytes()));
  write_json(Path(folder) / "ours.json", bytes);
}

}  // namespace
}  // namespace folio::model
