"""What `auto` does in many situations: tables by corpus, losses, situations that a corpus does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from statistics import fmean
from typing import Any

from evidence_cells import listed
from evidence_measured import Line, lines_of, script

FILE = "situations"
FEWER, LOST = 0.5, 1.0  # points of right labels, and of accuracy, that are worth naming
NAMED = 8  # losses that are named


@cache
def tables() -> Any:
    """The module that makes tables of the lines."""
    script(FILE)
    return script("situation_tables")


def thresholds() -> str:
    """How often each combination of thresholds is chosen."""
    return str(script("nested_thresholds").choices(lines_of("nested_thresholds")))


def measured() -> str:
    """Which corpora and seeds the file holds, and how long the runs took."""
    lines = [line for line in lines_of(FILE) if "method" in line]
    corpora, seeds = (list(dict.fromkeys(line[key] for line in lines)) for key in ("dataset", "seed"))
    distinct = {
        tuple(line[key] for key in ("dataset", "method", "seed", "seconds", "accuracy")): line for line in lines
    }
    minutes = sum(line["seconds"] for line in distinct.values()) / 60
    return (
        f"Measured on {len(corpora)} corpora ({listed(f'`{name}`' for name in corpora)}), seed{'s' * (len(seeds) > 1)} "
        f"{listed(map(str, seeds))}: {len(distinct):,} trainings of {minutes:.0f} minutes together, on one core."
    )


def by_corpus() -> str:
    """A table per situation with a row per corpus, the worst first; and why corpora are not there."""
    lines = lines_of(FILE)
    parts = []
    for situation in tables().measured_situations(lines):
        title = tables().TITLES[situation]
        parts.append(f"### {title[0].upper()}{title[1:]}\n\n{tables().corpora_table(lines, situation)}")
        reasons = absent(lines, situation)
        if reasons:
            parts.append(f"Not there: {reasons}.")
    return "\n\n".join(parts)


def absent(lines: Iterable[Line], situation: str) -> str:
    """The corpora that do not have a situation, by reason."""
    reasons: dict[str, list[str]] = {}
    for line in lines:
        if line["situation"] == situation and "absent" in line:
            reason = line["absent"].replace(f" of {line['dataset']}", "")
            found = reasons.setdefault(reason, [])
            if f"`{line['dataset']}`" not in found:
                found.append(f"`{line['dataset']}`")
    return "; ".join(f"{listed(corpora)} ({reason})" for reason, corpora in reasons.items())


def losses() -> str:
    """Where `auto` teaches fewer right labels than are given, and where it is less accurate than `ce`."""
    lines = lines_of(FILE)
    found = [
        (name, cell) for name in tables().measured_situations(lines) for cell in tables().cells(lines, name, "auto")
    ]
    fewer = [pair for pair in found if pair[1].change < -FEWER]
    lost = [pair for pair in found if pair[1].gain < -LOST]
    return "\n".join(
        [
            f"- `auto` teaches over {FEWER:g} points fewer right labels than are given in {len(fewer)} of {len(found)} pairs of corpus and "
            f"situation{_named(fewer, lambda cell: cell.change)}.",
            f"- It is over {LOST:g} point less accurate than `ce` in {len(lost)} of {len(found)}{_named(lost, lambda cell: cell.gain)}.",
            *_compared(lines, found),
        ]
    )


def _named(pairs: Iterable[tuple[str, Any]], value: Callable[[Any], float]) -> str:
    order = sorted(pairs, key=lambda pair: value(pair[1]))
    names = [f"`{cell.corpus}`, {tables().TITLES[name]} ({value(cell):+.1f})" for name, cell in order[:NAMED]]
    return f"; the worst: {'; '.join(names)}" if names else ""


def _compared(lines: list[Line], found: list[tuple[str, Any]]) -> list[str]:
    """Accuracies and rates beside those of the other methods, on the same corpora and situations."""
    sentences = []
    for other in [name for name in tables().methods_of(lines) if name != "auto"]:
        theirs = {
            (name, cell.corpus): cell
            for name in tables().measured_situations(lines)
            for cell in tables().cells(lines, name, other)
        }
        both = [(cell, theirs[name, cell.corpus]) for name, cell in found if (name, cell.corpus) in theirs]
        if both:
            better, worse = (sum(sign * (a.accuracy - b.accuracy) > 0 for a, b in both) for sign in (1, -1))
            sentence = f"- It is more accurate than `{other}` in {better} and less accurate in {worse} of {len(both)}."
            errors = [(a.error, b.error) for a, b in both if a.error is not None and b.error is not None]
            if errors:
                ours, other_errors = (fmean(error[i] for error in errors) for i in (0, 1))
                sentence += f" Its estimated share of wrong labels is off by {ours:.1f} points on the mean, that of `{other}` by {other_errors:.1f}."
            sentences.append(sentence)
    return sentences
