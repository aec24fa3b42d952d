// folio learn: small worked examples of how a GPT-2 learns, on the ops that train one.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/verbs.h"
#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/progress.h"
#include "learn/topics.h"
#include "report/table.h"

namespace folio::cli {
namespace {

std::string list_text() {
  report::Table table({{"topic", false}, {"shows", false}});
  for (learn::Topic const& t : learn::topics()) table.row({t.name, t.title});
  return table.text() + "\nfolio learn TOPIC runs one; docs/course.md leads through them.\n";
}

Json list_json() {
  Json all = Json::array();
  for (learn::Topic const& t : learn::topics())
    all.push_back({{"topic", t.name}, {"title", t.title}, {"about", t.about}, {"flag", t.flag}});
  return all;
}

}  // namespace

int learn(Arguments const& arguments) {
  std::vector<std::string> names;
  std::string svg;
  int64_t threads = 0;
  bool json = false;
  Spec const spec{
      .name = "learn",
      .summary = "small worked examples of how a GPT-2 learns",
      .details =
          "Without a topic, lists them. With one, runs it: what is looked at, numbers, a picture, what to see in them, "
          "and the files of folio where it is done. The examples run on the ops that train a model, take a "
          "second or two, and give the same numbers each time (measured times aside).",
      .example =
          "folio learn\n"
          "folio learn cross-entropy\n"
          "folio learn attention --svg attention.svg\n"
          "folio learn optimizers --json",
      .positionals = {{"TOPIC", &names, "one of those that folio learn lists", 0, 1}},
      .fields = {{"svg",
                  &svg,
                  "write the pictures, the numbers and what to see as a drawing, which fits any width, light and dark",
                  {.form = "FILE.svg"},
                  "Output"},
                 {"json", &json, "print one JSON object", {}, "Output"},
                 {"threads",
                  &threads,
                  "threads of the processor; 0: as many as are granted",
                  {.min = 0, .max = 4096},
                  "Machine"}}};
  if (!parse(spec, arguments)) return 0;
  if (names.empty()) {
    check(svg.empty(), Fault::usage, "--svg {}: a drawing of which topic? (folio learn lists them)", svg);
    print(json ? dump(list_json(), 2) + "\n" : list_text());
    return 0;
  }
  learn::Topic const& topic = learn::topic_named(names[0]);
  auto const backend = make_cpu_backend(int(threads));
  learn::Page const page = topic.run(*backend);
  if (!svg.empty()) {
    write_file(svg, drawing(topic, page));
    say(fmt::format("written: {}", svg));
  }
  Terminal const t = terminal();
  size_t const width = t.out_is_terminal ? std::clamp<size_t>(size_t(t.width), 40, 80) : 80;
  print(json ? dump(to_json(topic, page), 2) + "\n" : terminal_text(topic, page, t.utf8, width));
  return 0;
}

}  // namespace folio::cli
