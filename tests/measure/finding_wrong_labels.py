"""How well wrong labels are found: the audit after one training, and cleanlab with five, on the same rows.

    python tests/measure/finding_wrong_labels.py --data FOLDER ... --model MODEL --noise given symmetric:0.2 --output audit.jsonl

For each corpus, noise and seed, one JSON line: average precision and AUROC of finding the wrong labels by each scorer, with its
compute as a multiple of one training; the estimated rate and kind; how many of the first 100, 200, ... suspects are wrong; and the
test accuracy of training again after the suspects got their suggested label. What the file holds is not run again. Gold labels
measure and nothing else. `--report FILE` writes tables of the file.

cleanlab is given out-of-fold probabilities of the same encoder, fine-tuned on each of five folds; the audit one pass of the
encoder as it was and what one training on all rows shows, of which it makes use where labels look wrong at random: only there the
training counts. "audit, no training" was shown none. "two and NAME" is the mean rank of that scorer and the two that are always taken. "cleanlab, issues first" ranks what its
confident learning finds above the rest. "only NAME" is one scorer of the audit alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from datasets import Dataset
from safetensors.numpy import load_file, save_file
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import KFold
from transformers import AutoModel
from transformers.utils import logging

from hf_noisy.audit import AuditContent, audit_labels
from hf_noisy.audit.scorers import DEFAULT, wrongness
from hf_noisy.benchmark import Settings
from hf_noisy.benchmark.data import Data, prepare
from hf_noisy.benchmark.settings import FOLDS, Run
from hf_noisy.benchmark.training import TrainingBench
from hf_noisy.evidence import mean_vectors

OURS, BEFORE = "audit", "audit, no training"
ADDED = ("margin", "disagreements")  # what a training shows
REVIEWED = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=[], help="folders of corpora with gold labels, or reviews")
    parser.add_argument("--model", help="a pretrained encoder")
    parser.add_argument("--noise", nargs="+", default=["given"], help="given, or as the benchmark takes it")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--max_train_rows", type=int, default=1000)
    parser.add_argument("--max_test_rows", type=int, default=1000)
    parser.add_argument("--max_length", type=int, default=48)
    parser.add_argument("--learning_rate", type=float, default=3e-4)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("audit.jsonl"))
    parser.add_argument("--trainings", type=Path, help="a folder that keeps what trainings gave, to go on from")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    lines = [json.loads(line) for line in given.output.read_text().splitlines()] if given.output.exists() else []
    for seed in given.seeds:
        for noise in given.noise:
            settings = Settings(
                model=given.model,
                epochs=given.epochs,
                max_length=given.max_length,
                learning_rates=(given.learning_rate,),
                max_train_rows=given.max_train_rows,
                max_test_rows=given.max_test_rows,
                noise=None if noise == "given" else noise,
                bf16=given.bf16,
            )
            for source in given.data:
                run = Run(source, "ce", seed)
                about = {"dataset": run.dataset, "seed": seed, "settings": settings.record()}
                if any(about.items() <= line.items() for line in lines):
                    continue
                line = about | measure(Trainings(run, settings, given.trainings), seed)
                lines.append(line)
                with given.output.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(f"{run.dataset} {noise} {seed}: {line['average_precision'][OURS]:.3f}", flush=True)
    if given.report is not None:
        given.report.write_text(report(lines))
    return 0


class Trainings:
    """The trainings of one corpus, noise and seed; those that the folder holds are not run again."""

    def __init__(self, run: Run, settings: Settings, folder: Path | None) -> None:
        self.data, self.settings, self.folder = prepare(run, settings, {}), settings, folder
        self.name = f"{run.dataset}-{settings.noise or 'given'}-{run.seed}"
        self.bench = TrainingBench(settings, self.data, run.seed)

    def fit(self, name: str, rows: Dataset, test: Dataset) -> dict[str, np.ndarray]:
        """`predictions` of the last epoch and `probabilities` of `test`, `seconds` of the processor, and what was shown of each
        of `rows`."""
        file = None
        if self.folder is not None:
            about = json.dumps([self.settings.record(), rows["text"][:], rows["labels"][:]])
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self.folder / f"{self.name}-{name}-{hashlib.sha256(about.encode()).hexdigest()[:12]}.safetensors"
            if file.exists():
                return load_file(file)
        fit = self.bench.fit(rows, learning_rate=self.settings.learning_rates[0], test=test)
        found = {
            **fit.examples,
            "predictions": fit.predictions[-1],
            "probabilities": fit.probabilities,
            "seconds": fit.seconds[1],
        }
        if file is not None:
            save_file({key: np.array(value, order="C") for key, value in found.items()}, file)
        return found


def measure(trainings: Trainings, seed: int) -> dict[str, Any]:
    """What is found in one corpus."""
    data, bench, settings = trainings.data, trainings.bench, trainings.settings
    kept = np.flatnonzero(data.train.labels >= 0)
    labels, gold = data.train.labels[kept], data.train.gold[kept]
    rows = data.train.labelled(data.train.labels)
    fit = trainings.fit("all", rows, data.test.dataset)
    training = fit["seconds"].item()
    start = time.process_time()
    vectors = encode(data, bench, settings)
    encoded = time.process_time() - start
    start = time.process_time()
    ours = audit(data, vectors, fit, seed)
    audited = encoded + time.process_time() - start
    before = audit(data, vectors, {}, seed)
    took = {
        OURS: audited + training * any(name in ours.scorers for name in ADDED),
        BEFORE: audited,
        "mean loss": training,
    }
    scores = {OURS: ours.rows.wrongness, BEFORE: before.rows.wrongness, "mean loss": fit["loss"]}
    for name in ("held_out", "reweighted", *ADDED):
        if name in ours.scores:
            scores[f"two and {name}"] = together(ours, (*DEFAULT, name))
            took[f"two and {name}"] = audited + training * (name in ADDED)
    scores |= {f"only {name}": values for name, values in ours.scores.items()}
    probabilities, took["cleanlab, self-confidence"] = out_of_fold(trainings, seed)
    start = time.process_time()
    quality = get_label_quality_scores(labels, probabilities)
    issues = find_label_issues(labels, probabilities, n_jobs=1)
    took["cleanlab, issues first"] = took["cleanlab, self-confidence"] + time.process_time() - start
    scores |= {"cleanlab, self-confidence": 1 - quality, "cleanlab, issues first": issues + (1 - quality)}
    wrong = labels != gold
    corrected = data.train.labels.copy()
    corrected[kept[ours.suspect]] = ours.rows.suggested_labels[ours.suspect]
    again = trainings.fit("corrected", data.train.labelled(corrected), data.test.dataset)
    first = {name: np.argsort(-np.asarray(value), kind="stable") for name, value in scores.items()}
    return {
        "rows": len(labels),
        "wrong": float(wrong.mean()),
        "rate": [ours.noise.low, ours.noise.rate, ours.noise.high],
        "kind": ours.noise.kind,
        "average_precision": {name: float(average_precision_score(wrong, value)) for name, value in scores.items()},
        "auroc": {name: float(roc_auc_score(wrong, value)) for name, value in scores.items()},
        "trainings": {name: seconds / training for name, seconds in took.items()},
        "hits": {
            name: [int(wrong[order[at : at + REVIEWED]].sum()) for at in range(0, 5 * REVIEWED, REVIEWED)]
            for name, order in first.items()
        },
        "suspects": int(ours.suspect.sum()),
        "labels_right": [float((~wrong).mean()), float((corrected[kept] == gold).mean())],
        "accuracy": [float((found["predictions"] == data.test.gold).mean()) for found in (fit, again)],
    }


def encode(data: Data, bench: TrainingBench, settings: Settings) -> np.ndarray:
    """(rows, width) by the encoder as it was; without one by the small one, untrained, of this bench."""
    bench.model.load_state_dict(bench.start)
    encoder = bench.model.base_model if settings.model is None else AutoModel.from_pretrained(settings.model)
    return mean_vectors(encoder, bench.tokenizer, data.train.dataset["text"][:], max_length=settings.max_length)


def audit(data: Data, vectors: np.ndarray, shown: dict[str, np.ndarray], seed: int) -> AuditContent:
    """Of the labels as given; `shown` is of the labelled rows, and empty without a training."""
    labelled = data.train.labels >= 0
    dynamics = {name: np.zeros(len(labelled)) for name in ("seen", "disagreements", "loss", "margin") if name in shown}
    for name, values in dynamics.items():
        values[labelled] = shown[name]
    texts = data.train.dataset["text"][:]
    return audit_labels(
        texts, data.train.labels, data.class_names, vectors, votes=data.train.votes, dynamics=dynamics, seed=seed
    )


def together(found: AuditContent, names: Sequence[str]) -> np.ndarray:
    """(rows,) the mean rank by these scorers."""
    return wrongness(found.scores, dict.fromkeys(names, 1.0), found.noise.rate)


def out_of_fold(trainings: Trainings, seed: int) -> tuple[np.ndarray, float]:
    """(labelled rows, classes) by trainings that never saw the row, and what they took."""
    rows = trainings.data.train.labelled(trainings.data.train.labels)
    probabilities, seconds = np.zeros((len(rows), trainings.data.classes)), 0.0
    splits = KFold(FOLDS, shuffle=True, random_state=seed).split(probabilities)
    for number, (others, fold) in enumerate(splits):
        fit = trainings.fit(f"fold{number}", rows.select(others), rows.select(fold))
        probabilities[fold] = fit["probabilities"]
        seconds += fit["seconds"].item()
    return probabilities, seconds


# ---- tables --------------------------------------------------------------------------------------------------------


def report(lines: list[dict[str, Any]]) -> str:
    """One section a noise, means over seeds."""
    noises = dict.fromkeys(line["settings"]["noise"] for line in lines)
    return "\n".join(section(noise, [line for line in lines if line["settings"]["noise"] == noise]) for noise in noises)


def section(noise: str | None, lines: list[dict[str, Any]]) -> str:
    """Its tables."""
    corpora = list(dict.fromkeys(line["dataset"] for line in lines))

    def means(found: Callable[[dict[str, Any]], float]) -> list[float]:
        """One a corpus, NaN where the scorer is lacking."""
        return [float(np.mean([found(line) for line in lines if line["dataset"] == corpus])) for corpus in corpora]

    names = list(max((line["average_precision"] for line in lines), key=len))
    compared = [name for name in names if not name.startswith("only ")]
    out = [f"## {'labels as given' if noise is None else noise}", ""]
    out.append(f"{len(lines)} lines, seeds {', '.join(sorted({str(line['seed']) for line in lines}))}.")
    out += head("average precision", [*corpora, "mean", "trainings"])
    for name in names:
        values = means(lambda line, name=name: line["average_precision"].get(name, np.nan))
        cost = np.mean(means(lambda line, name=name: line["trainings"].get(name, np.nan)))
        out.append(row(name, [*map(decimals, [*values, np.nanmean(values)]), decimals(cost, 2)]))
    out += head("AUROC", [*corpora, "mean"])
    for name in compared:
        values = means(lambda line, name=name: line["auroc"].get(name, np.nan))
        out.append(row(name, [*map(decimals, [*values, np.nanmean(values)])]))
    out += head(f"wrong among the first {REVIEWED} suspects", corpora)
    for name in compared:
        out.append(
            row(name, [decimals(v, 0) for v in means(lambda line, name=name: line["hits"].get(name, [np.nan])[0])])
        )
    out += head("of the audit", corpora)
    for k in range(1, 5):
        which = f"wrong among suspects {k * REVIEWED + 1} to {(k + 1) * REVIEWED}"
        out.append(row(which, [decimals(v, 0) for v in means(lambda line, k=k: line["hits"][OURS][k])]))
    out.append(row("wrong labels", map(decimals, means(lambda line: line["wrong"]))))
    low, rate, high = (means(lambda line, k=k: line["rate"][k]) for k in range(3))
    out.append(row("estimated", [f"{r:.3f} [{a:.3f}, {b:.3f}]" for a, r, b in zip(low, rate, high, strict=True)]))
    kinds = [dict.fromkeys(line["kind"] for line in lines if line["dataset"] == corpus) for corpus in corpora]
    out.append(row("kind", map(", ".join, kinds)))
    for said, key in (("labels that are right", "labels_right"), ("test accuracy", "accuracy")):
        for k, when in enumerate(("as given", "suspects corrected")):
            out.append(row(f"{said}, {when}", map(decimals, means(lambda line, key=key, k=k: line[key][k]))))
    return "\n".join([*out, ""])


def head(what: str, columns: list[str]) -> list[str]:
    return ["", row(what, columns), f"|{'---|' * (len(columns) + 1)}"]


def row(name: str, cells: Iterable[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def decimals(value: float, places: int = 3) -> str:
    return "" if np.isnan(value) else f"{value:.{places}f}"


if __name__ == "__main__":
    sys.exit(main())
