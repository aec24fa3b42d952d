#include "train/checkpoint.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "model/safetensors.h"

namespace folio::train {
namespace {

constexpr int kVersion = 1;

std::vector<model::NamedTensor> named(std::vector<Moments> const& moments, model::Weights const& weights) {
  std::vector<model::NamedTensor> tensors;
  size_t i = 0;
  for_each(weights, [&](std::string const& name, Weight const&, model::Spec const&) {
    auto const& [m, v] = moments[i++];
    if (!m.empty()) tensors.push_back({name + ".m", m});
    if (!v.empty()) tensors.push_back({name + ".v", v});
  });
  return tensors;
}

Json all_bits_of(std::span<double const> values) {
  Json json = Json::array();
  for (double const v : values) json.push_back(bits_of(v));
  return json;
}
void read_all_bits(Json const& json, char const* key, std::span<double> to, std::string const& name) {
  check(json.contains(key) && json[key].is_array() && json[key].size() == to.size(), Fault::content,
        "{}: `{}` is no list of {} numbers", name, key, to.size());
  for (size_t i = 0; i < to.size(); ++i) {
    check(json[key][i].is_string(), Fault::content, "{}: `{}` holds what is no text", name, key);
    to[i] = from_bits(json[key][i].get<std::string>(), name);
    check(std::isfinite(to[i]), Fault::content, "{}: `{}` holds a number that is not finite", name, key);
  }
}

}  // namespace

Json to_json(StepState const& s) {
  return {{"seed", std::to_string(s.seed)},
          {"attempted", s.attempted},
          {"accepted", s.accepted},
          {"rate", bits_of(s.input.rate)},
          {"inverse_total", bits_of(s.input.inverse_total)},
          {"loss", bits_of(s.loss)},
          {"norm_squared", bits_of(s.norm_squared)},
          {"norm", bits_of(s.norm)},
          {"loss_scale", bits_of(s.loss_scale)},
          {"clean_steps", s.clean_steps},
          {"grad_factor", bits_of(s.grad_factor)},
          {"non_finite", s.non_finite},
          {"accept", s.accept},
          {"spikes",
           {{"score", bits_of(s.spike_score)},
            {"scored", s.scored},
            {"in_a_row", s.spikes_in_a_row},
            {"losses", all_bits_of(s.losses)},
            {"log_norms", all_bits_of(s.log_norms)}}}};
}

StepState step_state_from(Json const& json, std::string const& name) {
  auto real = [&](char const* key) { return from_bits(get_string(json, key, name), name); };
  auto integer = [&](char const* key) { return get_integer(json, key, name); };
  StepState s;
  std::string const seed = get_string(json, "seed", name);
  check(!seed.empty() && seed.size() <= 20 && seed.find_first_not_of("0123456789") == std::string::npos, Fault::content,
        "{}: seed {} is not a number", name, seed);
  s.seed = std::strtoull(seed.c_str(), nullptr, 10);
  s.attempted = integer("attempted"), s.accepted = integer("accepted");
  s.input = {.rate = real("rate"), .inverse_total = real("inverse_total")};
  s.loss = real("loss"), s.norm_squared = real("norm_squared"), s.norm = real("norm");
  s.loss_scale = real("loss_scale"), s.grad_factor = real("grad_factor");
  if (json.contains("clean_steps")) s.clean_steps = integer("clean_steps");  // an older folio had no f16
  check(std::isfinite(s.loss_scale) && s.loss_scale > 0 && s.clean_steps >= 0, Fault::content,
        "{}: a loss scale of {} after {} clean steps", name, s.loss_scale, s.clean_steps);
  s.non_finite = integer("non_finite"), s.accept = integer("accept");
  check(0 <= s.accepted && s.accepted <= s.attempted && s.attempted <= kMostSteps, Fault::content,
        "{}: {} accepted steps of {} attempted", name, s.accepted, s.attempted);
  check(0 <= s.non_finite && s.non_finite <= s.attempted && (s.accept == 0 || s.accept == 1), Fault::content,
        "{}: {} steps that were not finite of {}, and `accept` {}", name, s.non_finite, s.attempted, s.accept);
  if (!json.contains("spikes")) return s;  // an older folio had none
  Json const& spikes = json["spikes"];
  check(spikes.is_object(), Fault::content, "{}: `spikes` is no object", name);
  s.spike_score = from_bits(get_string(spikes, "score", name), name);
  s.scored = get_integer(spikes, "scored", name), s.spikes_in_a_row = get_integer(spikes, "in_a_row", name);
  check(0 <= s.scored && s.scored <= kMostSteps && 0 <= s.spikes_in_a_row && s.spikes_in_a_row <= kMostSpikes,
        Fault::content, "{}: {} steps scored, {} spikes in a row", name, s.scored, s.spikes_in_a_row);
  read_all_bits(spikes, "losses", s.losses, name), read_all_bits(spikes, "log_norms", s.log_norms, name);
  return s;
}

namespace {

constexpr std::pair<char const*, double Longest::*> kLongest[] = {{"step", &Longest::step},
                                                                  {"evaluation", &Longest::evaluation},
                                                                  {"sample", &Longest::sample},
                                                                  {"save", &Longest::save}};

Json to_json(Longest const& longest) {
  Json json = Json::object();
  for (auto const& [key, seconds] : kLongest) json[key] = bits_of(longest.*seconds);
  return json;
}

Longest longest_from(Json const& json, std::string const& name) {
  Longest longest;
  for (auto const& [key, seconds] : kLongest) {
    longest.*seconds = from_bits(get_string(json, key, name), name);
    check(std::isfinite(longest.*seconds) && longest.*seconds >= 0, Fault::content,
          "{}: the longest {} took {} seconds", name, key, longest.*seconds);
  }
  return longest;
}

}  // namespace

Json to_json(RunState const& s) {
  Json json = {{"format", "folio-state"},
               {"version", kVersion},
               {"step", s.step},
               {"step_state", to_json(s.step_state)},
               {"data", {{"epoch", s.data.epoch}, {"position", s.data.position}, {"fingerprint", s.data_fingerprint}}},
               {"patience", {{"to_beat", bits_of(s.patience.to_beat)}, {"waited", s.patience.waited}}},
               {"refused_in_a_row", s.refused_in_a_row},
               {"metrics_bytes", s.metrics_bytes},
               {"seconds", bits_of(s.seconds)},
               {"longest", to_json(s.longest)},
               {"options", s.options},
               {"made", s.made}};
  if (!s.kept.empty()) json["kept"] = s.kept;
  if (!s.rollbacks.empty()) {
    json["rollbacks"] = Json::array();
    for (Rollback const& r : s.rollbacks) json["rollbacks"].push_back(to_json(r));
  }
  if (s.best) json["best"] = {{"step", s.best->step}, {"val_loss", bits_of(s.best->val)}};
  if (s.evaluation_due) json["evaluation_due"] = true;
  if (s.due) json["due"] = *s.due;
  if (s.active) json["active_units"] = {{"since", s.active->since}, {"layers", s.active->layers}};
  return json;
}

RunState run_state_from(Json const& json, std::string const& name) {
  check(json.is_object() && find_string(json, "format", name) == "folio-state", Fault::content,
        "{} is not a folio state: its `format` is not folio-state", name);
  get_version(json, kVersion, name);
  auto object = [&](char const* key) -> Json const& {
    check(json.contains(key) && json[key].is_object(), Fault::content, "{}: `{}` is missing or no object", name, key);
    return json[key];
  };
  RunState s;
  s.step = get_integer(json, "step", name);
  s.step_state = step_state_from(object("step_state"), name);
  check(s.step == s.step_state.attempted, Fault::content, "{}: step {} beside {} attempted steps", name, s.step,
        s.step_state.attempted);
  Json const& data = object("data");
  s.data = {.epoch = get_integer(data, "epoch", name), .position = get_integer(data, "position", name)};
  s.data_fingerprint = get_string(data, "fingerprint", name);
  for (auto const& [key, value] : object("made").items()) s.made[key] = get_string(json["made"], key, name);
  for (auto const& [key, value] : object("options").items()) s.options[key] = get_string(json["options"], key, name);
  if (json.contains("kept"))
    for (auto const& [key, value] : object("kept").items()) s.kept[key] = get_string(json["kept"], key, name);
  if (json.contains("best")) {
    s.best =
        Best{get_integer(object("best"), "step", name), from_bits(get_string(json["best"], "val_loss", name), name)};
    check(0 <= s.best->step && s.best->step <= s.step && !std::isnan(s.best->val), Fault::content,
          "{}: at step {} the best was step {}, val loss {}", name, s.step, s.best->step, s.best->val);
  }
  if (json.contains("active_units")) {
    Json const& active = object("active_units");
    s.active = ActiveUnits{.since = get_integer(active, "since", name), .layers = {}};
    check(active.contains("layers") && active["layers"].is_array(), Fault::content,
          "{}: `layers` of `active_units` is missing or no list", name);
    for (Json const& digits : active["layers"]) {
      check(digits.is_string(), Fault::content, "{}: `layers` of `active_units` holds what is no text", name);
      s.active->layers.push_back(digits.get<std::string>());
    }
  }
  if (json.contains("patience"))  // an older folio had none
    s.patience = {.to_beat = from_bits(get_string(object("patience"), "to_beat", name), name),
                  .waited = get_integer(json["patience"], "waited", name)};
  s.refused_in_a_row = get_integer(json, "refused_in_a_row", name);
  check(s.patience.waited >= 0 && 0 <= s.refused_in_a_row && s.refused_in_a_row <= s.step, Fault::content,
        "{}: {} evaluations waited, {} steps refused in a row", name, s.patience.waited, s.refused_in_a_row);
  if (json.contains("rollbacks")) {
    check(json["rollbacks"].is_array(), Fault::content, "{}: `rollbacks` is no list", name);
    for (Json const& r : json["rollbacks"]) s.rollbacks.push_back(rollback_from(r, name));
  }
  int64_t const logged = get_integer(json, "metrics_bytes", name);
  s.seconds = from_bits(get_string(json, "seconds", name), name);
  s.evaluation_due = find_bool(json, "evaluation_due", name).value_or(false);
  s.due = find_bool(json, "due", name);
  if (json.contains("longest")) s.longest = longest_from(object("longest"), name);  // an older folio had none
  check(logged >= 0 && std::isfinite(s.seconds) && s.seconds >= 0, Fault::content,
        "{}: {} bytes of log, {} seconds of training", name, logged, s.seconds);
  s.metrics_bytes = static_cast<uint64_t>(logged);
  return s;
}

void save_checkpoint(Path const& final_path, TrainedTensors const& t, model::ModelInfo const& info,
                     std::span<Attachment const> tokenizer, RunState const& state) {
  FolderWriter folder(final_path, FolderWriter::Existing::replace);
  save_model(folder.path(), t.source, t.weights, info, tokenizer);
  save_tensors(folder.path() / "optimizer.safetensors", named(t.moments, t.weights), t.source);
  write_json(folder.path() / "state.json", to_json(state));
  model::write_manifest(folder.path());
  folder.commit();
}

namespace {

RunState state_in(Path const& checkpoint) {
  Path const path = checkpoint / "state.json";
  return run_state_from(read_json(path), path.string());
}

RunState load_whole(Path const& path, Backend& backend, Trainer& trainer, Choice const& choice = {}) {
  RunState const state = state_in(path);
  model::ModelDirectory const model(path);
  model::Config has = model.config(), wanted = trainer.options().config;
  wanted.dropout = has.dropout = {};  // Loop::resume compares it
  check(has == wanted, Fault::content,
        "{} holds a model of {}, and config.toml has {}: a run keeps its shape; put what was back into the file, or "
        "start a new run with another --out",
        path.string(), describe(has), describe(wanted));
  if (choice.expect) choice.expect(state);
  model.load(backend, trainer.weights());
  load_tensors(path / "optimizer.safetensors", named(trainer.moments(), trainer.weights()), backend);
  trainer.set_state(state.step_state);
  return state;
}

bool is_known(Path const& checkpoint) {
  try {
    (void)state_in(checkpoint);
    (void)model::ModelDirectory(checkpoint);
    return true;
  } catch (Error const&) {
    return false;
  }
}

// A newer folio writes a newer state with a newer manifest: a newer manifest alone is what a flipped bit makes of one.
std::string damage_of_manifest(Path const& checkpoint) {
  try {
    return model::damage_of(checkpoint);
  } catch (Error const& e) {
    if (e.fault != Fault::content || !is_known(checkpoint)) throw;
    return fmt::format("{} is damaged: its version is none that goes with the state.json and config.json beside it",
                       (checkpoint / "manifest.json").string());
  }
}

// Why the checkpoint of this step is not to be used; "" where it is whole.
std::string damage_of(Path const& checkpoint, int64_t step) {
  std::string const damage = damage_of_manifest(checkpoint);
  if (!damage.empty()) return damage;
  int64_t const held = state_in(checkpoint).step;
  return held == step ? "" : fmt::format("{} holds step {}", checkpoint.string(), held);
}

void set_aside(Path const& checkpoint, std::string const& damage) {
  Path to = checkpoint;
  to += ".damaged";
  for (int n = 2; std::filesystem::exists(to); ++n) (to = checkpoint) += fmt::format(".damaged-{}", n);
  move_folder(checkpoint, to);
  say(Level::warning,
      fmt::format("{}: this checkpoint is not whole; it is not used, and kept as {} until you remove it", damage,
                  to.filename().string()));
}

}  // namespace

RunState load_checkpoint(Path const& path, Backend& backend, Trainer& trainer) {
  model::verify_manifest(path);
  return load_whole(path, backend, trainer);
}

bool was_due(RunDirectory const& run, int64_t step, int64_t every) {
  bool const regular = step > 0 && step % every == 0;
  try {
    RunState const state = state_in(run.checkpoint(step));
    bool const best = step > 0 && state.best && state.best->step == step;
    return state.due.value_or(best || (regular && state.refused_in_a_row == 0));
  } catch (Error const&) {
    return regular;  // it is damaged
  }
}

namespace {

using Damaged = std::vector<std::pair<Path, std::string>>;

std::optional<RunState> newest_whole(RunDirectory& run, Backend& backend, Trainer& trainer, Choice const& choice,
                                     Damaged& newer) {
  auto steps = checkpoint_steps(run.path());
  if (choice.among) std::erase_if(steps, [&](int64_t step) { return !choice.among(step); });
  for (size_t i = steps.size(); i-- > 0;) {
    Path const path = run.checkpoint(steps[i]);
    std::string const damage = damage_of(path, steps[i]);
    if (damage.empty()) return load_whole(path, backend, trainer, choice);
    newer.emplace_back(path, damage);
  }
  return {};
}

}  // namespace

RunState load_newest(RunDirectory& run, Backend& backend, Trainer& trainer, Choice const& choice) {
  Damaged damaged;
  auto const state = newest_whole(run, backend, trainer, choice, damaged);
  if (!state) {
    check(!damaged.empty(), Fault::missing, "{} has no checkpoint", run.path().string());
    fail(Fault::content, "none of the {} checkpoint(s) of {} is whole: {}", damaged.size(), run.path().string(),
         damaged.front().second);
  }
  for (auto const& [path, damage] : damaged) set_aside(path, damage);
  return *state;
}

std::optional<RunState> load_earlier(RunDirectory& run, Backend& backend, Trainer& trainer, Choice const& choice) {
  Damaged damaged;
  auto const state = newest_whole(run, backend, trainer, choice, damaged);
  for (auto const& [path, damage] : damaged) set_aside(path, damage);
  return state;
}

}  // namespace folio::train
