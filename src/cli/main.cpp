// The program: the table of verbs, and the one place where what the library throws becomes a sentence and an exit code.
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/man.h"
#include "cli/verbs.h"
#include "cli/version.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

namespace folio::cli {

std::vector<Verb> const& verbs() {
  static std::vector<Verb> const table = {
      {"train", "train a GPT-2 on a text or prepared data", train, true},
      {"plan", "memory, step time and end of a run, and the largest batch, before it starts", plan, true},
      {"schedule", "draw and tabulate the learning rate of a run, before it is trained", schedule},
      {"lr-find", "the learning rate that suits a model and its data, from a short search", lr_find, true},
      {"sweep", "train many runs that differ in what a file says, and rank them", sweep},
      {"learn", "small worked examples of how a GPT-2 learns", learn, true},
      {"verify-resume", "show on this machine that a resumed run is the uninterrupted one, bit for bit", verify_resume},
      {"report", "write a page that draws and explains one or several runs", report},
      {"generate", "text from a model", generate, true},
      {"tokenize", "turn text into token ids", tokenize},
      {"detokenize", "turn token ids into text", detokenize},
      {"tokenizer", "train a byte-level BPE tokenizer on texts", tokenizer},
      {"prepare", "turn text into token shards, divided into train and val", prepare},
      {"eval", "loss, perplexity and bits per byte of a model on data", eval, true},
      {"score", "probability, rank, loss and rivals of each token of a text", score, true},
      {"inspect", "what is in a model or in prepared data", inspect},
      {"export", "a model in another type: half the size as bf16 or f16", export_},
      {"bench", "how fast this machine is at what folio does", bench, true},
      {"info", "what a file or folder is; where things are kept", info},
      {"doctor", "what this machine offers, and what is missing", doctor},
      {"config", "the values that a run would have, and where each comes from", config},
      {"completion", "completion of folio's verbs, flags and choices in a shell", completion},
  };
  return table;
}

namespace {

constexpr char const* kAbout =
    "A GPT-2 system in one program: it prepares text, trains, evaluates and generates, and its models load in Hugging "
    "Face transformers unchanged.";
constexpr char const* kExamples =
    "folio train --data input.txt --out runs/first\n"
    "folio generate runs/first --prompt \"ROMEO:\"\n";

std::string overview() {
  std::string out =
      version_line() + '\n' + wrapped(kAbout, 0) + "\nusage:\n  folio VERB [arguments] [flags]\n\nverbs:\n";
  for (Verb const& verb : verbs()) {
    std::string const words = wrapped(verb.summary, 16);
    out += fmt::format("  {:<14}{}", verb.name, words.substr(16));
  }
  return out + "\nexamples:\n" + wrapped(kExamples, 2) +
         "\nfolio help VERB shows a verb's flags; folio --version what it is built from.\n";
}

std::string overview_json() {
  Json all = Json::array();
  for (Verb const& verb : verbs()) all.push_back({{"verb", verb.name}, {"summary", verb.summary}});
  return dump(all, 2) + '\n';
}

Verb const& verb_named(std::string const& name) {
  std::vector<std::string> known = {"help"};
  for (Verb const& verb : verbs()) {
    if (name == verb.name) return verb;
    known.push_back(verb.name);
  }
  std::string const near = nearest(name, known);
  fail(Fault::usage, "there is no verb \"{}\"{} (folio help lists them)", name,
       near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

std::string man_page_of(Verb const& verb) {
  std::string page;
  with_spec(verb, [&](Spec const& spec) { page = man_page(spec); });
  return page;
}

/// help [VERB] [--json | --man]
int show_help(Arguments arguments) {
  auto const taken = [&](char const* form) { return std::erase(arguments, form) > 0; };
  bool const json = taken("--json"), man = taken("--man");
  taken("--help"), taken("-h");
  check(arguments.size() <= 1, Fault::usage, "help takes one verb: folio help VERB");
  if (arguments.empty()) {
    print(json ? overview_json() : man ? man_page(verbs(), kAbout, kExamples) : overview());
    return 0;
  }
  Verb const& verb = verb_named(arguments[0]);
  if (!man) return verb.run(json ? Arguments{"--help", "--json"} : Arguments{"--help"});
  print(man_page_of(verb));
  return 0;
}

int run(Arguments arguments) {
  if (arguments.empty()) return show_help({});
  std::string const first = arguments[0];
  arguments.erase(arguments.begin());
  if (first == "help" || first == "--help" || first == "-h") return show_help(arguments);
  if (first == "--version") {
    if (!arguments.empty()) fail(Fault::usage, "--version stands alone; \"{}\" is behind it", arguments[0]);
    print(version_text());
    return 0;
  }
  check(first.empty() || first[0] != '-', Fault::usage,
        "{} stands before the verb: folio VERB {} (folio help lists the verbs)", first, first);
  return verb_named(first).run(arguments);
}

int sentence(std::string const& text, Fault fault) {
  std::string const line = "folio: " + printable(text) + '\n';
  std::fputs(line.c_str(), stderr);
  return static_cast<int>(fault);
}

std::string place(Error const& e) {  // of a bug, to be reported
  std::string const file = e.where.file_name();
  size_t const src = file.rfind("src/");
  return fmt::format(" (a mistake of folio's own, at {}:{}; please report it)",
                     src == file.npos ? file : file.substr(src), e.where.line());
}

int guarded(Arguments const& arguments) {
  try {
    return run(arguments);
  } catch (ReaderGone const&) {
    return 0;
  } catch (Error const& e) {
    return sentence(e.fault == Fault::bug ? e.what() + place(e) : e.what(), e.fault);
  } catch (std::bad_alloc const&) {
    return sentence("out of memory: use a smaller model, a smaller --batch or --context, or fewer --threads",
                    Fault::memory);
  } catch (std::filesystem::filesystem_error const& e) {
    return sentence(fmt::format("{}: {}", e.path1().string(), e.code().message()), Fault::io);
  } catch (std::system_error const& e) {
    if (e.code() != std::errc::resource_unavailable_try_again) throw;
    return sentence(
        "no thread could be started: raise the limits of memory or of processes (ulimit -v, ulimit -u), or "
        "give fewer --threads",
        Fault::memory);
  } catch (std::exception const& e) {
    return sentence(fmt::format("{} (a mistake of folio's own; please report it)", e.what()), Fault::bug);
  }
}

/// A closed stdin, stdout or stderr must not become the number of a file that is opened later.
void occupy_standard_files() {
  for (int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(file, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) < 0) std::_Exit(static_cast<int>(Fault::io));
}

}  // namespace

}  // namespace folio::cli

// OpenMP's threads spin at a barrier before they sleep, by default so long that a run beside other work stands still:
// the thread that is waited for does not get the core. Briefly is as fast on an idle machine and goes on on a busy one
// (docs/performance.md). The runtime reads this when it is loaded, so a verb that computes starts the program once more
// with it set.
void spin_briefly(char** words) {
  auto const is_this = [&](folio::cli::Verb const& verb) { return std::string_view(verb.name) == words[1]; };
  if (!words[0] || !words[1] || std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  auto const verb = std::ranges::find_if(folio::cli::verbs(), is_this);
  if (verb == folio::cli::verbs().end() || !verb->computes) return;
  ::setenv("GOMP_SPINCOUNT", "3000", 1);
  std::error_code error;
  // By its own name, which tools that list processes show. Where it cannot be, the program goes on as it is.
  ::execv(std::filesystem::read_symlink("/proc/self/exe", error).c_str(), words);
}

// Each thread that allocates would have a heap of its own, which reserves 64 MiB of addresses whatever lies in it:
// where they are limited (ulimit -v), more than a small run.
void share_one_heap() {
  rlimit addresses{};
  if (::getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY) ::mallopt(M_ARENA_MAX, 1);
}

int main(int count, char** words) {
  spin_briefly(words);
  share_one_heap();
  folio::cli::occupy_standard_files();
  for (int const signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);  // calls fail instead, and say what with
  return folio::cli::guarded({words + (count > 0), words + count});
}
