"""The table of all methods, which docs/javascripts/method_table.js makes sortable and filterable."""

from __future__ import annotations

import re
from pathlib import Path

import method_results as results

from hf_noisy.methods.guide import FAMILIES, GUIDE
from hf_noisy.methods.registry import METHODS

ABSENT = "–"  # noqa: RUF001 (a dash, which sorts last)
_DOCS = Path(__file__).resolve().parents[1]
COLUMNS = (
    "method",
    "family",
    "needs",
    "networks",
    "cost",
    "gain: labels as given",
    "gain: random noise",
    "gain: pair noise",
    "not with",
    "epoch",
)


def table(folder: str = "../reference/methods/") -> str:
    """All methods, a row each, by family.

    Args:
        folder: of the pages of the methods, as seen from the page with the table.
    """
    order = [name for family in FAMILIES for name in sorted(GUIDE, key=_by_gain) if GUIDE[name].family == family]
    lines = [
        '<div class="method-table" markdown>',
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
        *(f"| {' | '.join(row(name, folder))} |" for name in order),
        "",
        "</div>",
        "",
        results.former_inference(),
        "",
        NOTES.format(
            absent=ABSENT, groups="#combine-methods" if folder else "../../guides/choosing_a_method.md#combine-methods"
        ),
    ]
    return "\n".join(lines)


NOTES = (
    "*Cost* is the time of a training as a multiple of `ce`; ~ marks values that are rough, because other trainings ran on the "
    "same device. *Gains* are points of test accuracy over `ce`. *Labels as given*: mean of five corpora with labels by rules "
    "or people, with the 95 % interval. *Random noise* and *pair noise*: 40 % of the labels are wrong, at random or always "
    "the next class; a small model trains from scratch for many epochs, on invented texts whose words tell the class, which "
    "favours `truth_inference` and `auto`. {absent} means not measured. *Not with* names "
    "[groups of methods]({groups}). *Epoch* says whether to keep the last one, or one chosen by noisy validation labels. The page of each method has the numbers by corpus "
    "and the commands."
)


def _by_gain(name: str) -> tuple[float, str]:
    found = results.measured(name)
    gain = None if found is None else found.mean_gain
    return (0.0 if gain is None else -gain.value, name)


def row(name: str, folder: str) -> list[str]:
    """The cells of a method, in the order of `COLUMNS`."""
    cost, found = results.cost(name), results.measured(name)
    return [
        f"[`{name}`]({folder}{name}.md)",
        GUIDE[name].family,
        needs(name),
        str(_networks(name)),
        ABSENT if cost is None else f"{'~' * cost.is_rough}{cost.times:.1f}",
        "0" if name == "ce" else (results.points_with_interval(found.mean_gain) if found else "") or ABSENT,
        _known(name, "symmetric"),
        _known(name, "pair"),
        ", ".join(excluded(name)) or ABSENT,
        "last" if METHODS[name].keeps_last else "chosen",
    ]


def needs(name: str) -> str:
    """What a method reads, in words that the filter looks for."""
    method = METHODS[name]
    required = ["votes"] * method.reads_votes + ["trusted rows"] * method.reads_clean
    optional = [*GUIDE[name].can_use, *(["unlabeled rows"] * method.reads_unlabeled)]
    return (", ".join(required) or "labels") + (f"; can use {', '.join(optional)}" if optional else "")


def _networks(name: str) -> int:
    build = METHODS[name].build
    return getattr(getattr(build, "func", build), "num_networks", 1)


def _known(name: str, noise: str) -> str:
    known = results.known_noise(name, noise)
    if name == "ce" and known is not None:
        return "0"
    return ABSENT if known is None else results.points(known.gain)


def excluded(name: str) -> list[str]:
    """The groups whose methods `name` cannot be combined with, as the table of groups says."""
    groups = groups_of((_DOCS / "guides" / "choosing_a_method.md").read_text(encoding="utf-8"))
    without = [other for names, others in groups.values() if name in names for other in others]
    return list(dict.fromkeys(without))


def groups_of(text: str) -> dict[str, tuple[list[str], list[str]]]:
    """Group -> its methods, and the groups that it does not combine with: the table with the columns group and "not with"."""
    (lines,) = re.findall(r"\| group \|.*?\n\|---.*?\n((?:\|.*\n)+)", text)
    found = {}
    for line in lines.splitlines():
        group, _, names, without = (cell.strip() for cell in line.strip("|").split("|"))
        found[group] = re.findall(r"`(\w+)`", names), [other for other in without.split(", ") if other]
    return found
