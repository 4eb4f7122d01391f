"""Noise rate and kind of noise as `audit` and `estimate` report them, compared with gold labels. No encoder is trained.

    python tests/measure/kinds_of_noise.py --data FOLDER ... --model MODEL --output recipes/results/kinds_of_noise.jsonl

A row of the table is a kind of noise, a column a corpus. "gold" are the gold labels themselves, of which none is wrong. A
cell has the share of wrong labels, the estimate and its interval (means over seeds), how often the interval contained the true
share, and which kinds were reported, with counts. Gold labels are used to make the noise and to compare, for nothing else.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections import Counter

import datasets
import numpy as np
from reporting import Line, Results, add_output, distinct
from transformers import AutoModel, AutoTokenizer

from hf_noisy.benchmark import Settings
from hf_noisy.benchmark.cells import markdown_table
from hf_noisy.benchmark.data import Rows, prepare
from hf_noisy.benchmark.settings import Run
from hf_noisy.evidence import NoiseReport, mean_vectors
from hf_noisy.evidence.rates.text_rates import estimate_texts

GIVEN, GOLD = "given", "gold"
NOISES = (GIVEN, "symmetric:0.1", "symmetric:0.2", "symmetric:0.4", "pair:0.4", GOLD)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="folders of corpora with gold labels")
    parser.add_argument("--model", required=True, help="a pretrained encoder")
    parser.add_argument("--noise", nargs="+", default=list(NOISES), help="given, gold, or as the benchmark takes it")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--max_train_rows", type=int, default=1000)
    parser.add_argument("--max_length", type=int, default=48)
    parser.add_argument("--resamples", type=int, default=100)
    add_output(parser)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    encoder, tokenizer = AutoModel.from_pretrained(given.model), AutoTokenizer.from_pretrained(given.model)

    @functools.lru_cache(maxsize=1)
    def encoded(texts: tuple[str, ...]) -> np.ndarray:
        """Of the same rows, whatever their labels."""
        return mean_vectors(encoder, tokenizer, list(texts), max_length=given.max_length)

    def measure(source: str, noise: str, seed: int) -> Line:
        drawn = None if noise in (GIVEN, GOLD) else noise
        settings = Settings(max_train_rows=given.max_train_rows, max_test_rows=1, noise=drawn)
        data = prepare(Run(source, "ce", seed), settings, {})
        vectors = encoded(tuple(data.train.dataset["text"][:]))
        labels = data.train.gold if noise == GOLD else data.train.labels
        votes = None if noise == GOLD else data.train.votes
        report = estimated(data.train, labels, votes, vectors, data.classes, given.resamples, seed)
        wrong = float((labels != data.train.gold)[labels >= 0].mean())
        low, high = map(float, report.interval)
        return {"wrong": wrong, "rate": float(report.rate), "low": low, "high": high, "kind": str(report.kind)}

    results = Results(given.output)
    for source in given.data:
        for seed in given.seeds:
            for noise in given.noise:
                about = {"dataset": Run(source, "ce", seed).dataset, "noise": noise, "seed": seed}
                about |= {"rows": given.max_train_rows, "resamples": given.resamples}
                results.once(about, lambda source=source, noise=noise, seed=seed: measure(source, noise, seed))
            print(f"{Run(source, 'ce', seed).dataset}, seed {seed}", file=sys.stderr, flush=True)
    print(table(results.lines))
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


def table(lines: list[Line]) -> str:
    """A row per noise, a column per corpus."""
    corpora = distinct(lines, "dataset")
    return markdown_table(
        ["labels", *corpora],
        [
            [
                noise,
                *(cell([line for line in lines if (line["dataset"], line["noise"]) == (c, noise)]) for c in corpora),
            ]
            for noise in distinct(lines, "noise")
        ],
    )


def cell(found: list[Line]) -> str:
    """One cell of the table."""
    if not found:
        return ""
    wrong, rate, low, high = (
        100 * float(np.mean([line[key] for line in found])) for key in ("wrong", "rate", "low", "high")
    )
    kinds = ", ".join(f"{kind} {count}" for kind, count in Counter(line["kind"] for line in found).most_common())
    return (
        f"{wrong:.0f} %: {rate:.0f} [{low:.0f}, {high:.0f}], contained {sum(map(held, found))} of {len(found)}; {kinds}"
    )


def held(line: Line) -> bool:
    """Whether the interval contains the true rate."""
    return line["low"] <= line["wrong"] <= line["high"]


if __name__ == "__main__":
    sys.exit(main())
