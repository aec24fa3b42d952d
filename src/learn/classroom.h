// A language of 32 words, small enough that its entropy is known, and a GPT-2 that learns it in under a second.
//
// A sentence: "the ADJECTIVE PERSON VERB the THING PREPOSITION the PLACE ." One of two adjectives, one of four persons;
// the person has two verbs and two things, each as likely as the other, and one place. So the words of a sentence have
// the entropies 0, ln 2, ln 4, ln 2, 0, ln 2, 0, 0, 0, 0: together 5 ln 2.
#pragma once

#include <memory>

#include "data/batch.h"
#include "train/trainer.h"

namespace folio::learn {

inline constexpr int64_t kSentence = 10;  // words, with the full stop

std::vector<std::string> const& vocabulary();  // 0 is the full stop, which also stands before a sentence
int32_t id_of(std::string const& word);        // Fault::bug for one that is none
std::vector<int32_t> sentence_numbered(uint64_t seed, uint64_t number);  // (kSentence + 1), from full stop to full stop
std::vector<double> const& entropies();                                  // (kSentence) nats, by place

/// `sequences` sentences from `first` on, as micro-batches of any size take them.
data::HostBatch sentences(uint64_t seed, uint64_t first, int64_t sequences);

struct Pupil {  // options of a small model on this language
  int64_t layers = 2, batch = 16, accumulate = 1;
  double dropout = 0, decay = 0.1;
  bool tied = true;
  uint64_t seed = 1;
};
train::TrainerOptions options_of(Pupil const&);

/// `steps` steps at this rate, with a warm-up of a tenth; returns the losses.
std::vector<double> teach(train::Trainer&, int64_t steps, double rate, uint64_t seed = 7);

}  // namespace folio::learn
