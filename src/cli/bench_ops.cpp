// folio bench limits and folio bench ops: what the machine can do, and what each op of the backend makes of it at the
// shapes of one model. Products are counted in operations against the matrix peak, all else in bytes that must move
// (each tensor once) against read bandwidth; where caches hold what is read, more than the whole bandwidth is possible.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>

#include "backend/limits.h"
#include "cli/bench.h"
#include "core/error.h"
#include "model/sizes.h"

namespace folio::cli {
namespace {

struct MachineLimits {
  double flops = 0, bytes = 0;  // a second; operations on what the products take; 0: not known
};

struct Kit {  // the tensors of one block and the head, laid out once
  Kit(Backend&, DType, model::Config const&, int64_t B);

  Tensor take(char const* name, Shape shape, DType d = DType::f32) { return arena.take(name, d, shape); }
  Weight weight(char const* name, Shape shape, Uses uses = {}) {
    Weight w{.shape = shape,
             .uses = uses,
             .master = take(name, shape),
             .grad = take(name, shape),
             .compute = {},
             .dtype = dtype};
    if (auto const bytes = int64_t(backend.compute_bytes(shape, dtype, uses)))
      w.compute = take(name, {bytes}, DType::u8);
    return w;
  }
  void fill(Tensor);
  void lay_out();

  Backend& backend;
  DType dtype;  // computed in: D of backend.h
  model::Config config;
  int64_t B, T, C, V, H;
  Arena arena{"bench"};
  Affine norm, c_attn, c_proj, c_fc, mlp_proj;
  Weight wte, wpe;
  Tensor x, y, dx;              // (B, T, C)
  Tensor wide, wide_2, wide_3;  // (B, T, 4C)
  Tensor qkv, dqkv;             // (B, T, 3C)
  Tensor hidden, residual;      // (B, T, C), wide
  Tensor logits;                // (1, V), wide
  Tensor lse, stats, losses;
  Tensor tokens, positions, token_weights, sequences, state, m, v, m_fc, scratch, summary, largest, sum;
};

Kit::Kit(Backend& b, DType d, model::Config const& c, int64_t batch)
    : backend(b), dtype(d), config(c), B(batch), T(c.context), C(c.channels), V(c.vocab), H(c.heads) {
  lay_out();
  arena.allocate(backend);
  lay_out();
  for (Tensor const& t : {x,
                          y,
                          hidden,
                          residual,
                          wide,
                          wide_2,
                          wide_3,
                          qkv,
                          norm.weight.master,
                          norm.bias.master,
                          c_attn.weight.master,
                          c_attn.bias.master,
                          c_proj.weight.master,
                          c_proj.bias.master,
                          c_fc.weight.master,
                          c_fc.bias.master,
                          mlp_proj.weight.master,
                          mlp_proj.bias.master,
                          wte.master,
                          wpe.master})
    fill(t);
  for (Weight const& w : {norm.weight, norm.bias, c_attn.weight, c_attn.bias, c_proj.weight, c_proj.bias, c_fc.weight,
                          c_fc.bias, mlp_proj.weight, mlp_proj.bias, wte, wpe})
    backend.zero(w.grad), backend.prepare(w);
  backend.zero(m), backend.zero(v);
  std::vector<int32_t> ids(size_t(B * T)), places(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = int32_t(int64_t(i) * 7919 % V), places[i] = int32_t(int64_t(i) % T);
  std::vector<float> const ones(ids.size(), 1.0f);
  std::vector<int64_t> numbers(size_t(B), 0);
  for (int64_t i = 0; i < B; ++i) numbers[size_t(i)] = i;
  backend.upload(tokens, ids.data()), backend.upload(positions, places.data());
  backend.upload(token_weights, ones.data()), backend.upload(sequences, numbers.data());
  StepState s;
  s.seed = 1, s.accept = 1, s.accepted = 1, s.grad_factor = 1;
  s.input = {.rate = 1e-6, .inverse_total = 1 / double(B * T)};
  backend.upload(state, &s);
  backend.lend_scratch(scratch);
}

void Kit::lay_out() {
  auto const affine = [&](char const* name, int64_t I, int64_t O) {
    return Affine{weight(name, {I, O}, {.linear = true}), weight(name, {O})};
  };
  norm = {weight("norm", {C}), weight("norm", {C})};
  c_attn = affine("c_attn", C, 3 * C), c_proj = affine("c_proj", C, C);
  c_fc = affine("c_fc", C, 4 * C), mlp_proj = affine("mlp_proj", 4 * C, C);
  wte = weight("wte", {V, C}, {.lookup = true, .head = true}), wpe = weight("wpe", {T, C}, {.lookup = true});
  x = take("x", {B, T, C}, dtype), y = take("y", {B, T, C}, dtype), dx = take("dx", {B, T, C}, dtype);
  for (Tensor* t : {&wide, &wide_2, &wide_3}) *t = take("wide", {B, T, 4 * C}, dtype);
  qkv = take("qkv", {B, T, 3 * C}, dtype), dqkv = take("dqkv", {B, T, 3 * C}, dtype);
  hidden = take("hidden", {B, T, C}), residual = take("residual", {B, T, C}), logits = take("logits", {1, V});
  lse = take("lse", {B, H, T}), stats = take("stats", {B, T, 2}), losses = take("losses", {2, B * T});
  tokens = take("tokens", {B, T}, DType::i32), positions = take("positions", {B, T}, DType::i32);
  token_weights = take("token_weights", {B, T}), sequences = take("sequences", {B}, DType::i64);
  state = take("state", {sizeof(StepState)}, DType::u8);
  m = take("m", wte.shape), v = take("v", wte.shape), m_fc = take("m of c_fc", c_fc.weight.shape);
  summary = take("summary", {4}, DType::f64), largest = take("largest", {4 * C}), sum = take("sum", {1}, DType::i64);
  int64_t const chunk = std::min(B * T, std::max<int64_t>(32, (int64_t{16} << 20) / V));
  Limits const limits{.dtype = dtype,
                      .rows = B * T,
                      .sequences = B,
                      .context = T,
                      .channels = C,
                      .heads = H,
                      .vocab = V,
                      .chunk = chunk,
                      .muon = true};
  scratch = take("scratch", {int64_t(backend.scratch_bytes(limits))}, DType::u8);
}

void Kit::fill(Tensor t) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> draw(-0.05f, 0.05f);
  std::vector<float> values(size_t(t.size()));
  for (float& value : values) value = draw(random);
  std::vector<uint16_t> rounded(t.dtype == DType::f32 ? 0 : values.size());
  for (size_t i = 0; i < rounded.size(); ++i)
    rounded[i] = t.dtype == DType::f16 ? to_f16(values[i]).bits : to_bf16(values[i]).bits;
  backend.upload(t, rounded.empty() ? static_cast<void const*>(values.data()) : rounded.data());
}

class Table {
 public:
  /// `wait` returns when the device has done what was asked of it.
  Table(MachineLimits limits, int64_t repeat, std::function<void()> wait)
      : limits_(limits), repeat_(repeat), wait_(std::move(wait)) {}
  void products(std::string const& name, double flop, std::function<void()> const& f) {
    add(name, flop, "GFLOP/s", limits_.flops, f);
  }
  void bytes(std::string const& name, double n, std::function<void()> const& f) {
    add(name, n, "GB/s", limits_.bytes, f);
  }
  std::vector<BenchRow> rows;

 private:
  void add(std::string const& name, double amount, char const* unit, double limit, std::function<void()> const& f) {
    std::vector<double> seconds;
    for (int64_t i = 0; i <= repeat_; ++i) {
      auto const begin = std::chrono::steady_clock::now();
      f();
      wait_();
      if (i > 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    std::ranges::sort(seconds);
    double const s = seconds[seconds.size() / 2];
    rows.push_back({.name = name, .value = amount / s / 1e9, .unit = unit, .seconds = s});
    if (limit > 0) rows.back().limit_share = amount / s / limit;
  }
  MachineLimits limits_;
  int64_t repeat_;
  std::function<void()> wait_;
};

double bytes_of(std::initializer_list<Tensor> tensors) {
  double n = 0;
  for (Tensor const& t : tensors) n += double(t.bytes());
  return n;
}

double bytes_read(Weight const& w) { return double((w.compute.empty() ? w.master : w.compute).bytes()); }

Weight frozen(Weight w) {  // as inference has it
  w.grad = {};
  return w;
}
Affine frozen(Affine const& a) { return {frozen(a.weight), frozen(a.bias)}; }

void measure_products(Table& table, Kit& k) {
  double const N = double(k.B * k.T);
  auto const one = [&](Affine const& a, Tensor y, Tensor x, Tensor dx) {
    int64_t const I = a.weight.shape[0], O = a.weight.shape[1];
    std::string const shape = fmt::format("{}×{}×{}", k.B * k.T, I, O);
    double const flop = 2 * N * double(I) * double(O);
    table.products("linear " + shape, flop, [=, &k] { k.backend.linear(y, x, a); });
    table.products("linear_backward " + shape, 2 * flop, [=, &k] { k.backend.linear_backward(dx, y, x, a); });
    Tensor row_y = y, row_x = x;
    row_y.shape = {1, O}, row_x.shape = {1, I};
    Affine const still = frozen(a);
    table.bytes(fmt::format("linear 1×{}×{}, decoding", I, O), bytes_read(a.weight),
                [=, &k] { k.backend.linear(row_y, row_x, still); });
  };
  one(k.c_attn, k.qkv, k.x, k.dx), one(k.c_proj, k.y, k.x, k.dx), one(k.mlp_proj, k.y, k.wide, k.wide_2);
  double const flop = 2 * N * double(k.c_fc.weight.shape.size());
  std::string const shape = fmt::format("{}×{}×{}", k.B * k.T, k.C, 4 * k.C);
  table.products("linear_gelu " + shape, flop, [&] { k.backend.linear_gelu(k.wide, k.wide_2, k.x, k.c_fc); });
  table.products("linear_gelu_backward " + shape, 2 * flop,
                 [&] { k.backend.linear_gelu_backward(k.y, k.wide_3, k.wide, k.wide_2, k.x, k.c_fc); });
}

void measure_attention(Table& table, Kit& k) {
  // Causal: half of T² scores; one product is 2 D operations a score, two in forward, five in backward.
  double const flop = double(k.B) * double(k.C) * double(k.T) * double(k.T);
  k.fill(k.qkv);
  for (double const rate : {0.0, 0.2}) {
    Dropout const d{.rate = rate, .layer = 0, .site = Site::attention, .sequences = k.sequences, .state = k.state};
    std::string const with = rate > 0 ? fmt::format(", dropout {}", rate) : "";
    table.products("attention" + with, 2 * flop, [&] { k.backend.attention(k.y, k.lse, k.qkv, d); });
    table.products("attention_backward" + with, 5 * flop,
                   [&] { k.backend.attention_backward(k.dqkv, k.x, k.y, k.lse, k.qkv, d); });
  }
}

void measure_rest(Table& table, Kit& k) {
  Tensor const h = k.hidden;
  table.bytes("embed", bytes_of({h, h, h}), [&] { k.backend.embed(h, k.tokens, k.positions, k.wte, k.wpe); });
  table.bytes("embed_backward", bytes_of({h, h, h, h, h}),
              [&] { k.backend.embed_backward(h, k.tokens, k.positions, k.wte, k.wpe); });
  table.bytes("layer_norm", bytes_of({k.y, h, k.stats}), [&] { k.backend.layer_norm(k.y, k.stats, h, k.norm); });
  table.bytes("layer_norm_backward", bytes_of({k.residual, k.residual, k.y, h}),
              [&] { k.backend.layer_norm_backward(k.residual, k.y, h, k.stats, k.norm); });
  table.bytes("gelu", bytes_of({k.wide, k.wide_2}), [&] { k.backend.gelu(k.wide, k.wide_2); });
  table.bytes("gelu_backward", bytes_of({k.wide, k.wide_2, k.wide_3}),
              [&] { k.backend.gelu_backward(k.wide_3, k.wide, k.wide_2); });
  for (double const rate : {0.0, 0.2}) {
    Dropout const d{.rate = rate, .layer = 0, .site = Site::mlp_residual, .sequences = k.sequences, .state = k.state};
    table.bytes(rate > 0 ? fmt::format("dropout_add {}", rate) : "dropout_add 0", bytes_of({k.residual, h, k.y}),
                [&] { k.backend.dropout_add(k.residual, h, k.y, d); });
  }
  double const N = double(k.B * k.T), weights = double(k.wte.shape.size());
  k.fill(k.x);
  table.products("classifier", 6 * N * weights, [&] {
    k.backend.classifier(k.losses, k.y, k.x, k.wte, {k.tokens, k.token_weights}, k.state, {});
  });
  Tensor row = k.x;
  row.shape = {1, k.C};
  table.bytes("head, decoding", bytes_read(k.wte), [&] { k.backend.head(k.logits, row, frozen(k.wte)); });
  table.bytes("add_norm", double(k.wte.grad.bytes()), [&] { k.backend.add_norm(k.state, k.wte.grad); });
  table.bytes("optimize, AdamW", 7 * double(k.wte.master.bytes()), [&] {
    k.backend.optimize(k.wte, {k.m, k.v}, k.state, {});
  });
  double const C = double(k.C);  // a round: two products of (C, 4C) with a square, one of two squares
  table.products("optimize, Muon, c_fc", 5 * 18 * C * C * C, [&] {
    k.backend.optimize(k.c_fc.weight, {k.m_fc, {}}, k.state, {.rule = Optimizer::Rule::muon, .momentum = 0.95});
  });
  table.bytes("summarize", double(k.wte.master.bytes()), [&] { k.backend.summarize(k.summary, k.wte.master); });
  table.bytes("largest_columns", bytes_of({k.wide}), [&] { k.backend.largest_columns(k.largest, k.wide); });
  table.bytes("checksum", double(k.wte.master.bytes()), [&] { k.backend.checksum(k.sum, k.wte.master); });
}

}  // namespace

std::vector<BenchRow> bench_limits(BenchOptions const& o) {
  check(!o.backend.on_gpu(), Fault::value, "--device {}: limits measures the processor; leave the flag away",
        o.backend.device);
  int const threads = int(o.backend.threads);
  MatrixPeak const peak = measure_matrix_peak(threads);
  double const bandwidth = measure_read_bandwidth(threads);
  auto const name = [&](char const* type) { return fmt::format("matrix peak, {}, {}", type, name_of(peak.level)); };
  std::vector<BenchRow> rows = {{.name = name("f32"), .value = peak.f32 / 1e9, .unit = "GFLOP/s"}};
  if (peak.bf16 > 0) rows.push_back({.name = name("bf16"), .value = peak.bf16 / 1e9, .unit = "GFLOP/s"});
  rows.push_back({.name = "read bandwidth", .value = bandwidth / 1e9, .unit = "GB/s"});
  return rows;
}

std::vector<BenchRow> bench_ops(BenchOptions const& o) {
  check(o.repeat > 0, Fault::value, "--repeat {}: at least 1 repetition is needed", o.repeat);
  model::ModelOptions shape;
  shape.size = o.size, shape.layers = o.layers, shape.heads = o.heads, shape.channels = o.embd;
  shape.context = o.context, shape.vocab = o.vocab;
  int const threads = int(o.backend.threads);
  auto const backend = o.backend.make();
  DType const dtype = o.backend.compute_type();
  MachineLimits limits;  // of the processor; a GPU's are not measured
  if (!o.backend.on_gpu()) {
    MatrixPeak const peak = measure_matrix_peak(threads);
    limits = {dtype == DType::bf16 && peak.bf16 > 0 ? peak.bf16 : peak.f32, measure_read_bandwidth(threads)};
  }
  Kit kit(*backend, dtype, shape.config(), o.batch);
  StepState state;
  Table table(limits, o.repeat, [&] { backend->download(&state, kit.state); });
  measure_products(table, kit), measure_attention(table, kit), measure_rest(table, kit);
  return table.rows;
}

}  // namespace folio::cli
