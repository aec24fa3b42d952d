// The proofs of folio doctor hold where folio is right, within their bounds and on every kind of backend. That they
// fail where it is wrong is seen by planted mistakes (tools/mistakes.py).
#include "train/proofs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/kinds.h"

namespace folio::test {
namespace {

TEST(Proofs, TheGradientIsTheComplexStep) {
  auto const proof = train::prove_gradient();
  EXPECT_TRUE(proof.holds()) << proof.worst;
  EXPECT_GT(proof.parameters, 1000u);
  EXPECT_GT(proof.worst, 0) << "two ways of computing that never differ are one";
}

TEST(Proofs, ABoundIsNotPassedByNothing) {
  EXPECT_FALSE((train::GradientProof{.parameters = 1, .worst = NAN, .bound = 1}).holds());
  EXPECT_FALSE((train::OverfitProof{.first = 4, .last = NAN, .steps = 1}).holds());
}

class ProofsOn : public testing::TestWithParam<Kind> {};

TEST_P(ProofsOn, TheBackendComputesWhatTheReferenceDoes) {
  auto const backend = GetParam().make();
  auto const proof = train::prove_backend(*backend, GetParam().dtype);
  EXPECT_TRUE(proof.holds()) << proof.worst << ", bound " << proof.bound;
}

TEST_P(ProofsOn, OneBatchIsLearntByHeart) {
  auto const backend = GetParam().make();
  auto const proof = train::prove_overfit(*backend, GetParam().dtype);
  EXPECT_TRUE(proof.holds()) << proof.last << " after " << proof.steps;
  EXPECT_NEAR(proof.first, std::log(64.0), 0.3);
}

TEST_P(ProofsOn, TooFewStepsAreNoProof) {
  auto const backend = GetParam().make();
  EXPECT_FALSE(train::prove_overfit(*backend, GetParam().dtype, 3).holds());
}

INSTANTIATE_TEST_SUITE_P(, ProofsOn, testing::Values(kReference, kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test
