// Numbers as people read them, the line that fits, and the messages' guard against control characters.
#include "core/progress.h"

#include <pty.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "tests/support/files.h"

using namespace folio;

namespace {
std::vector<std::string> const kFields = {"3120/5000", "train 1.241", "val 1.462", "+0h53"};
}

TEST(ProgressLine, DropsTheLeastImportantFirst) {
  EXPECT_EQ(fit_line(kFields, {}, 80), "3120/5000  train 1.241  val 1.462  +0h53");
  EXPECT_EQ(fit_line(kFields, {}, 39), "3120/5000  train 1.241  val 1.462");
  EXPECT_EQ(fit_line(kFields, {}, 10), "3120/5000");
  EXPECT_EQ(fit_line(kFields, {}, 3), "");
}

TEST(ProgressLine, StandsInItsPlacesWhateverIsDropped) {
  std::vector<size_t> const places = {0, 2, 3, 1};
  EXPECT_EQ(fit_line(kFields, places, 80), "3120/5000  +0h53  train 1.241  val 1.462");
  EXPECT_EQ(fit_line(kFields, places, 39), "3120/5000  train 1.241  val 1.462");
  EXPECT_EQ(fit_line({"é…"}, {}, 2), "é…");  // columns, not bytes
}

/// What a process shows whose stderr is a terminal of 30 columns.
template <class Show>
std::string on_a_terminal(Show show) {
  winsize size{};
  size.ws_col = 30;
  int terminal_end = -1;
  pid_t const child = ::forkpty(&terminal_end, nullptr, nullptr, &size);
  if (child == 0) {
    ::setenv("TERM", "dumb", 1);
    show();
    ::_exit(0);
  }
  std::string shown;
  char bytes[4096];
  for (ssize_t n = 0; (n = ::read(terminal_end, bytes, sizeof bytes)) > 0;) shown.append(bytes, static_cast<size_t>(n));
  ::close(terminal_end);
  ::waitpid(child, nullptr, 0);
  return shown;
}

TEST(ProgressLine, OnATerminalItIsRewrittenAndMakesWayForMessages) {
  std::string const shown = on_a_terminal([] {
    Progress progress;
    progress.show({"step 0"});  // too soon
    ::usleep(300'000);
    progress.show({"step 1", "train 4.174", "val 4.1", "too long to fit here"});
    progress.show({"step 2"});  // too soon
    say("a message");
    ::usleep(300'000);
    progress.show({"step 3"});
    progress.finish();
  });
  std::string const line = "step 1  train 4.174  val 4.1", blanks(line.size(), ' ');
  EXPECT_EQ(shown, '\r' + line + '\r' + blanks + "\ra message\r\n\rstep 3\r\n");
}

TEST(ProgressLine, IsNotThereWhenQuiet) {
  EXPECT_EQ(on_a_terminal([] {
              set_quiet(true);
              Progress progress;
              EXPECT_FALSE(progress.due());
              progress.show({"step 1"});
            }),
            "");
}

TEST(ProgressLine, InAFileWorkThatIsSoonDoneShowsNone) {
  testing::internal::CaptureStderr();
  {
    Progress progress;
    for (int step = 1; step < 1000; ++step) progress.show({"step " + std::to_string(step), "train 4.174"});
    ::usleep(300'000);  // long enough for a terminal
    progress.show({"step 1000"});
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Numbers, AsPeopleReadThem) {
  EXPECT_EQ(format_duration(0.04), "0.0 s");
  EXPECT_EQ(format_duration(9.96), "10 s");
  EXPECT_EQ(format_duration(53), "53 s");
  EXPECT_EQ(format_duration(59.6), "1 min");
  EXPECT_EQ(format_duration(12 * 60), "12 min");
  EXPECT_EQ(format_duration(2 * 3600 + 23 * 60), "2 h 23 min");
  EXPECT_EQ(format_duration(3599), "1 h 0 min");
  EXPECT_EQ(format_duration(75 * 3600), "3 d 3 h");
  EXPECT_EQ(format_duration(-1), "?");
  EXPECT_EQ(format_count(512), "512");
  EXPECT_EQ(format_count(999.6), "1.0k");
  EXPECT_EQ(format_count(9600), "9.6k");
  EXPECT_EQ(format_count(999'960), "1.0M");
  EXPECT_EQ(format_count(81.9e6), "81.9M");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(12.3 * 1024 * 1024), "12.3 MiB");
  EXPECT_EQ(format_bytes(1024.0 * 1024 * 1024), "1.0 GiB");
}

TEST(Terminal, ReadsTheEnvironment) {
  for (char const* name : {"LC_ALL", "LC_CTYPE", "LANG"}) ::unsetenv(name);
  EXPECT_FALSE(terminal().utf8);
  ::setenv("LANG", "en_GB.UTF-8", 1);
  EXPECT_TRUE(terminal().utf8);
  ::setenv("LC_CTYPE", "C.utf8", 1);
  EXPECT_TRUE(terminal().utf8);
  ::setenv("LC_ALL", "C", 1);
  EXPECT_FALSE(terminal().utf8);
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(terminal().colour);
  EXPECT_GE(terminal().width, 1);
}

TEST(Messages, CannotSteerATerminal) {
  EXPECT_EQ(printable("a\x1b[31mb\r\x07\x7f\tc\n\xc3\xa9"), "a?[31mb???\tc\n\xc3\xa9");
}

TEST(Messages, QuietLeavesWarnings) {
  testing::internal::CaptureStderr();
  say("told");
  set_quiet(true);
  say("silent");
  say(Level::warning, "careful");
  set_quiet(false);
  say(Level::debug, "hidden");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "told\n[!] careful\n");
}
