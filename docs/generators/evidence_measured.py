"""Tables and sentences of the files that the scripts of tests/measure write. A script's own `table` makes its table."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from statistics import fmean, median
from types import ModuleType
from typing import Any

import evidence_stored
from evidence_cells import code, listed

ROOT = Path(__file__).resolve().parents[2]
RESULTS, SCRIPTS = ROOT / "recipes" / "results", ROOT / "tests" / "measure"
RANDOM_KINDS = ("symmetric", "class-dependent")
FEW_POINTS = 2.0  # a gain that is worth naming
Line = dict[str, Any]


def lines_of(name: str) -> list[Line]:
    """The lines of a file of results.

    Raises:
        FileNotFoundError: there is no such file; the message names the script that writes it.
    """
    path = RESULTS / f"{name}.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected results. Run tests/measure/{name}.py with --output.")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@cache
def script(name: str) -> ModuleType:
    """A measuring script as a module."""
    if str(SCRIPTS) not in sys.path:
        sys.path.insert(0, str(SCRIPTS))
    return importlib.import_module(name)


def table(name: str, *arguments: str) -> str:
    """The table of a script, and the versions with which its file was made; without a file, the table of an earlier run."""
    if is_kept(name):
        return evidence_stored.table(name)
    lines = lines_of(name)
    return f"{script(name).table(lines, *arguments)}\n\n{made_with(lines, name)}"


def is_kept(name: str) -> bool:
    """Whether there is only a table of an earlier run, and no file of results. Its sentences stand below that table."""
    return not (RESULTS / f"{name}.jsonl").is_file() and (RESULTS / f"{name}.md").is_file()


def made_with(lines: list[Line], name: str) -> str:
    found: dict[str, list[str]] = {}
    for line in lines:
        for package, version in line["versions"].items():
            found.setdefault(package, []).append(version)
    versions = ", ".join(f"{package} {' and '.join(dict.fromkeys(of))}" for package, of in found.items())
    seeds = sorted({line["seed"] for line in lines if "seed" in line})
    of_seeds = f", seeds {listed(map(str, seeds))}" if len(seeds) > 1 else ""
    return f"*`recipes/results/{name}.jsonl`{of_seeds}; {versions}.*"


# ---- known noise -------------------------------------------------------------------------------------------------------


def known_noise(noise: str) -> str:
    """Which methods gain on one kind of noise, and which lose."""
    lines, module = lines_of("known_noise"), script("known_noise")
    gains = {
        name: 100 * fmean(found)
        for name in dict.fromkeys(line["method"] for line in lines)
        if name != "ce" and (found := module.gains_of(lines, noise, name))
    }
    order = sorted(gains, key=lambda name: -gains[name])
    best = [f"`{name}` ({gains[name]:+.1f})" for name in order[:5]]
    above = [name for name in order if gains[name] > FEW_POINTS]
    below = [f"`{name}` ({gains[name]:+.1f})" for name in order if gains[name] < -FEW_POINTS]
    accuracy = fmean(line["accuracy"] for line in lines if line["method"] == "ce" and line["noise"] == noise)
    lost = f" More than {FEW_POINTS:.0f} points are lost by {listed(below)}." if below else ""
    return (
        f"With {noise} noise `ce` has an accuracy of {accuracy:.3f}. {len(above)} of the {len(gains)} other methods gain more than "
        f"{FEW_POINTS:.0f} points; the five largest gains are {listed(best)}.{lost}"
    )


# ---- estimates ---------------------------------------------------------------------------------------------------------


def estimates() -> str:
    """How often the intervals of the estimators, and the reported one, contain the true rate."""
    lines = lines_of("estimates")
    single = [(line["true_rate"], one) for line in lines for one in line["estimators"].values()]
    contained = sum(one["low"] <= true <= one["high"] for true, one in single)
    missed = [f"`{line['dataset']}`" for line in lines if not line["low"] <= line["true_rate"] <= line["high"]]
    below = sum(one["rate"] < true for true, one in single)
    return (
        f"Single estimators are usually too low: {below} of {len(single)} estimates are below the true share, and {contained} of "
        f"{len(single)} intervals contain it. The reported interval contains the true share on {len(lines) - len(missed)} of "
        f"{len(lines)} corpora; it does not on {listed(missed)}."
    )


def kinds_of_noise() -> str:
    """How often random noise is recognised, and how often the interval contains the true rate."""
    if is_kept("kinds_of_noise"):
        return ""
    lines, module = lines_of("kinds_of_noise"), script("kinds_of_noise")
    strong, weak = (
        [line for line in lines if line["noise"].partition(":")[0] in ("symmetric", "pair") and chosen(line["wrong"])]
        for chosen in (lambda wrong: wrong > 0.15, lambda wrong: wrong <= 0.15)
    )
    given = [line for line in lines if line["noise"] == "given"]
    named = [sum(line["kind"] in RANDOM_KINDS for line in part) for part in (strong, weak, given)]
    held = sum(map(module.held, lines))
    missed = Counter((line["dataset"], line["noise"]) for line in lines if not module.held(line))
    where = listed(f"{count} on `{corpus}`, {noise}" for (corpus, noise), count in missed.most_common())
    return (
        f"Random noise of 20 % and more is named as random in {named[0]} of {len(strong)} draws, random noise of 10 % in {named[1]} of "
        f"{len(weak)}. Labels as given are called random in {named[2]} of {len(given)} draws. The interval contains the true "
        f"rate in {held} of {len(lines)} draws. The draws that it misses: {where}."
    )


def known_matrices() -> str:
    """The estimator with the smallest distance, by number of classes, and the largest."""
    if is_kept("known_matrices"):
        return ""
    lines = lines_of("known_matrices")
    parts = []
    for classes in dict.fromkeys(line["classes"] for line in lines):
        of = [line["errors"] for line in lines if line["classes"] == classes]
        means = {name: fmean(errors[name] for errors in of) for name in of[0]}
        order = sorted(means, key=lambda name: means[name])
        best, worst = order[0], order[-1]
        parts.append(
            f"with {classes} classes `{best}` is nearest ({means[best]:.3f}) and `{worst}` farthest ({means[worst]:.3f})"
        )
    suspected = sum(line["structured"] for line in lines)
    return f"On the mean of the four kinds of noise, {'; '.join(parts)}. A rule is suspected, wrongly, in {suspected} of {len(lines)} draws."


# ---- the parts of truth_inference --------------------------------------------------------------------------------------


def inferred_change(noise: str, *words: str) -> str:
    """What a variant changes in the share of rows with the right class, in points, on the mean and by corpus."""
    variant = " ".join(words)
    lines = [line for line in lines_of("inferred_classes") if line["noise"] == noise]
    corpora = list(dict.fromkeys(line["dataset"] for line in lines))
    changes = [
        100
        * fmean(
            line["right"][variant] - line["right"]["truth_inference"] for line in lines if line["dataset"] == corpus
        )
        for corpus in corpora
    ]
    by_corpus = ", ".join(f"{change:+.1f} on `{corpus}`" for change, corpus in zip(changes, corpora, strict=True))
    return f"**{variant}**: {fmean(changes):+.1f} points on the mean ({by_corpus})."


def inferred_changes(noise: str) -> str:
    """A list with the change by each part."""
    parts = (
        "words beside the encoder", "the encoder alone", "words alone", "no sharpening", "labels as one source", "no source",
        "one round", "start from 60 % by neighbours (share=0.6)",
    )  # fmt: skip
    return "\n".join(f"- {inferred_change(noise, *part.split())}" for part in parts)


# ---- others ------------------------------------------------------------------------------------------------------------


def pseudo_labels() -> str:
    """What pseudo-labels gain over leaving rows out."""
    lines, module = lines_of("pseudo_labels"), script("pseudo_labels")
    parts = []
    for arm in module.ARMS[:2]:
        gains = module.gains_over(lines, arm)
        parts.append(
            f'{100 * fmean(gains):+.1f} points over "{arm}" ({", ".join(f"{100 * gain:+.1f}" for gain in gains)})'
        )
    return f"Pseudo-labels gain {listed(parts)}; by seed in brackets."


def labeling_speed() -> str:
    """How many times faster labeling functions are applied."""
    if is_kept("labeling_speed"):
        return ""
    ratios = [line["ratio"] for line in lines_of("labeling_speed")]
    return (
        f"`apply_labeling_functions` labels {median(ratios):.1f} times as many rows a second as Snorkel's `PandasLFApplier` (median of "
        f"{len(ratios)} rounds, {min(ratios):.1f} to {max(ratios):.1f}). The votes are equal."
    )


def trained_methods() -> str:
    """The methods of the file of known noise."""
    return listed(code(list(dict.fromkeys(line["method"] for line in lines_of("known_noise")))))
