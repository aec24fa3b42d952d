// summarize, largest_columns and checksum: what a run's statistics are made of.
#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpStatistics : public OpTest {};

Tensor begun(Rig& rig) {
  Tensor const summary = rig.output_f64({4});
  double const start[4] = {0, 0, INFINITY, -INFINITY};
  rig.backend->upload(summary, start);
  return summary;
}

Outputs outputs_of(Rig& rig, Tensor summary) {
  Values const s = rig.read(summary);
  return {{"summary", {s[0]}}, {"summary", {s[1]}}, {"copy", {s[2]}}, {"copy", {s[3]}}};
}

TEST_P(OpStatistics, SummariesOfValuesAddUp) {
  for (int64_t const n : {1, 2, 7, 17, 63, 1024, 1031, 70001})
    for (bool const wide : {false, true})
      check_body(candidate(), [&](Rig& rig) {
        Values const x = Draw(1).normal(n, 2, 3), y = Draw(2).normal(5, 1, 1);
        Tensor const summary = begun(rig);
        rig.backend->summarize(summary, wide ? rig.real_wide({n}, x) : rig.real({n}, x));
        rig.backend->summarize(summary, wide ? rig.real_wide({5}, y) : rig.real({5}, y));
        return outputs_of(rig, summary);
      });
}

TEST_P(OpStatistics, SummariesOfADifference) {
  for (int64_t const n : {1, 33, 5003})
    check_body(candidate(), [&](Rig& rig) {
      Values const x = Draw(1).normal(n, 0.5, 4);
      Values before = Draw(2).uniform(n, -0.5, -0.25);  // all one way, so that the sum is no small remainder
      for (int64_t i = 0; i < n; ++i) before[size_t(i)] = float(before[size_t(i)] + x[size_t(i)]);
      Tensor const summary = begun(rig);
      rig.backend->summarize(summary, rig.real_wide({n}, x), rig.real_wide({n}, before));
      return outputs_of(rig, summary);
    });
}

TEST_P(OpStatistics, ANanIsSeenInTheSumsAndIsNoExtreme) {
  for (int64_t const at : {0, 20, 39})
    run_body(candidate(), [&](Rig& rig) -> Outputs {
      Values x = Draw(1).normal(40);
      x[size_t(at)] = NAN;
      Tensor const summary = begun(rig), t = rig.real_wide({40}, x);
      rig.backend->summarize(summary, t);
      Values const s = rig.read(summary);
      EXPECT_TRUE(std::isnan(s[0]) && std::isnan(s[1]));
      double least = INFINITY, largest = -INFINITY;
      for (double v : x) least = std::fmin(least, v), largest = std::fmax(largest, v);
      EXPECT_EQ(s[2], least);
      EXPECT_EQ(s[3], largest);
      return {};
    });
}

TEST_P(OpStatistics, TheLargestOfEachColumnIsKept) {
  for (int64_t const rows : {1, 3, 4, 70})
    for (int64_t const C : {1, 7, 16, 40, 259})
      check_body(candidate(), [&](Rig& rig) -> Outputs {
        Draw draw(1);
        Values const start = draw.uniform(C, 0, 1.5);  // some columns begin with more than they are shown
        Tensor const largest = rig.real_wide({C}, start), x = rig.real({rows, C}, draw.normal(rows * C)),
                     y = rig.real({1, 2, C}, draw.normal(2 * C, 0.7));
        rig.backend->largest_columns(largest, x), rig.backend->largest_columns(largest, y);
        return {{"copy", rig.read(largest)}};
      });
}

TEST_P(OpStatistics, ANanInAColumnIsPassedOver) {
  run_body(candidate(), [&](Rig& rig) -> Outputs {
    Tensor const largest = rig.real_wide({3}, {0, 0, 0}),
                 x = rig.real({3, 3}, {0.5, NAN, NAN, NAN, -0.25, NAN, -2, NAN, NAN});
    rig.backend->largest_columns(largest, x);
    EXPECT_EQ(rig.read(largest), (Values{2, 0.25, 0}));
    return {};
  });
}

// What is left of 64 bits is compared as it is: every device has the same sum.
int64_t checksum_of(Rig& rig, Tensor x, int64_t start = 0) {
  Tensor const sum = rig.numbers({1}, {start});
  rig.backend->checksum(sum, x);
  int64_t got = 0;
  rig.backend->download(&got, sum);
  return got;
}

TEST_P(OpStatistics, AChecksumIsOfTheBitsAndTheSameOnEveryDevice) {
  for (int64_t const n : {1, 2, 3, 63, 1031, 70001}) {
    std::vector<int32_t> words;
    for (int64_t i = 0; i < n; ++i) words.push_back(int32_t(2654435761u * uint32_t(i + 1)));
    run_body(candidate(), [&](Rig& rig) -> Outputs {
      uint64_t expected = 7;  // splitmix64's finaliser, written down again
      for (int64_t i = 0; i < n; ++i) {
        uint64_t z = uint64_t(i + 1) * 0x9e3779b97f4a7c15u ^ uint32_t(words[size_t(i)]);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u, z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        expected += z ^ (z >> 31);
      }
      EXPECT_EQ(uint64_t(checksum_of(rig, rig.ids({n}, words), 7)), expected) << n;
      return {};
    });
  }
}

TEST_P(OpStatistics, AChecksumSeesEveryBitAndEveryPlace) {
  run_body(candidate(), [&](Rig& rig) -> Outputs {
    Values const x = Draw(3).normal(517);  // of 16-bit elements the last word is half full
    Tensor const t = rig.real({517}, x);
    int64_t const sum = checksum_of(rig, t);
    EXPECT_EQ(checksum_of(rig, t), sum);
    std::vector<unsigned char> bytes(t.bytes());
    rig.backend->download(bytes.data(), t);
    Tensor const changed = rig.real({517}, x);
    for (size_t bit = 0; bit < 8 * bytes.size(); bit += bit < 8 * (bytes.size() - 8) ? 61 : 1) {
      std::vector<unsigned char> other = bytes;
      other[bit / 8] = static_cast<unsigned char>(other[bit / 8] ^ 1 << bit % 8);
      rig.backend->upload(changed, other.data());
      EXPECT_NE(checksum_of(rig, changed), sum) << "bit " << bit;
    }
    Values swapped = x;
    std::swap(swapped[4], swapped[400]);
    EXPECT_NE(checksum_of(rig, rig.real({517}, swapped)), sum);
    return {};
  });
}

FOLIO_ON_EVERY_BACKEND(OpStatistics);

}  // namespace
}  // namespace folio::test
