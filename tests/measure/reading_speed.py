"""Seconds and memory of reading a CSV file: `pandas.read_csv`, and `load_corpus` with its checks of texts, ids and labels.

    python tests/measure/reading_speed.py --output recipes/results/reading_speed.jsonl

Each reading is a process of its own, and the two sides take turns. What they import is not measured.
"""

import argparse
import csv
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from reporting import Line, Results, add_output

from hf_noisy.benchmark.cells import markdown_table

SIDES = {
    "pandas": ("import pandas", "pandas.read_csv({path!r})"),
    "ours": ("from hf_noisy.data.corpus import read_corpus", "read_corpus({path!r})"),
}
PROGRAM = """
import time
{imports}
{small}
start = time.perf_counter()
found = {large}
seconds = time.perf_counter() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) / 1024)
"""
WORDS = [
    "the",
    "screen",
    "is",
    "bright",
    "and",
    "sharp",
    "but",
    "it",
    "broke",
    "in",
    "a",
    "week",
    "and",
    "they",
    "never",
    "wrote",
    "back",
    "so",
    "easy",
    "to",
    "set",
    "up",
    "far",
    "too",
    "loud",
]


def write_table(path: Path, rows: int, *, ids: bool) -> None:
    rng = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(["id"] if ids else []), "text", "label"])
        for row in range(rows):
            text = " ".join(rng.choices(WORDS, k=rng.randint(5, 25)))
            writer.writerow([*([row] if ids else []), f"{text}, {row}", rng.choice(["good", "bad", "mixed"])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    add_output(parser)
    given = parser.parse_args()
    results = Results(given.output)
    with tempfile.TemporaryDirectory() as folder:
        for ids in (False, True):
            path, small = Path(folder, f"table_{ids}.csv"), Path(folder, "small.csv")
            write_table(path, given.rows, ids=ids)
            write_table(small, 100, ids=ids)
            for number in range(1, given.rounds + 1):
                facts = {"round": number, "rows": given.rows, "ids": ids}
                results.once(facts, lambda path=path, small=small: measure(path, small))
    print(table(results.lines))


def measure(path: Path, small: Path) -> Line:
    found = {}
    for side, (imports, call) in SIDES.items():
        program = PROGRAM.format(imports=imports, small=call.format(path=str(small)), large=call.format(path=str(path)))
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
        )
        found[f"{side}_seconds"], found[f"{side}_mb"] = map(float, done.stdout.split())
    return found


def table(lines: list[Line]) -> str:
    """A row for each kind of table: medians, and the ratio of seconds and of memory."""
    rows = []
    for ids in (False, True):
        held = [line for line in lines if line["ids"] == ids]
        if not held:
            continue
        ratios = [line["ours_seconds"] / line["pandas_seconds"] for line in held]
        memory = statistics.median(line["ours_mb"] / line["pandas_mb"] for line in held)
        seconds = [statistics.median(line[f"{side}_seconds"] for line in held) for side in SIDES]
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        what = f"{held[0]['rows']:,} rows of text and label{', with ids' * ids}"
        rows.append([what, *(f"{value:.2f}" for value in seconds), spread, f"{memory:.2f}"])
    return markdown_table(["table", "pandas, s", "`load_corpus`, s", "ratio of seconds", "ratio of peak memory"], rows)


if __name__ == "__main__":
    main()
