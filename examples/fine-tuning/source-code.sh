#!/bin/sh
# A model that was trained on prose, fine-tuned on another kind of text, source code: the loss on both, before and after.
#
#   source-code.sh PROSE CODE OUT
#
# PROSE is a text, CODE a text or a folder of source files. FOLIO names the program; STEPS and TUNE are the lengths of the
# two runs. One vocabulary serves both, so the losses are comparable; bits a byte compare beyond it.
set -eu
[ $# -eq 3 ] || { echo "usage: source-code.sh PROSE CODE OUT" >&2; exit 2; }
folio=${FOLIO:-folio} prose=$1 code=$2 out=$3
shape="--layers 4 --heads 4 --embd 128 --context 128 --batch 16 --beta2 0.99 --dropout 0.1"
mkdir -p "$out"
if [ -d "$code" ]; then
  find "$code" -type f \( -name '*.c' -o -name '*.cc' -o -name '*.cpp' -o -name '*.h' -o -name '*.py' \) | LC_ALL=C sort |
    tr '\n' '\0' | xargs -0 cat >"$out/code.txt"
else
  cat "$code" >"$out/code.txt"
fi

"$folio" tokenizer train "$prose" "$out/code.txt" --vocab "${VOCAB:-1024}" --out "$out/tokenizer" --quiet >/dev/null
"$folio" prepare "$prose" --tokenizer "$out/tokenizer" --out "$out/prose" --quiet >/dev/null
"$folio" prepare "$out/code.txt" --tokenizer "$out/tokenizer" --out "$out/code" --quiet >/dev/null

loss() {
  "$folio" eval "$1" --data "$2" --json --quiet | sed -n 's/.*"loss": *\([0-9.]*\).*/\1/p'
}
# shellcheck disable=SC2086  # flags
"$folio" train --data "$out/prose" --out "$out/before" $shape --lr 3e-3 --steps "${STEPS:-1500}" --quiet >/dev/null
# A third of the rate, and as few steps as do: what is learnt of code is paid for in prose.
# shellcheck disable=SC2086
"$folio" train --data "$out/code" --from "$out/before" --out "$out/after" --batch 16 --beta2 0.99 --dropout 0.1 \
  --lr 1e-3 --steps "${TUNE:-500}" --quiet >/dev/null

printf '%-24s %8s %8s\n' "validation loss of" prose code
for run in before after; do
  printf '%-24s %8.3f %8.3f\n' "$run fine-tuning" "$(loss "$out/$run" "$out/prose")" "$(loss "$out/$run" "$out/code")"
done
