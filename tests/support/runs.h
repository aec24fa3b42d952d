// Runs of `folio train` that tests compare: a text to learn, a program that can be killed, and what two runs must have
// in common to be the same.
#pragma once

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/json.h"
#include "tests/support/program.h"
#include "tests/support/scratch_folder.h"

namespace folio::test {

// Words of a small grammar: enough to learn, the same on every machine.
inline std::string speeches() {
  constexpr char const* kWords[] = {"love", "night", "crown", "sword", "king", "the", "a", "my", "is", "of"};
  std::string text;
  uint32_t x = 7;
  for (int line = 0; line < 700; ++line) {
    text += line % 3 == 0 ? "First Lord:\n" : "";
    for (int word = 0; word < 7; ++word) text += std::string(kWords[(x = x * 1664525 + 1013904223) >> 24 & 7]) + " ";
    text += line % 3 == 2 ? "\n\n" : "\n";
  }
  return text;
}

/// The words of a run of a second that goes on where it was: some steps of a small model, each saved in this form.
inline std::vector<std::string> small_run(Path const& text, Path const& out, int steps, std::string const& form) {
  return words_of(
      "train --resume auto --layers 1 --heads 1 --embd 16 --context 16 --batch 2 --warmup 0 --eval-every 2 "
      "--eval-batches 1 --checkpoint-every 1",
      {"--data", text.string(), "--out", out.string(), "--steps", std::to_string(steps), "--save", form});
}

/// The program beside the test; what it says goes to a file. Killed if it is not waited for.
class Child {
 public:
  Child(std::vector<std::string> words, Path const& err, std::map<std::string, std::string> const& set = {})
      : err_(err) {
    words.insert(words.begin(), program());
    pid_ = ::fork();
    if (pid_ != 0) return;
    int const file = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666), null = ::open("/dev/null", O_RDWR);
    become(words, {.set = set}, null, null, file);
  }
  ~Child() {
    if (pid_ > 0) signal(SIGKILL), wait();
  }
  Child(Child const&) = delete;
  pid_t pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  bool ended() {  // without waiting
    siginfo_t info{};
    return ::waitid(P_PID, id_t(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
  }
  Ended wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    Ended ended;
    if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
    ended.err = read_file(err_);
    return ended;
  }

 private:
  pid_t pid_ = -1;
  Path err_;
};

inline std::string last_checkpoint(Path const& run_folder) {
  std::string last;
  for (auto const& entry : std::filesystem::directory_iterator(run_folder / "checkpoints"))
    last = std::max(last, entry.path().string());
  return last;
}

// The log without the clock's fields and without the lines that record a save, a stop or a resume.
inline std::vector<std::string> log_of(Path const& run_folder) {
  std::vector<std::string> lines;
  std::istringstream in(read_file(run_folder / "metrics.jsonl"));
  for (std::string line; std::getline(in, line);) {
    Json json = parse_json(line, "metrics.jsonl");
    if (json["type"] == "save" || json["type"] == "stop" || json["type"] == "resume" || json["type"] == "change")
      continue;
    for (char const* key : {"seconds", "tokens_per_second", "memory_bytes"}) json.erase(key);
    lines.push_back(dump(json));
  }
  return lines;
}

/// Weights, moments, state and log of the last step.
inline void expect_same_run(Path const& a, Path const& b) {
  Path const one = last_checkpoint(a), two = last_checkpoint(b);
  ASSERT_EQ(one.filename(), two.filename());
  for (auto const& entry : std::filesystem::directory_iterator(one))
    if (Path const file = entry.path().filename(); file != "state.json" && file != "manifest.json") {
      EXPECT_TRUE(read_file(one / file) == read_file(two / file)) << file << " differs";
    }
  Json state_one = read_json(one / "state.json"), state_two = read_json(two / "state.json");
  for (Json* state : {&state_one, &state_two})
    for (char const* key : {"seconds", "longest", "metrics_bytes"}) state->erase(key);
  EXPECT_EQ(dump(state_one), dump(state_two));
  EXPECT_EQ(log_of(a), log_of(b));
}

/// The lines of a run's log that are of this type.
inline std::vector<Json> lines_of(Path const& run_folder, std::string const& type) {
  std::vector<Json> lines;
  std::istringstream in(read_file(run_folder / "metrics.jsonl"));
  for (std::string line; std::getline(in, line);)
    if (Json json = parse_json(line, "metrics.jsonl"); json["type"] == type) lines.push_back(std::move(json));
  return lines;
}

/// A text to learn, and runs of it that have `flags` in common, which blanks part.
class Runs : public testing::Test {
 protected:
  explicit Runs(std::string const& flags = "") : flags_(words_of(flags)) {
    write_file(folder / "text.txt", speeches());
  }
  std::string at(std::string const& name) const { return (folder / name).string(); }
  std::vector<std::string> command(std::string const& out, std::vector<std::string> const& more = {},
                                   std::string const& verb = "train") const {
    std::vector<std::string> words = {verb, "--data", at("text.txt")};
    if (!out.empty()) words.insert(words.end(), {"--out", at(out)});
    words.insert(words.end(), flags_.begin(), flags_.end());
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Ended go_on(std::string const& out, std::vector<std::string> const& more = {}) const {
    std::vector<std::string> words = {"train", "--out", at(out), "--resume"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  std::vector<Json> lines(std::string const& out, std::string const& type) const {
    return lines_of(folder / out, type);
  }
  void expect_same_run(std::string const& a, std::string const& b) const {
    test::expect_same_run(folder / a, folder / b);
  }

  ScratchFolder folder;

 private:
  std::vector<std::string> flags_;
};

}  // namespace folio::test
