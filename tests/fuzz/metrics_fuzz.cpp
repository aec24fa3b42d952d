// metrics.jsonl: what can be read of it is read, diagnosed and made a page of.
#include <nlohmann/json.hpp>

#include "tests/fuzz/fuzz.h"
#include "train/diagnosis.h"
#include "train/history.h"
#include "train/metrics.h"
#include "train/run_report.h"

using namespace folio;

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  Path const path = fuzz::put("metrics.jsonl", fuzz::text_of(data, size));
  train::History history;
  int const read = fuzz::run([&] { history = train::read_history(path); }, size, {.each = 40});
  fuzz::run([&] { train::check_metrics_lines(path, size); }, size, {.each = 40});
  int const drawn = fuzz::run(
      [&] {
        train::Facts facts;
        train::ReportedRun run{.name = "run", .history = history, .findings = train::diagnose(history, facts)};
        (void)train::run_report({run}, {"folio report run", "0"});
        (void)train::run_report_json({run});
      },
      size, {.each = 1000});
  return read | drawn;
}
