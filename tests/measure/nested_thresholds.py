"""The thresholds of inference, chosen on all corpora but the one that is reported on.

    python tests/measure/nested_thresholds.py --data FOLDER ... --model MODEL --output recipes/results/nested_thresholds.jsonl

The models of noise and of sources are fitted once for each corpus, situation and seed. Then each combination of thresholds in `LABELS` and
`SOURCES` is applied to them: a line holds by how many points the share of right labels changes with each, and the share of the labels that
move. The table leaves each corpus out in turn, takes the combination that harms fewest of the other corpora and situations and, of several,
the one with the best mean gain, and applies it to the corpus that was left out. Gold labels are used to make noise and to compare. Nothing is
trained but the linear classifiers of the inference.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import datasets
import numpy as np
import torch
from reporting import Line, Results, add_corpora, add_output, distinct
from situation_tables import SAME_TEXTS, TITLES

from hf_noisy.benchmark import Run, Settings
from hf_noisy.benchmark.cells import markdown_table
from hf_noisy.benchmark.data import Data, prepare
from hf_noisy.benchmark.taught import share_of_gold
from hf_noisy.benchmark.vectors import VectorStore
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.evidence.choice import MIN_MOVED, choose_features
from hf_noisy.evidence.features.frozen import latent_semantic_vectors
from hf_noisy.evidence.features.neighbours import nearest_rows
from hf_noisy.evidence.features.scores import mean_cut_statistic
from hf_noisy.evidence.features.views import features_of
from hf_noisy.evidence.inference.combined_sources import (
    APART,
    CONFIDENT,
    CONFIDENT_RULES,
    NEIGHBOURS,
    are_rules,
    hold_unsure,
    mean_unless_apart,
    source_models,
)
from hf_noisy.evidence.inference.label_evidence import NEAR_LABELS, share_moved
from hf_noisy.evidence.inference.label_noise import NoisePrior, fit_label_noise, mean_truth, model_weights
from hf_noisy.weak.votes import count_voting_sources

NOISES = {"given": None, "gold": "symmetric:0", "symmetric_20": "symmetric:0.2", "symmetric_40": "symmetric:0.4"} | {
    "pair_40": "pair:0.4",
    "commonest_30": "commonest:0.3",
}
LABELS = {"none": (2.0, 3.0, 4.0, 6.0, 8.0), "commonest": (-6.0, -3.0, 0.0), "per_class": (-1.4, -0.7, -0.35)}
SOURCES = {
    "confident": (0.5, 0.6, 0.7, 0.8, 0.9),
    "apart": ((0.1, 0.25), (0.15, 0.35), (0.25, 0.45), (0.35, 0.55), (1.0, 2.0)),
}
MOVED = (0.0, 0.02, 0.04, 0.06, 0.08)  # least share of labels that must move
HARM = -0.3  # points: fewer right labels than this is harm
Point = tuple[float, ...]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpora(parser)
    parser.add_argument("--situations", nargs="+", default=list(NOISES), choices=list(NOISES), metavar="NAME")
    parser.add_argument("--vectors", type=Path, help="folder of stored vectors, a folder in it for each corpus")
    add_output(parser)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    torch.set_num_threads(1)
    results = Results(given.output)
    for seed, source, name in itertools.product(given.seeds, given.data, given.situations):
        about, inputs = drawn(given, source, seed, NOISES[name])
        line = results.once({**about, "situation": name}, lambda inputs=inputs: measure(*inputs))
        print(f"{about['dataset']}, {name}, seed {seed}: {line['changes'][0]}", file=sys.stderr, flush=True)
    print(table(results.lines))
    return 0


def drawn(
    given: argparse.Namespace, source: str, seed: int, noise: str | None = None
) -> tuple[Line, tuple[Run, Settings, VectorStore]]:
    """What a line is about, and the run, the settings and the stored vectors by which it is measured."""
    corpus = Path(source).name
    about = {"dataset": corpus, "seed": seed, "rows": given.max_train_rows}
    about["model"] = Settings(model=given.model).record()["model"]
    store = VectorStore(given.vectors and given.vectors / corpus, given.model, given.max_length)
    settings = Settings(max_train_rows=given.max_train_rows, max_test_rows=1, noise=noise)
    return about, (Run(source, "ce", seed), settings, store)


def measure(run: Run, settings: Settings, store: VectorStore) -> Line:
    """The change in right labels and the share of labels that move, by each combination of thresholds."""
    data = prepare(run, settings, {})
    labels, votes = data.train.labels, data.train.votes
    given = one_hot(torch.from_numpy(labels), data.classes).double().numpy()
    sources = count_voting_sources(votes)
    view = features(data, sources, store, run.seed)
    near = nearest_rows(view, min(NEIGHBOURS, len(view) - 1))
    targets = by_sources(view, near, given, votes) if sources > 1 else by_labels(view, labels, data.classes, run.seed)
    gold = torch.from_numpy(data.train.gold)
    counted = torch.from_numpy(labels >= 0) & (gold >= 0)
    before = right(given, gold, counted)
    found = {
        json_key(point): (round(100 * (right(truth, gold, counted) - before), 2), round(share_moved(truth, given), 4))
        for point, truth in targets
    }
    return {
        "by": "sources" if sources > 1 else "labels",
        "rules": bool(are_rules(votes)),
        "given": round(before, 4),
        "points": list(found),
        "changes": [change for change, _ in found.values()],
        "moved": [moved for _, moved in found.values()],
    }


def features(data: Data, sources: int, store: VectorStore, seed: int) -> np.ndarray:
    """The text features that `auto` takes, of the training rows."""
    texts = data.train.texts
    distinct_texts = list(dict.fromkeys(texts))
    place = {text: row for row, text in enumerate(distinct_texts)}
    encoded = store.vectors(distinct_texts)[[place[text] for text in texts]]
    given = one_hot(torch.from_numpy(data.train.labels), data.classes).double().numpy()
    kind = choose_features(sources, mean_cut_statistic(encoded, given, 20, seed))
    return features_of(kind, lambda: encoded, lambda: latent_semantic_vectors(texts, seed))


def by_labels(view: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> Iterable[tuple[Point, np.ndarray]]:
    """Targets by the models of the noise, for each combination in `LABELS`: (rows, classes)."""
    labelled = np.flatnonzero(labels >= 0)
    near = nearest_rows(view[labelled], min(NEAR_LABELS, len(labelled) - 1))
    fits = fit_label_noise(view, near, labels, classes, seed=seed)
    for point in itertools.product(*LABELS.values()):
        prior = NoisePrior(**dict(zip(LABELS, point, strict=True)))
        posterior, truth = mean_truth(fits, model_weights(fits, prior))
        truth[labelled] = posterior
        yield point, truth


def by_sources(
    view: np.ndarray, near: object, given: np.ndarray, votes: np.ndarray
) -> Iterable[tuple[Point, np.ndarray]]:
    """Targets by the models of the sources, for each combination in `SOURCES`: (rows, classes)."""
    first, second = source_models(view, near, given, votes)  # type: ignore[arg-type]
    for confident, apart in itertools.product(*SOURCES.values()):
        mean = mean_unless_apart(first, second, given, apart) if are_rules(votes) else (first + second) / 2
        yield (confident, *apart), hold_unsure(mean, given, confident)


def right(truth: np.ndarray, gold: torch.Tensor, counted: torch.Tensor) -> float:
    """The share of the counted rows whose largest class is gold; ties shared."""
    return float(share_of_gold(torch.from_numpy(truth)[counted], gold[counted]).mean())


def json_key(point: Iterable[float]) -> str:
    return " ".join(f"{value:g}" for value in point)


# ---- nested choice -------------------------------------------------------------------------------------------------


def kind_of(line: Line) -> str:
    """Which thresholds hold for a line: labels alone, rules, or other sources."""
    return "labels" if line["by"] == "labels" else "rules" if line["rules"] else "sources"


AS_SET = {
    "labels": json_key((NoisePrior.none, NoisePrior.commonest, NoisePrior.per_class)),
    "rules": json_key((CONFIDENT_RULES, *APART)),
    "sources": json_key((CONFIDENT, *APART)),
}


def change(line: Line, point: str, least: float) -> float:
    """In points; 0 where too few labels move."""
    place = line["points"].index(point)
    return line["changes"][place] if line["moved"][place] >= least else 0.0


def best(lines: Sequence[Line], least: float) -> str:
    """The combination that harms in fewest lines and, of several, has the best mean."""
    return max(lines[0]["points"], key=lambda point: score([change(line, point, least) for line in lines]))


def score(changes: Sequence[float]) -> tuple[int, float]:
    return -sum(value < HARM for value in changes), fmean(changes)


def nested(lines: Sequence[Line]) -> dict[str, tuple[float, dict[str, str]]]:
    """For each corpus, the least share of moved labels and the thresholds that the other corpora choose."""
    found = {}
    for corpus in distinct(lines, "dataset"):
        out = SAME_TEXTS if corpus in SAME_TEXTS else (corpus,)
        others = [line for line in lines if line["dataset"] not in out]
        if not others:  # a single corpus
            found[corpus] = MIN_MOVED, AS_SET
            continue
        kinds = {kind: [line for line in others if kind_of(line) == kind] for kind in AS_SET}
        chosen = {
            least: {kind: best(of, least) if of else AS_SET[kind] for kind, of in kinds.items()} for least in MOVED
        }
        least = max(
            MOVED,
            key=lambda least: score([change(line, chosen[least][kind_of(line)], least) for line in others]),
        )
        found[corpus] = least, chosen[least]
    return found


def outcomes(lines: Sequence[Line]) -> dict[str, Mapping[str, list[tuple[float, float]]]]:
    """For each corpus and situation, the changes by the nested choice and by the thresholds as they are set."""
    chosen, found = nested(lines), {}
    for line in lines:
        least, points = chosen[line["dataset"]]
        pair = (
            change(line, points[kind_of(line)], least),
            change(line, AS_SET[kind_of(line)], MIN_MOVED),
        )
        found.setdefault(line["dataset"], {}).setdefault(line["situation"], []).append(pair)
    return found


def table(lines: list[Line]) -> str:
    """A row per situation: the mean over corpora and the worst corpus, nested and as set."""
    found = outcomes(lines)
    rows = []
    for situation in [name for name in NOISES if name in distinct(lines, "situation")]:
        means = {
            corpus: [fmean(pair[i] for pair in of[situation]) for i in (0, 1)]
            for corpus, of in found.items()
            if situation in of
        }
        row = [TITLES[situation], str(len(means))]
        for i in (0, 1):
            worst = min(means, key=lambda corpus: means[corpus][i])
            row += [f"{fmean(mean[i] for mean in means.values()):+.1f}", f"{means[worst][i]:+.1f} `{worst}`"]
        rows.append(row)
    return markdown_table(["", "corpora", "nested, mean", "worst", "as set, mean", "worst"], rows)


def choices(lines: list[Line]) -> str:
    """Which thresholds were chosen, and how often."""
    counts: dict[tuple[str, str], int] = {}
    for least, points in nested(lines).values():
        for name, point in [("moved", f"{least:g}"), *points.items()]:
            counts[name, point] = counts.get((name, point), 0) + 1
    whole = len(distinct(lines, "dataset"))
    order = sorted(counts.items(), key=lambda item: (item[0][0], -item[1]))
    return markdown_table(
        ["thresholds", "value", "chosen for"], [[name, point, f"{count} of {whole}"] for (name, point), count in order]
    )


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "May not flag all label issues")
    sys.exit(main())
