// The verbs, one line each; the table of them is in main.cpp.
#pragma once

#include "cli/verb.h"

namespace folio::cli {

int tokenize(Arguments const&);
int detokenize(Arguments const&);
int tokenizer(Arguments const&);
int train(Arguments const&);
int plan(Arguments const&);
int schedule(Arguments const&);
int sweep(Arguments const&);
int learn(Arguments const&);
int lr_find(Arguments const&);
int generate(Arguments const&);
int prepare(Arguments const&);
int eval(Arguments const&);
int report(Arguments const&);
int verify_resume(Arguments const&);
int score(Arguments const&);
int inspect(Arguments const&);
int export_(Arguments const&);
int bench(Arguments const&);
int info(Arguments const&);
int doctor(Arguments const&);
int config(Arguments const&);
int completion(Arguments const&);

}  // namespace folio::cli
