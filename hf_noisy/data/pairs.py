"""Texts that consist of two parts, such as premise and hypothesis: reading, checking and tokenizing them.

A `Text` is a string, or a tuple of the first and the second text of a row. All texts of a corpus have the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_noisy.common.checks import nearest
from hf_noisy.data.columns import LABEL_COLUMNS, columns_of

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase


Text = str | tuple[str, str]
TEXT, TEXT_PAIR = "text", "text_pair"  # the columns of a `Corpus`, and the names that pipelines of Transformers use
PAIR_NAMES = (  # names of the two columns in public data sets
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_A", "sentence_B"),
    ("text1", "text2"),
    ("question1", "question2"),
    ("question", "answer"),
    ("question", "sentence"),
    ("question", "passage"),
    ("query", "passage"),
    ("query", "document"),
)


def text_columns(names: Sequence[str]) -> list[str]:
    """Return those of the columns `text` and `text_pair` that are among `names`.

    >>> text_columns(["id", "text", "labels"]), text_columns(["text_pair", "text"])
    (['text'], ['text', 'text_pair'])
    """
    return [name for name in (TEXT, TEXT_PAIR) if name in names]


def texts_of(rows: Any) -> list[Text]:
    """Return the texts of a dataset or a batch with a column `text`: pairs if there is a column `text_pair` too.

    >>> texts_of({"text": ["A dog runs."], "text_pair": ["It sleeps."]}), texts_of({"text": ["A dog runs."]})
    ([('A dog runs.', 'It sleeps.')], ['A dog runs.'])
    """
    names = list(rows) if isinstance(rows, Mapping) else columns_of(rows)
    return pair_up(rows[TEXT][:], rows[TEXT_PAIR][:] if TEXT_PAIR in names else None)


def pair_up(texts: Sequence[Text], text_pairs: Sequence[str] | None) -> list[Text]:
    """Join first and second texts. Without second texts, `texts` are returned as they are.

    Raises:
        ValueError: different numbers of texts, or `texts` are pairs already.
    """
    if text_pairs is None:
        return list(texts)
    if len(texts) != len(text_pairs):
        raise ValueError(f"text_pairs has {len(text_pairs)} texts: expected {len(texts)}, one for each of texts.")
    if isinstance(text_pairs, str) or has_pairs(texts):
        what = "one text" if isinstance(text_pairs, str) else "given, and texts are pairs already"
        raise ValueError(f"text_pairs is {what}: expected a list of the second texts. Pass the first ones as texts.")
    return [(str(first), str(second)) for first, second in zip(texts, text_pairs, strict=True)]


def has_pairs(texts: Sequence[Text]) -> bool:
    """Whether the texts are pairs."""
    return len(texts) > 0 and not isinstance(texts[0], str)


def sides(texts: Sequence[Text]) -> list[list[str]]:
    """Return the list of all texts, or for pairs two lists: the first and the second texts.

    >>> sides(["a", "b"]), sides([("a", "x"), ("b", "y")])
    ([['a', 'b']], [['a', 'b'], ['x', 'y']])
    """
    if not has_pairs(texts):
        return [list(texts)]  # type: ignore[arg-type]  # strings, as the first one is
    return [[text[side] for text in texts] for side in (0, 1)]


def all_texts(texts: Sequence[Text]) -> list[str]:
    """Return all strings: of pairs the first texts, then the second ones.

    >>> all_texts([("a", "x"), ("b", "y")])
    ['a', 'b', 'x', 'y']
    """
    return [text for side in sides(texts) for text in side]


def text_length(text: Text) -> int:
    """Return the number of characters, of both texts of a pair."""
    return len(text) if isinstance(text, str) else sum(map(len, text))


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Text], **options: Any) -> BatchEncoding:
    """Tokenize texts. A pair becomes one sequence of two segments, and the longer text is truncated first."""
    return tokenizer(*sides(texts), **options)


def side_by_side_words(texts: Sequence[Text], count: Callable[[list[str]], Any]) -> Any:
    """Return the word counts of texts, sparse (texts, words). A word of the second text is another word than of the first.

    Args:
        texts: at least one.
        count: returns the sparse counts of a list of strings.
    """
    from scipy.sparse import hstack

    tables = [count(side) for side in sides(texts)]
    return tables[0] if len(tables) == 1 else hstack(tables, format="csr")


def check_pair_columns(
    where: str,
    known: Sequence[str],
    text: str,
    pair: str | None,
    others: Mapping[str, Sequence[str]],
) -> None:
    """Check the column of second texts, and propose a pair of columns if the table lacks the column `text`.

    Args:
        where: the table, for errors.
        known: columns of the table.
        text: the column of the first texts.
        pair: the column of the second texts; None if a row has one text.
        others: argument -> columns that are named for something else.

    Raises:
        ValueError: `pair` is the text column, or is named for something else, or is missing; or `text` is missing and
            two columns have names that are common for pairs.
    """
    if text not in known and (proposed := propose_pair(known)):
        raise ValueError(f"{where}: no column {text!r}, but {_proposal(*proposed)}")
    if pair is None:
        return
    if pair == text:
        raise ValueError(
            f"text_pair_column={pair!r} is text_column too: expected the column of the second texts. Name another, or leave "
            "text_pair_column out if a row has one text."
        )
    for argument, columns in others.items():
        if pair in columns:
            raise ValueError(
                f"text_pair_column={pair!r} is {argument} too: expected a column of texts. Name another one of the two."
            )
    if pair not in known:
        raise ValueError(
            f"{where}: no column {pair!r}. {nearest(pair, known)} Name it with text_pair_column; every split needs it."
        )


def label_columns_of(
    known: Sequence[str], text: str, label: str | None, votes: Sequence[str] | None, gold: str | None
) -> dict[str, Sequence[str]]:
    """Return the columns of labels by argument, with the default of `label_column` if none is named."""
    usual = [name for name in LABEL_COLUMNS if name in known and name not in (text, gold)][:1]
    labels = [label] if label is not None else usual if votes is None else []
    return {"label_column": labels, "votes_columns": votes or [], "gold_column": [] if gold is None else [gold]}


def propose_pair(known: Sequence[str]) -> tuple[str, str] | None:
    """Return the first pair of `PAIR_NAMES` that are both columns, or None.

    >>> propose_pair(["id", "hypothesis", "premise", "label"]), propose_pair(["question", "label"])
    (('premise', 'hypothesis'), None)
    """
    return next(((first, second) for first, second in PAIR_NAMES if first in known and second in known), None)


def missing_text_hint(known: Sequence[str], text: str) -> str:
    """Return the proposal of a pair as the end of an error, if `text` is missing; else an empty string."""
    proposed = None if text in known else propose_pair(known)
    return "" if proposed is None else f" There are {_proposal(*proposed)}"


def _proposal(first: str, second: str) -> str:
    return (
        f"{first!r} and {second!r}. If a row has these two texts: --text_column {first} --text_pair_column {second}, in Python "
        f"text_column={first!r}, text_pair_column={second!r}."
    )
