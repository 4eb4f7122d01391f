"""What inference reaches, and what it would reach with the true class balance and the true matrices of the noise.

    python tests/measure/inference_ceiling.py --data FOLDER ... --model MODEL --output recipes/results/inference_ceiling.jsonl

Share of the labelled rows whose label is right: as given, inferred, inferred with the true shares of the classes (`class_prior`), and
inferred with the true shares and with matrices that are counted by the true classes. The last is the ceiling of these models: the classifier of the text
is still fitted without true classes. Frozen vectors; nothing is trained but the linear classifiers of the inference. Gold labels make the
shares and matrices of the last two columns and are compared with; `auto` reads none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import fmean

import datasets
import numpy as np
import torch
from nested_thresholds import drawn, features, right
from reporting import Line, Results, add_corpora, add_output, distinct, spread, values
from situation_tables import SAME_TEXTS

from hf_noisy.benchmark import Run, Settings
from hf_noisy.benchmark.cells import markdown_table
from hf_noisy.benchmark.data import prepare
from hf_noisy.benchmark.vectors import VectorStore
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.evidence.choice import MIN_MOVED
from hf_noisy.evidence.features.neighbours import nearest_rows
from hf_noisy.evidence.inference.combined_sources import (
    CONFIDENT,
    CONFIDENT_RULES,
    NEIGHBOURS,
    are_rules,
    hold_unsure,
    source_models,
)
from hf_noisy.evidence.inference.label_evidence import NEAR_LABELS, share_moved, weigh_labels, with_class_prior
from hf_noisy.evidence.inference.noise_fits import NoiseFits
from hf_noisy.weak.votes import count_voting_sources

COLUMNS = {
    "given": "as given",
    "inferred": "inferred",
    "prior": "with the true balance",
    "ceiling": "and the true matrices",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpora(parser)
    parser.add_argument("--vectors", type=Path, help="folder of stored vectors, a folder in it for each corpus")
    add_output(parser)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    torch.set_num_threads(1)
    results = Results(given.output)
    for seed in given.seeds:
        for source in given.data:
            about, inputs = drawn(given, source, seed)
            results.once(about, lambda inputs=inputs: measure(*inputs))
            print(f"{about['dataset']}, seed {seed}", file=sys.stderr, flush=True)
    print(table(results.lines))
    return 0


def measure(run: Run, settings: Settings, store: VectorStore) -> Line:
    """The shares of right labels in `COLUMNS`."""
    data = prepare(run, settings, {})
    labels, votes, gold = data.train.labels, data.train.votes, data.train.gold
    given = one_hot(torch.from_numpy(labels), data.classes).double().numpy()
    truth = np.eye(data.classes)[gold]
    prior = (truth.sum(0) + 0.5) / (len(truth) + 0.5 * data.classes)
    sources = count_voting_sources(votes)
    view = features(data, sources, store, run.seed)
    alone = None if sources <= 1 else votes
    found = {
        "given": given,
        "inferred": weigh_labels(view, given, alone, seed=run.seed).truth,
        "prior": weigh_labels(view, given, alone, class_prior=prior, seed=run.seed).truth,
    }
    if share_moved(found["inferred"], given) < MIN_MOVED:
        found["inferred"] = given
    if alone is None:
        found["ceiling"] = by_labels(view, labels, gold, prior, run.seed)
    else:
        near = nearest_rows(view, min(NEIGHBOURS, len(view) - 1))
        models = source_models(view, near, given, votes, class_prior=prior, counted=truth)
        found["ceiling"] = hold_unsure(sum(models) / 2, given, CONFIDENT_RULES if are_rules(votes) else CONFIDENT)
    counted = torch.from_numpy(labels >= 0)
    return {name: round(right(targets, torch.from_numpy(gold), counted), 4) for name, targets in found.items()}


def by_labels(view: np.ndarray, labels: np.ndarray, gold: np.ndarray, prior: np.ndarray, seed: int) -> np.ndarray:
    """(rows, classes) the model of the true matrix of the labels, with the true balance."""
    classes, labelled = len(prior), np.flatnonzero(labels >= 0)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (gold[labelled], labels[labelled]), 1)
    matrix = (counts + 0.1 * np.eye(classes)) / (counts + 0.1 * np.eye(classes)).sum(1, keepdims=True)
    near = nearest_rows(view[labelled], min(NEAR_LABELS, len(labelled) - 1))
    fit = NoiseFits(view, near, labelled, labels[labelled], classes, seed).with_matrix(matrix)
    targets = fit.clean.copy()
    targets[labelled] = fit.truth
    return with_class_prior(targets, prior)


def table(lines: list[Line]) -> str:
    """A row per corpus: share of right labels, mean over seeds; the last row is the mean over corpora."""
    rows, means = [], {name: {} for name in COLUMNS}
    for corpus in distinct(lines, "dataset"):
        found = {name: values(lines, name, dataset=corpus) for name in COLUMNS}
        rows.append([f"`{corpus}`", *map(spread, found.values())])
        for name, of in found.items():
            means[name].setdefault("same" if corpus in SAME_TEXTS else corpus, []).append(fmean(of))
    rows.append(["mean", *(f"{fmean(map(fmean, of.values())):.3f}" for of in means.values())])
    return markdown_table(["labels right", *COLUMNS.values()], rows)


if __name__ == "__main__":
    sys.exit(main())
