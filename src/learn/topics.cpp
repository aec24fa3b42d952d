#include "learn/topics.h"

#include <algorithm>

#include "core/error.h"
#include "core/fields.h"

namespace folio::learn {

std::vector<Topic> const& topics() {
  static std::vector<Topic> const all = {cross_entropy(),   right_answer(), sentence(),        descent(),
                                         optimizers(),      weight_decay(), warm_up(),         accumulation(),
                                         residuals(),       layer_norm(),   dropout(),         attention(),
                                         fused_attention(), tying(),        mixed_precision(), sampling()};
  return all;
}

Topic const& topic_named(std::string const& name) {
  auto const found = std::ranges::find(topics(), name, &Topic::name);
  if (found != topics().end()) return *found;
  std::vector<std::string> known;
  for (Topic const& t : topics()) known.push_back(t.name);
  std::string const near = nearest(name, known);
  fail(Fault::usage, "there is no topic \"{}\"{} (folio learn lists them)", name,
       near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

}  // namespace folio::learn
