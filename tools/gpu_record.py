"""What `gpu-check` found, as docs/gpu-record.md."""
import re

VERDICTS = ("passed", "skipped", "failed")
TWO_GPUS = "two GPUs are needed"  # how a row says why it was skipped (tests/train/ranks_test.cpp)


def count(rows):
    verdicts = [verdict for verdict, _ in rows.values()]
    return {v: verdicts.count(v) for v in VERDICTS}


def in_words(counts):
    return ", ".join(f"{n} {v}" for v, n in counts.items() if n) or "nothing ran"


def first_line(text):
    return text.strip().splitlines()[0][:160].replace("|", "\\|") if text.strip() else ""


def failures(parts):
    out = [f"{row}: {first_line(words)}" for rows in parts.get("tests", {}).values() for row, (v, words) in rows.items()
           if v == "failed"]
    out += ["tests: there is no such row"] if "tests" in parts and not any(parts["tests"].values()) else []
    sanitized = parts.get("sanitize", {})
    out += ["compute-sanitizer: there is no such row"] if sanitized.get("programs") == {} else []
    out += [sanitized["error"]] if "error" in sanitized else []
    out += [f"{name}: {n} errors of memcheck" for name, n in sanitized.get("errors", {}).items() if n]
    out += [f"{name} under compute-sanitizer: {c['failed']} failed" for name, c in sanitized.get("programs", {}).items()
            if c["failed"]]
    return out + [f"{c['name']}: {first_line(c['figure'])}" for c in parts.get("checks", []) if not c["ok"]]


def skipped(parts):
    """{why: [row]}"""
    why = {}
    for rows in parts.get("tests", {}).values():
        for row, (v, words) in rows.items():
            if v == "skipped":
                why.setdefault(first_line(words), []).append(row)
    return why


def need_two(parts):
    """A sentence about the rows that one GPU is too few for; "" where there are none."""
    n = sum(len(rows) for why, rows in skipped(parts).items() if why.startswith(TWO_GPUS))
    return f"{n} row{'' if n == 1 else 's'} need{'s' if n == 1 else ''} two GPUs" if n else ""


def names_of(rows):
    """Names, those of one row on several types in one word: Op.Adds/cuda_f32 and /cuda_bf16 are Op.Adds/{cuda_f32, cuda_bf16}."""
    kinds = {}
    for row in rows:
        stem, _, kind = row.rpartition("/")
        kinds.setdefault(stem or row, []).append(kind if stem else "")
    return ", ".join(stem + ("/" + (k[0] if len(k) == 1 else "{" + ", ".join(k) + "}") if k[0] else "")
                     for stem, k in kinds.items())


def tests_section(parts):
    tests = parts["tests"]
    counts = {name: count(rows) for name, rows in tests.items()}
    out = ["## Rows", "", "| program | passed | skipped | failed |", "|---|---|---|---|"]
    out += [f"| `{name}` | {c['passed']} | {c['skipped']} | {c['failed']} |" for name, c in counts.items()]
    total = {v: sum(c[v] for c in counts.values()) for v in VERDICTS}
    out += [f"| all | {total['passed']} | {total['skipped']} | {total['failed']} |", ""]
    out += [f"{two}, and did not run." for two in [need_two(parts)] if two] + [""]
    for why, rows in skipped(parts).items():
        out += [f"Skipped, {len(rows)}: {why}: `{names_of(rows)}`.", ""]
    figures = [(row, line) for rows in tests.values() for row, (v, words) in rows.items() if v == "passed"
               for line in words.splitlines()]
    out += ["What rows printed:", "", *(f"* `{row}`: {line}" for row, line in figures), ""] if figures else []
    for name, rows in tests.items():
        ran = names_of(row for row, (v, _) in rows.items() if v != "skipped")
        out += [f"<details><summary>{name}: {in_words(counts[name])}</summary>", "", f"`{ran}`", "", "</details>"] if ran else []
    return out + [""]


def checks_section(checks):
    out = ["## Whole verbs", "", "| check | figure | bound |", "|---|---|---|"]
    out += [f"| {c['name']} | {'' if c['ok'] else '**failed** '}{first_line(c['figure'])} | {c['bound']} |" for c in checks]
    for check in checks:
        if profile := check.get("profile"):
            out += ["", f"{check['name']}: one more step, op by op, the host waiting after each:", "", "| op | share | ms |",
                    "|---|---|---|", *(f"| {op} | {share:.1f} % | {ms:.3f} |" for op, share, ms in profile)]
    return out + [""]


def record(about, parts):
    out = ["# What ran on a GPU", "", "Written by `tools/gpu-check` ([gpu.md](gpu.md)).", "",
           f"* {about['folio']}, {about['date']}", *(f"* {gpu}" for gpu in about["gpus"]),
           f"* CUDA: {re.sub(r'^[^;]*folio-cuda.so; ', '', about['cuda'])}", f"* processor: {about['processor']}", ""]
    out += tests_section(parts) if "tests" in parts else []
    if sanitized := parts.get("sanitize"):
        ran = {v: sum(c[v] for c in sanitized.get("programs", {}).values()) for v in VERDICTS}
        out += ["## compute-sanitizer", "", sanitized.get("error") or
                f"memcheck {sanitized['version']} over `{sanitized['filter']}` of the tests of ops: {in_words(ran)}; "
                f"{sum(sanitized['errors'].values())} errors.", ""]
    out += checks_section(parts["checks"]) if "checks" in parts else []
    if failed := failures(parts):
        out += ["## Failed", "", *(f"* {f}" for f in failed), ""]
    return "\n".join(out)
