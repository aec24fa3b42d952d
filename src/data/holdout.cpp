#include "data/holdout.h"

#include <cmath>

#include "core/error.h"
#include "data/permutation.h"

namespace folio::data {

namespace {

constexpr uint32_t kDrawOfDocuments = UINT32_MAX;  // in place of an epoch, of which none comes so far

}  // namespace

Holdout hold_out_tail(std::vector<Document> const& documents, double val) {
  Holdout h{.places = std::vector<Place>(documents.size(), Place::train), .cut = 0};
  if (val == 0) return h;
  uint64_t all = 0;
  for (Document const& d : documents) all += d.characters;
  auto const train = static_cast<uint64_t>(static_cast<double>(all) * (1 - val));
  check(train > 0 && train < all, Fault::content,
        "a text of {} characters is too short to hold out the fraction {} for val: give more text, or --val 0 to hold "
        "out "
        "nothing",
        all, val);
  uint64_t before = 0;
  for (size_t i = 0; i < documents.size(); ++i) {
    uint64_t const n = documents[i].characters;
    if (before >= train) {
      h.places[i] = Place::val;
    } else if (before + n > train) {
      h.places[i] = Place::both;
      h.cut = train - before;
    }
    before += n;
  }
  return h;
}

Holdout hold_out_documents(std::vector<Document> const& documents, double val, uint64_t seed) {
  Holdout h{.places = std::vector<Place>(documents.size(), Place::train), .cut = 0};
  if (val == 0) return h;
  check(documents.size() > 1, Fault::content,
        "the text is one document, which cannot be held out whole: use --val-by tail, give several files, or say with "
        "--separator what stands between documents");
  double all = 0, held = 0;
  for (Document const& d : documents) all += static_cast<double>(d.bytes);
  Permutation const order(documents.size(), seed, kDrawOfDocuments);
  for (size_t i = 0; i + 1 < documents.size(); ++i) {
    auto const next = static_cast<size_t>(order(i));
    double const with = held + static_cast<double>(documents[next].bytes);
    if (i > 0 && std::abs(with - all * val) >= std::abs(held - all * val)) break;
    h.places[next] = Place::val;
    held = with;
  }
  return h;
}

}  // namespace folio::data
