#include "text/merges.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "core/error.h"

namespace folio::text {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

}  // namespace

Merges::Merges(std::array<uint32_t, 256> const& byte_ids, std::vector<Merge> ranked)
    : byte_ids_(byte_ids), ranked_(std::move(ranked)) {
  auto const size = std::bit_ceil(std::max<size_t>(2 * ranked_.size(), 2));
  slots_.resize(size);
  mask_ = size - 1;
  shift_ = 64 - std::countr_zero(size);
  for (uint32_t r = 0; r < ranked_.size(); ++r) {
    auto const key = uint64_t{ranked_[r].left} << 32 | ranked_[r].right;
    auto at = key * kMix >> shift_;
    while (slots_[at].rank != kNoRank) at = (at + 1) & mask_;
    slots_[at] = {key, r};
  }
}

void Merges::apply(std::string_view word, std::vector<int32_t>& ids, Work& work) const {
  check(word.size() < kNone, "merges: a word of {} bytes; fewer than 2^32 are possible", word.size());
  if (word.size() <= kShort) apply_short(word, ids);
  else apply_long(word, ids, work);
}

void Merges::apply_short(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  uint32_t id[kShort], pair[kShort];  // pair[i]: rank of (i, i + 1)
  size_t n = word.size();
  for (size_t i = 0; i < n; ++i) id[i] = byte_ids_[static_cast<unsigned char>(word[i])];
  for (size_t i = 0; i + 1 < n; ++i) pair[i] = rank(id[i], id[i + 1]);
  while (n > 1) {
    auto const i = static_cast<size_t>(std::min_element(pair, pair + n - 1) - pair);
    if (pair[i] == kNoRank) break;
    id[i] = ranked_[pair[i]].result;
    --n;
    for (size_t k = i + 1; k < n; ++k) id[k] = id[k + 1];
    for (size_t k = i + 1; k + 1 < n; ++k) pair[k] = pair[k + 1];
    if (i > 0) pair[i - 1] = rank(id[i - 1], id[i]);
    if (i + 1 < n) pair[i] = rank(id[i], id[i + 1]);
  }
  ids.insert(ids.end(), id, id + n);
}

void Merges::apply_long(std::string_view word, std::vector<int32_t>& ids, Work& work) const {
  work.start(word, ranked_.size());
  auto const n = static_cast<uint32_t>(word.size());
  for (uint32_t i = 0; i < n; ++i) work.id[i] = byte_ids_[static_cast<unsigned char>(word[i])];
  auto const look = [&](uint32_t place) {
    auto const right = work.next[place];
    auto const r = right == kNone ? kNoRank : rank(work.id[place], work.id[right]);
    work.rank[place] = r;
    if (r != kNoRank) work.add(r, place);
  };
  for (uint32_t i = 0; i < n; ++i) look(i);
  while (!work.ranks.empty()) {
    auto const lowest = work.ranks.front();
    auto& bucket = work.buckets[work.bucket_of_rank[lowest]];
    auto const place = bucket.take();
    if (bucket.empty()) work.drop_lowest();
    if (work.rank[place] != lowest) continue;  // the pair has changed since
    auto const gone = work.next[place], after = work.next[gone];
    work.id[place] = ranked_[lowest].result;
    work.next[place] = after;
    work.rank[gone] = kNoRank;
    if (after != kNone) work.previous[after] = place;
    look(place);
    if (work.previous[place] != kNone) look(work.previous[place]);
  }
  for (uint32_t i = 0; i != kNone; i = work.next[i]) ids.push_back(static_cast<int32_t>(work.id[i]));
}

void Merges::Work::start(std::string_view word, size_t all_ranks) {
  auto const n = word.size();
  for (auto* v : {&id, &next, &previous, &rank}) v->resize(n);
  for (size_t i = 0; i < n; ++i) {
    next[i] = i + 1 < n ? static_cast<uint32_t>(i + 1) : kNone;
    previous[i] = i > 0 ? static_cast<uint32_t>(i - 1) : kNone;
  }
  bucket_of_rank.resize(all_ranks, kNone);  // every word leaves it as it found it
}

void Merges::Work::add(uint32_t r, uint32_t place) {
  auto& index = bucket_of_rank[r];
  if (index == kNone) {
    if (unused.empty()) {
      unused.push_back(static_cast<uint32_t>(buckets.size()));
      buckets.emplace_back();
    }
    index = unused.back();
    unused.pop_back();
    ranks.push_back(r);
    std::push_heap(ranks.begin(), ranks.end(), std::greater<>());
  }
  auto& bucket = buckets[index];
  if (!bucket.open) {
    bucket.places.push_back(place);
  } else {
    bucket.late.push_back(place);
    std::push_heap(bucket.late.begin(), bucket.late.end(), std::greater<>());
  }
}

void Merges::Work::drop_lowest() {
  auto& index = bucket_of_rank[ranks.front()];
  auto& bucket = buckets[index];
  bucket.places.clear();
  bucket.taken = 0;
  bucket.open = false;
  unused.push_back(index);
  index = kNone;
  std::pop_heap(ranks.begin(), ranks.end(), std::greater<>());
  ranks.pop_back();
}

uint32_t Merges::Work::Bucket::take() {
  if (!open) {
    if (!std::is_sorted(places.begin(), places.end())) std::sort(places.begin(), places.end());
    open = true;
  }
  if (!late.empty() && (taken == places.size() || late.front() < places[taken])) {
    auto const place = late.front();
    std::pop_heap(late.begin(), late.end(), std::greater<>());
    late.pop_back();
    return place;
  }
  return places[taken++];
}

}  // namespace folio::text
