// The vocabulary: head, token_loss and classifier. The last two hold the logits of one chunk in scratch, its rows a
// multiple of 256 bytes apart whatever the vocabulary. Sums over a row run in f32 within a thread, in f64 beyond.
#include "backend/cuda/cuda.h"
#include "backend/cuda/device.cuh"
#include "backend/cuda/inference_product.h"

namespace folio::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int64_t kLogitsBytes = int64_t{512} << 20;  // of a chunk: products of few rows take longer for each

int64_t pitch_of(int64_t V) { return round_up(V, 64); }
// Logits, and in bf16 their rounded gradient.
int64_t bytes_of_row(DType d, int64_t V) { return pitch_of(V) * (4 + (d == DType::bf16 ? 2 : 0)); }

int64_t chunk_rows(DType d, int64_t rows, int64_t V, Room room) {
  room.take<std::byte>(Products::kWorkspace);
  int64_t const of_row = bytes_of_row(d, V), most = room.left() / of_row;
  if (most < 1) room.take<std::byte>(of_row);  // refuses
  int64_t const even = parts_of(rows, parts_of(rows, most)), whole = round_up(even, 128);
  return std::min(rows, whole <= most ? whole : even);
}

struct RowSums {
  float top;
  double sum_exp;  // Σ exp(z − top)
};

// Each thread follows the largest of its own elements and rescales its sum when that grows; f(z) for every element.
template <class F>
__device__ RowSums sums_of_row(float const* z, int64_t V, double* shared, F f) {
  float top = -INFINITY, sum = 0;
#pragma unroll 4
  for (int64_t v = threadIdx.x; v < V; v += kThreads) {
    float const x = z[v];
    if (x > top) sum *= expf(top - x), top = x;
    sum += expf(x - top);
    f(x, v);
  }
  float const of_all = block_max(top, reinterpret_cast<float*>(shared));
  return {of_all, block_sum(top == of_all ? double(sum) : double(sum) * double(expf(top - of_all)), shared)};
}

__global__ void __launch_bounds__(kThreads)
    score_row(double* scores, float const* logits, int64_t pitch, int32_t const* ids, int64_t V) {
  __shared__ double shared[kWarp];
  float const* const z = logits + blockIdx.x * pitch;
  int64_t const target = ids[blockIdx.x];
  bool const inside = 0 <= target && target < V;
  float const own = inside ? z[target] : 0;
  int rank = 0;
  RowSums const s =
      sums_of_row(z, V, shared, [&](float x, int64_t v) { rank += inside && (x > own || (x == own && v < target)); });
  float weighted = 0;
  for (int64_t v = threadIdx.x; v < V; v += kThreads) {
    float const d = z[v] - s.top;
    weighted = fmaf(expf(d), fmaxf(d, -200.0f), weighted);  // 0 · −∞
  }
  double const all_weighted = block_sum(double(weighted), shared);
  int const all_rank = block_sum(rank, reinterpret_cast<int*>(shared));
  if (threadIdx.x > 0) return;
  double* const out = scores + 3 * int64_t(blockIdx.x);
  double const log_sum = log(s.sum_exp);
  out[0] = inside ? double(own) - double(s.top) - log_sum : target < 0 ? 0 : NAN;
  out[1] = inside ? all_rank : target < 0 ? -1 : NAN;
  out[2] = log_sum - all_weighted / s.sum_exp;
}

// The losses of a row, and its logits become their gradient: in place, or rounded beside.
template <class Z>
__global__ void __launch_bounds__(kThreads)
    classify_row(float* plain, float* smoothed, Z* gradient, float const* logits, int64_t pitch, int32_t const* ids,
                 float const* weights, int64_t V, StepState const* state, double smoothing) {
  __shared__ double shared[kWarp];
  int64_t const n = blockIdx.x;
  float const* const z = logits + n * pitch;
  Z* const dz = gradient + n * pitch;
  int64_t const target = ids[n];
  if (target < 0 || target >= V) {
    for (int64_t v = threadIdx.x; v < V; v += kThreads) store(dz[v], 0);
    if (threadIdx.x == 0) plain[n] = smoothed[n] = target < 0 ? 0 : NAN;
    return;
  }
  float const of_target = z[target];
  float plain_sum = 0;
  RowSums const s = sums_of_row(z, V, shared, [&](float x, int64_t) { plain_sum += x; });
  double const sum = smoothing > 0 ? block_sum(double(plain_sum), shared) : 0;
  double const lse = double(s.top) + log(s.sum_exp), smooth = smoothing / double(V), loss = lse - double(of_target);
  float const share = float(1 / s.sum_exp), low = float(smooth),
              factor = float(state->loss_scale * double(weights[n]) * state->input.inverse_total);
  for (int64_t v = threadIdx.x; v < V; v += kThreads) {
    float const p = expf(z[v] - s.top) * share;
    store(dz[v], factor * (v == target ? float(double(p) - (1 - smoothing) - smooth) : p - low));
  }
  if (threadIdx.x > 0) return;
  plain[n] = float(loss);
  smoothed[n] = float(smoothing > 0 ? (1 - smoothing) * loss + smooth * (double(V) * lse - sum) : loss);
}

constexpr int kLossThreads = 1024;
__global__ void __launch_bounds__(kLossThreads)
    add_losses(StepState* state, float const* plain, int32_t const* ids, float const* weights, int64_t N) {
  __shared__ double shared[kWarp];
  double sum = 0;
  for (int64_t n = threadIdx.x; n < N; n += kLossThreads)
    if (ids[n] >= 0) sum += double(weights[n]) * state->input.inverse_total * double(plain[n]);
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) state->loss += sum;
}

}  // namespace

int64_t scratch_of_classifier(Limits const& l) {
  int64_t const of_row = bytes_of_row(l.dtype, l.vocab);
  int64_t const rows = of_row == 0 ? 0 : std::min(l.rows, std::max(l.chunk, kLogitsBytes / of_row));
  return int64_t(Products::kWorkspace) + Room::kAlign + rows * of_row;
}

// Fast products want sizes that are multiples of 16, and 50,257 is one more than 3,141 · 16: a product over the
// vocabulary is one over the multiple and one over the rest. f(first, count) for each.
template <class F>
void each_part_of_vocabulary(int64_t V, F f) {
  int64_t const whole = V / 16 * 16;
  if (whole > 0) f(int64_t{0}, whole);
  if (whole < V) f(whole, V - whole);
}

template <class S>
void Cuda::logits(float* z, int64_t leading, S const* x, Weight const& w, int64_t rows, Room room) {
  int64_t const V = w.shape[0], C = w.shape[1];
  S const* const W = factor<S>(w);
  if (w.grad.empty()) return product<true>(stream(), z, leading, x, W, nullptr, rows, V, C);
  each_part_of_vocabulary(V, [&](int64_t first, int64_t count) {
    multiply(z + first, leading, false, matrix(x, C), matrix(W + first * C, C, true), nullptr, rows, count, C, room);
  });
}

void Cuda::do_head(Tensor logits_, Tensor x, Weight const& w) {
  with_storage(x.dtype,
               [&]<class S> { logits(logits_.as<float>(), w.shape[0], x.as<S>(), w, x.rows(), room("head")); });
}

void Cuda::do_token_loss(Tensor scores, Tensor x, Weight const& w, Tensor ids) {
  int64_t const N = x.rows(), V = w.shape[0], C = w.shape[1], pitch = pitch_of(V);
  Room const room = this->room("token_loss");
  int64_t const chunk = chunk_rows(x.dtype, N, V, room);
  Room logits_room = room;
  logits_room.take<std::byte>(Products::kWorkspace);
  float* const z = logits_room.take<float>(chunk * pitch);
  for (int64_t first = 0; first < N; first += chunk) {
    int64_t const rows = std::min(chunk, N - first);
    with_storage(x.dtype, [&]<class S> { logits(z, pitch, x.as<S>() + first * C, w, rows, room); });
    score_row<<<unsigned(rows), kThreads, 0, stream()>>>(scores.as<double>() + 3 * first, z, pitch,
                                                         ids.as<int32_t>() + first, V);
    launched("token_loss: {}");
  }
}

template <class S>
void Cuda::classify(Tensor losses, Tensor dx, Tensor x, Weight const& w, Targets const& targets, Tensor state,
                    ClassifierOptions const& options) {
  int64_t const N = x.rows(), V = w.shape[0], C = w.shape[1], pitch = pitch_of(V);
  Room const room = this->room("classifier");
  int64_t const chunk = chunk_rows(x.dtype, N, V, room);
  Room own = room;
  own.take<std::byte>(Products::kWorkspace);
  float* const z = own.take<float>(chunk * pitch);
  S* dz = nullptr;
  if constexpr (std::is_same_v<S, float>) dz = z;
  else dz = own.take<S>(chunk * pitch);
  float* const plain = losses.as<float>();
  int32_t const* const ids = targets.ids.as<int32_t>();
  float const* const weights = targets.weights.as<float>();
  auto* const s = reinterpret_cast<StepState*>(state.as<unsigned char>());
  for (int64_t first = 0; first < N; first += chunk) {
    int64_t const rows = std::min(chunk, N - first);
    S *const X = x.as<S>() + first * C, *const dX = dx.as<S>() + first * C;
    logits(z, pitch, X, w, rows, room);
    classify_row<<<unsigned(rows), kThreads, 0, stream()>>>(plain + first, plain + N + first, dz, z, pitch, ids + first,
                                                            weights + first, V, s, options.label_smoothing);
    launched("classifier: {}");
    each_part_of_vocabulary(V, [&](int64_t v, int64_t count) {
      multiply(dX, C, v > 0, matrix(dz + v, pitch), matrix(factor<S>(w) + v * C, C), nullptr, rows, C, count, room);
      multiply(w.grad.as<float>() + v * C, C, true, matrix(dz + v, pitch, true), matrix(X, C), nullptr, count, C, rows,
               room);
    });
  }
  add_losses<<<1, kLossThreads, 0, stream()>>>(s, plain, ids, weights, N);
  launched("classifier: {}");
}

void Cuda::do_classifier(Tensor losses, Tensor dx, Tensor x, Weight const& w, Targets const& targets, Tensor state,
                         ClassifierOptions const& options) {
  with_storage(x.dtype, [&]<class S> { classify<S>(losses, dx, x, w, targets, state, options); });
}

}  // namespace folio::cuda
