// GELU and dropout.
#include "backend/cpu/cpu.h"
#include "core/random.h"

namespace folio::cpu {
namespace {
constexpr int64_t kGrain = 1 << 13;  // elements that are worth a thread
}

void Cpu::do_gelu(Tensor y, Tensor x) {
  with_storage(x.dtype, [&]<class S> {
    S *Y = y.as<S>(), *X = x.as<S>();
    divide(x.size(), kGrain, 16,
           [&](int64_t begin, int64_t end, int64_t) { kernels<S>().gelu(Y + begin, X + begin, end - begin); });
  });
}

void Cpu::do_gelu_backward(Tensor dx, Tensor dy, Tensor x) {
  with_storage(x.dtype, [&]<class S> {
    S *dX = dx.as<S>(), *dY = dy.as<S>(), *X = x.as<S>();
    divide(x.size(), kGrain, 16, [&](int64_t begin, int64_t end, int64_t) {
      kernels<S>().gelu_backward(dX + begin, dY + begin, X + begin, end - begin);
    });
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

// A share of the work may cross sequences, whose numbers need not follow each other.
template <class F>
void Cpu::each_dropped(Tensor y, Dropout const& d, F f) const {
  int64_t const row = y.size() / y.shape[0];  // T·C
  int64_t const* sequences = d.sequences.as<int64_t>();
  divide(y.size(), kGrain / 4, 64, [&](int64_t begin, int64_t end, int64_t) {
    for (int64_t i = begin; i < end;) {
      int64_t const b = i / row, next = std::min(end, (b + 1) * row);
      f(i, next, uint64_t(sequences[b] * row + i % row));
      i = next;
    }
  });
}

void Cpu::do_dropout_add(Tensor y, Tensor x, Tensor branch, Dropout const& d) {
  if (x.empty()) return do_dropout_backward(y, branch, d);  // the same without the sum
  with_storage(branch.dtype, [&]<class S> {
    float *Y = y.as<float>(), *X = x.as<float>();
    S* Branch = branch.as<S>();
    if (d.rate == 0)
      return divide(y.size(), kGrain, 16, [&](int64_t begin, int64_t end, int64_t) {
        kernels<S>().add(Y + begin, X + begin, Branch + begin, end - begin);
      });
    DropoutKey const key = key_of(d);
    each_dropped(y, d, [&](int64_t begin, int64_t end, uint64_t index) {
      kernels<S>().dropout_add(Y + begin, X + begin, Branch + begin, end - begin, index, key);
    });
  });
}

void Cpu::do_dropout_backward(Tensor dbranch, Tensor dy, Dropout const& d) {
  if (d.rate == 0 && dbranch.data == dy.data) return;
  with_storage(dbranch.dtype, [&]<class S> {
    S* dBranch = dbranch.as<S>();
    float* dY = dy.as<float>();
    if (d.rate == 0) return convert(dBranch, dY, dy.size());
    DropoutKey const key = key_of(d);
    each_dropped(dy, d, [&](int64_t begin, int64_t end, uint64_t index) {
      kernels<S>().dropout(dBranch + begin, dY + begin, end - begin, index, key);
    });
  });
}

}  // namespace folio::cpu
