"""What a frozen encoder says of methods: agreement with fine-tuning, right labels, seconds."""

from __future__ import annotations

from statistics import fmean, median

import method_results as results
from evidence import noise_name
from evidence_cells import code, listed, number, section_of, variant_name
from evidence_measured import Line, lines_of

from hf_noisy.benchmark import tables
from hf_noisy.benchmark.report import ordered
from hf_noisy.benchmark.settings import FIXED

FILE, AGREEMENT = "frozen", "frozen_agreement"
NAMED = 3  # methods named of each order


def agreement() -> str:
    """The mean correlation for each kind of labels, and what a choice by the frozen encoder gains."""
    parts = []
    for noise in dict.fromkeys(line["noise"] for line in lines_of(AGREEMENT)):
        lines = [line for line in lines_of(AGREEMENT) if line["noise"] == noise]
        both = [line for line in lines if line["seeds_tuned"] is not None]
        between = (
            f"; between two seeds of fine-tuning {fmean(line['seeds_tuned'] for line in both):.2f}" if both else ""
        )
        chosen, largest = (100 * fmean(line[key] for line in lines) for key in ("gain_of_chosen", "largest_gain"))
        named = "labels as given" if noise == "given" else f"{noise_name(noise)} noise"
        best = [listed(best_by_mean(lines, column)) for column in (0, 1)]
        parts.append(
            f"- {named[0].upper()}{named[1:]}: the mean over {len(lines)} corpora of Spearman's correlation is "
            f"{fmean(line['spearman'] for line in lines):.2f}{between}. The method that is best on the frozen encoder gains "
            f"{chosen:+.1f} points over `ce` in fine-tuning on the mean, the best one of each corpus {largest:+.1f}. By the mean gain over the corpora "
            f"the first {NAMED} are {best[0]} on the frozen encoder, {best[1]} in fine-tuning."
        )
    return "\n".join(parts)


def right_labels() -> str:
    """The correlations of the change in right labels with the gain."""
    lines = [line for line in lines_of(AGREEMENT) if line["spearman_right_labels"] is not None]
    found = [f"{line['spearman_right_labels']:.2f} on `{line['dataset']}`" for line in lines]
    mean = fmean(line["spearman_right_labels"] for line in lines)
    return (
        f"For the {number(len(lines[0]['right_labels']))} methods that replace labels, the change in right labels on the frozen encoder ranks the gains "
        f"in fine-tuning with a correlation of {mean:.2f} on the mean: {listed(found)}."
    )


def best_by_mean(lines: list[Line], column: int) -> list[str]:
    """The methods with the largest mean gain: column 0 on the frozen encoder, 1 in fine-tuning."""
    names = set.intersection(*(set(line["gains"]) for line in lines))
    order = sorted(sorted(names), key=lambda name: -fmean(line["gains"][name][column] for line in lines))
    return code(list(dict.fromkeys(name.split()[0] for name in order))[:NAMED])  # of several variants, the best


def labels_right() -> str:
    """The table of given and taught labels, labels as given."""
    section = section_of(FILE)
    return "\n\n".join(tables.labels_right(section, ordered(section))[1:])


def seconds() -> str:
    """How long a run takes."""
    lines = [line for line in results.lines_of(f"{FILE}.jsonl") if line["method"] not in FIXED]
    found = [line["train_seconds"] for line in lines]
    rows = [line["train_rows"] for line in lines]
    slow = max(lines, key=lambda line: line["train_seconds"])
    return (
        f"The training of a head takes {median(found):.1f} s (median of {len(found)} runs on {min(rows):,} to {max(rows):,} rows, one core; "
        f"the longest {max(found):.1f} s, of `{slow['method']}` on `{slow['dataset']}`). The same rows take "
        f"{tuned_seconds():.0f} s where the encoder is fine-tuned on two cores (median of the file `results`)."
    )


def tuned_seconds() -> float:
    """The median seconds of a fine-tuning."""
    return median(line["train_seconds"] for line in results.lines_of("results.jsonl") if line["method"] not in FIXED)


def harmful() -> str:
    """Methods that teach fewer right labels than are given, by corpus."""
    section = section_of(FILE)
    found = []
    for variant in ordered(section):
        if section.methods[variant] in FIXED:
            continue
        for corpus in section.corpora:
            given, taught = (section.over_seeds(corpus, variant, key) for key in ("given_correct", "taught_correct"))
            if given is not None and taught is not None and taught < given - 0.005:
                found.append(f"{variant_name(section, variant)} on `{corpus}` ({100 * (taught - given):+.1f})")
    return (
        f"Fewer right labels than were given, in points: {listed(found)}."
        if found
        else "No method taught fewer right labels than were given."
    )
