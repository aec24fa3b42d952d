// Which part of the texts is held out as val.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace folio::data {

struct Document {
  uint32_t source = 0;                 // number of the file
  uint64_t bytes = 0, characters = 0;  // bytes > 0: empty ones are dropped
};

enum class Place : uint8_t { train, val, both };  // both: the tail begins inside

struct Holdout {
  std::vector<Place> places;  // of each document
  uint64_t cut = 0;           // characters of the document in both that are train's
};

/// The tail: of n characters in all, the first ⌊n·(1 − val)⌋ are train's, as nanoGPT divides. Throws Fault::content
/// where a part would be empty. val = 0 holds nothing out.
Holdout hold_out_tail(std::vector<Document> const&, double val);

/// Whole documents in an order drawn by seed, until val has as near to the fraction of all bytes as whole documents
/// in that order come, but one at least; train keeps one at least. Throws Fault::content where there is one only.
Holdout hold_out_documents(std::vector<Document> const&, double val, uint64_t seed);

}  // namespace folio::data
