"""Estimators of the noise where the noise is known: how far is the matrix that they find from the true one?

    python tests/measure/known_matrices.py

draws clusters of points, makes labels wrong by a known matrix, takes out-of-fold probabilities of a logistic regression, and
prints for each estimator the mean total variation over rows between the matrix that it finds and the one by which labels
really changed (0: equal, 1: nothing in common), mean and deviation over seeds. In the last lines, how far the medians of the
two families of estimators are apart, and how often `estimate_noise` suspects that labels follow a rule; here it should not.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from hf_noisy.data.noise import NoisyLabels, asymmetric, pair, symmetric
from hf_noisy.evidence import estimate_noise, out_of_fold_probabilities, total_variation
from hf_noisy.evidence.rates.structure import family_rates

CLASSES, NOISES = (2, 4, 20), ("symmetric 0.2", "symmetric 0.4", "pair 0.45", "random dominant")
ESTIMATORS = (
    "anchor_points", "confident_joint", "dual_t", "volminnet", "t_revision", "expectation_maximization", "neighbours",
)  # fmt: skip
# between centres of clusters of deviation 1: 0.1, 0.4, 1.8 % of 2, 4, 20 classes overlap; at 4: 2, 6, 19 %
DISTANCE = 6.0
ROWS_A_CLASS = 300


def clusters(rows: int, classes: int, seed: int, distance: float = DISTANCE) -> tuple[np.ndarray, np.ndarray]:
    """(rows, classes) points and their classes; all centres are equally far from each other."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, classes, rows)
    return np.eye(classes)[gold] * distance / np.sqrt(2) + draw.standard_normal((rows, classes)), gold


def noisy(noise: str, gold: np.ndarray, classes: int, seed: int) -> NoisyLabels:
    if noise.startswith("symmetric"):
        return symmetric(gold, float(noise.split()[1]), classes, seed=seed)
    if noise.startswith("pair"):
        return pair(gold, float(noise.split()[1]), classes, seed=seed)
    return asymmetric(gold, random_dominant(classes, seed), seed=seed)


def random_dominant(classes: int, seed: int) -> np.ndarray:
    """Rows that keep between 0.55 and 0.9 and share the rest at random."""
    draw = np.random.default_rng(1000 + seed)
    keep = draw.uniform(0.55, 0.9, classes)
    shares = draw.dirichlet(np.ones(classes - 1), classes)
    matrix = np.zeros((classes, classes))
    matrix[~np.eye(classes, dtype=bool)] = ((1 - keep)[:, None] * shares).ravel()
    return matrix + np.diag(keep)


def measure(noise: str, classes: int, rows: int, seed: int, distance: float) -> tuple[dict[str, float], float, bool]:
    """Total variation of each estimator, how far apart the families' rates are, and whether structure is suspected."""
    points, gold = clusters(max(rows, ROWS_A_CLASS * classes), classes, seed, distance)
    given = noisy(noise, gold, classes, seed)
    probs = out_of_fold_probabilities(points, given.labels, classes, seed=seed)
    report = estimate_noise(
        given.labels, probs=probs, features=points, estimators=ESTIMATORS, resamples=2, seed=seed
    )  # intervals are not shown
    errors = {name: total_variation(given.transition, found.matrix) for name, found in report.estimates.items()}
    families = family_rates({name: found.rate for name, found in report.estimates.items()}).values()
    return errors, max(families) - min(families), report.structured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3000, help="at least; 300 a class")
    parser.add_argument("--distance", type=float, default=DISTANCE, help="between centres, in deviations")
    parser.add_argument("--classes", type=int, nargs="+", default=list(CLASSES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    began = time.perf_counter()
    settings = [(noise, classes) for classes in given.classes for noise in NOISES]
    cells: dict[str, list[str]] = {name: [] for name in ESTIMATORS}
    apart: list[str] = []
    for noise, classes in settings:
        runs = [measure(noise, classes, given.rows, seed, given.distance) for seed in given.seeds]
        for name, row in cells.items():
            row.append(spread([errors[name] for errors, _, _ in runs]))
        suspected = sum(structured for _, _, structured in runs)
        apart.append(f"{spread([width for _, width, _ in runs])}, suspected {suspected} of {len(runs)}")
        print(f"{classes} classes, {noise}: {time.perf_counter() - began:.0f} s", flush=True)
    for first in range(0, len(settings), len(NOISES)):
        part = slice(first, first + len(NOISES))
        print(f"\n| {settings[first][1]} classes | {' | '.join(noise for noise, _ in settings[part])} |")
        print("|---" * (len(NOISES) + 1) + "|")
        for name, row in cells.items():
            print(f"| `{name}` | {' | '.join(row[part])} |")
        print(f"| families apart | {' | '.join(apart[part])} |")


def spread(values: list[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{deviation}"


if __name__ == "__main__":
    main()
