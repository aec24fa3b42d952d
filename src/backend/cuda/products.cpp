#include "backend/cuda/products.h"

namespace folio::cuda {
namespace {

cudaDataType_t type_of(DType d) { return d == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

uint32_t alignment_of(void const* p) {  // at most the 256 that cublasLt asks about
  auto const address = reinterpret_cast<uintptr_t>(p) | 256;
  return uint32_t(address & -address);
}

template <class T>
void set(BlasMatmul const& m, cublasLtMatmulDescAttributes_t attribute, T value) {
  expect(cublasLtMatmulDescSetAttribute(m.get(), attribute, &value, sizeof value), "a product's description: {}");
}
template <class T>
void set(BlasPreference const& p, cublasLtMatmulPreferenceAttributes_t attribute, T value) {
  expect(cublasLtMatmulPreferenceSetAttribute(p.get(), attribute, &value, sizeof value), "a product's preference: {}");
}

// Row-major (rows, columns) is column-major (columns, rows).
BlasLayout layout(DType dtype, int64_t rows, int64_t columns, int64_t leading) {
  cublasLtMatrixLayout_t made = nullptr;
  expect(cublasLtMatrixLayoutCreate(&made, type_of(dtype), uint64_t(columns), uint64_t(rows), leading),
         "a matrix' layout: {}");
  return BlasLayout(made);
}

}  // namespace

Products::Products(bool tf32) : tf32_(tf32) {
  cublasLtHandle_t made = nullptr;
  expect(cublasLtCreate(&made), "cublasLt: {}");
  handle_.reset(made);
}

// cᵀ = bᵀ aᵀ: cublasLt's first factor is b, and N its number of rows.
Products::Plan Products::make_plan(Key const& k, float const* bias) const {
  Plan plan;
  cublasLtMatmulDesc_t matmul = nullptr;
  bool const rounded = tf32_ && k.factors == DType::f32;
  expect(cublasLtMatmulDescCreate(&matmul, rounded ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
         "a product's description: {}");
  plan.matmul.reset(matmul);
  set(plan.matmul, CUBLASLT_MATMUL_DESC_TRANSA, k.transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.matmul, CUBLASLT_MATMUL_DESC_TRANSB, k.transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (bias) {
    set(plan.matmul, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(plan.matmul, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void const*>(bias));
  }
  plan.a = layout(k.factors, k.transposed_a ? k.K : k.M, k.transposed_a ? k.M : k.K, k.leading_a);
  plan.b = layout(k.factors, k.transposed_b ? k.N : k.K, k.transposed_b ? k.K : k.N, k.leading_b);
  plan.c = layout(k.of_c, k.M, k.N, k.leading_c);

  cublasLtMatmulPreference_t made = nullptr;
  expect(cublasLtMatmulPreferenceCreate(&made), "a product's preference: {}");
  BlasPreference const preference(made);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(k.workspace));
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, k.align_b);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, k.align_a);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, k.align_c);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, k.align_c);
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle_.get(), plan.matmul.get(), plan.b.get(), plan.a.get(), plan.c.get(),
                                     plan.c.get(), preference.get(), 1, &result, &found);
  if (status == CUBLAS_STATUS_SUCCESS) status = found == 1 ? result.state : CUBLAS_STATUS_NOT_SUPPORTED;
  check(status == CUBLAS_STATUS_SUCCESS, Fault::device,
        "cublasLt has no product ({}, {}) · ({}, {}) of {} to {} with rows {}, {} and {} elements apart: {}", k.M, k.K,
        k.K, k.N, name_of(k.factors), name_of(k.of_c), k.leading_a, k.leading_b, k.leading_c,
        cublasLtGetStatusString(status));
  plan.algorithm = result.algo;
  return plan;
}

void Products::multiply(cudaStream_t stream, void* c, DType of_c, int64_t leading_c, bool add, Matrix a, Matrix b,
                        float const* bias, int64_t M, int64_t N, int64_t K, Workspace workspace) {
  check(a.dtype == b.dtype && !(bias && of_c != DType::f32), "a product of {} and {} to {}{}", name_of(a.dtype),
        name_of(b.dtype), name_of(of_c), bias ? " with a bias" : "");
  Key const key{.M = M,
                .N = N,
                .K = K,
                .leading_a = a.leading,
                .leading_b = b.leading,
                .leading_c = leading_c,
                .transposed_a = a.transposed,
                .transposed_b = b.transposed,
                .add = add,
                .factors = a.dtype,
                .of_c = of_c,
                .align_a = alignment_of(a.data),
                .align_b = alignment_of(b.data),
                .align_c = alignment_of(c),
                .align_bias = bias ? alignment_of(bias) : 0,
                .workspace = workspace.bytes};
  auto found = plans_.find(key);
  if (found == plans_.end()) found = plans_.emplace(key, make_plan(key, bias)).first;
  Plan const& plan = found->second;
  if (bias) set(plan.matmul, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void const*>(bias));
  float const one = 1, beta = add ? 1 : 0;
  cublasStatus_t const status =
      cublasLtMatmul(handle_.get(), plan.matmul.get(), &one, b.data, plan.b.get(), a.data, plan.a.get(), &beta, c,
                     plan.c.get(), c, plan.c.get(), &plan.algorithm, workspace.data, workspace.bytes, stream);
  check(status == CUBLAS_STATUS_SUCCESS, Fault::device, "the product ({}, {}) · ({}, {}) of {} to {}: {}", M, K, K, N,
        name_of(a.dtype), name_of(of_c), cublasLtGetStatusString(status));
}

}  // namespace folio::cuda
