"""Rows of GoogleTest programs: what a program has, and what a run of it gave."""
import json
import re

ALL_SKIPPED = 77  # how a test program ends of which every row was skipped (tests/support/main.cpp)


def rows_of(listing):
    """Full names of what --gtest_list_tests printed."""
    rows, suite = [], ""
    for line in listing.splitlines():
        name = line.split("#")[0].rstrip()
        if line.startswith("  ") and suite:
            rows.append(suite + name.strip())
        elif name.endswith(".") and " " not in name:
            suite = name
    return rows


def printed_by(row, text):
    """What a row printed, of all that its program did."""
    found = re.search(rf"^\[ RUN +\] {re.escape(row)}\n(.*?)^\[ +(?:OK|FAILED|SKIPPED) +\] {re.escape(row)}\b", text,
                      re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def verdict(row, name, text):
    if row.get("failures"):
        return "failed", "\n".join(failure["failure"] for failure in row["failures"])
    if row.get("result") == "SKIPPED":
        why = re.search(r"Skipped\n(.*)", printed_by(name, text))
        return "skipped", why[1] if why else ""
    figures = re.findall(r"^  (\S.*\d.*)$", printed_by(name, text), re.MULTILINE)  # a row sets them in by two spaces
    return "passed", "\n".join(figures)


def of_report(file, text):
    """The rows of a whole JSON report; None where there is none."""
    try:
        suites = json.loads(file.read_text()).get("testsuites", [])
    except (OSError, ValueError):
        return None
    rows = [(f"{suite['name']}.{row['name']}", row) for suite in suites for row in suite.get("testsuite", [])
            if row.get("status") != "NOTRUN"]
    return {name: verdict(row, name, text) for name, row in rows}


def results(program, file, code, text, limit):
    """{row: (verdict, words)} of a run that ended with `code`; None: it was not done after `limit` seconds. Words are what
    failed, why a row was skipped, or the figures that it printed."""
    ended = f"not done after {limit} s" if code is None else f"ended with {code}"
    rows = of_report(file, text)
    if rows is None:  # it did not come to its end: what it printed says how far
        rows = {}
        for mark, name in re.findall(r"\[ +(OK|SKIPPED|FAILED) +\] (\S+)", text):
            rows[name.rstrip(",")] = {"OK": ("passed", ""), "SKIPPED": ("skipped", "")}.get(mark, ("failed", text[-4000:]))
        begun = [name for name in re.findall(r"\[ RUN +\] (\S+)", text) if name not in rows]
        rows[begun[-1] if begun else f"{program} as a whole"] = ("failed", f"{ended}\n{text[-4000:]}")
        return rows
    verdicts = {v for v, _ in rows.values()}
    explained = code == 0 or code == 1 and "failed" in verdicts or code == ALL_SKIPPED and verdicts == {"skipped"}
    if not explained:
        rows[f"{program} as a whole"] = ("failed", f"{ended}, after its rows\n{text[-4000:]}")
    return rows
