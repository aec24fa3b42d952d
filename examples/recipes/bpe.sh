#!/bin/sh
# From a text to a model of a BPE vocabulary of its own: bpe.sh TEXT OUT [flags of folio train]
# FOLIO names the program, VOCAB the size of the vocabulary (2048).
set -eu
[ $# -ge 2 ] || { echo "usage: bpe.sh TEXT OUT [flags of folio train]" >&2; exit 2; }
folio=${FOLIO:-folio} here=$(dirname "$0") text=$1 out=$2
shift 2
"$folio" tokenizer train "$text" --vocab "${VOCAB:-2048}" --out "$out/tokenizer"
"$folio" prepare "$text" --tokenizer "$out/tokenizer" --out "$out/data"
"$folio" train --config "$here/bpe.toml" --data "$out/data" --out "$out/run" "$@"
"$folio" eval "$out/run" --data "$out/data"
