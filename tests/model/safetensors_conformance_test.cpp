// The cases that the reference reader of safetensors (Rust) is itself tested with, as bytes, each with the answer that
// it gives; where folio is stricter, the format's own page asks for it. tests/oracles/safetensors_oracle.py compares
// the two readers live, on many more files.
#include <gtest/gtest.h>

#include "core/file.h"
#include "model/safetensors.h"
#include "tests/support/scratch_folder.h"

namespace folio::model {
namespace {

std::string bytes_of_length(uint64_t length, std::string const& rest) {
  return std::string(reinterpret_cast<char const*>(&length), 8) + rest;
}
std::string file_of(std::string const& header, std::string const& data = "") {
  return bytes_of_length(header.size(), header + data);
}
std::string i32(std::string const& shape, std::string const& offsets) {
  return R"({"test":{"dtype":"I32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}
std::string zeros(size_t n) { return std::string(n, '\0'); }

class Conformance : public testing::Test {
 protected:
  SafetensorsFile read(std::string const& content) {
    Path const path = folder_ / "x.safetensors";
    write_file(path, content);
    return SafetensorsFile(path);
  }
  void expect_refused(std::string const& content, std::string const& part) {
    try {
      read(content);
      ADD_FAILURE() << "taken: " << part;
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::content);
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  }
  test::ScratchFolder folder_;
};

TEST_F(Conformance, WhatTheReferenceTakesIsTaken) {
  SafetensorsFile const matrix = read(file_of(i32("[2,2]", "[0,16]"), zeros(16)));
  ASSERT_EQ(matrix.tensors().size(), 1u);
  EXPECT_EQ(matrix.tensors()[0].name, "test");
  EXPECT_EQ(matrix.tensors()[0].shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(matrix.bytes(matrix.tensors()[0]).size(), 16u);

  SafetensorsFile const number = read(file_of(i32("[]", "[0,4]"), zeros(4)));
  EXPECT_TRUE(number.tensors()[0].shape.empty());
  EXPECT_EQ(number.bytes(number.tensors()[0]).size(), 4u);

  SafetensorsFile const nothing = read(file_of(i32("[2,0]", "[0, 0]")));
  EXPECT_EQ(nothing.tensors()[0].shape, (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(nothing.bytes(nothing.tensors()[0]).size(), 0u);

  EXPECT_TRUE(read(file_of("{}\r \t\n")).tensors().empty());  // blanks of any kind behind the header
}

TEST_F(Conformance, WhatTheReferenceRefusesIsRefused) {
  std::string const good = i32("[2,2]", "[0,16]");
  expect_refused(file_of(good, zeros(16) + "extra_bogus_data_for_polyglot_file"), "but the file holds");
  expect_refused(file_of(good, zeros(14)), "cut off");
  expect_refused(bytes_of_length(0xffffff000000003c, good + zeros(16)), "above the limit");
  expect_refused("", "too few");
  expect_refused(bytes_of_length(60, ""), "cut off");
  expect_refused(file_of("\xff"), "does not begin with {");
  expect_refused(file_of("{"), "is not JSON");
  expect_refused(file_of(i32("[2,2]", "[0, 4]"), zeros(4)), "takes 128 bits");
  expect_refused(file_of(i32("[2,18446744073709551614]", "[0,16]"), zeros(16)), "");  // above 63 bits, and 2^64 in all
  expect_refused(file_of(i32("[2,9223372036854775807]", "[0,16]"), zeros(16)), "more than 2^64");
  std::string same_place = "{";  // ten tensors over the same bytes
  for (int i = 0; i < 10; ++i)
    same_place += (i ? ",\"weight_" : "\"weight_") + std::to_string(i) +
                  R"(":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]})";
  expect_refused(file_of(same_place + "}", zeros(16)), "overlap");
}

TEST_F(Conformance, AHeaderThatWouldTakeManyTimesItsSizeInMemoryIsRefused) {
  std::string ones = "1", tensors = i32("[0]", "[0,0]");
  while (ones.size() < 2'000'000) ones += ",1";
  expect_refused(file_of(i32("[" + ones + "]", "[0,4]"), zeros(4)), "more than 64 items");
  tensors.pop_back();
  for (int i = 0; i < 263'000; ++i)
    tensors += ",\"" + std::to_string(i) + R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  expect_refused(file_of(tensors + "}"), "more than 262144 members");
}

TEST_F(Conformance, AHeaderThatBeginsWithBlanksIsRefusedAsTheFormatAsks) {
  expect_refused(file_of("\t\n{}\r "), "does not begin with {");
}

}  // namespace
}  // namespace folio::model
