#include "train/same_run.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/json.h"
#include "model/safetensors.h"
#include "train/run_directory.h"

namespace folio::train {
namespace {

int64_t newest(Path const& run) {
  auto const steps = checkpoint_steps(run);
  check(!steps.empty(), Fault::missing, "{} has no checkpoint", run.string());
  return steps.back();
}

// Compares the tensors of two files by name; the number of them, or the first that differs.
size_t compare_tensors(Path const& a, Path const& b, std::string& difference) {
  model::SafetensorsFile const one(a), two(b);
  for (model::StoredTensor const& t : one.tensors()) {
    model::StoredTensor const* const other = two.find(t.name);
    bool const same = other && other->dtype == t.dtype && other->shape == t.shape;
    if (!same || std::memcmp(one.bytes(t).data(), two.bytes(*other).data(), t.bytes) != 0) {
      difference = fmt::format("{} of {}", t.name, a.filename().string());
      return 0;
    }
    one.was_read(t.bytes), two.was_read(t.bytes);
  }
  if (one.tensors().size() != two.tensors().size())
    difference = fmt::format("the number of tensors in {}", a.filename().string());
  return one.tensors().size();
}

Json state_of(Path const& checkpoint) {
  Json state = read_json(checkpoint / "state.json");
  for (char const* clock : {"seconds", "longest", "metrics_bytes"}) state.erase(clock);
  return state;
}

void compare_states(Path const& a, Path const& b, std::string& difference) {
  Json const one = state_of(a), two = state_of(b);
  for (auto const& [key, value] : one.items())
    if (!two.contains(key) || dump(two[key]) != dump(value)) {
      difference = fmt::format("{} of state.json", key);
      return;
    }
  if (one.size() != two.size()) difference = "the keys of state.json";
}

std::vector<std::string> log_of(Path const& run) {
  std::vector<std::string> lines;
  std::string const text = read_file(run / "metrics.jsonl");
  for (size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1) {
    Json line = parse_json(std::string_view(text).substr(at, end - at), "metrics.jsonl");
    std::string const type = get_string(line, "type", "metrics.jsonl");
    if (type == "save" || type == "stop" || type == "resume" || type == "change") continue;
    for (char const* clock : {"seconds", "tokens_per_second", "memory_bytes"}) line.erase(clock);
    lines.push_back(dump(line));
  }
  return lines;
}

size_t compare_logs(Path const& a, Path const& b, std::string& difference) {
  auto const one = log_of(a), two = log_of(b);
  auto const [first, second] = std::ranges::mismatch(one, two);
  if (first == one.end() && second == two.end()) return one.size();
  std::string const& line = first != one.end() ? *first : *second;
  difference = fmt::format("a line of metrics.jsonl: {}{}", line.substr(0, 100), line.size() > 100 ? "…" : "");
  return size_t(first - one.begin());
}

}  // namespace

RunComparison compare_runs(Path const& a, Path const& b) {
  RunComparison c;
  c.step = newest(a);
  if (int64_t const other = newest(b); other != c.step) {
    c.difference = fmt::format("the step of the newest checkpoint: {} and {}", c.step, other);
    return c;
  }
  Path const one = checkpoint_path(a, c.step), two = checkpoint_path(b, c.step);
  c.weights = compare_tensors(one / "model.safetensors", two / "model.safetensors", c.difference);
  if (c.same()) c.moments = compare_tensors(one / "optimizer.safetensors", two / "optimizer.safetensors", c.difference);
  if (c.same()) compare_states(one, two, c.difference);
  if (c.same()) c.lines = compare_logs(a, b, c.difference);
  return c;
}

}  // namespace folio::train
