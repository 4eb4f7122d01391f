"""The audited rows, with validated data on each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.audit.checks import check_finite, check_length, check_range


def reason_kind(reason: str) -> str:
    """Returns the filter group of a reason: the part before the colon, with whole numbers replaced by N.

    >>> reason_kind("disagreed in 9 of 10 epochs"), reason_kind("neighbours say otherwise: 8 of 10 ham")
    ('disagreed in N of N epochs', 'neighbours say otherwise')
    """
    return re.sub(r"\d+", "N", reason.split(":", 1)[0].strip())


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single bool
class AuditedRows:
    """The rows with a label, in the order of the dataset. Each field has one entry per row.

    Raises:
        ValueError: no rows, fields of different lengths, a repeated id, or a number outside its range. The message
            names the first such row.
        TypeError: a text that is not a string, or a string in place of a list of reasons.
    """

    ids: Sequence[str]  # unique ids of the corpus; decimal row numbers if it has none
    texts: Sequence[str]
    labels: np.ndarray  # (rows,) int64, given class ids
    wrongness: np.ndarray  # (rows,) float64 in [0, 1]; larger is more suspect
    suggested_labels: np.ndarray  # (rows,) int64; may equal the given label
    suggested_probabilities: np.ndarray  # (rows,) float64 in [0, 1], of the suggested label
    reasons: Sequence[Sequence[str]]  # phrases "what: detail", filtered by `reason_kind`; may be empty
    votes: Mapping[str, np.ndarray] | None = None  # source -> (rows,) class ids, -1 abstains
    losses: np.ndarray | None = None  # (rows,) float64, finite
    text_pairs: Sequence[str] | None = None  # second texts, if a row has two

    def __post_init__(self) -> None:
        rows = len(self.ids)
        if rows == 0:
            raise ValueError("ids is empty: expected at least one row with a label.")
        for name, kind in (
            ("labels", np.int64),
            ("wrongness", np.float64),
            ("suggested_labels", np.int64),
            ("suggested_probabilities", np.float64),
        ):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        if self.votes is not None:
            votes = {name: np.asarray(vote, dtype=np.int64) for name, vote in self.votes.items()}
            object.__setattr__(self, "votes", votes)
        if self.losses is not None:
            object.__setattr__(self, "losses", check_finite("losses", np.asarray(self.losses, dtype=np.float64)))
        for name in (
            "texts",
            "labels",
            "wrongness",
            "suggested_labels",
            "suggested_probabilities",
            "reasons",
            "losses",
            "text_pairs",
        ):
            check_length(name, getattr(self, name), rows)
        for name, vote in (self.votes or {}).items():
            check_length(f"votes[{name!r}]", vote, rows)
        check_range("wrongness", self.wrongness)
        check_range("suggested_probabilities", self.suggested_probabilities)
        self._check_words()

    def __len__(self) -> int:
        return len(self.ids)

    def _check_words(self) -> None:
        seen: set[str] = set()
        for row, (row_id, text, reasons) in enumerate(zip(self.ids, self.texts, self.reasons, strict=True)):
            if not isinstance(row_id, str) or row_id in seen:
                raise ValueError(
                    f"ids[{row}]={row_id!r}: expected a string that no other row has. Write numbers as str."
                )
            second = "" if self.text_pairs is None else self.text_pairs[row]
            for name, value in (("texts", text), ("text_pairs", second)):
                if not isinstance(value, str):
                    raise TypeError(f"{name}[{row}] is a {type(value).__name__}: expected a string.")
            if isinstance(reasons, str):
                raise TypeError(f"reasons[{row}]={reasons!r}: expected a list of strings. Wrap it in a list.")
            seen.add(row_id)
