"""How many rows a second do labeling functions label: Snorkel's PandasLFApplier against apply_labeling_functions?

    python tests/measure/labeling_speed.py --rows 50000 --rounds 5

Both sides run the same 10 Snorkel labeling functions over the same generated texts, in one process, in turns, so that a
busy machine slows both. The votes must be equal. Printed on two shared CPU cores:

    round 1: PandasLFApplier 4,653 rows/s, apply_labeling_functions 120,088 rows/s, 25.8 times
    round 2: PandasLFApplier 4,393 rows/s, apply_labeling_functions 129,125 rows/s, 29.4 times
    round 3: PandasLFApplier 4,604 rows/s, apply_labeling_functions 132,104 rows/s, 28.7 times
    round 4: PandasLFApplier 4,795 rows/s, apply_labeling_functions 91,410 rows/s, 19.1 times
    round 5: PandasLFApplier 4,346 rows/s, apply_labeling_functions 132,001 rows/s, 30.4 times
    ratio: median 28.7, from 19.1 to 30.4; votes equal
"""

import argparse
import gc
import random
import statistics
import time

import numpy as np
import pandas as pd
from datasets import Dataset, disable_progress_bars
from snorkel.labeling import LabelingFunction, PandasLFApplier

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
    arguments = parser.parse_args()

    disable_progress_bars()
    functions = [keyword_function(word, label) for word, label in KEYWORDS.items()]
    texts = generate_texts(arguments.rows)
    frame, dataset = pd.DataFrame({"text": texts}), Dataset.from_dict({"text": texts})
    apply_labeling_functions(dataset.select(range(min(100, arguments.rows))), functions)  # imports outside the clock

    ratios = []
    for round_number in range(1, arguments.rounds + 1):
        gc.collect()  # each side pays for its own garbage, not for the other's
        start = time.perf_counter()
        expected = PandasLFApplier(functions).apply(frame, progress_bar=False)
        snorkel_speed = arguments.rows / (time.perf_counter() - start)

        gc.collect()
        start = time.perf_counter()
        labeled = apply_labeling_functions(dataset, functions)
        our_speed = arguments.rows / (time.perf_counter() - start)

        assert np.array_equal(votes_of(labeled), expected), "the votes differ"
        ratios.append(our_speed / snorkel_speed)
        print(
            f"round {round_number}: PandasLFApplier {snorkel_speed:,.0f} rows/s, "
            f"apply_labeling_functions {our_speed:,.0f} rows/s, {ratios[-1]:.1f} times"
        )
    print(f"ratio: median {statistics.median(ratios):.1f}, from {min(ratios):.1f} to {max(ratios):.1f}; votes equal")


if __name__ == "__main__":
    main()
