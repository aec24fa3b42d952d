#include "backend/cpu/matmul.h"

#include <malloc.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/error.h"

namespace folio::cpu {
namespace {

using Dnnl = dnnl::memory;
using Type = Dnnl::data_type;

class ThreadCount {  // oneDNN takes its thread count from OpenMP's setting of the calling thread
 public:
  explicit ThreadCount(int n) : before_(omp_get_max_threads()) { omp_set_num_threads(n); }
  ~ThreadCount() { omp_set_num_threads(before_); }
  ThreadCount(ThreadCount const&) = delete;

 private:
  int before_;
};

template <class S>
constexpr Type type_of = std::is_same_v<S, bf16> ? Type::bf16 : Type::f32;

Dnnl::desc layout(int64_t rows, int64_t columns, Type type, int64_t ld, bool transposed) {
  return {{rows, columns}, type, transposed ? Dnnl::dims{1, ld} : Dnnl::dims{ld, 1}};
}

bool cap(CpuLevel level) {
  dnnl_cpu_isa_t const most = level == CpuLevel::avx2          ? dnnl_cpu_isa_avx2
                              : level == CpuLevel::avx512      ? dnnl_cpu_isa_avx512_core
                              : level == CpuLevel::avx512_bf16 ? dnnl_cpu_isa_avx512_core_bf16
                                                               : dnnl_cpu_isa_avx512_core_amx;
  return dnnl_set_max_cpu_isa(most) == dnnl_success || level == processor().level();
}

struct Kind {  // of a primitive
  int64_t M, N, K, lda, ldb, ldc;
  bool a_transposed, b_transposed, with_bias, add;
  Type operands, result;
  auto operator<=>(Kind const&) const = default;
};

struct Product {
  dnnl::matmul primitive;
  Dnnl a, b, bias, c, scratchpad;
};

// Of bf16 into f32 oneDNN 2.6.3's first choice (brgemm) copies a transposed left factor element by element and takes
// half as long again as its gemm, which needs no scratchpad; of bf16 into bf16 it is the other way round.
void prefer_gemm(dnnl::matmul::primitive_desc& chosen, dnnl::matmul::primitive_desc const& first) {
  while (!std::string_view(chosen.impl_info_str()).starts_with("gemm"))
    if (!chosen.next_impl()) {
      chosen = first;
      return;
    }
}

}  // namespace

struct Matmul::Primitives {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<Kind, Product> products;
  std::vector<std::byte> scratchpad;  // of the product at work: grows when a new shape is first met

  Product& product(Kind const& k) {
    auto const found = products.find(k);
    if (found != products.end()) return found->second;
    Dnnl::desc const a = layout(k.M, k.K, k.operands, k.lda, k.a_transposed),
                     b = layout(k.K, k.N, k.operands, k.ldb, k.b_transposed),
                     c = layout(k.M, k.N, k.result, k.ldc, false), bias({1, k.N}, Type::f32, Dnnl::dims{k.N, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (k.add) {
      dnnl::post_ops sum;
      sum.append_sum();
      attributes.set_post_ops(sum);
    }
    auto const description = k.with_bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
    dnnl::matmul::primitive_desc chosen(description, attributes, engine);
    if (k.operands == Type::bf16 && k.result == Type::f32)
      prefer_gemm(chosen, dnnl::matmul::primitive_desc(description, attributes, engine));
    auto const memory = [&](Dnnl::desc const& d) { return Dnnl(d, engine, nullptr); };
    Dnnl::desc const pad = chosen.scratchpad_desc();
    scratchpad.resize(std::max(scratchpad.size(), pad.get_size() + 64));
    Product& made =
        products.emplace(k, Product{dnnl::matmul(chosen), memory(a), memory(b), memory(bias), memory(c), memory(pad)})
            .first->second;
    // Its gemm packs into memory that it takes of the heap in each call. Beside what a primitive leaves there for good,
    // the place of the call before is too narrow for the next one, with its alignment: a hole of some MiB each time.
    ::malloc_trim(0);
    return made;
  }

  void run(Kind const& k, void* c, void const* a, void const* b, float const* bias) try {
    Product& p = product(k);
    auto const pad = (reinterpret_cast<uintptr_t>(scratchpad.data()) + 63) / 64 * 64;
    p.a.set_data_handle(const_cast<void*>(a)), p.b.set_data_handle(const_cast<void*>(b));
    p.c.set_data_handle(c), p.scratchpad.set_data_handle(reinterpret_cast<void*>(pad));
    p.bias.set_data_handle(const_cast<float*>(bias));
    dnnl_exec_arg_t const arguments[] = {{DNNL_ARG_SRC, p.a.get()},
                                         {DNNL_ARG_WEIGHTS, p.b.get()},
                                         {DNNL_ARG_DST, p.c.get()},
                                         {DNNL_ARG_SCRATCHPAD, p.scratchpad.get()},
                                         {DNNL_ARG_BIAS, p.bias.get()}};
    dnnl::error::wrap_c_api(dnnl_primitive_execute(p.primitive.get(), stream.get(), bias ? 5 : 4, arguments),
                            "execution");
  } catch (dnnl::error const& e) {
    fail(Fault::failed, "oneDNN refused a product of ({}, {}) and ({}, {}): {}", k.M, k.K, k.K, k.N, e.what());
  }

  template <class C, class S>
  void run(C* c, int64_t ldc, bool add, Matrix<S> a, Matrix<S> b, float const* bias, int64_t M, int64_t N, int64_t K,
           int threads) {
    if (M == 0 || N == 0) return;
    ThreadCount const count(threads);
    run({M, N, K, a.ld, b.ld, ldc, a.transposed, b.transposed, bias != nullptr, add, type_of<S>, type_of<C>}, c, a.data,
        b.data, bias);
  }
};

Matmul::Matmul(CpuLevel level, int threads) : threads_(threads) {
  static bool const capped = cap(level);  // before the first use
  check(capped, Fault::failed, "oneDNN cannot be held to FOLIO_ISA={}: it was used before", name_of(level));
  primitives_ = std::make_unique<Primitives>();
}
Matmul::~Matmul() = default;

void Matmul::multiply(float* c, int64_t ldc, Matrix<float> a, Matrix<float> b, float const* bias, int64_t M, int64_t N,
                      int64_t K) {
  primitives_->run(c, ldc, false, a, b, bias, M, N, K, threads_);
}
void Matmul::multiply(bf16* c, int64_t ldc, Matrix<bf16> a, Matrix<bf16> b, float const* bias, int64_t M, int64_t N,
                      int64_t K) {
  primitives_->run(c, ldc, false, a, b, bias, M, N, K, threads_);
}
void Matmul::gemm(float* c, int64_t ldc, bool add, Matrix<bf16> a, Matrix<bf16> b, int64_t M, int64_t N, int64_t K) {
  primitives_->run(c, ldc, add, a, b, nullptr, M, N, K, threads_);
}

void Matmul::gemm(float* c, int64_t ldc, bool add, Matrix<float> a, Matrix<float> b, int64_t M, int64_t N, int64_t K) {
  if (M == 0 || N == 0) return;
  ThreadCount const threads(threads_);
  auto const status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', M, N, K, 1.0f, a.data, a.ld,
                                 b.data, b.ld, add ? 1.0f : 0.0f, c, ldc);
  check(status == dnnl_success, Fault::failed, "oneDNN refused a product of ({}, {}) and ({}, {}): status {}", M, K, K,
        N, int(status));
}

}  // namespace folio::cpu
