#include "report/words.h"

#include <fmt/format.h>

#include <cmath>

#include "core/progress.h"
#include "report/svg.h"
#include "report/table.h"

namespace folio::report {
namespace {

std::string for_page(std::string text) {  // minus signs, and blanks that do not break
  std::string out;
  for (char const c : text) out += c == '-' ? "\u2212" : c == ' ' ? kBlank : std::string(1, c);
  return out;
}

std::string exponent_text(double v, int digits) {  // 1.0e−3
  std::string const text = fmt::format("{:.{}e}", v, digits);
  size_t const e = text.find('e');
  return for_page(text.substr(0, e) + "e" + std::to_string(std::stoi(text.substr(e + 1))));
}

TickLabels ticks_from(double most, double step, std::string (*text)(double), std::string const& unit) {
  TickLabels all;
  most = std::min(most, 1e300);  // so that its end is reached
  for (double i = 0; i * step <= most * (1 + 1e-9); ++i) all.emplace_back(i * step, text(i * step));
  if (!unit.empty()) all.back().second += kBlank + unit;
  return all;
}

std::string round_count(double v) {  // 20 M
  std::string text = count_text(v);
  if (size_t const at = text.find(".0"); at != text.npos) text.erase(at, 2);
  return text;
}

std::string clock_text(double s) {  // of a tick: 30 s, 5 min, 1 h 30
  if (s == 0) return "0";
  if (s < 60 || (s < 600 && std::fmod(s, 60) != 0)) return fmt::format("{:g}{}s", s, kBlank);
  int64_t const minutes = std::llround(s / 60);
  if (minutes < 60) return fmt::format("{}{}min", minutes, kBlank);
  if (minutes < 1440)
    return fmt::format("{}{}h{}", minutes / 60, kBlank,
                       minutes % 60 ? fmt::format("{}{:02}", kBlank, minutes % 60) : "");
  return fmt::format("{}{}d", minutes / 1440, kBlank);
}

}  // namespace

std::string loss_text(double v) {
  if (!std::isfinite(v)) return "–";
  return std::abs(v) < 1e4 ? for_page(fmt::format("{:.3f}", v)) : exponent_text(v, 1);
}

std::string short_text(double v) {
  if (!std::isfinite(v)) return "–";
  double const size = std::abs(v);
  if (size == 0) return "0";
  if (size < 0.001 || size >= 1e5) return exponent_text(v, 1);
  int const digits = std::max(0, 1 - int(std::floor(std::log10(size))));
  return for_page(fmt::format("{:.{}f}", v, digits));
}

std::string rate_text(double v) { return v == 0 ? "0" : std::isfinite(v) ? exponent_text(v, 1) : "–"; }

std::string share_text(double v) { return std::isfinite(v) ? for_page(fmt::format("{:.1f} %", 100 * v)) : "–"; }

std::string count_text(double v) {
  std::string text = format_count(v);  // 9.6k
  if (!text.empty() && std::isalpha(static_cast<unsigned char>(text.back()))) text.insert(text.size() - 1, " ");
  return for_page(text);
}

std::string bytes_text(double v) { return v < 1e18 ? for_page(format_bytes(v)) : exponent_text(v, 1) + kBlank + "B"; }
std::string time_text(double v) { return for_page(format_duration(v)); }
std::string signed_text(double v, int digits) { return for_page(fmt::format("{:.{}f}", v, digits)); }

std::string tick_text(double v) {
  if (std::abs(v) < 1e-12) return "0";
  if (std::abs(v) >= 1e14) return exponent_text(v, 0);
  if (std::abs(v) >= 1000) return round_count(v);
  if (std::abs(v) < 0.005)
    return exponent_text(v, std::abs(std::remainder(v / std::pow(10, std::floor(std::log10(std::abs(v)))), 1)) > 1e-6);
  return for_page(fmt::format("{:.4g}", v));
}

std::string joined_words(std::vector<std::string> words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) out += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return out;
}

TickLabels step_ticks(double most) {
  double const step = std::max(1.0, round_step(most, 6));
  return ticks_from(
      most, step, [](double v) { return grouped(std::llround(v)); }, "steps");
}

TickLabels token_ticks(double most) { return ticks_from(most, round_step(most, 5), round_count, ""); }

TickLabels time_ticks(double most) {
  constexpr double kSteps[] = {1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000, 43200, 86400};
  double step = round_step(most, 5);
  for (double const s : kSteps)
    if (most / s <= 5.5) {
      step = std::max(s, most < 1 ? step : 0.0);
      break;
    }
  return ticks_from(most, step, clock_text, "");
}

TickLabels few_step_ticks(double most) {
  double const step = std::max(1.0, round_step(most, 2.5));
  return ticks_from(
      most, step, [](double v) { return grouped(std::llround(v)); }, "");
}

}  // namespace folio::report
