// What a path holds, told from names and first bytes, for `folio info` and for verbs that are given one thing where
// another is meant.
#pragma once

#include <string>
#include <vector>

#include "core/file.h"

namespace folio::cli {

enum class Kind {
  missing,
  run,         // config.toml and checkpoints/
  checkpoint,  // a model directory with state.json
  model,       // config.json beside model.safetensors or its shards
  data,        // manifest.json with "format": "folio-data"
  ids_folder,  // train.bin with plain ids
  tokenizer,   // tokenizer.json, or vocab.json and merges.txt
  vocabulary,  // encoder.json and vocab.bpe, as OpenAI published them
  texts,       // a folder with .txt files, in it or below
  folder,      // any other
  shard,       // a file of tokens with folio's header
  ids,         // FILE.bin without one: plain ids
  weights,     // FILE.safetensors
  text,
  bytes,   // a file that is not text
  device,  // no file and no folder: a terminal, a pipe
};

Kind what_is(Path const&);
bool is_text(Kind);  // what is prepared before it is trained on: a file, or a folder of them

struct KindWords {
  char const* name;                // for --json: "model"
  char const* noun;                // "a model directory"
  std::vector<char const*> verbs;  // examples; {} stands for the path
};
KindWords const& words_for(Kind);

/// The sentence's tail that says which verb takes a path: "use `folio eval MODEL --data DATA`", or empty.
std::string advice_for(Kind, Path const&);

/// Passes a model directory, a checkpoint or a run. Throws Fault::missing where nothing is there, Fault::content where
/// it is something else; the sentence says what it is and which verb takes it.
void expect_model(Path const&);

}  // namespace folio::cli
