#include "cli/train_screen.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <utility>

#include "cli/verb.h"
#include "core/log.h"
#include "report/table.h"
#include "text/visible.h"
#include "train/history.h"

namespace folio::cli {
namespace {

using report::grouped;

std::string part(char const* name, int64_t n) { return n > 0 ? fmt::format(", {} {}", name, grouped(n)) : ""; }

std::string clock_time(double seconds_from_now) {
  time_t const at = time(nullptr) + time_t(seconds_from_now);
  tm local{};
  localtime_r(&at, &local);
  char text[64];
  strftime(text, sizeof text, "%a %H:%M", &local);
  return text;
}

std::string short_duration(double s) {  // 53s, 12m, 1h29
  if (s < 60) return fmt::format("{:.0f}s", s);
  int64_t const minutes = int64_t(s / 60 + 0.5);
  return minutes < 60 ? fmt::format("{}m", minutes) : fmt::format("{}h{:02}", minutes / 60, minutes % 60);
}

}  // namespace

std::string number_text(char const* name, double value, int digits) {
  return std::isfinite(value) ? fmt::format("{} {:.{}f}", name, value, digits) : fmt::format("{} not finite", name);
}

std::string batch_text(train::RunOptions const& o, int64_t context) {
  return fmt::format("{}{} sequence{} × {} tokens = {} tokens a step",
                     o.accumulate > 1 ? fmt::format("{} micro-batches × ", o.accumulate) : "", o.batch,
                     o.batch == 1 ? "" : "s", context, grouped(o.batch * o.accumulate * context));
}

std::string opening_lines(model::Config const& c, train::RunOptions const& o, std::string const& computing,
                          int64_t tokens_in_epoch, train::MemoryPlan const& memory) {
  model::ParameterCounts const n = model::count_parameters(c);
  int64_t const a_step = o.batch * o.accumulate * c.context;
  std::string out = labelled("model", model::describe(c));
  out +=
      labelled("parameters", fmt::format("{}: tokens {}, positions {}, attention {}, MLP {}, norms {}{}",
                                         grouped(n.total()), grouped(n.token_embedding), grouped(n.position_embedding),
                                         grouped(n.attention), grouped(n.mlp), grouped(n.norms), part("head", n.head)));
  if (n.saved_by_tying > 0)
    out += labelled("", fmt::format("the head is the token embedding: {} parameters saved", grouped(n.saved_by_tying)));
  out += labelled("computes in", computing);
  out += labelled("optimizer", train::describe_optimizer(o));
  out += labelled("batch", batch_text(o, c.context));
  double const all = double(o.steps) * double(a_step);
  out += labelled("data",
                  fmt::format("{} tokens an epoch; {} steps are {:.2f} epochs, {} tokens", grouped(tokens_in_epoch),
                              grouped(o.steps), all / double(tokens_in_epoch), format_count(all)));
  std::string roles, besides;
  for (MemoryRole const& role : memory.roles)
    if (memory.device.total > 0 && train::on_host(role))
      besides += fmt::format("{} {}, ", role.name, format_bytes(double(role.bytes)));
    else roles += fmt::format("{} {} {}", roles.empty() ? ":" : ",", role.name, format_bytes(double(role.bytes)));
  std::string const process = fmt::format("{} {}", memory.process.name, format_bytes(double(memory.process.bytes)));
  if (memory.device.total == 0) {
    out += labelled("memory", fmt::format("{}{}, {}", format_bytes(double(memory.total())), roles, process));
  } else {
    out += labelled(
        "memory", fmt::format("on the GPU {}{}; {} of its {} stay free", format_bytes(double(memory.of_roles())), roles,
                              format_bytes(std::max(0.0, double(memory.device.free) - double(memory.of_roles()))),
                              format_bytes(double(memory.device.total))));
    out += labelled("", "in the process " + besides + process);
  }
  out.pop_back();  // say() ends the line
  return out;
}

void TrainScreen::begin_at(train::RunState const& state) { first_seconds_ = state.seconds; }

void TrainScreen::stepped(train::StepReport const& r) {
  ++counted_;
  if (std::isfinite(r.loss)) shown_loss_ = std::isfinite(shown_loss_) ? 0.9 * shown_loss_ + 0.1 * r.loss : r.loss;
  double const spent = r.seconds - first_seconds_, left = spent / double(counted_) * double(steps_ - r.step);
  if (!end_said_ && counted_ >= 3 && spent > 2) {
    end_said_ = true;
    say(fmt::format("expected end: {} ({} from now, at {} tokens a second)", clock_time(left), format_duration(left),
                    format_count(r.tokens_per_second)));
  }
  if (!progress_.due()) return;
  std::vector<std::string> fields = {fmt::format("{}/{}", r.step, steps_), number_text("train", shown_loss_, 3)};
  std::vector<size_t> places = {0, 1};
  auto add = [&](std::string const& text, size_t place) { fields.push_back(text), places.push_back(place); };
  if (has_val_) add(fmt::format("val {:.3f}", val_), 2);
  add("+" + short_duration(left), 7);
  add(format_count(r.tokens_per_second) + " tok/s", 5);
  add(number_text("norm", r.norm, 2), 4);
  add("lr " + format_rate(r.rate), 3);
  add(short_duration(r.seconds), 6);
  if (!has_val_)
    for (size_t& place : places) place -= place > 2;  // places are without gaps
  progress_.show(fields, places);
}

void TrainScreen::evaluated(train::EvalReport const& r) {
  has_val_ = std::isfinite(r.val);
  val_ = r.val;
  std::string line = fmt::format("step {}: {}", r.step, number_text("train", r.train, 4));
  if (has_val_) line += fmt::format(", val {:.4f}", r.val);
  if (std::isfinite(r.val_bits_per_byte)) line += fmt::format(" ({:.3f} bits a byte)", r.val_bits_per_byte);
  double const judged = has_val_ ? r.val : r.train;
  if (r.step == 0) begun_with_ = judged;
  if (r.best)
    line += judged > begun_with_ ? fmt::format(", the best so far but for the {:.4f} it began with", begun_with_)
                                 : ", the best so far";
  say(line);
}

// The log says RUN, wherever it is moved; here it is known.
std::string TrainScreen::with_run(std::string text) const {
  static constexpr std::string_view kReplay = "--replay RUN/";
  size_t const at = text.find(kReplay);
  return at == text.npos ? text : text.replace(at + 9, 3, shell_quoted(run_));
}

void TrainScreen::diagnosed(train::Finding const& f) {
  static constexpr Level kLevels[] = {Level::good, Level::warning, Level::bad};
  constexpr size_t kMark = 4;  // "[x] "
  std::string text = wrapped(train::line_of(f), kMark).substr(kMark);
  if (f.flags.empty() ? f.state != train::State::healthy : f.state == train::State::not_finite)
    text += wrapped(with_run(f.advice), kMark);
  if (!f.flags.empty()) text += "    next time: " + f.flags;  // in one line, to paste
  if (text.ends_with('\n')) text.pop_back();
  say(kLevels[static_cast<int>(severity_of(f))], text);
}

void TrainScreen::sampled(train::Sample const& s) {  // its beginning
  constexpr size_t kMost = 200;
  std::string text = s.prompt + s.text;
  size_t cut = std::min(text.size(), kMost);
  while (cut > 0 && cut < text.size() && (uint8_t(text[cut]) & 0xc0) == 0x80) --cut;  // no half of a character
  bool const whole = cut == text.size();
  text.resize(cut);
  std::string lines = wrapped(text::escape(text) + (whole ? "" : " …"), 2);
  lines.pop_back();  // say() ends the line
  say(fmt::format("step {}, a sample:\n{}", s.step, lines));
}

void TrainScreen::saved(train::SaveReport const& r) {
  if (!r.error.empty()) return say(Level::warning, in_words(r) + ". The run goes on, and its next save tries again");
  say(Level::debug, fmt::format("step {}: saved {} in {}", r.step, r.path.string(), format_duration(r.seconds)));
}

void TrainScreen::overflowed(train::StepReport const& r, double next_loss_scale) {
  say(fmt::format("step {}: gradients overflowed f16 at the loss scale {}; the step was not taken, the scale is now {}",
                  r.step, r.loss_scale, next_loss_scale));
}

void TrainScreen::refused(train::StepReport const& r, int64_t in_a_row) {
  say(Level::warning,
      fmt::format(
          "step {}: the loss or the gradient norm is not finite; the step was not taken ({} in a row, the run ends "
          "at {})",
          r.step, in_a_row, train::kMostRefused));
}

void TrainScreen::spiked(train::StepReport const& r, train::Spike const& s) {
  constexpr int64_t kQuiet = 32;  // steps: those of one bad stretch are one message; the log has all
  if (std::exchange(last_spike_, r.step) + kQuiet >= r.step && last_spike_ > kQuiet) return;
  say(Level::warning,
      fmt::format("step {}: a spike, loss {:.3f} and gradient norm {:.2f}, stands {:.0f} deviations above "
                  "the steps before it; {}",
                  r.step, r.loss, r.norm, s.score, s.accepted ? "it was taken" : "it was not taken"));
}

void TrainScreen::rolled_back(train::Rollback const& r) {
  last_spike_ = -1;  // the next is another, of other data
  say(Level::warning, fmt::format("step {}: {}; gone back to the checkpoint of step {}, {} {} are passed over", r.step,
                                  r.why == "spike" ? "a spike" : "the loss or the gradient norm is not finite", r.to,
                                  r.skipped, r.skipped == 1 ? "batch" : "batches"));
}

std::string curve_of(train::History const& history) {
  std::vector<report::Point> train, val;
  train.reserve(history.steps.size());
  for (train::StepReport const& s : history.steps) train.push_back({double(s.step), s.loss});
  for (train::EvalReport const& e : history.evals) val.push_back({double(e.step), e.val});
  return report::terminal_curve(train, val, terminal().utf8, terminal().width);
}

}  // namespace folio::cli
