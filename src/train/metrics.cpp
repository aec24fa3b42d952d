#include "train/metrics.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "backend/step_state.h"
#include "core/error.h"
#include "core/file.h"

namespace folio::train {
namespace {

constexpr int64_t kVersion = 2;

double status_bytes(std::string_view key) {  // "VmHWM:     28160 kB"
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key)) return std::strtod(line.c_str() + key.size(), nullptr) * 1024;
  return 0;
}

}  // namespace

bool overflowed(StepReport const& r) {
  return !r.accepted && r.loss_scale > kLeastLossScale && std::isfinite(r.loss) && !std::isfinite(r.norm);
}

Json to_json(StepReport const& r) {
  Json json = {{"type", "step"},
               {"step", r.step},
               {"loss", finite_or_null(r.loss)},
               {"rate", r.rate},
               {"norm", finite_or_null(r.norm)}};
  if (r.clipped != r.norm && std::isfinite(r.clipped)) json["clipped"] = r.clipped;
  if (r.loss_scale > 0) json["loss_scale"] = r.loss_scale;
  if (!r.accepted) json["accepted"] = false;
  json["seconds"] = r.seconds;
  json["tokens_per_second"] = r.tokens_per_second;
  json["memory_bytes"] = static_cast<int64_t>(r.memory_bytes);
  return json;
}

Json to_json(EvalReport const& r) {
  Json json = {{"type", "eval"}, {"step", r.step}, {"train", finite_or_null(r.train)}, {"val", finite_or_null(r.val)}};
  if (std::isfinite(r.val_bits_per_byte)) json["val_bits_per_byte"] = r.val_bits_per_byte;
  json["best"] = r.best;
  json["seconds"] = r.seconds;
  return json;
}

Json to_json(SaveReport const& r) {
  Json json = {{"type", "save"}, {"step", r.step}, {"seconds", r.seconds}, {"waited", r.waited}};
  if (!r.saved) json["saved"] = false;
  if (!r.error.empty()) json["error"] = r.error;
  return json;
}

double peak_memory() { return status_bytes("VmHWM:"); }  // getrusage would count what was there before exec
double resident_memory() { return status_bytes("VmRSS:"); }

Json metrics_header() { return {{"type", "format"}, {"format", "folio-metrics"}, {"version", kVersion}}; }

void check_metrics_version(Path const& metrics) {
  std::ifstream in(metrics);
  std::string line(4096, '\0');
  in.read(line.data(), std::streamsize(line.size()));
  line.resize(size_t(in.gcount()));
  line.resize(std::min(line.size(), line.find('\n')));
  if (line.find("\"format\"") == line.npos) return;
  Json json;
  try {
    json = parse_json(line, metrics.string());
  } catch (Error const&) {
    return;  // torn: it says nothing
  }
  if (!json.is_object() || find_string(json, "type", metrics.string()) != "format") return;
  get_version(json, kVersion, metrics.string());
}

void check_metrics_lines(Path const& metrics, uint64_t bytes) {
  if (bytes == 0) return;
  MappedFile const file(metrics);
  std::string_view const text(reinterpret_cast<char const*>(file.bytes().data()),
                              std::min<uint64_t>(bytes, file.bytes().size()));
  check(text.ends_with('\n'), Fault::content,
        "{} is damaged: no line ends at byte {}, where the checkpoint's last does", metrics.string(), bytes);
  size_t const last = text.rfind('\n', text.size() - 2) + 1;  // npos + 1 is 0
  for (auto const& [which, from] : {std::pair{"first line", size_t{0}}, {"last line", last}}) {
    std::string const name = fmt::format("{}, {} of the checkpoint's log", metrics.string(), which);
    get_string(parse_json(text.substr(from, text.find('\n', from) - from), name), "type", name);
  }
}

uint64_t whole_lines(Path const& metrics) {
  std::error_code error;
  if (!std::filesystem::exists(metrics, error) || std::filesystem::file_size(metrics, error) == 0) return 0;
  MappedFile const file(metrics);
  std::string_view const text(reinterpret_cast<char const*>(file.bytes().data()), file.bytes().size());
  size_t const end = text.rfind('\n') + 1;  // npos + 1 is 0
  check(end > 0, Fault::content, "{} holds no line of a log: move it away, and the run goes on with a new one",
        metrics.string());
  return end;
}

}  // namespace folio::train
