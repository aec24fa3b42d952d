// The attention op beside attention in three steps: product, softmax, product, with the whole matrix in memory.
#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "core/progress.h"
#include "learn/lab.h"
#include "learn/topics.h"

namespace folio::learn {
namespace {

constexpr int64_t kHeads = 4, kChannels = 128, kWidth = kChannels / kHeads;
constexpr int kTries = 3;

// Softmax over keys 0 … query of each row, and 0 behind: what the op never writes down.
void causal_softmax(float* scores, int64_t T) {
  float const scale = 1 / std::sqrt(float(kWidth));
  for (int64_t t = 0; t < T; ++t) {
    float* const row = scores + t * T;
    float top = row[0], sum = 0;
    for (int64_t j = 0; j <= t; ++j) top = std::max(top, row[j]);
    for (int64_t j = 0; j <= t; ++j) sum += row[j] = std::exp(scale * (row[j] - top));
    for (int64_t j = 0; j < T; ++j) row[j] = j <= t ? row[j] / sum : 0;
  }
}

struct Head {
  Tensor q;     // (1, T, D)
  Weight k, v;  // (T, D): scores are q · kᵀ as a head's are, the sum is p · v as a linear layer's is
};

struct Compared {
  double plain_bytes, fused_bytes, plain_ms, fused_ms, furthest;
};

template <class F>
double best_ms(F f) {
  using Clock = std::chrono::steady_clock;
  double best = INFINITY;
  for (int i = 0; i < kTries; ++i) {
    auto const start = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  return best;
}

Compared compare(Backend& backend, int64_t T) {
  Lab lab(backend);
  std::vector<float> const qkv = even_values(size_t(T * 3 * kChannels), 2, 13);
  auto const part = [&](int64_t which, int64_t head) {
    std::vector<float> out;
    for (int64_t t = 0; t < T; ++t)
      for (int64_t d = 0; d < kWidth; ++d)
        out.push_back(qkv[size_t(t * 3 * kChannels + which * kChannels + head * kWidth + d)]);
    return out;
  };
  std::vector<Head> heads;
  for (int64_t h = 0; h < kHeads; ++h)
    heads.push_back({lab.floats({1, T, kWidth}, part(0, h)), lab.weight({T, kWidth}, {.head = true}, part(1, h)),
                     lab.weight({T, kWidth}, {.linear = true}, part(2, h))});
  Tensor const p = lab.floats({kHeads, T, T}), sums = lab.floats({kHeads, T, kWidth});
  Tensor const y = lab.floats({1, T, kChannels}), lse = lab.floats({1, kHeads, T}),
               in = lab.floats({1, T, 3 * kChannels}, qkv);
  lab.lend({.rows = T, .sequences = 1, .context = T, .channels = kChannels, .heads = kHeads, .vocab = T, .chunk = T});
  std::vector<float> here(size_t(T * T));
  Compared c{};
  c.plain_ms = best_ms([&] {
    for (int64_t h = 0; h < kHeads; ++h) {
      Head const& head = heads[size_t(h)];
      Tensor const scores = p[h].reshaped({1, T, T});
      backend.head(scores, head.q, head.k);
      backend.download(here.data(), scores);
      causal_softmax(here.data(), T);
      backend.upload(scores, here.data());
      backend.linear(sums[h].reshaped({1, T, kWidth}), scores, {head.v, {}});
    }
  });
  c.fused_ms = best_ms([&] { backend.attention(y, lse, in, {}); });
  c.plain_bytes = double(p.bytes()), c.fused_bytes = double(lse.bytes());
  std::vector<float> const a = lab.read(sums), b = lab.read(y);
  for (int64_t h = 0; h < kHeads; ++h)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t d = 0; d < kWidth; ++d)
        c.furthest = std::max(c.furthest, std::abs(double(a[size_t((h * T + t) * kWidth + d)]) -
                                                   b[size_t(t * kChannels + h * kWidth + d)]));
  return c;
}

Page run(Backend& backend) {
  Numbers table{"lengths",
                "4 heads of 32 channels; what is kept for backward, and time of the forward pass on this machine:",
                {{"T", "count"},
                 {"plain", "bytes"},
                 {"fused", "bytes"},
                 {"plain ms", ".2f"},
                 {"fused ms", ".2f"},
                 {"differ", ".0e"}},
                {}};
  report::ChartLine plain{"plain", {}}, fused{"fused", {}}, plain_time{"plain", {}}, fused_time{"fused", {}};
  Compared last{};
  double differ = 0;
  for (int64_t const T : {64, 128, 256, 512, 1024}) {
    Compared const c = last = compare(backend, T);
    table.rows.push_back({double(T), c.plain_bytes, c.fused_bytes, c.plain_ms, c.fused_ms, c.furthest});
    plain.points.push_back({double(T), c.plain_bytes / 1024}),
        fused.points.push_back({double(T), c.fused_bytes / 1024});
    plain_time.points.push_back({double(T), c.plain_ms}), fused_time.points.push_back({double(T), c.fused_ms});
    differ = std::max(differ, c.furthest);
  }
  Page page;
  page.timed = true;
  page.finding = fmt::format("At 1,024 tokens plain attention keeps {}, the fused op {}",
                             format_bytes(last.plain_bytes), format_bytes(last.fused_bytes));
  page.numbers = {table};
  page.pictures = {report::LineChart{"memory kept for backward, KiB, log scales", "tokens", {plain, fused}, true, true},
                   report::LineChart{"time, ms, log scales", "tokens", {plain_time, fused_time}, true, true}};
  page.see = {
      fmt::format(
          "Plain attention writes down T x T weights a head; twice the length is four times the memory. The fused op "
          "keeps one number a row, the log of the softmax's denominator: {:.0f} times less at 1,024.",
          last.plain_bytes / last.fused_bytes),
      "Backward makes the weights again from q, k and that number, a block at a time: more arithmetic, less memory "
      "traffic.",
      fmt::format(
          "Both give the same sums, to {:.0e}. Here the op took {:.1f} times less time at 1,024 tokens: it skips what "
          "lies above the diagonal, and a block stays in the cache. (The plain softmax is a simple loop between two "
          "products of the library's.)",
          differ, last.plain_ms / last.fused_ms)};
  return page;
}

}  // namespace

Topic fused_attention() {
  return {"fused-attention",
          "Fused against plain attention",
          "Attention can be written as product, softmax, product. The matrix of weights between the products grows "
          "with the "
          "square of the length. The op that trains never has it. Memory, time and results of both, by length.",
          {{"src/backend/cpu/attention.cpp", "the op on a processor, in blocks of keys"},
           {"src/backend/backend.h", "attention: what it keeps (lse) and gives"},
           {"src/model/activations.h", "what each layer keeps for backward"}},
          "--context; the line of memory by role that folio train prints; --recompute keeps still less",
          run};
}

}  // namespace folio::learn
