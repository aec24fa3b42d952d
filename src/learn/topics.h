// The topics in the order of docs/course.md, which is that of learning them.
#pragma once

#include "learn/page.h"

namespace folio::learn {

std::vector<Topic> const& topics();
/// Throws Fault::usage, with the nearest name, for one that is none.
Topic const& topic_named(std::string const& name);

Topic cross_entropy();
Topic right_answer();
Topic sentence();
Topic descent();
Topic optimizers();
Topic weight_decay();
Topic warm_up();
Topic accumulation();
Topic residuals();
Topic layer_norm();
Topic dropout();
Topic attention();
Topic fused_attention();
Topic tying();
Topic mixed_precision();
Topic sampling();

}  // namespace folio::learn
