"""Rows of two texts: entailment, matching, question and answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PAIR = "text_pair"  # the column of the second text, beside `text`
BETWEEN = " \u2016 "  # shown between the two texts
KNOWN_PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("text1", "text2"),
    ("question1", "question2"),
    ("question", "answer"),
    ("question", "sentence"),
    ("question", "passage"),
    ("query", "passage"),
    ("query", "document"),
)


class TextPair(str):
    """Two texts that are classified together. As a string it is both, so that it is shown and searched like one text.

    `encoded` gives a tokenizer the two texts.

    >>> pair = TextPair("It rains.", "It is dry.")
    >>> pair.first, pair.second, str(pair)
    ('It rains.', 'It is dry.', 'It rains. ‖ It is dry.')
    """

    first: str
    second: str

    def __new__(cls, first: str, second: str) -> TextPair:
        """Join two texts."""
        made = super().__new__(cls, f"{first}{BETWEEN}{second}")
        made.first, made.second = first, second
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return self.first, self.second


def texts_of(rows: Any) -> list[str]:
    """Return the texts of a split: strings, or a `TextPair` a row if it has a column `text_pair`.

    Args:
        rows: a dataset with a column `text`, or a batch of such columns.
    """
    plain = rows.with_format(None) if hasattr(rows, "with_format") else rows
    texts = list(plain["text"][:])
    names = rows.column_names if hasattr(rows, "column_names") else rows
    if PAIR not in names:
        return texts
    return [TextPair(first, second) for first, second in zip(texts, plain[PAIR][:], strict=True)]


def encoded(texts: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Return the arguments of a tokenizer for texts: the first texts, and the second ones or None."""
    if texts and isinstance(texts[0], TextPair):
        pairs = [text if isinstance(text, TextPair) else TextPair(text, "") for text in texts]
        return [pair.first for pair in pairs], [pair.second for pair in pairs]
    return list(texts), None
