"""How many labels are wrong and of what kind, as `audit` and `estimate` say it, against the truth: no encoder is trained.

    python tests/measure/kinds_of_noise.py --data FOLDER ... --model MODEL

A row of the table is a kind of noise, a column a corpus; "gold" are the gold labels themselves, of which none is wrong. A cell
says what share of the labels is wrong, the estimate and its interval (means over the seeds), how often the interval held the true
share, and what kinds were found, how often. Gold labels make the noise and measure, and nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass

import datasets
import numpy as np
from transformers import AutoModel, AutoTokenizer

from hf_noisy.benchmark import Settings
from hf_noisy.benchmark.data import Rows, prepare
from hf_noisy.benchmark.settings import Run
from hf_noisy.evidence import NoiseReport, mean_vectors
from hf_noisy.evidence.rates.text_rates import estimate_texts

GIVEN, GOLD = "given", "gold"
NOISES = (GIVEN, "symmetric:0.1", "symmetric:0.2", "symmetric:0.4", "pair:0.4", GOLD)


@dataclass(frozen=True)
class Found:
    """Of one corpus, noise and seed."""

    wrong: float
    rate: float
    low: float
    high: float
    kind: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="folders of corpora with gold labels")
    parser.add_argument("--model", required=True, help="a pretrained encoder")
    parser.add_argument("--noise", nargs="+", default=list(NOISES), help="given, gold, or as the benchmark takes it")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--max_train_rows", type=int, default=1000)
    parser.add_argument("--max_length", type=int, default=48)
    parser.add_argument("--resamples", type=int, default=100)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    encoder, tokenizer = AutoModel.from_pretrained(given.model), AutoTokenizer.from_pretrained(given.model)
    found: dict[str, dict[str, list[Found]]] = {noise: {} for noise in given.noise}
    for source in given.data:
        for seed in given.seeds:
            run, vectors = Run(source, "ce", seed), None
            for noise in given.noise:
                drawn = None if noise in (GIVEN, GOLD) else noise
                settings = Settings(max_train_rows=given.max_train_rows, max_test_rows=1, noise=drawn)
                data = prepare(run, settings, {})
                if vectors is None:  # of the same rows, whatever their labels
                    texts = data.train.dataset["text"][:]
                    vectors = mean_vectors(encoder, tokenizer, texts, max_length=given.max_length)
                labels = data.train.gold if noise == GOLD else data.train.labels
                votes = None if noise == GOLD else data.train.votes
                report = estimated(data.train, labels, votes, vectors, data.classes, given.resamples, seed)
                wrong = float((labels != data.train.gold)[labels >= 0].mean())
                found[noise].setdefault(run.dataset, []).append(
                    Found(wrong, report.rate, *report.interval, report.kind)
                )
            print(f"{run.dataset}, seed {seed}", file=sys.stderr, flush=True)
    corpora = list(found[given.noise[0]])
    print(f"| labels | {' | '.join(corpora)} |\n|{'---|' * (len(corpora) + 1)}")
    for noise, cells in found.items():
        print(f"| {noise} | {' | '.join(cell(cells[corpus]) for corpus in corpora)} |")
    return 0


def estimated(
    rows: Rows,
    labels: np.ndarray,
    votes: np.ndarray | None,
    vectors: np.ndarray,
    classes: int,
    resamples: int,
    seed: int,
) -> NoiseReport:
    """What is said of these labels."""
    texts = rows.dataset["text"][:]
    report, _ = estimate_texts(texts, labels, vectors, votes, classes, resamples=resamples, seed=seed)
    return report


def cell(found: list[Found]) -> str:
    """One cell of the table."""
    wrong, rate, low, high = (
        100 * float(np.mean([getattr(one, name) for one in found])) for name in ("wrong", "rate", "low", "high")
    )
    held = sum(one.low <= one.wrong <= one.high for one in found)
    kinds = ", ".join(f"{kind} {count}" for kind, count in Counter(one.kind for one in found).most_common())
    return f"{wrong:.0f} %: {rate:.0f} [{low:.0f}, {high:.0f}], held {held} of {len(found)}; {kinds}"


if __name__ == "__main__":
    sys.exit(main())
