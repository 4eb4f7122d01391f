"""What decisions do to a column of labels: which cells change to what, and which rows are dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hf_noisy.audit.decision_files import Decision, Pair
from hf_noisy.common.checks import nearest
from hf_noisy.data.tables.cells import folded, meaning_of, name_of, sorted_names

_CLASSES = ("number", "truth", "word")


@dataclass(frozen=True)
class Plan:
    """What is done to the rows of a table."""

    kept: np.ndarray  # (rows,) bool
    changed: Mapping[int, Any]  # row -> the new cell, as the column writes it


def plan_of(
    decisions: Sequence[Decision],
    ids: Sequence[str],
    values: Sequence[Any],
    *,
    column: str,
    how: str,
    names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> Plan:
    """Find the rows of the decisions and what their cells become. Nothing is changed here.

    Args:
        decisions: what a reviewer decided.
        ids: (rows,) the id of each row.
        values: (rows,) the cells of the label column.
        column: its name, for errors.
        how: what the ids are, for errors.
        names: the names of a ClassLabel, whose column holds class ids.
        class_names: ordered by class id, for classes that no cell has.

    Raises:
        TypeError: the cells are no classes.
        ValueError: an id that no row or several rows have, an unknown class, or a cell that has changed since.
    """
    places = _places(decisions, ids, how)
    if not decisions:
        return Plan(np.ones(len(ids), dtype=bool), {})
    coding = _Coding(values, column, names, class_names)
    decisions = coding.completed(decisions, places, values)
    kept = np.ones(len(ids), dtype=bool)
    changed = {}
    for place, decision in zip(places, decisions, strict=True):
        coding.check(decision, values[place])
        kept[place] = decision.decision != "drop"
        if decision.new_label is not None:
            changed[place] = coding.write(decision.new_label)
    return Plan(kept, changed)


def _places(decisions: Sequence[Decision], ids: Sequence[str], how: str) -> list[int]:
    """Return the row number of each decision."""
    rows: dict[str, int] = {}
    wanted, twice = {decision.id for decision in decisions}, set()
    for row, row_id in enumerate(ids):
        if rows.setdefault(row_id, row) != row and row_id in wanted:
            twice.add(row_id)
    unknown = [decision for decision in decisions if decision.id not in rows]
    if unknown:
        raise ValueError(
            f"{unknown[0].where}: id={unknown[0].id!r} is unknown ({len(unknown)} of {len(decisions)} decisions): expected ids "
            f"of the dataset ({how}). Apply the file to the dataset that was audited, or name its id_column."
        )
    if twice:
        raise ValueError(
            f"id={min(twice)!r}: several rows of the dataset have it ({how}): expected ids that are unique."
        )
    return [rows[decision.id] for decision in decisions]


class _Coding:
    """How a column writes its classes: ids, names, truth values, in whatever spelling."""

    def __init__(
        self, values: Sequence[Any], column: str, names: Sequence[str] | None, class_names: Sequence[str] | None
    ) -> None:
        self.column, self.names, self.class_names = column, names, class_names
        counts: Counter[Any] = Counter()
        for value in values:
            if isinstance(value, list | dict | np.ndarray):
                raise TypeError(
                    f"column {column!r} holds {value!r}: expected class ids, class names or a ClassLabel, one a row."
                )
            if value is not None and value == value:
                counts[type(value).__name__, value] += 1
        self.spelled: dict[str, Any] = {}  # the name of a class -> its commonest cell
        self.folded: dict[str, Any] = {}
        for (_, value), _count in counts.most_common():
            name = self.name(value)
            if name is not None:
                self.spelled.setdefault(name, value)
                self.folded.setdefault(folded(name), value)
        for k, name in enumerate(names or ()):
            self.spelled[name] = k
        kinds = {type(value) for value in self.spelled.values()}
        self.numeric = bool(kinds) and names is None and kinds <= {int, float}
        self.kind = next(iter(kinds), str)
        self.by_name = True

    def name(self, value: Any) -> str | None:
        """Return the class of a cell, or None where there is none."""
        if self.names is not None:
            return self.names[value] if value is not None and 0 <= value < len(self.names) else None
        if value is None or value != value:
            return None
        cell = meaning_of(value)
        if cell.kind == "fraction" or cell.kind in ("other", "soft", "named"):
            raise TypeError(
                f"column {self.column!r} holds {value!r}: expected class ids, class names or a ClassLabel, one a row."
            )
        return name_of(cell) if cell.kind in _CLASSES else None

    def completed(self, decisions: Sequence[Decision], places: Sequence[int], values: Sequence[Any]) -> list[Decision]:
        """Settle for the whole file whether a number is the id or the name of a class, by the labels that its rows have.

        Beside a name a number is an id. Alone it is the name of a class if all rows agree with that, else its id.
        """
        held = [(decision.label, self.name(values[place])) for decision, place in zip(decisions, places, strict=True)]
        if self.numeric and any(name is not None for (_, name), _ in held):
            by_id = all(str(number) == now for (number, _), now in held if number is not None)
            self.by_name = not by_id and all(name == now for (_, name), now in held if name is not None)
            return list(decisions)
        alone = [(number, now) for (number, name), now in held if name is None and number is not None]
        names = all(str(number) == now for number, now in alone)
        return [
            replace(
                decision,
                label=self._named(decision.label, names),
                new_label=None if decision.new_label is None else self._named(decision.new_label, names),
            )
            for decision in decisions
        ]

    def _named(self, pair: Pair, names: bool) -> Pair:
        number, name = pair
        if name is not None or number is None:
            return pair
        order = list(self.names or self.class_names or sorted_names(self.spelled))
        return number, str(number) if names or number >= len(order) else order[number]

    def write(self, pair: Pair) -> Any:
        """Return the cell for a class, or None if the column does not know the class."""
        number, name = pair
        if self.numeric and not self.by_name:
            known = set(self.spelled.values()) | set(range(len(self.class_names or ())))
            return self._number(number) if number in known else None
        key = str(number) if name is None else name
        if key in self.spelled:
            return self.spelled[key]
        if folded(key) in self.folded:
            return self.folded[folded(key)]
        if self.class_names is not None and key in self.class_names and self.names is None:
            return key if not self.numeric else self._number(list(self.class_names).index(key))
        return None

    def _number(self, number: Any) -> Any:
        return self.kind(number) if self.kind in (int, float) else number

    def check(self, decision: Decision, value: Any) -> None:
        """Raise if a decision names an unknown class, or saw another label than the row has now."""
        for field, pair in (("label", decision.label), ("new_label", decision.new_label)):
            if pair is not None and pair != (None, None) and self.write(pair) is None:
                shown = pair[1] if pair[1] is not None else pair[0]
                raise ValueError(
                    f"{decision.where}: {field}_name={shown!r} ({field}={pair[0]}) is a class that column {self.column!r} does "
                    f"not know. {nearest(str(shown), list(self.spelled)[:20])} Name all classes with class_names=, in the order "
                    "of their ids."
                )
        if decision.label == (None, None):
            return
        expected = self.write(decision.label)
        if self.name(value) != self.name(expected) and not self._alike(value, expected):
            number, name = decision.label
            raise ValueError(
                f"{decision.where}: id={decision.id!r} now has {self.column}={self.name(value)!r}, where the decision "
                f"saw {name if name is not None else number!r}{'' if number is None else f' ({number})'}. Apply it to the dataset that "
                "was audited, or decide anew."
            )

    def _alike(self, value: Any, expected: Any) -> bool:
        mine, other = self.name(value), self.name(expected)
        return mine is not None and other is not None and folded(mine) == folded(other)
