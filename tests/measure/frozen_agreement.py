"""How far a frozen encoder ranks methods as fine-tuning does: Spearman's rank correlation over methods, by corpus.

    python tests/measure/frozen_agreement.py --output recipes/results/frozen_agreement.jsonl

Both files are results of `recipes/benchmark.py` on the same rows and seeds. A method counts with the parameters that both files have, by its mean gain
over the `ce` of its own file, at the epoch that noisy validation labels choose. `ce` itself counts with a gain of 0. Rows that train
nothing, and those that are trained on gold labels, are left out. The interval resamples the methods. Two seeds of one file rank the
methods differently too: their correlation says how much agreement there can be.

For the methods that replace labels (`REPLACE_LABELS`) a second correlation is that of the change in right labels on the frozen encoder
(`taught_correct` less `given_correct`) and the gain in fine-tuning.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from reporting import Line, Results, add_output
from scipy.stats import spearmanr

from hf_noisy.benchmark import read_results
from hf_noisy.benchmark.cells import markdown_table

RESULTS = Path(__file__).resolve().parents[2] / "recipes" / "results"
LEFT_OUT = ("majority_vote", "label_model", "gold", "clean_valid")
REPLACE_LABELS = (
    "candidate_labels", "label_correction", "pseudo_labeling", "self_training", "selfmix", "truth_inference",
)  # fmt: skip
FEWEST = 5  # methods that both files have
DRAWS = 2000
Gains = dict[str, dict[int, float]]  # method with its parameters -> seed -> gain over `ce`


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frozen", type=Path, default=RESULTS / "frozen.jsonl", help="results with --frozen")
    parser.add_argument(
        "--tuned",
        type=Path,
        nargs="+",
        default=[RESULTS / f"{name}.jsonl" for name in ("h100", "results", "doubted")],
        help="results of fine-tuning; of several files, the first that holds a method counts",
    )
    add_output(parser)
    given = parser.parse_args()
    frozen, tuned = read_results(given.frozen), [read_results(path) for path in given.tuned]
    results = Results(given.output)
    for noise in dict.fromkeys(line["settings"]["noise"] for line in frozen):
        for corpus in dict.fromkeys(line["dataset"] for line in frozen):
            ours = gains_of(frozen, corpus, noise)
            theirs: Gains = {}
            for lines in reversed(tuned):
                theirs |= gains_of(lines, corpus, noise)
            shared = sorted(ours.keys() & theirs.keys())
            if len(shared) >= FEWEST:
                about = {"dataset": corpus, "noise": noise or "given", "methods": shared}
                changes = label_changes(frozen, corpus, noise)
                results.once(about, partial(measure, shared, ours, theirs, changes))
    print(table(results.lines))
    return 0


def measure(methods: list[str], frozen: Gains, tuned: Gains, changes: Mapping[str, float]) -> dict[str, Any]:
    """Both correlations and what belongs to them."""
    replacing = [name for name in methods if name in changes]
    found = {name: [changes[name], mean_of(tuned[name], frozen[name])] for name in replacing}
    right = rank_correlation(*np.array(list(found.values())).T) if len(found) >= FEWEST else None
    return {**agreement(methods, frozen, tuned), "right_labels": found, "spearman_right_labels": right}


def label_changes(lines: Iterable[Mapping[str, Any]], corpus: str, noise: str | None) -> dict[str, float]:
    """The mean change in right labels of the methods that replace labels; of several variants, of the first in the file."""
    found: dict[str, list[float]] = {}
    for line in lines:
        if (line["dataset"], line["settings"]["noise"]) == (corpus, noise) and line["method"] in REPLACE_LABELS:
            found.setdefault(name_of(line), []).append(line["taught_correct"] - line["given_correct"])
    first = {name.split()[0]: name for name in reversed(found)}
    return {name: float(np.mean(values)) for name, values in found.items() if name in first.values()}


def gains_of(lines: Iterable[Mapping[str, Any]], corpus: str, noise: str | None) -> Gains:
    """The gain over `ce` of each method of a file, by seed."""
    found: Gains = {}
    for line in lines:
        if (line["dataset"], line["settings"]["noise"]) == (corpus, noise) and line["method"] not in LEFT_OUT:
            found.setdefault(name_of(line), {})[line["seed"]] = line["accuracy_chosen"]
    base = found.get("ce", {})
    shared = {name: base.keys() & accuracies.keys() for name, accuracies in found.items()}
    return {name: {seed: found[name][seed] - base[seed] for seed in seeds} for name, seeds in shared.items() if seeds}


def name_of(line: Mapping[str, Any]) -> str:
    """
    >>> name_of({"method": "gce", "params": {"q": 0.7}}), name_of({"method": "ce", "params": {}})
    ('gce {"q": 0.7}', 'ce')
    """
    return f"{line['method']} {json.dumps(line['params'], sort_keys=True)}" if line["params"] else line["method"]


def agreement(methods: list[str], frozen: Gains, tuned: Gains) -> dict[str, Any]:
    """The correlation, its interval, that of two seeds of each file, and what the choice by the frozen encoder gains."""
    pairs = {name: [mean_of(frozen[name], tuned[name]), mean_of(tuned[name], frozen[name])] for name in methods}
    ours, theirs = np.array(list(pairs.values())).T
    draws = np.random.default_rng(0).integers(len(methods), size=(DRAWS, len(methods)))
    resampled = [rank_correlation(ours[rows], theirs[rows]) for rows in draws]
    chosen = methods[int(ours.argmax())]
    return {
        "spearman": rank_correlation(ours, theirs),
        "interval": [float(end) for end in np.nanpercentile(resampled, (2.5, 97.5))],
        "seeds_frozen": between_seeds(methods, frozen),
        "seeds_tuned": between_seeds(methods, tuned),
        "gains": pairs,
        "chosen": chosen,
        "gain_of_chosen": pairs[chosen][1],
        "largest_gain": float(theirs.max()),
    }


def mean_of(gains: dict[int, float], others: dict[int, float]) -> float:
    """The mean over the seeds that both have; over all where they share none."""
    return float(np.mean([gains[seed] for seed in (gains.keys() & others.keys() or gains.keys())]))


def between_seeds(methods: list[str], gains: Gains) -> float | None:
    """The correlation of the gains of two seeds, over the methods that have them; None if these are too few."""
    pairs = [
        [gains[name][seed] for seed in sorted(gains[name])[:2]]
        for name in methods
        if name != "ce" and len(gains[name]) > 1
    ]
    return rank_correlation(*np.array(pairs).T) if len(pairs) >= FEWEST else None


def rank_correlation(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Spearman's; NaN if all values of one are equal."""
    if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return float("nan")
    return float(spearmanr(ours, theirs).statistic)


def table(lines: list[Line]) -> str:
    """A row per noise and corpus."""
    header = [
        "labels", "corpus", "methods", "Spearman [95 %]", "two seeds, fine-tuned", "two seeds, frozen", "best on the frozen encoder",
        "its gain, fine-tuned", "largest gain, fine-tuned", "methods that replace labels", "Spearman of right labels and gain",
    ]  # fmt: skip
    rows = [
        [
            noise_of(line),
            f"`{line['dataset']}`",
            str(len(line["methods"])),
            f"{line['spearman']:.2f} [{line['interval'][0]:.2f}, {line['interval'][1]:.2f}]",
            *("" if line[key] is None else f"{line[key]:.2f}" for key in ("seeds_tuned", "seeds_frozen")),
            f"`{line['chosen'].split()[0]}`",
            *(f"{100 * line[key]:+z.1f}" for key in ("gain_of_chosen", "largest_gain")),
            *right_labels(line),
        ]
        for line in lines
    ]
    return markdown_table(header, rows)


def right_labels(line: Line) -> list[str]:
    """How many methods replace labels, and their correlation; empty if they are too few."""
    found = line["spearman_right_labels"]
    return ["", ""] if found is None else [str(len(line["right_labels"])), f"{found:.2f}"]


def noise_of(line: Line) -> str:
    return "as given" if line["noise"] == "given" else str(line["noise"])


if __name__ == "__main__":
    sys.exit(main())
