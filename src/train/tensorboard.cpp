#include "train/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cmath>

#include "core/error.h"

namespace folio::train {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::array<uint32_t, 256> kCrc = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78 : 0);
  }
  return table;
}();

uint32_t checksum(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (char const c : bytes) crc = crc >> 8 ^ kCrc[(crc ^ uint8_t(c)) & 0xff];
  return std::rotr(~crc, 15) + 0xa282ead8;
}

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<char const*>(&value), sizeof value};
}

// Protobuf's wire format: a field is its number and kind, then its value.
enum Kind { integer = 0, eight_bytes = 1, bytes = 2, four_bytes = 5 };
std::string varint(uint64_t v) {
  std::string out;
  for (; v >= 0x80; v >>= 7) out += char(v | 0x80);
  return out + char(v);
}
std::string key(uint32_t number, Kind kind) { return varint(number << 3 | kind); }
std::string message(uint32_t number, std::string_view content) {
  return key(number, bytes) + varint(content.size()) + std::string(content);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Path file_in(Path const& folder) {
  make_folders(folder);
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return folder / fmt::format("events.out.tfevents.{:010}.{}.{}", int64_t(wall_time()), host, ::getpid());
}

}  // namespace

TensorBoard::TensorBoard(Path const& folder, int64_t first) : file_(file_in(folder)) {
  record(first, message(3, "brain.Event:2"));
  if (first > 1) begin_at(first);
}

void TensorBoard::begin_at(int64_t step) {
  constexpr uint64_t kStart = 1;
  record(step, message(7, key(1, integer) + varint(kStart)));
}

void TensorBoard::rolled_back(Rollback const& r) { begin_at(r.to + 1); }

void TensorBoard::record(int64_t step, std::string const& payload) {
  std::string const event = key(1, eight_bytes) + raw(wall_time()) + key(2, integer) + varint(uint64_t(step)) + payload;
  std::string const length = raw(uint64_t(event.size()));
  file_.write(length + raw(checksum(length)) + event + raw(checksum(event)));
}

void TensorBoard::write(int64_t step, Scalars const& scalars) {
  std::string summary;
  for (auto const& [tag, value] : scalars)
    summary += message(1, message(1, tag) + key(2, four_bytes) + raw(float(value)));
  record(step, message(5, summary));
}

void TensorBoard::stepped(StepReport const& r) {
  write(r.step, {{"loss/train", r.loss},
                 {"rate", r.rate},
                 {"norm/gradient", r.norm},
                 {"norm/clipped", r.clipped},
                 {"speed/tokens_per_second", r.tokens_per_second},
                 {"memory/peak_bytes", r.memory_bytes}});
}

void TensorBoard::evaluated(EvalReport const& r) {
  Scalars scalars = {{"loss/train_evaluated", r.train}};
  if (std::isfinite(r.val)) scalars.emplace_back("loss/val", r.val);
  if (std::isfinite(r.val_bits_per_byte)) scalars.emplace_back("loss/val_bits_per_byte", r.val_bits_per_byte);
  write(r.step, scalars);
}

void TensorBoard::measured(Statistics const& s) {
  Scalars scalars;
  for (auto const& [group, all] : {std::pair{"", &s.tensors}, {"type/", &s.types}})
    for (auto const& [name, n] : *all)
      for (auto const& [what, value] : {std::pair{"weight_mean", n.mean},
                                        {"weight_deviation", n.deviation},
                                        {"weight_norm", n.norm},
                                        {"gradient_norm", n.gradient},
                                        {"update", n.update}})
        scalars.emplace_back(fmt::format("{}/{}{}", what, group, name), value);
  for (auto const& [name, n] : s.activations)
    for (auto const& [what, value] : {std::pair{"activation_mean", n.mean},
                                      {"activation_deviation", n.deviation},
                                      {"activation_least", n.least},
                                      {"activation_largest", n.largest}})
      scalars.emplace_back(fmt::format("{}/{}", what, name), value);
  for (size_t l = 0; l < s.quiet.size(); ++l) scalars.emplace_back(fmt::format("quiet/h.{}", l), s.quiet[l]);
  write(s.step, scalars);
}

}  // namespace folio::train
