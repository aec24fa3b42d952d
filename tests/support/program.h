// Runs the program as a shell would, and says what it printed where and how it ended.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace folio::test {

struct Ended {
  int code = -1;   // −1 where a signal ended it
  int signal = 0;  // 0 where none did
  std::string out, err;
};

struct Surroundings {
  std::string input = "";                       // of stdin
  std::map<std::string, std::string> set = {};  // environment variables; an empty value removes one
  std::string out = "";                         // stdout goes to this file
  bool close_out = false;                       // stdout is a pipe without a reader
  std::string folder = "";                      // where it runs
  size_t data_limit = 0;                        // bytes, as `ulimit -d` sets it
  std::string group = "";                       // the control group that it enters
};

/// The words of a command that blanks part, and more behind them.
inline std::vector<std::string> words_of(std::string const& text, std::vector<std::string> const& more = {}) {
  std::istringstream in(text);
  std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

inline std::string program() {
  char const* path = std::getenv("FOLIO_PROGRAM");
  return path ? path : "";
}

inline void take(pollfd& pipe, std::string& text) {
  if (pipe.fd < 0 || !(pipe.revents & (POLLIN | POLLHUP | POLLERR))) return;
  char bytes[65536];
  ssize_t const n = ::read(pipe.fd, bytes, sizeof bytes);
  if (n > 0) text.append(bytes, static_cast<size_t>(n));
  if (n <= 0) {
    ::close(pipe.fd);
    pipe.fd = -1;
  }
}

[[noreturn]] inline void become(std::vector<std::string> const& words, Surroundings const& s, int in, int out,
                                int err) {
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  for (auto const& [name, value] : s.set)
    value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
  if (!s.folder.empty() && ::chdir(s.folder.c_str()) != 0) ::_exit(126);
  if (s.data_limit > 0) {
    rlimit const limit{s.data_limit, s.data_limit};
    if (::setrlimit(RLIMIT_DATA, &limit) != 0) ::_exit(126);
  }
  if (!s.group.empty()) {
    int const file = ::open((s.group + "/cgroup.procs").c_str(), O_WRONLY);
    if (file < 0 || ::write(file, "0", 1) != 1) ::_exit(126);
  }
  std::vector<char*> list;
  for (std::string const& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  ::execv(list[0], list.data());
  ::_exit(127);
}

inline Ended run(std::vector<std::string> words, Surroundings const& s = {}) {
  words.insert(words.begin(), program());
  int in[2], out[2], err[2];
  if (::pipe2(in, O_CLOEXEC) || ::pipe2(out, O_CLOEXEC) || ::pipe2(err, O_CLOEXEC)) return {};
  if (!s.out.empty()) {
    ::close(out[1]);
    out[1] = ::open(s.out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  }
  if (s.close_out) ::close(out[0]);
  std::signal(SIGPIPE, SIG_IGN);
  pid_t const child = ::fork();
  if (child == 0) {
    std::signal(SIGPIPE, SIG_DFL);
    become(words, s, in[0], out[1], err[1]);
  }
  for (int file : {in[0], out[1], err[1]}) ::close(file);
  Ended ended;
  pollfd pipes[3] = {{in[1], POLLOUT, 0}, {s.close_out ? -1 : out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  size_t written = 0;
  while (pipes[1].fd >= 0 || pipes[2].fd >= 0) {
    ::poll(pipes, 3, -1);
    if (pipes[0].fd >= 0 && pipes[0].revents) {
      ssize_t const n =
          ::write(pipes[0].fd, s.input.data() + written, std::min<size_t>(s.input.size() - written, 4096));
      if (n > 0) written += static_cast<size_t>(n);
      if (n < 0 || written == s.input.size()) {
        ::close(pipes[0].fd);
        pipes[0].fd = -1;
      }
    }
    take(pipes[1], ended.out);
    take(pipes[2], ended.err);
  }
  if (pipes[0].fd >= 0) ::close(pipes[0].fd);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  return ended;
}

}  // namespace folio::test
