#include "backend/cpu/matmul.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <tuple>
#include <vector>

#include "core/error.h"

namespace folio::cpu {
namespace {

using Dnnl = dnnl::memory;

class ThreadCount {  // oneDNN takes its thread count from OpenMP's setting of the calling thread
 public:
  explicit ThreadCount(int n) : before_(omp_get_max_threads()) { omp_set_num_threads(n); }
  ~ThreadCount() { omp_set_num_threads(before_); }
  ThreadCount(ThreadCount const&) = delete;

 private:
  int before_;
};

Dnnl::desc layout(int64_t rows, int64_t columns, int64_t ld, bool transposed) {
  return {{rows, columns}, Dnnl::data_type::f32, transposed ? Dnnl::dims{1, ld} : Dnnl::dims{ld, 1}};
}

bool cap(CpuLevel level) {
  dnnl_cpu_isa_t const most = level == CpuLevel::avx2          ? dnnl_cpu_isa_avx2
                              : level == CpuLevel::avx512      ? dnnl_cpu_isa_avx512_core
                              : level == CpuLevel::avx512_bf16 ? dnnl_cpu_isa_avx512_core_bf16
                                                               : dnnl_cpu_isa_avx512_core_amx;
  return dnnl_set_max_cpu_isa(most) == dnnl_success || level == processor().level();
}

struct Product {
  dnnl::matmul primitive;
  Dnnl a, b, bias, c, scratchpad;
};

}  // namespace

struct Matmul::Primitives {
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool, bool, bool>;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<Key, Product> products;
  std::vector<std::byte> scratchpad;  // of the product at work: grows when a new shape is first met

  Product& product(Key const& key) {
    auto const found = products.find(key);
    if (found != products.end()) return found->second;
    auto const [M, N, K, lda, ldb, ldc, a_transposed, b_transposed, with_bias] = key;
    Dnnl::desc const a = layout(M, K, lda, a_transposed), b = layout(K, N, ldb, b_transposed),
                     c = layout(M, N, ldc, false), bias({1, N}, Dnnl::data_type::f32, Dnnl::dims{N, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    auto const description = with_bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
    dnnl::matmul::primitive_desc const chosen(description, attributes, engine);
    auto const memory = [&](Dnnl::desc const& d) { return Dnnl(d, engine, nullptr); };
    Dnnl::desc const pad = chosen.scratchpad_desc();
    scratchpad.resize(std::max(scratchpad.size(), pad.get_size() + 64));
    return products
        .emplace(key, Product{dnnl::matmul(chosen), memory(a), memory(b), memory(bias), memory(c), memory(pad)})
        .first->second;
  }
};

Matmul::Matmul(CpuLevel level, int threads) : threads_(threads) {
  static bool const capped = cap(level);  // before the first use
  check(capped, Fault::failed, "oneDNN cannot be held to FOLIO_ISA={}: it was used before", name_of(level));
  primitives_ = std::make_unique<Primitives>();
}
Matmul::~Matmul() = default;

void Matmul::multiply(float* c, int64_t ldc, Matrix a, Matrix b, float const* bias, int64_t M, int64_t N, int64_t K) {
  if (M == 0 || N == 0) return;
  ThreadCount const threads(threads_);
  try {
    Product& p = primitives_->product({M, N, K, a.ld, b.ld, ldc, a.transposed, b.transposed, bias != nullptr});
    auto const pad = (reinterpret_cast<uintptr_t>(primitives_->scratchpad.data()) + 63) / 64 * 64;
    p.a.set_data_handle(const_cast<float*>(a.data)), p.b.set_data_handle(const_cast<float*>(b.data));
    p.c.set_data_handle(c), p.scratchpad.set_data_handle(reinterpret_cast<void*>(pad));
    p.bias.set_data_handle(const_cast<float*>(bias));
    dnnl_exec_arg_t const arguments[] = {{DNNL_ARG_SRC, p.a.get()},
                                         {DNNL_ARG_WEIGHTS, p.b.get()},
                                         {DNNL_ARG_DST, p.c.get()},
                                         {DNNL_ARG_SCRATCHPAD, p.scratchpad.get()},
                                         {DNNL_ARG_BIAS, p.bias.get()}};
    dnnl::error::wrap_c_api(
        dnnl_primitive_execute(p.primitive.get(), primitives_->stream.get(), bias ? 5 : 4, arguments), "execution");
  } catch (dnnl::error const& e) {
    fail(Fault::failed, "oneDNN refused a product of ({}, {}) and ({}, {}): {}", M, K, K, N, e.what());
  }
}

void Matmul::gemm(float* c, int64_t ldc, bool add, Matrix a, Matrix b, int64_t M, int64_t N, int64_t K) {
  if (M == 0 || N == 0) return;
  ThreadCount const threads(threads_);
  auto const status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', M, N, K, 1.0f, a.data, a.ld,
                                 b.data, b.ld, add ? 1.0f : 0.0f, c, ldc);
  check(status == dnnl_success, Fault::failed, "oneDNN refused a product of ({}, {}) and ({}, {}): status {}", M, K, K,
        N, int(status));
}

}  // namespace folio::cpu
