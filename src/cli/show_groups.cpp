// folio train --show-groups: what each tensor is moved by, before anything is trained.
#include <nlohmann/json.hpp>

#include "cli/kind.h"
#include "cli/train_setup.h"
#include "cli/verb.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "report/table.h"

namespace folio::cli {
namespace {

using report::grouped;

// That of the data, where they are prepared; else what --vocab says, and without it GPT-2's.
model::Config shape_of(TrainCommand const& c) {
  bool const in_run = train::is_run_directory(c.out);
  Kind const kind = c.data.empty() ? Kind::missing : what_is(c.data);
  if (in_run || kind == Kind::data || kind == Kind::ids_folder || kind == Kind::shard || kind == Kind::ids)
    return c.model.config(data_of(c, in_run ? c.out : "").vocab());
  if (c.model.vocab == 0)
    say(fmt::format("the vocabulary is known when the text is prepared; shown with GPT-2's {} (--vocab N says another)",
                    grouped(model::kGpt2Vocab)));
  return c.model.config();
}

std::string text_of(std::vector<train::TensorRule> const& rules, double lr) {
  report::Table table(
      {{"tensor", false}, {"shape", false}, {"numbers"}, {"by", false}, {"rate"}, {"decay"}, {"group", false}});
  int64_t all = 0, decaying = 0;
  for (train::TensorRule const& r : rules) {
    table.row({r.name, r.shape.text(), grouped(r.shape.size()), std::string(train::name_of(r.optimizer.rule)),
               fmt::format("{:.3g}", lr * r.optimizer.rate), fmt::format("{:.3g}", r.optimizer.decay), r.globs});
    all += r.shape.size(), decaying += r.optimizer.decay > 0 ? r.shape.size() : 0;
  }
  return table.text(terminal().width) +
         fmt::format("{} tensors, {} numbers, of which {} decay; rate is the schedule's largest\n", rules.size(),
                     grouped(all), grouped(decaying));
}

Json json_of(std::vector<train::TensorRule> const& rules, double lr) {
  Json tensors = Json::array();
  for (train::TensorRule const& r : rules) {
    Json shape = Json::array();
    for (int i = 0; i < r.shape.rank(); ++i) shape.push_back(r.shape[i]);
    tensors.push_back({{"name", r.name},
                       {"shape", shape},
                       {"numbers", r.shape.size()},
                       {"by", train::name_of(r.optimizer.rule)},
                       {"rate", lr * r.optimizer.rate},
                       {"decay", r.optimizer.decay},
                       {"group", r.globs}});
  }
  return tensors;
}

}  // namespace

int show_groups(TrainCommand c, Origins const& given) {
  if (c.resume != "no" && train::is_run_directory(c.out)) {
    read_config_of_run(c, c.out);
  } else {
    c.out.clear();
    settle(c, given);
  }
  validate(c.run);
  auto const rules = tensor_rules(c.run, shape_of(c));
  print(c.json ? dump(json_of(rules, c.run.schedule.lr), 2) + "\n" : text_of(rules, c.run.schedule.lr));
  return 0;
}

}  // namespace folio::cli
