#include "train/history.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "train/log_lines.h"

namespace folio::train {
namespace {

double number_of(Json const& json, char const* key) {  // null and absent: not known
  auto const found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : NAN;
}

// At five significant digits: a log of hundreds of tensors stays small.
Json rounded(double v) { return finite_or_null(std::strtod(fmt::format("{:.4e}", v).c_str(), nullptr)); }

Json to_json(WeightNumbers const& n) {
  return {{"mean", rounded(n.mean)},
          {"deviation", rounded(n.deviation)},
          {"norm", rounded(n.norm)},
          {"gradient", rounded(n.gradient)},
          {"update", rounded(n.update)}};
}
Json to_json(ActivationNumbers const& n) {
  return {{"mean", rounded(n.mean)},
          {"deviation", rounded(n.deviation)},
          {"least", rounded(n.least)},
          {"largest", rounded(n.largest)}};
}

void from(Json const& json, WeightNumbers& n) {
  n = {number_of(json, "mean"), number_of(json, "deviation"), number_of(json, "norm"), number_of(json, "gradient"),
       number_of(json, "update")};
}
void from(Json const& json, ActivationNumbers& n) {
  n = {number_of(json, "mean"), number_of(json, "deviation"), number_of(json, "least"), number_of(json, "largest")};
}

template <class Numbers>
Json all_of(std::vector<std::pair<std::string, Numbers>> const& all) {
  Json json = Json::object();
  for (auto const& [name, numbers] : all) json[name] = to_json(numbers);
  return json;
}

template <class Numbers>
void read_all(Json const& line, char const* key, std::string const& where,
              std::vector<std::pair<std::string, Numbers>>& to) {
  auto const found = line.find(key);
  if (found == line.end()) return;
  check(found->is_object(), Fault::content, "{}: `{}` is no object", where, key);
  for (auto const& [name, numbers] : found->items()) {
    check(numbers.is_object(), Fault::content, "{}: `{}` of `{}` is no object", where, name, key);
    from(numbers, to.emplace_back(name, Numbers{}).second);
  }
}

StepReport step_from(Json const& line, std::string const& where) {
  double const norm = number_of(line, "norm");
  return {.step = get_integer(line, "step", where),
          .loss = number_of(line, "loss"),
          .rate = number_of(line, "rate"),
          .norm = norm,
          .clipped = find_number(line, "clipped", where).value_or(norm),
          .loss_scale = find_number(line, "loss_scale", where).value_or(0),
          .accepted = find_bool(line, "accepted", where).value_or(true),
          .seconds = number_of(line, "seconds"),
          .tokens_per_second = number_of(line, "tokens_per_second"),
          .memory_bytes = number_of(line, "memory_bytes")};
}

EvalReport eval_from(Json const& line, std::string const& where) {
  return {.step = get_integer(line, "step", where),
          .train = number_of(line, "train"),
          .val = number_of(line, "val"),
          .val_bits_per_byte = number_of(line, "val_bits_per_byte"),
          .best = find_bool(line, "best", where).value_or(false),
          .seconds = number_of(line, "seconds")};
}

Statistics statistics_from(Json const& line, std::string const& where) {
  Statistics s{.step = get_integer(line, "step", where), .period = find_integer(line, "period", where).value_or(0)};
  read_all(line, "tensors", where, s.tensors);
  read_all(line, "types", where, s.types);
  read_all(line, "activations", where, s.activations);
  if (auto const quiet = line.find("quiet"); quiet != line.end()) {
    check(quiet->is_array(), Fault::content, "{}: `quiet` is no list", where);
    for (Json const& share : *quiet) s.quiet.push_back(share.is_number() ? share.get<double>() : NAN);
  }
  return s;
}

Note note_from(Json const& line, int64_t step_before, std::string const& where) {
  Note note{.type = get_string(line, "type", where),
            .step = find_integer(line, "step", where).value_or(step_before),
            .why = find_string(line, "why", where).value_or("")};
  for (char const* group : {"options", "made"}) {
    auto const found = line.find(group);
    if (found == line.end() || !found->is_object()) continue;
    for (auto const& [what, change] : found->items()) {
      check(change.is_object(), Fault::content, "{}: `{}` is no object", where, what);
      note.changes.push_back({what, get_string(change, "was", where), get_string(change, "is", where)});
    }
  }
  return note;
}

Broken broken_from(Json const& line, std::string const& where) {
  return {.step = get_integer(line, "step", where),
          .evidence = sentences_from(line, "evidence", where),
          .file = find_string(line, "file", where).value_or("")};
}

// What follows step `to` is a path that the run has left; notes of the process stay.
void leave(History& h, int64_t to) {
  auto const behind = [to](auto const& x) { return x.step > to; };
  std::erase_if(h.steps, behind), std::erase_if(h.evals, behind), std::erase_if(h.statistics, behind);
  std::erase_if(h.samples, behind), std::erase_if(h.findings, behind), std::erase_if(h.broken, behind);
  std::erase_if(h.spikes, behind);
}

void add(History& h, Json const& line, std::string const& where, Reading const& reading) {
  check(line.is_object(), Fault::content, "{} is no JSON object", where);
  std::string const type = get_string(line, "type", where);
  if (type == "format") h.version = find_integer(line, "version", where).value_or(1);
  else if (type == "step") h.steps.push_back(step_from(line, where));
  else if (type == "eval") h.evals.push_back(eval_from(line, where));
  else if (type == "statistics") h.statistics.push_back(reading.of_statistics(statistics_from(line, where)));
  else if (type == "save")
    h.saves.push_back({.step = get_integer(line, "step", where),
                       .saved = find_bool(line, "saved", where).value_or(true),
                       .error = find_string(line, "error", where).value_or(""),
                       .seconds = number_of(line, "seconds"),
                       .waited = number_of(line, "waited")});
  else if (type == "sample") {
    if (reading.samples)
      h.samples.push_back({get_integer(line, "step", where), find_string(line, "prompt", where).value_or(""),
                           get_string(line, "text", where)});
  } else if (type == "diagnosis") h.findings.push_back(finding_from(line, where));
  else if (type == "data")
    h.data = DataFacts{.train_tokens = get_integer(line, "train_tokens", where),
                       .frequency_loss = number_of(line, "frequency_loss"),
                       .recurring = number_of(line, "recurring"),
                       .val_in_train = number_of(line, "val_in_train")};
  else if (type == "not-finite") h.broken.push_back(broken_from(line, where));
  else if (type == "spike") h.spikes.push_back(spike_from(line, where));
  else if (type == "rollback") {
    h.rollbacks.push_back(rollback_from(line, where));
    leave(h, h.rollbacks.back().to);
  } else if (type == "stop" || type == "resume" || type == "change")
    h.notes.push_back(note_from(line, h.notes.empty() ? 0 : h.notes.back().step, where));
}

}  // namespace

Json to_json(Statistics const& s) {
  Json quiet = Json::array();
  for (double const share : s.quiet) quiet.push_back(rounded(share));
  return {{"type", "statistics"},
          {"step", s.step},
          {"period", s.period},
          {"tensors", all_of(s.tensors)},
          {"types", all_of(s.types)},
          {"activations", all_of(s.activations)},
          {"quiet", quiet}};
}

Json to_json(DataFacts const& d) {
  return {{"type", "data"},
          {"train_tokens", d.train_tokens},
          {"frequency_loss", rounded(d.frequency_loss)},
          {"recurring", rounded(d.recurring)},
          {"val_in_train", rounded(d.val_in_train)}};
}

Json to_json(Broken const& b) {
  Json json = {{"type", "not-finite"}, {"step", b.step}, {"evidence", b.evidence}};
  if (!b.file.empty()) json["file"] = b.file;
  return json;
}

Json to_json(Sample const& s) { return {{"type", "sample"}, {"step", s.step}, {"prompt", s.prompt}, {"text", s.text}}; }

History read_history(Path const& metrics, Reading const& reading) {
  check_metrics_version(metrics);
  History history;
  history.steps.reserve(reading.steps);
  LogLines lines(metrics);
  int64_t number = 1, damaged = 0, first = 0;
  for (std::string line; lines.next(line); ++number) {
    try {
      std::string const where = fmt::format("line {}", number);
      add(history, parse_json(line, where), where, reading);
    } catch (Error const&) {
      if (damaged++ == 0) first = number;
    }
  }
  if (lines.is_torn()) history.damage = fmt::format("line {}, the last, has no end", number);
  if (damaged > 0)
    history.damage = fmt::format("{} line(s) cannot be read, the first is line {}{}{}", damaged, first,
                                 history.damage.empty() ? "" : "; ", history.damage);
  if (!history.damage.empty())
    history.damage = fmt::format("{}: {}; what can be read was read", metrics.string(), history.damage);
  return history;
}

History history_of(Path const& run) {
  std::error_code error;
  if (!std::filesystem::exists(run / "metrics.jsonl", error)) return {};
  return read_history(run / "metrics.jsonl");
}

}  // namespace folio::train
