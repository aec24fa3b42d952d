#include "cli/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/error.h"

namespace folio::cli {

Child::Child(std::vector<std::string> words, std::vector<std::string> const& unset, Path const& log,
             std::map<std::string, std::string> const& set) {
  std::error_code error;
  std::string const self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  check(!error, Fault::failed, "folio cannot find its own program: {}", error.message());
  words.insert(words.begin(), self);
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  int const file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
  check(file >= 0, Fault::io, "{} cannot be written: {}", log.string(), std::strerror(errno));
  pid_t const parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);  // it has ended already
    int const null = ::open("/dev/null", O_RDWR);
    ::dup2(null, STDIN_FILENO), ::dup2(null, STDOUT_FILENO), ::dup2(file, STDERR_FILENO);
    for (std::string const& name : unset) ::unsetenv(name.c_str());
    for (auto const& [name, value] : set) ::setenv(name.c_str(), value.c_str(), 1);
    ::execv(list[0], list.data());
    ::_exit(127);
  }
  int const why = errno;
  ::close(file);
  check(pid_ > 0, Fault::failed, "no process can be started: {}", std::strerror(why));
}

Child::~Child() {
  stop();
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

std::optional<int> Child::ended() {
  int status = 0;
  if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return {};
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Child::signal(int number) {
  if (pid_ > 0) ::kill(pid_, number);
}
void Child::stop() { signal(SIGTERM); }

std::string last_line(Path const& log) {
  std::ifstream in(log);
  std::string last;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) last = line;
  return last.starts_with("folio: ") ? last.substr(7) : last;
}

}  // namespace folio::cli
