"""Estimators of the noise matrix, on noise whose matrix is known.

    python tests/measure/known_matrices.py --output recipes/results/known_matrices.jsonl

draws clusters of points, makes labels wrong by a known matrix, and takes out-of-fold probabilities of a logistic regression.
For each estimator it prints the distance between the estimated matrix and the one by which labels really changed (mean total
variation of rows; 0: equal, 1: nothing in common), mean and deviation over seeds. The last row of each number of classes
says how far the medians of the two families of estimators are apart, and how often `estimate_noise` suspects that labels
follow a rule. Here it should not.
"""

from __future__ import annotations

import argparse

import numpy as np
from reporting import Line, Results, add_output, distinct, spread, values

from hf_noisy.benchmark.cells import markdown_table
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


def measure(noise: str, classes: int, rows: int, seed: int, distance: float) -> Line:
    """Total variation of each estimator, how far apart the families' rates are, and whether structure is suspected."""
    points, gold = clusters(max(rows, ROWS_A_CLASS * classes), classes, seed, distance)
    given = noisy(noise, gold, classes, seed)
    probs = out_of_fold_probabilities(points, given.labels, classes, seed=seed)
    report = estimate_noise(
        given.labels, probs=probs, features=points, estimators=ESTIMATORS, resamples=2, seed=seed
    )  # intervals are not shown
    errors = {name: total_variation(given.transition, found.matrix) for name, found in report.estimates.items()}
    families = family_rates({name: found.rate for name, found in report.estimates.items()}).values()
    return {"errors": errors, "apart": max(families) - min(families), "structured": bool(report.structured)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3000, help="at least; 300 a class")
    parser.add_argument("--distance", type=float, default=DISTANCE, help="between centres, in deviations")
    parser.add_argument("--classes", type=int, nargs="+", default=list(CLASSES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add_output(parser)
    given = parser.parse_args()
    results = Results(given.output)
    for classes in given.classes:
        for noise in NOISES:
            for seed in given.seeds:
                run = {"noise": noise, "classes": classes, "rows": given.rows, "seed": seed, "distance": given.distance}
                results.once(run, lambda run=run: measure(**run))
            print(f"{classes} classes, {noise}", flush=True)
    print(f"\n{table(results.lines)}")


def table(lines: list[Line]) -> str:
    """A row per number of classes and estimator, a column per noise."""
    noises, rows = distinct(lines, "noise"), []
    for classes in distinct(lines, "classes"):
        found = {
            noise: [line for line in lines if (line["classes"], line["noise"]) == (classes, noise)] for noise in noises
        }
        for k, name in enumerate(found[noises[0]][0]["errors"]):
            cells = [spread([line["errors"][name] for line in found[noise]]) for noise in noises]
            rows.append(["" if k else str(classes), f"`{name}`", *cells])
        apart = [
            f"{spread(values(of_noise, 'apart'))}, suspected {sum(values(of_noise, 'structured'))} of {len(of_noise)}"
            for of_noise in found.values()
        ]
        rows.append(["", "families apart", *apart])
    return markdown_table(["classes", "estimator", *noises], rows)


if __name__ == "__main__":
    main()
