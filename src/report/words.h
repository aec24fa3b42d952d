// Numbers as a page writes them: U+2212 for minus, a blank that does not break before every unit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace folio::report {

inline constexpr char const* kBlank = "\u00a0";

std::string loss_text(double nats);                  // 1.582, 2.4e15
std::string short_text(double);                      // two digits: 0.35, 1.2, 4.1e−4, 12
std::string rate_text(double);                       // 1.0e−3
std::string share_text(double share);                // 66.1 %
std::string count_text(double);                      // 9.6 k, 81.9 M
std::string bytes_text(double);                      // 898 MiB
std::string time_text(double seconds);               // 2 h 23 min
std::string tick_text(double);                       // 0, 0.5, 20, 5 k, 1e−3
std::string signed_text(double, int digits);         // −0.12
std::string joined_words(std::vector<std::string>);  // A, B and C

/// Ticks along a chart, at most six: steps, tokens, or seconds; the last has its unit.
using TickLabels = std::vector<std::pair<double, std::string>>;
TickLabels step_ticks(double most);
TickLabels token_ticks(double most);
TickLabels time_ticks(double most);
TickLabels few_step_ticks(double most);  // of a panel: 0, the middle, the end, without a unit

}  // namespace folio::report
