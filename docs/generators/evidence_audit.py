"""Tables and sentences of recipes/results/audit.jsonl: how well wrong labels are found, beside cleanlab."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from statistics import fmean
from typing import Any

import method_results as results
from evidence_cells import listed, markdown_table

FILE = "audit.jsonl"
AUDIT, CLEANLAB, UNTRAINED = "audit", "cleanlab, self-confidence", "audit, no training"
SCORERS = {
    AUDIT: "**audit**",
    UNTRAINED: "audit without a training",
    "mean loss": "mean loss of a training",
    CLEANLAB: "cleanlab, by self-confidence",
    "cleanlab, issues first": "cleanlab, its issues first",
}
Line = dict[str, Any]


@cache
def lines_of(noise: str) -> list[Line]:
    """The lines with this noise, "given" or as the benchmark takes it."""
    return [line for line in results.lines_of(FILE) if (line["settings"]["noise"] or "given") == noise]


def corpora_of(noise: str) -> list[str]:
    return sorted({line["dataset"] for line in lines_of(noise)}, key=lambda name: (*results.ORDER, name).index(name))


def finding(noise: str) -> str:
    """Average precision, AUROC and hits among the first 100, by scorer; and what it costs."""
    corpora, rows = corpora_of(noise), []
    for key, name in SCORERS.items():
        cost = fmean(line["trainings"][key] for line in lines_of(noise))
        rows.append(
            [
                f"average precision, {name}",
                *_row(noise, lambda line, key=key: line["average_precision"][key]),
                f"{cost:.2f}",
            ]
        )
    for key in (AUDIT, CLEANLAB):
        rows.append([f"AUROC, {SCORERS[key]}", *_row(noise, lambda line, key=key: line["auroc"][key]), ""])
    for key in (AUDIT, CLEANLAB):
        rows.append(
            [
                f"wrong among the first 100, {SCORERS[key]}",
                *_row(noise, lambda line, key=key: line["hits"][key][0], ".0f"),
                "",
            ]
        )
    return markdown_table(["", *corpora, "mean", "cost, trainings"], rows)


def correcting(noise: str) -> str:
    """The estimated rate, and labels and accuracy before and after the suspects get their suggested label."""
    corpora = corpora_of(noise)
    rows = [["labels that are wrong", *_row(noise, lambda line: 100 * line["wrong"], ".0f", " %")]]
    rates = [[100 * _mean(noise, corpus, lambda line, k=k: line["rate"][k]) for k in (1, 0, 2)] for corpus in corpora]
    rows.append(["reported", *(f"{rate:.0f} % [{low:.0f}, {high:.0f}]" for rate, low, high in rates), ""])
    kinds = [dict.fromkeys(line["kind"] for line in lines_of(noise) if line["dataset"] == corpus) for corpus in corpora]
    rows.append(["reported kind", *map(", ".join, kinds), ""])
    for key, name in (("labels_right", "labels that are right"), ("accuracy", "test accuracy")):
        for k, when in enumerate(("as given", "suspects corrected")):
            rows.append([f"{name}, {when}", *_row(noise, lambda line, key=key, k=k: line[key][k])])
    return markdown_table(["", *corpora, "mean"], rows)


def _mean(noise: str, corpus: str, value: Callable[[Line], float]) -> float:
    return fmean(value(line) for line in lines_of(noise) if line["dataset"] == corpus)


def _row(noise: str, value: Callable[[Line], float], form: str = ".3f", unit: str = "") -> list[str]:
    found = [_mean(noise, corpus, value) for corpus in corpora_of(noise)]
    return [f"{one:{form}}{unit}" for one in (*found, fmean(found))]


# ---- sentences ---------------------------------------------------------------------------------------------------------


def against_cleanlab() -> str:
    """In how many runs the audit has the higher average precision, where it has not, and the cost of both."""
    lines = results.lines_of(FILE)
    parts = []
    for key, name in ((UNTRAINED, "Without a training"), (AUDIT, "With the training that `trainer.audit()` follows")):
        lower = [line for line in lines if line["average_precision"][key] <= line["average_precision"][CLEANLAB]]
        where = listed(
            f"{_noise(line)} on `{line['dataset']}`, seed {line['seed']} "
            f"({100 * (line['average_precision'][key] - line['average_precision'][CLEANLAB]):+.1f} points)"
            for line in lower
        )
        parts.append(
            f"{name} it is above cleanlab in {len(lines) - len(lower)} of {len(lines)} runs"
            + (f", not with {where}" if lower else "")
            + "."
        )
    cost, other = (fmean(line["trainings"][key] for line in lines) for key in (UNTRAINED, CLEANLAB))
    means = [
        f"{fmean(_row_of(noise, UNTRAINED)):.3f} against {fmean(_row_of(noise, CLEANLAB)):.3f} with {name}"
        for noise, name in (("given", "labels as given"), ("symmetric:0.2", "20 % random noise"))
    ]
    return (
        f"The average precision of the audit, without a training, and of cleanlab is {listed(means)}, on the mean of the corpora. "
        f"{' '.join(parts)} The audit without a training costs {cost:.2f} trainings, cleanlab's out-of-fold predictions {other:.1f}."
    )


def _row_of(noise: str, scorer: str) -> list[float]:
    return [_mean(noise, corpus, lambda line: line["average_precision"][scorer]) for corpus in corpora_of(noise)]


def intervals() -> str:
    """How often the reported interval contains the true rate."""
    lines = results.lines_of(FILE)
    missed = [line for line in lines if not line["rate"][0] <= line["wrong"] <= line["rate"][2]]
    where = dict.fromkeys(f"{_noise(line)} on `{line['dataset']}`" for line in missed)
    return f"The reported interval contains the true rate in {len(lines) - len(missed)} of {len(lines)} runs. It misses {listed(where)}."


def corrections() -> str:
    """How often training again with the suggested labels helps, and where it does not."""
    lines = results.lines_of(FILE)
    changes = [(line, 100 * (line["accuracy"][1] - line["accuracy"][0])) for line in lines]
    better = sum(change > 0.05 for _, change in changes)
    others = listed(
        f"{_noise(line)} on `{line['dataset']}`, seed {line['seed']} ({change:+.1f} points)"
        for line, change in changes
        if change <= 0.05
    )
    mean = fmean(change for _, change in changes)
    return (
        f"Training again after all suspects got their suggested label, without review, is better in {better} of {len(lines)} runs, by {mean:.1f} "
        f"points on the mean of all. It is not better for {others}."
    )


def added_scorers() -> str:
    """What the average precision loses on labels as given when a scorer of a training is added to the two default ones."""
    lines = lines_of("given")
    found = []
    for name, key in (
        ("the margin of a training", "two and margin"),
        ("the epochs in which the model disagreed", "two and disagreements"),
    ):
        change = 100 * fmean(line["average_precision"][key] - line["average_precision"][AUDIT] for line in lines)
        found.append(f"{name} ({change:+.1f} points)")
    return f"On labels as given, a third scorer from a training changes the average precision: {listed(found)}. A training has learned the mistakes."


def _noise(line: Line) -> str:
    return line["settings"]["noise"] or "labels as given"
