// `--device cuda` where it cannot be: each thing that is missing has its own sentence, and exit code 69. These rows
// need no GPU.
#include "backend/plugin.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "tests/support/files.h"
#include "tests/support/program.h"

namespace folio::test {
namespace {

namespace fs = std::filesystem;

class Plugin : public testing::Test {
 protected:
  static Ended trained_on(std::string const& device, std::map<std::string, std::string> const& set,
                          std::string const& folio = program()) {
    return run(folio, {"bench", "train", "--size", "baby", "--repeat", "1", "--device", device}, set);
  }
  static Ended run(std::string const& folio, std::vector<std::string> const& words,
                   std::map<std::string, std::string> const& set) {
    std::string const before = program();
    ::setenv("FOLIO_PROGRAM", folio.c_str(), 1);
    Ended const ended = test::run(words, {.set = set});
    ::setenv("FOLIO_PROGRAM", before.c_str(), 1);
    return ended;
  }
  static void expect_refused(Ended const& ended, std::vector<std::string> const& parts) {
    EXPECT_EQ(ended.code, 69) << ended.err;
    EXPECT_EQ(ended.out, "");
    EXPECT_TRUE(ended.err.starts_with("folio: ")) << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
    for (std::string const& part : parts)
      EXPECT_NE(ended.err.find(part), std::string::npos) << part << " in " << ended.err;
  }
  std::string alone() const {  // the program without anything beside it
    fs::create_directories(folder / "bin");
    fs::copy_file(program(), folder / "bin" / "folio", fs::copy_options::skip_existing);
    return (folder / "bin" / "folio").string();
  }
  ScratchFolder folder;
};

TEST_F(Plugin, ThatIsNotThereIsNamedWithTheWayToBuildIt) {
  expect_refused(trained_on("cuda", {{"FOLIO_PLUGINS", ""}}, alone()),
                 {"folio-cuda.so", "cmake --preset cuda", "FOLIO_PLUGINS"});
  Ended const doctor = run(alone(), {"doctor", "--json"}, {{"FOLIO_PLUGINS", ""}});
  EXPECT_NE(doctor.out.find("\"built_in\": false"), std::string::npos) << doctor.out;
}

TEST_F(Plugin, IsRefusedBeforeATextIsPreparedAndLeavesNothing) {
  write_file(folder / "text.txt", std::string(2000, 'a'));
  expect_refused(
      run(alone(),
          {"train", "--data", (folder / "text.txt").string(), "--out", (folder / "run").string(), "--device", "cuda"},
          {{"FOLIO_PLUGINS", ""}}),
      {"folio-cuda.so"});
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST_F(Plugin, OfAnotherFolioIsRefused) {
  char const* const other = std::getenv("FOLIO_OTHER_PLUGIN");
  ASSERT_TRUE(other) << "ctest sets it: the folder of a plug-in that says another interface";
  expect_refused(trained_on("cuda", {{"FOLIO_PLUGINS", other}}),
                 {other, "was not built with this folio", "g++ 4.1", plugin_abi(), "build both again"});
  Ended const doctor = run(program(), {"doctor", "--json"}, {{"FOLIO_PLUGINS", other}});
  EXPECT_EQ(doctor.code, 0) << "the CPU is there";
  EXPECT_NE(doctor.out.find("was not built"), std::string::npos) << doctor.out;
}

TEST_F(Plugin, ThatIsNoLibraryIsRefusedInTheLoadersWords) {
  write_file(folder / "folio-cuda.so", "not a library");
  expect_refused(trained_on("cuda", {{"FOLIO_PLUGINS", folder.path().string()}}),
                 {(folder / "folio-cuda.so").string(), "cannot be opened"});
}

TEST_F(Plugin, ThatIsDamagedIsRefusedAndDoctorWarns) {
  char const* const other = std::getenv("FOLIO_OTHER_PLUGIN");
  ASSERT_TRUE(other);
  auto const expect = [&](std::map<std::string, std::string> const& set, std::vector<std::string> const& parts) {
    expect_refused(trained_on("cuda", set), parts);
    Ended const doctor = run(program(), {"doctor", "--json"}, set);
    EXPECT_EQ(doctor.code, 0) << doctor.err;
    EXPECT_NE(doctor.out.find("\"usable\": false"), std::string::npos) << doctor.out;
    EXPECT_NE(doctor.out.find(parts[0]), std::string::npos) << parts[0] << " in " << doctor.out;
  };
  expect({{"FOLIO_PLUGINS", other}, {"FOLIO_OTHER_PLUGIN_SAYS", "same"}}, {"is damaged: it lacks folio_cuda_status"});
  expect({{"FOLIO_PLUGINS", other}, {"FOLIO_OTHER_PLUGIN_SAYS", "nothing"}}, {"was not built with this folio", "none"});

  std::vector<fs::path> files{fs::path(other) / "folio-cuda.so"};
  if (!cuda_status().plugin.empty()) files.push_back(cuda_status().plugin);
  fs::path const cut = folder / "folio-cuda.so";
  for (fs::path const& file : files)
    for (int const part : {0, 1, 10, 50, 90, 99}) {  // per cent
      fs::copy_file(file, cut, fs::copy_options::overwrite_existing);
      fs::resize_file(cut, fs::file_size(file) * uintmax_t(part) / 100);
      expect({{"FOLIO_PLUGINS", folder.path().string()}},
             {part == 0 ? "cannot be opened" : "is damaged: parts of it lie past its end", cut.string()});
    }
}

TEST_F(Plugin, ThatSpeaksOfBytesPastItsEndIsRefused) {
  char const* const other = std::getenv("FOLIO_OTHER_PLUGIN");
  ASSERT_TRUE(other);
  std::string const bytes = read_file(fs::path(other) / "folio-cuda.so");
  Elf64_Ehdr header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  for (size_t const at : {offsetof(Elf64_Ehdr, e_shoff), offsetof(Elf64_Ehdr, e_phoff),
                          size_t(header.e_phoff) + offsetof(Elf64_Phdr, p_offset),
                          size_t(header.e_phoff) + offsetof(Elf64_Phdr, p_filesz)})
    for (uint64_t const value : {uint64_t(bytes.size()) + 1, uint64_t{1} << 63, ~uint64_t{0} - 8}) {
      std::string broken = bytes;
      std::memcpy(broken.data() + at, &value, sizeof value);
      write_file(folder / "folio-cuda.so", broken);
      expect_refused(trained_on("cuda", {{"FOLIO_PLUGINS", folder.path().string()}}), {"is damaged: parts of it"});
    }
}

TEST_F(Plugin, OpensNcclOnlyForDoctor) {
  if (cuda_status().plugin.empty()) GTEST_SKIP() << "this build has no plug-in for GPUs: the preset `cuda` has";
  std::map<std::string, std::string> const trace{{"LD_DEBUG", "files"}};  // the loader tells on stderr what it opens
  EXPECT_EQ(trained_on("cuda", trace).err.find("libnccl"), std::string::npos);
  EXPECT_NE(run(program(), {"doctor"}, trace).err.find("libnccl.so.2"), std::string::npos);
}

TEST_F(Plugin, WithoutADriverOrAGpuSaysWhich) {
  CudaStatus const& s = cuda_status();
  if (s.plugin.empty()) GTEST_SKIP() << "this build has no plug-in for GPUs: the preset `cuda` has";
  EXPECT_GT(s.runtime, 0) << s.trouble;
  EXPECT_NE(s.cublaslt, "") << s.trouble;
  if (s.gpus.empty()) {
    expect_refused(trained_on("cuda:1", {}), {s.trouble});
    EXPECT_NE(s.trouble.find("driver"), std::string::npos) << s.trouble;
  } else {
    expect_refused(trained_on("cuda", {{"CUDA_VISIBLE_DEVICES", "-1"}}), {"shows no GPU"});
    expect_refused(trained_on("cuda:999", {}), {"there is no cuda:999", "cuda:0"});
  }
}

TEST_F(Plugin, IsLeftAloneWhereTheDeviceIsAnother) {
  char const* const other = std::getenv("FOLIO_OTHER_PLUGIN");
  ASSERT_TRUE(other);
  for (char const* device : {"cpu", "reference"}) {
    Ended const ended = run(program(),
                            {"bench", "train", "--layers", "1", "--heads", "1", "--embd", "8", "--vocab", "9",
                             "--context", "4", "--batch", "1", "--repeat", "1", "--device", device},
                            {{"FOLIO_PLUGINS", other}});
    EXPECT_EQ(ended.code, 0) << ended.err;
  }
}

TEST_F(Plugin, ADeviceThatCannotBeReadIsAValueOutOfRange) {
  for (char const* device : {"cuda:x", "cuda:-1", "cuda:", "cuda:1:2", "cuda:12345", "gpu"}) {
    Ended const ended = trained_on(device, {});
    EXPECT_EQ(ended.code, 78) << device << ": " << ended.err;
    EXPECT_NE(ended.err.find("none of cpu, cuda, cuda:N, reference"), std::string::npos) << ended.err;
  }
  for (std::vector<std::string> const& words : {std::vector<std::string>{"--device", "cpu"},
                                                {"--device", "reference"},
                                                {"--device", "cuda", "--dtype", "bf16"}}) {
    std::vector<std::string> all = {"bench", "train", "--tf32"};
    all.insert(all.end(), words.begin(), words.end());
    Ended const ended = run(program(), all, {});
    EXPECT_EQ(ended.code, 78) << ended.err;
    EXPECT_NE(ended.err.find("--tf32 with --d"), std::string::npos) << ended.err;
  }
}

}  // namespace
}  // namespace folio::test
