// cached_attention on ragged batches: sequences of different lengths, drafts, forks that share blocks.
#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpCachedAttention : public OpTest {};

struct Piece {  // new tokens of a sequence in one call
  int64_t before, count;
  std::vector<int32_t> blocks;
};
struct Shape4 {
  int64_t H, D, blocks;
};

// One call of cached_attention; rows of qkv are drawn by (sequence, position), so any split brings the same rows.
Values rows_of(Shape4 const& z, uint64_t sequence, int64_t position) {
  return Draw(unsigned(1 + sequence * 1000 + uint64_t(position))).normal(3 * z.H * z.D, 1.3);
}
struct Call {
  std::vector<Piece> pieces;
  std::vector<uint64_t> sequences;
};
Values attend(Rig& rig, Tensor pool, Shape4 const& z, Call const& call) {
  int64_t const S = int64_t(call.pieces.size()), C = z.H * z.D;
  int64_t M = 0;
  for (Piece const& p : call.pieces) M = std::max(M, int64_t(p.blocks.size()));
  std::vector<int32_t> positions, start{0}, table(S * M, -1);
  Values qkv;
  for (int64_t s = 0; s < S; ++s) {
    Piece const& p = call.pieces[size_t(s)];
    for (int64_t t = p.before; t < p.before + p.count; ++t) {
      positions.push_back(int32_t(t));
      Values const row = rows_of(z, call.sequences[size_t(s)], t);
      qkv.insert(qkv.end(), row.begin(), row.end());
    }
    start.push_back(int32_t(positions.size()));
    std::copy(p.blocks.begin(), p.blocks.end(), table.begin() + s * M);
  }
  int64_t const N = int64_t(positions.size());
  Ragged const r{rig.ids({1, N}, std::vector<int32_t>(size_t(N), 0)), rig.ids({1, N}, positions),
                 rig.ids({S + 1}, start), rig.ids({S, M}, table)};
  Tensor const y = rig.output({1, N, C});
  rig.lend({.rows = N, .sequences = S, .context = M * kBlock, .channels = C, .heads = z.H});
  rig.backend->cached_attention(y, rig.real({1, N, 3 * C}, qkv), pool, r);
  return rig.read(y);
}
Tensor pool_of(Rig& rig, Shape4 const& z) {
  return rig.output({2, z.blocks, z.H, kBlock, z.D}, "pool");
}  // NaN: nothing unwritten is read

TEST_P(OpCachedAttention, PrefillDecodingAndVerificationInOneCall) {
  for (Shape4 const& z : {Shape4{2, 4, 9}, {3, 7, 9}, {1, 33, 9}, {2, 64, 9}, {1, 80, 9}, {1, 1, 9}})
    check_body(candidate(), [&](Rig& rig) -> Outputs {
      Tensor const pool = pool_of(rig, z);
      Outputs out;
      auto const say = [&](Call const& c) { out.emplace_back("attention", attend(rig, pool, z, c)); };
      say({{{0, 33, {4, 2}}, {0, 5, {7}}, {0, 1, {0}}}, {1, 2, 3}});
      say({{{33, 1, {4, 2}}, {5, 4, {7}}, {1, 40, {0, 8}}}, {1, 2, 3}});
      say({{{9, 1, {7}}, {34, 37, {4, 2, 5}}}, {2, 1}});
      say({{{32, 3, {4, 3}}, {60, 2, {4, 2, 5}}}, {9, 1}});  // a fork at 32 shares block 4; drafts of 1 taken back
      say({{{0, 64, {1, 6}}}, {4}});
      return out;
    });
}

TEST_P(OpCachedAttention, ATokensBitsDoNotDependOnHowTheTokensCame) {
  Shape4 const z{2, 24, 12};
  int64_t const C = z.H * z.D;
  auto rig_of = [&] { return std::make_unique<Rig>(candidate().make(), candidate().dtype); };
  auto const whole_rig = rig_of();
  Values const whole = attend(*whole_rig, pool_of(*whole_rig, z), z, {{{0, 75, {1, 0, 5}}}, {1}});
  for (std::vector<int64_t> const& split :
       {std::vector<int64_t>{1, 74}, {74, 1}, {31, 1, 43}, {32, 43}, {33, 9, 2, 31}}) {
    auto const rig = rig_of();
    Tensor const pool = pool_of(*rig, z);
    Values parts;
    int64_t before = 0;
    for (int64_t const n : split) {  // beside another sequence, which comes first in the call
      Values const both = attend(*rig, pool, z, {{{before, n, {7, 8, 9}}, {before, n, {3, 2, 4}}}, {8, 1}});
      parts.insert(parts.end(), both.begin() + n * C, both.end());
      before += n;
    }
    EXPECT_EQ(parts, whole) << "split into " << split.size() << " calls";
  }
}

FOLIO_ON_EVERY_BACKEND(OpCachedAttention);

}  // namespace
}  // namespace folio::test
