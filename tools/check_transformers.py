#!/usr/bin/env python3
"""Model directories beside Hugging Face transformers, both ways.

  check_transformers.py BUILD     BUILD holds folio and tests/checkpoint_test

transformers loads what folio writes, as GPT2LMHeadModel, GPT2Model and through the Auto classes, without a warning, a
missing or an unexpected tensor; folio loads what transformers saves: tied and untied, f32, f16 and bf16, with and without
the "transformer." prefix, in shards, with the masks of old versions. Logits agree, and what folio cannot compute it refuses.
A tokenizer that folio trained has the same ids in AutoTokenizer, special tokens included, and when transformers saved it.
Runs in the environment of tests/golden/requirements.txt; `scripts/test --oracles` does so.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import safetensors.torch
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, GPT2Model

WORST = 1e-9  # of a logit, f64 on both sides


class Collected(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def logits_of(model):
    """(T, V) in f64 of the sequence 1, 8, 15, … that the test program uses."""
    model = model.double().eval()
    tokens = (torch.arange(model.config.n_positions) * 7 + 1) % model.config.vocab_size
    with torch.no_grad():
        return model(tokens[None]).logits[0]


def random_model(**changes):
    torch.manual_seed(3)
    config = GPT2Config(**{"n_layer": 2, "n_head": 2, "n_embd": 16, "vocab_size": 31, "n_positions": 12, "bos_token_id": 30,
                           "eos_token_id": 30, **changes})
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    return model


def edit(folder, change):
    """Rewrites model.safetensors with change(tensors) → tensors."""
    path = os.path.join(folder, "model.safetensors")
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path, metadata={"format": "pt"})


def write_theirs(root):
    """name → the logits that folio must find, or None where it must refuse."""
    expected = {}

    def save(name, model, refused=False, **options):
        folder = os.path.join(root, name)
        model.save_pretrained(folder, **options)
        expected[name] = None if refused else logits_of(model)
        return folder

    save("tied", random_model())
    save("untied", random_model(tie_word_embeddings=False))
    save("gelu_pytorch_tanh", random_model(activation_function="gelu_pytorch_tanh"))
    save("n_inner", random_model(n_inner=64))
    save("bf16", random_model().to(torch.bfloat16))
    save("f16", random_model().to(torch.float16))
    save("untied bf16", random_model(tie_word_embeddings=False).to(torch.bfloat16))
    save("shards", random_model(tie_word_embeddings=False), max_shard_size="8KB")
    assert os.path.exists(os.path.join(root, "shards", "model.safetensors.index.json"))

    model = random_model()
    model.transformer.save_pretrained(os.path.join(root, "without prefix"))
    expected["without prefix"] = logits_of(model)

    mask = torch.tril(torch.ones(12, 12, dtype=torch.bool))[None, None]
    folder = save("masks", random_model())
    edit(folder, lambda t: {**t, "transformer.h.0.attn.bias": mask, "transformer.h.1.attn.masked_bias": torch.tensor(-1e4)})
    folder = save("stored head", random_model())
    edit(folder, lambda t: {**t, "lm_head.weight": t["transformer.wte.weight"].clone()})

    save("relu", random_model(activation_function="relu"), refused=True)
    save("wide", random_model(n_inner=48), refused=True)
    save("epsilon", random_model(layer_norm_epsilon=1e-6), refused=True)
    save("scaled", random_model(scale_attn_by_inverse_layer_idx=True), refused=True)
    save("upcast", random_model(reorder_and_upcast_attn=True), refused=True)
    save("cross", random_model(add_cross_attention=True), refused=True)
    return expected


def load_quietly(folder, cls):
    """The model, and what transformers had to say about it: nothing is expected."""
    log = Collected()
    transformers.utils.logging.get_logger().addHandler(log)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model, info = cls.from_pretrained(folder, output_loading_info=True, dtype=torch.float64)
    finally:
        transformers.utils.logging.get_logger().removeHandler(log)
    said = log.lines + [str(w.message) for w in caught]
    said += [f"{key}: {sorted(map(str, value))}" for key, value in info.items() if value]
    return model, said


def check_tokenizer(folio, root):
    """Sentences on what differs between a trained tokenizer and the same one in transformers."""
    special = ["<|user|>", "[two words]"]
    text = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind\tto suffer  한글 <|user|x" * 20
    sample = f"{text}<|user|>to be[two words]<|endoftext|>"
    source, folder, again = (os.path.join(root, name) for name in ("text.txt", "trained", "saved again"))
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)

    def run(*words, given=""):
        return subprocess.run([folio, *words], input=given, check=True, capture_output=True, text=True, encoding="utf-8").stdout

    def ids_of(directory):
        return [int(i) for i in run("tokenize", "--specials", "--tokenizer", directory, given=sample).split()]

    run("tokenizer", "train", source, "--vocab", "300", "--out", folder, *(w for s in special for w in ("--special", s)))
    theirs = AutoTokenizer.from_pretrained(folder)
    theirs.save_pretrained(again)
    ours = ids_of(folder)
    wrong = []
    if theirs(sample).input_ids != ours or AutoTokenizer.from_pretrained(again)(sample).input_ids != ours:
        wrong.append("a trained tokenizer: AutoTokenizer has other ids")
    if ids_of(again) != ours:
        wrong.append("a trained tokenizer: folio has other ids after transformers saved it")
    if theirs.decode(ours) != sample or theirs.decode(ours, skip_special_tokens=True) != text + "to be":
        wrong.append("a trained tokenizer: AutoTokenizer decodes another text")
    if len(theirs) != 300 or theirs.eos_token_id != 0 or not {*special} <= {*theirs.all_special_tokens}:
        wrong.append(f"a trained tokenizer: {len(theirs)} tokens, special {theirs.all_special_tokens}")
    return wrong


def check_exports(folio, root, ours):
    """Sentences on what transformers reads otherwise from what folio export wrote of the model `ours`."""
    wrong, whole = [], logits_of(load_quietly(ours, GPT2LMHeadModel)[0])
    for dtype, torch_dtype, bound in (("bf16", torch.bfloat16, 2**-5), ("f16", torch.float16, 2**-8), ("f32", torch.float32, 0)):
        folder = os.path.join(root, "exported " + dtype)
        subprocess.run([folio, "export", ours, "--out", folder, "--dtype", dtype], check=True, stdout=subprocess.DEVNULL)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
        if model.dtype != torch_dtype:
            wrong.append(f"exported {dtype}: transformers loads it as {model.dtype}")
        error = (logits_of(load_quietly(folder, GPT2LMHeadModel)[0]) - whole).abs().max().item() / whole.abs().max().item()
        if not error <= bound:
            wrong.append(f"exported {dtype}: the logits differ by {error:.1e} of the largest")
    return wrong


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip())
        return 2
    program = os.path.join(sys.argv[1], "tests", "checkpoint_test")
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_default_handler()
    wrong, worst = [], 0.0

    def compare(name, mine, theirs):
        nonlocal worst
        error = (torch.tensor(mine, dtype=torch.float64).reshape(theirs.shape) - theirs).abs().max().item()
        worst = max(worst, error) if error == error else float("nan")
        if not error <= WORST:
            wrong.append(f"{name}: the logits differ by {error:.1e}")

    with tempfile.TemporaryDirectory(prefix="folio check ") as root:
        theirs, ours = os.path.join(root, "theirs"), os.path.join(root, "ours")
        expected = write_theirs(theirs)
        subprocess.run([program, "--gtest_filter=Directory.AnswersTransformers"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "FOLIO_CHECK_TRANSFORMERS": root})

        def answer(path):
            with open(path + ".json", encoding="utf-8") as file:
                return json.load(file)

        for name, logits in expected.items():
            said = answer(os.path.join(theirs, name))
            if logits is None:
                print(f"  refused: {said.get('error')}".replace(root, ""))
            if ("error" in said) != (logits is None):
                wrong.append(f"{name}: {said.get('error', 'taken, though folio does not compute it')}")
            elif logits is not None:
                compare(name, said["logits"], logits)

        written = sorted(n for n in os.listdir(ours) if os.path.isdir(os.path.join(ours, n)))
        for name in written:
            folder = os.path.join(ours, name)
            for cls in (GPT2LMHeadModel, AutoModelForCausalLM):
                model, said = load_quietly(folder, cls)
                wrong += [f"{name}, {cls.__name__}: {line}" for line in said]
                compare(name, answer(folder)["logits"], logits_of(model))
                config = json.load(open(os.path.join(folder, "config.json"), encoding="utf-8"))
                lost = [k for k, v in config.items() if k not in ("torch_dtype", "dtype", "folio") and
                        getattr(model.config, k, "absent") != v]
                if lost:
                    wrong.append(f"{name}: transformers reads other values of {lost}")
            _, said = load_quietly(folder, GPT2Model)  # which has no place for a head
            wrong += [f"{name}, GPT2Model: {line}" for line in said
                      if not (name.endswith("untied") and "lm_head.weight" in line)]

            again = os.path.join(theirs, "again " + name)  # transformers reads ours, saves it; folio reads that
            model, _ = load_quietly(folder, GPT2LMHeadModel)
            model.save_pretrained(again)
            expected["again " + name] = logits_of(model)
        subprocess.run([program, "--gtest_filter=Directory.AnswersTransformers"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "FOLIO_CHECK_TRANSFORMERS": root})
        for name in written:
            said = answer(os.path.join(theirs, "again " + name))
            if "error" in said:
                wrong.append(f"again {name}: {said['error']}")
            else:
                compare("again " + name, said["logits"], expected["again " + name])

        wrong += check_exports(os.path.join(sys.argv[1], "folio"), root, os.path.join(ours, written[0]))
        wrong += check_tokenizer(os.path.join(sys.argv[1], "folio"), root)

    for sentence in wrong:
        print(sentence)
    print(f"transformers {transformers.__version__}: {len(expected)} directories read, {len(written)} written, "
          f"largest difference of a logit {worst:.1e}, {len(wrong)} wrong")
    return 1 if wrong or len(written) != 8 else 0


if __name__ == "__main__":
    sys.exit(main())
