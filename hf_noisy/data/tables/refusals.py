"""Label columns that are refused: scores, ids, texts, numbers in one column and words in another."""

from __future__ import annotations

from collections.abc import Sequence

from hf_noisy.data.tables.cells import Cell
from hf_noisy.data.tables.values import Cells, LabelOptions, is_class

_FEW = 20  # up to so many distinct values are classes even where each occurs about once
_DISTINCT = 0.9  # more values than this share of the labelled rows are ids or texts
_FRACTIONS = 0.25  # more fractions than this share of the labelled rows are scores


def refuse_what_is_no_class(found: Sequence[Cells], options: LabelOptions) -> None:
    """Raise if cells are scores, ids, texts, or of a type that is no label."""
    for one in found:
        for value, cell in enumerate(one.meanings):
            if cell.kind == "other":
                raise ValueError(
                    f"{one.first_row(value)}: expected a class: a word, a whole number >= 0 or a truth value; -1, None or an "
                    "empty cell abstains. Several classes a row are not supported."
                )
            if cell.kind == "number" and cell.value < 0 and not options.minus_one_is_class:
                raise ValueError(
                    f"{one.first_row(value)}: expected a word or a whole number >= 0; -1, None or an empty cell abstains. If "
                    "negative numbers are classes, set minus_one_is_class."
                )
        classes = [(cell, int(count)) for cell, count in zip(one.meanings, one.counts, strict=True) if is_class(cell)]
        rows, distinct = sum(count for _, count in classes), len({cell.value for cell, _ in classes})
        fractions = [cell.value for cell, _ in classes if cell.kind == "fraction"]
        if fractions and (len(fractions) > _FEW or distinct > _FRACTIONS * rows):
            raise ValueError(
                f"{one.table.where}: {one.column} looks like a score and not like classes: {distinct:,} distinct values in {rows:,} "
                f"labelled rows, such as {fractions[0]}. Make classes of it with a threshold, or name another label_column."
            )
        if distinct > _FEW and distinct > _DISTINCT * rows:
            raise ValueError(
                f"{one.table.where}: {one.column} looks like ids or texts and not like classes: {distinct:,} distinct values in "
                f"{rows:,} labelled rows, such as {str(classes[0][0].value)[:40]!r}. Name another label_column."
            )


def refuse_mixed(found: Sequence[Cells]) -> None:
    """Raise if one column has only numbers and another only words, so that each would have classes of its own.

    Truth values are compatible with 0 and 1, and one column may hold both numbers and words.
    """
    only: dict[str, tuple[Cells, int]] = {}
    for one in found:
        held = [(number, cell) for number, cell in enumerate(one.meanings) if is_class(cell) and one.counts[number]]
        kinds = {_kind(cell) for _, cell in held}
        if len(kinds) == 1:
            only.setdefault(kinds.pop(), (one, held[0][0]))
    if {"number", "word"} <= only.keys():
        shown = "; ".join(only[kind][0].first_row(only[kind][1]) for kind in ("number", "word"))
        raise ValueError(f"words and numbers are mixed: {shown}. Write all labels in one way.")


def _kind(cell: Cell) -> str:
    if cell.kind in ("number", "fraction"):
        return "number"
    return "truth" if cell.kind == "truth" or cell.value.lower() in ("true", "false") else "word"
