// folio info: what a file or folder is and which verb takes it; without a path, where things are kept.
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "backend/info.h"
#include "cli/kind.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "core/paths.h"
#include "core/progress.h"
#include "data/manifest.h"
#include "model/config_json.h"
#include "model/sizes.h"
#include "report/table.h"
#include "text/tokenizer.h"
#include "train/run_directory.h"

namespace folio::cli {

namespace {

namespace fs = std::filesystem;

struct Facts {
  std::string words;  // "4 layers, …"; empty where there is no more to say
  Json values = Json::object();
};

std::string plural(int64_t n, char const* one, char const* many) {
  return fmt::format("{} {}", report::grouped(n), n == 1 ? one : many);
}

Facts facts_of_model(Path const& path) {
  model::Config const c = model::read_config(path / "config.json").config;
  int64_t const parameters = model::count_parameters(c).total();
  return {fmt::format("GPT-2 of {}, {}, {} channels, context {}, vocabulary {}: {} parameters",
                      plural(c.layers, "layer", "layers"), plural(c.heads, "head", "heads"), c.channels, c.context,
                      report::grouped(c.vocab), report::grouped(parameters)),
          {{"layers", c.layers},
           {"heads", c.heads},
           {"channels", c.channels},
           {"context", c.context},
           {"vocab", c.vocab},
           {"parameters", parameters},
           {"tokenizer", text::has_tokenizer(path)}}};
}

Facts facts_of_run(Path const& path) {
  auto const steps = train::checkpoint_steps(path);
  if (steps.empty()) return {"no checkpoint yet", {{"checkpoints", 0}}};
  Facts facts = facts_of_model(train::preferred_checkpoint(path));
  std::string words = fmt::format(
      "{}, newest of step {}", plural(static_cast<int64_t>(steps.size()), "checkpoint", "checkpoints"), steps.back());
  facts.values["checkpoints"] = steps.size();
  facts.values["newest"] = steps.back();
  if (auto const best = train::read_best(path)) {
    words += fmt::format(", best of step {} (val {:.3f})", best->step, best->val);
    facts.values["best"] = best->step;
    facts.values["best_val"] = best->val;
  }
  facts.words = words + "; " + facts.words;
  return facts;
}

Facts facts_of_data(Path const& path) {
  data::Manifest const m = data::read_manifest(path);
  Facts facts{fmt::format("tokenizer {}, vocabulary {}", m.tokenizer, report::grouped(static_cast<int64_t>(m.vocab))),
              {{"tokenizer", m.tokenizer}, {"vocab", m.vocab}}};
  for (data::SplitEntry const& split : m.splits) {
    facts.words +=
        fmt::format("; {}: {} in {}", split.name, plural(static_cast<int64_t>(split.tokens), "token", "tokens"),
                    plural(static_cast<int64_t>(split.documents), "document", "documents"));
    facts.values[split.name] = {{"tokens", split.tokens}, {"documents", split.documents}};
  }
  return facts;
}

Facts facts_of_tokenizer(Path const& path) {
  auto const tokenizer = text::load_tokenizer(path.string());
  return {fmt::format("{} tokens", report::grouped(tokenizer->vocab())), {{"vocab", tokenizer->vocab()}}};
}

Facts facts_of_file(Path const& path) {
  uint64_t const bytes = fs::file_size(path);
  return {format_bytes(static_cast<double>(bytes)), {{"bytes", bytes}}};
}

Facts facts_of(Kind kind, Path const& path) {
  switch (kind) {
    case Kind::model:
    case Kind::checkpoint:
      return facts_of_model(path);
    case Kind::run:
      return facts_of_run(path);
    case Kind::data:
      return facts_of_data(path);
    case Kind::tokenizer:
      return facts_of_tokenizer(path);
    case Kind::shard:
    case Kind::ids:
    case Kind::weights:
    case Kind::text:
    case Kind::bytes:
      return facts_of_file(path);
    default:
      return {};
  }
}

void tell(Path const& path, bool json) {
  Kind const kind = what_is(path);
  check(kind != Kind::missing, Fault::missing, "{} does not exist: check the path", path.string());
  KindWords const& words = words_for(kind);
  Facts facts = facts_of(kind, path);
  std::vector<std::string> verbs;
  bool const begun = kind == Kind::run && facts.values["checkpoints"] == 0;  // no verb reads a run without a model
  if (begun) verbs.push_back(fmt::format("folio train --out {} --resume auto", shell_quoted(path.string())));
  for (char const* verb : begun ? std::vector<char const*>{} : words.verbs)
    verbs.push_back(fmt::format(fmt::runtime(verb), shell_quoted(path.string())));
  if (json) {
    Json all = {{"path", path.string()}, {"kind", words.name}, {"use", verbs}};
    all.update(facts.values);
    return print(dump(all, 2) + '\n');
  }
  std::string const what =
      fmt::format("{} is {}{}{}", path.string(), words.noun, facts.words.empty() ? "" : ": ", facts.words);
  print(wrapped(what, 0) + (verbs.empty() ? "" : "  " + fmt::format("{}", fmt::join(verbs, "\n  ")) + '\n'));
}

struct Holding {
  std::string name, words;
  int64_t files = 0;
  uint64_t bytes = 0;
};

Holding holding(Path const& folder, char const* words) {
  Holding h{folder.string(), words};
  std::error_code error;
  for (auto const& entry :
       fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error))
    if (entry.is_regular_file(error)) {
      ++h.files;
      h.bytes += entry.file_size(error);
    }
  return h;
}

void tell_places(bool json) {
  Path const data = data_directory();
  std::vector<Holding> const holdings = {holding(data / "gpt2", "the GPT-2 vocabulary"),
                                         holding(data / "shakespeare", "plays of Shakespeare")};
  if (json) {
    Json all = {{"data", data.string()}, {"holds", Json::array()}, {"level", name_of(level_in_use())}};
    for (Holding const& h : holdings)
      all["holds"].push_back({{"path", h.name}, {"what", h.words}, {"files", h.files}, {"bytes", h.bytes}});
    return print(dump(all, 2) + '\n');
  }
  std::string out = "data directory: " + data.string() + '\n';
  for (Holding const& h : holdings)
    out += h.files == 0 ? fmt::format("  {}: not there; scripts/get-data places {} there\n", h.name, h.words)
                        : fmt::format("  {}: {}, {}: {}\n", h.name, plural(h.files, "file", "files"),
                                      format_bytes(static_cast<double>(h.bytes)), h.words);
  print(out +
        wrapped("Nothing else is kept anywhere: data, runs and models lie where --out puts them. Removing the data "
                "directory removes all that set-up placed; FOLIO_DATA names another.",
                0) +
        fmt::format("This machine computes at the level {}; folio doctor says more.\n", name_of(level_in_use())));
}

struct Place {
  std::string name, path, note = "";
  bool there = false;
};

Place place(std::string name, Path const& path) {
  std::error_code ignored;
  return {std::move(name), path.string(), "", fs::exists(path, ignored)};
}

/// Where folio, or what reads its completions and manual pages, looks.
std::vector<Place> places() {
  std::error_code error;
  Path const program = fs::read_symlink("/proc/self/exe", error), share = program.parent_path().parent_path() / "share";
  std::vector<Place> all = {place("program", program)};
  try {
    Path const data = data_directory();
    for (auto const& [name, folder] : {std::pair{"data", ""}, {"vocabulary", "gpt2"}, {"plays", "shakespeare"}})
      all.push_back(place(name, *folder ? data / folder : data));
  } catch (Error const& e) {
    all.push_back({"data", "", e.what()});
  }
  all.push_back({"configuration", "", "none of folio's own: --config names a file, a run keeps its config.toml"});
  all.push_back({"cache", "", "none"});
  all.push_back(place("bash", share / "bash-completion/completions/folio"));
  all.push_back(place("zsh", share / "zsh/site-functions/_folio"));
  all.push_back(place("fish", share / "fish/vendor_completions.d/folio.fish"));
  all.push_back(place("manual", share / "man/man1/folio.1"));
  return all;
}

void tell_paths(bool json) {
  std::string out;
  Json all = Json::array();
  for (Place const& p : places()) {
    std::string const state = p.note.empty() ? (p.there ? "" : " (not there)") : p.note;
    std::string const text = wrapped(p.path + state, 15);
    out += fmt::format("{:<15}{}", p.name, text.substr(std::min<size_t>(15, text.size())));
    all.push_back({{"name", p.name}, {"path", p.path.empty() ? Json(nullptr) : Json(p.path)}, {"there", p.there}});
    if (!p.note.empty()) all.back()["note"] = p.note;
  }
  print(json ? dump(all, 2) + '\n' : out);
}

}  // namespace

int info(Arguments const& arguments) {
  bool json = false, places = false;
  std::vector<std::string> paths;
  Spec const spec{.name = "info",
                  .summary = "what a file or folder is; where things are kept",
                  .details =
                      "With a path: what it is, and the verbs that take it. Without: the data directory and what "
                      "it holds.",
                  .example = "folio info\nfolio info runs/first\nfolio info --paths",
                  .positionals = {{"PATH", &paths, "a file or folder", 0, 1}},
                  .fields = {{"paths", &places, "every place that is looked at, and whether it is there"},
                             {"json", &json, "print JSON"}}};
  if (!parse(spec, arguments)) return 0;
  check(!places || paths.empty(), Fault::usage, "--paths takes no path: folio info --paths");
  if (places) tell_paths(json);
  else if (paths.empty()) tell_places(json);
  else tell(paths[0], json);
  return 0;
}

}  // namespace folio::cli
