"""Rows per second of labeling functions: Snorkel's PandasLFApplier and `apply_labeling_functions`.

    python tests/measure/labeling_speed.py --output recipes/results/labeling_speed.jsonl

Both run the same 10 Snorkel labeling functions over the same generated texts, in one process, in turns, so that a busy machine
slows both. The votes must be equal.
"""

import argparse
import gc
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, disable_progress_bars
from reporting import Line, Results, add_output
from snorkel.labeling import LabelingFunction, PandasLFApplier

from hf_noisy.benchmark.cells import markdown_table
from hf_noisy.weak.labeling_functions import apply_labeling_functions
from hf_noisy.weak.votes import votes_of

KEYWORDS = {
    "subscribe": 1,
    "http": 1,
    "free": 1,
    "channel": 1,
    "win": 1,
    "love": 0,
    "song": 0,
    "voice": 0,
    "remember": 0,
    "dance": 0,
}
FILLERS = ["the", "this", "is", "was", "so", "very", "my", "your", "on", "and", "best", "old", "video", "music", "now"]


def keyword_function(word: str, label: int) -> LabelingFunction:
    return LabelingFunction(f"lf_{word}", lambda x: label if word in x.text else -1)


def generate_texts(rows: int) -> list[str]:
    generator = random.Random(0)
    words = FILLERS * 3 + list(KEYWORDS)
    return [" ".join(generator.choices(words, k=generator.randint(5, 20))) for _ in range(rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    add_output(parser)
    given = parser.parse_args()
    disable_progress_bars()
    functions = [keyword_function(word, label) for word, label in KEYWORDS.items()]
    texts = generate_texts(given.rows)
    frame, dataset = pd.DataFrame({"text": texts}), Dataset.from_dict({"text": texts})
    apply_labeling_functions(dataset.select(range(min(100, given.rows))), functions)  # imports outside the clock

    def measure() -> Line:
        expected, snorkel = timed(lambda: PandasLFApplier(functions).apply(frame, progress_bar=False))
        labeled, ours = timed(lambda: apply_labeling_functions(dataset, functions))
        assert np.array_equal(votes_of(labeled), expected), "the votes differ"
        return {"snorkel": given.rows / snorkel, "ours": given.rows / ours, "ratio": snorkel / ours}

    results = Results(given.output)
    for number in range(1, given.rounds + 1):
        results.once({"round": number, "rows": given.rows, "functions": len(functions)}, measure)
    print(table(results.lines))


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What `call` returns, and its seconds. Each call pays for its own garbage."""
    gc.collect()
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def table(lines: list[Line]) -> str:
    """A row per round, then the median."""
    rows = [[str(line["round"]), *cells([line])] for line in lines]
    return markdown_table(
        ["round", "`PandasLFApplier`, rows/s", "`apply_labeling_functions`, rows/s", "ratio"],
        [*rows, ["median", *cells(lines)]],
    )


def cells(lines: list[Line]) -> list[str]:
    snorkel, ours, ratio = (statistics.median(line[key] for line in lines) for key in ("snorkel", "ours", "ratio"))
    return [f"{snorkel:,.0f}", f"{ours:,.0f}", f"{ratio:.1f}"]


if __name__ == "__main__":
    main()
