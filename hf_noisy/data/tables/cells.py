"""What one cell of a label column means, whatever its type: a class, a distribution over classes, or nothing."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

# What pandas reads as missing in a file (pandas.read_csv, na_values).
MISSING_WORDS = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL",
     "NaN", "None", "n/a", "nan", "null"]
)  # fmt: skip
ABSTAIN = (-1, -100)  # as in Snorkel and in torch
_ODD_WORDS = frozenset(
    ["unknown", "unk", "none", "-", "--", "?", "n.a.", "na", "missing", "undefined", "not sure", "unsure"]
)
_QUOTES = "'\"`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"
_FINAL = ".,;:!"


@dataclass(frozen=True)
class Cell:
    """The meaning of a cell. Exactly one of the kinds holds."""

    kind: str  # "missing", "abstain" (-1, -100), "number", "fraction", "truth", "word", "soft", "named" or "other"
    value: Any = None  # int, float, bool, str, or a tuple of probabilities; for "named" pairs of name and probability


def meaning_of(value: Any) -> Cell:
    """Return the meaning of a cell.

    >>> [meaning_of(value).kind for value in (None, "NA", 1.0, "2.0", True, "007", "[0.2, 0.8]", ["x"], 0.5)]
    ['missing', 'missing', 'number', 'number', 'truth', 'word', 'soft', 'word', 'fraction']
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return Cell("missing")
    if isinstance(value, bool):
        return Cell("truth", value)
    if isinstance(value, int):
        return Cell("abstain" if value in ABSTAIN else "number", value)
    if isinstance(value, float | Decimal):
        return _number(float(value))
    if isinstance(value, str):
        return _word(value)
    if isinstance(value, list | tuple | np.ndarray):
        return _row(value)
    if isinstance(value, Mapping):
        return _named(value)
    if value != value:  # NaT, NA
        return Cell("missing")
    return Cell("other", value)


def _number(value: float) -> Cell:
    if math.isnan(value):
        return Cell("missing")
    if math.isinf(value):
        return Cell("other", value)
    if not value.is_integer():
        return Cell("fraction", value)
    return Cell("abstain" if int(value) in ABSTAIN else "number", int(value))


def _word(value: str) -> Cell:
    word = value.strip()
    if word in MISSING_WORDS:
        return Cell("missing", word)
    if word[0] in "[{" and word[-1] in "]}":
        try:
            found = meaning_of(json.loads(word))
        except (ValueError, RecursionError):
            try:
                found = meaning_of(json.loads(word.replace("'", '"')))  # as Python writes a list of words
            except (ValueError, RecursionError):
                return Cell("word", word)
        return found if found.kind != "other" else Cell("word", word)
    if re.fullmatch(r"[+-]?\d+(\.0*)?", word) and word.isascii():
        whole = word.lstrip("+-").split(".")[0]
        if whole == "0" or not whole.startswith("0"):  # 007 is a code
            number = int(float(word)) if "." in word else int(word)
            return Cell("abstain" if number in ABSTAIN else "number", number)
    elif re.fullmatch(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?|[+-]?\d+[eE]-\d+", word) and word.isascii():
        return _number(float(word))
    return Cell("word", word)


def _row(value: Any) -> Cell:
    cells = list(value)
    if len(cells) == 1 and not isinstance(cells[0], list | tuple | Mapping | np.ndarray):
        return meaning_of(cells[0])
    numbers = [cell.item() if isinstance(cell, np.generic) else cell for cell in cells]
    if len(numbers) > 1 and all(isinstance(cell, int | float) for cell in numbers):
        return Cell("soft", tuple(map(float, numbers)))
    return Cell("missing") if not cells else Cell("other", value)


def _named(value: Mapping[Any, Any]) -> Cell:
    pairs = tuple(sorted((str(name), share) for name, share in value.items() if share is not None))
    if pairs and all(isinstance(share, int | float) and not isinstance(share, bool) for _, share in pairs):
        return Cell("named", pairs)
    return Cell("other", value)


def folded(word: str) -> str:
    """Return a word without what an answer of a language model adds to a class: case, outer spaces and quotes, final marks.

    Only `. , ; : !` at the end are left out, so that C, C# and C++ stay three classes.

    >>> folded(" Good. "), folded("“GOOD”!"), folded("C#"), folded("...")
    ('good', 'good', 'c#', '...')
    """
    text = unicodedata.normalize("NFKC", word).casefold()
    shorter = None
    bare = text
    while bare != shorter:
        shorter = bare
        bare = bare.strip().strip(_QUOTES).rstrip(_FINAL)
    return bare or text.strip()


def is_odd(word: str) -> bool:
    """Whether a word may stand for a missing label: unknown, none, a dash.

    >>> is_odd("Unknown"), is_odd("good")
    (True, False)
    """
    return folded(word) in _ODD_WORDS


def name_of(cell: Cell) -> str:
    """Return the name of the class that a cell of kind number, fraction, truth or word stands for.

    >>> [name_of(meaning_of(value)) for value in (1.0, "2", 0.5, True, " good ")]
    ['1', '2', '0.5', 'True', 'good']
    """
    return f"{cell.value:g}" if cell.kind == "fraction" else str(cell.value)


def sorted_names(names: Iterable[str]) -> list[str]:
    """Sort names of classes: numbers by size, also codes such as 007, before words by spelling.

    >>> sorted_names(["10", "9", "other", "0.5"])
    ['0.5', '9', '10', 'other']
    """

    def order(name: str) -> tuple[int, float, str]:
        try:
            return 0, float(name), name
        except ValueError:
            return 1, 0.0, name

    return sorted(names, key=order)
