// GELU and dropout.
#include <cstring>

#include "backend/cpu/cpu.h"
#include "core/random.h"

namespace folio::cpu {
namespace {
constexpr int64_t kGrain = 1 << 13;  // elements that are worth a thread
}

void Cpu::do_gelu(Tensor y, Tensor x) {
  float *Y = y.as<float>(), *X = x.as<float>();
  divide(x.size(), kGrain, 16,
         [&](int64_t begin, int64_t end, int64_t) { table_.f32.gelu(Y + begin, X + begin, end - begin); });
}

void Cpu::do_gelu_backward(Tensor dx, Tensor dy, Tensor x) {
  float *dX = dx.as<float>(), *dY = dy.as<float>(), *X = x.as<float>();
  divide(x.size(), kGrain, 16, [&](int64_t begin, int64_t end, int64_t) {
    table_.f32.gelu_backward(dX + begin, dY + begin, X + begin, end - begin);
  });
}

DropoutKey key_of(Dropout const& d) {
  StepState const& s = step_state(d.state);
  return {.seed = s.seed,
          .third = uint32_t(s.attempted),
          .fourth = uint32_t(Domain::dropout) << 24 | d.layer << 8 | uint32_t(d.site),
          .threshold = dropout_threshold(d.rate),
          .kept = float(1 / (1 - d.rate))};
}

// y = x + mask · branch; x may be empty. A share of the work may cross sequences, whose numbers need not follow
// each other.
void Cpu::dropped(Tensor y, Tensor x, Tensor branch, Dropout const& d) {
  DropoutKey const key = key_of(d);
  int64_t const row = y.size() / y.shape[0];  // T·C
  float *Y = y.as<float>(), *X = x.empty() ? nullptr : x.as<float>(), *Branch = branch.as<float>();
  int64_t const* sequences = d.sequences.as<int64_t>();
  divide(y.size(), kGrain / 4, 64, [&](int64_t begin, int64_t end, int64_t) {
    for (int64_t i = begin; i < end;) {
      int64_t const b = i / row, next = std::min(end, (b + 1) * row);
      uint64_t const index = uint64_t(sequences[b] * row + i % row);
      if (X) table_.f32.dropout_add(Y + i, X + i, Branch + i, next - i, index, key);
      else table_.f32.dropout(Y + i, Branch + i, next - i, index, key);
      i = next;
    }
  });
}

void Cpu::do_dropout_add(Tensor y, Tensor x, Tensor branch, Dropout const& d) {
  if (d.rate != 0) return dropped(y, x, branch, d);
  if (x.empty()) {
    if (y.data != branch.data) do_copy(y, branch);
    return;
  }
  float *Y = y.as<float>(), *X = x.as<float>(), *Branch = branch.as<float>();
  divide(y.size(), kGrain, 16, [&](int64_t begin, int64_t end, int64_t) {
    table_.f32.add(Y + begin, X + begin, Branch + begin, end - begin);
  });
}

void Cpu::do_dropout_backward(Tensor dbranch, Tensor dy, Dropout const& d) {
  if (d.rate != 0) return dropped(dbranch, {}, dy, d);
  if (dbranch.data != dy.data) do_copy(dbranch, dy);
}

}  // namespace folio::cpu
