"""What is said of label columns: cells without a label, words that may mean none, names that nearly agree."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence

from hf_noisy.data.reading.options import listed
from hf_noisy.data.tables.cells import folded
from hf_noisy.data.tables.values import Cells

_MOST_COMPARED = 200  # classes among which near misses are looked for


def near_misses(sizes: Mapping[str, int]) -> list[str]:
    """Point at rare classes whose names nearly equal that of a common one."""
    words = [name for name in sizes if len(name) >= 4 and not any(mark.isdigit() for mark in name)]
    if len(words) > _MOST_COMPARED:
        return []
    found = []
    for name in words:
        close = [
            other
            for other in words
            if sizes[name] * 5 <= sizes[other]
            and difflib.SequenceMatcher(None, folded(name), folded(other)).ratio() >= 0.8
        ]
        if close:
            found.append(f"{name!r} ({sizes[name]:,}) and {close[0]!r} ({sizes[close[0]]:,})")
    return (
        [
            f"nearly the same name: {listed(found, 5)}. They are classes of their own; correct the file if one is a misspelling"
        ]
        if found
        else []
    )


def notes_on_missing(found: Sequence[Cells]) -> list[str]:
    """Say how many cells have no label, and how that is written."""
    words: Counter[str] = Counter()
    abstained: Counter[int] = Counter()
    missing = rows = 0
    for one in found:
        rows += one.table.rows
        for cell, count in zip(one.meanings, one.counts, strict=True):
            if cell.kind == "abstain":
                abstained[cell.value] += int(count)
            elif cell.kind == "missing" and one.column not in one.table.class_names:
                missing += int(count)
                if cell.value:
                    words[cell.value] += int(count)
    notes = []
    if missing:
        spelled = f", of these {', '.join(f'{word} {count:,}' for word, count in words.most_common())}" if words else ""
        hint = " (na_is_class keeps such words as a class)" if words else ""
        notes.append(f"no label in {missing:,} of {rows:,} label cells{spelled}{hint}")
    if abstained:
        shown = ", ".join(f"{value} in {count:,}" for value, count in sorted(abstained.items(), reverse=True))
        notes.append(
            f"no label where the cell is -1 or -100: {shown} of {rows:,} label cells, {sum(abstained.values()) / rows:.0%} "
            "(minus_one_is_class makes it a class)"
        )
    return notes
