"""Which words make a source vote: by asking a labeling function without them, or by what goes with its votes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_noisy.weak.labeling_functions import apply_labeling_functions
from hf_noisy.weak.votes import votes_of

if TYPE_CHECKING:
    from datasets import Dataset
    from snorkel.labeling import LabelingFunction
    from transformers import PreTrainedTokenizerBase


Span = tuple[int, int]  # begin and end of a word, in characters
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]+")
_TEXTS = 256  # asked about at once; each needs as many copies as it has words


def words_behind_votes(
    texts: Sequence[str] | Dataset,
    functions: Sequence[LabelingFunction],
    *,
    text_column: str = "text",
    num_proc: int | None = None,
) -> list[list[Span]]:
    """The words of each text without which a labeling function that votes on it would vote otherwise.

    Each word (all its occurrences at once, whatever their case) is blotted out, and every function asked again: the word
    is behind a vote that changes. Letters become `_` and punctuation becomes blanks, so that the text keeps its length
    and its count of words. Where no single word changes a vote, as when each of two keywords suffices, words are blotted
    out from the first on until the vote changes; the last one is behind it; and so on with that one gone, until the
    vote changes without all that were found. A phrase beside another that suffices as well may so be found by one word
    of it only.

    Not found: what a function votes on whatever the words are (the length of a text, other columns), and what takes two
    words at once to undo in a vote that one other word already undoes.

    Args:
        texts: the texts, or a Dataset whose other columns the functions may read too.
        functions: what `@labeling_function()` makes.
        text_column: of a Dataset; for a list of texts, what the functions call the text.
        num_proc: processes to share the asking.

    Returns:
        for each text the spans (begin, end) of its words behind votes, in order; `[]` where there are none.

    Raises:
        ValueError, TypeError: no such column, or what `apply_labeling_functions` raises.

    Costs as many votes of each function as a text has different words, and more where a vote has several causes.

    >>> import datasets
    >>> from snorkel.labeling import labeling_function
    >>> @labeling_function()
    ... def lf_link(x):
    ...     return 1 if "http" in x.text or "check out" in x.text else -1
    >>> datasets.disable_progress_bars()
    >>> words_behind_votes(["Please check out my song", "lovely song", "check out http://a.b"], [lf_link])
    [[(7, 12), (13, 16)], [], [(0, 5), (10, 14)]]
    """
    columns = _columns(texts, text_column)
    count = len(columns[text_column])
    found: list[list[Span]] = []
    for begin in range(0, count, _TEXTS):
        part = {name: values[begin : begin + _TEXTS] for name, values in columns.items()}
        found += _Texts(part, text_column, functions, num_proc).behind()
    return found


def rule_token_mask(
    texts: Sequence[str] | Dataset,
    functions: Sequence[LabelingFunction],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int | None = None,
    text_column: str = "text",
    num_proc: int | None = None,
) -> list[list[int]]:
    """For each token of each text 1 where it is of a word behind a vote, else 0: `tokens` of `RuleMasking`.

    Args:
        texts, functions, text_column, num_proc: as for `words_behind_votes`.
        tokenizer: a fast one, which knows where its tokens stand.
        max_length: as the training set was tokenized; None for the tokenizer's own.

    Returns:
        as many numbers for a text as the tokenizer gives tokens, special ones included, which are 0.

    Raises:
        TypeError: a tokenizer that is not fast.
        ValueError: what `words_behind_votes` raises.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise TypeError(
            f"{type(tokenizer).__name__} does not know where in the text its tokens stand: expected a fast tokenizer. Load "
            "one with AutoTokenizer."
        )
    spans = words_behind_votes(texts, functions, text_column=text_column, num_proc=num_proc)
    if not spans:
        return []
    written = list(_columns(texts, text_column)[text_column])
    offsets = tokenizer(written, truncation=True, max_length=max_length, return_offsets_mapping=True)["offset_mapping"]
    return [
        [int(any(begin < stop and start < end for start, stop in mine)) for begin, end in places]
        for places, mine in zip(offsets, spans, strict=True)
    ]


class _Texts:
    """Some texts with their other columns, their words, and what the functions say with some of the words blotted out."""

    def __init__(
        self, columns: dict[str, list[Any]], name: str, functions: Sequence[LabelingFunction], num_proc: int | None
    ) -> None:
        self.columns, self.name, self.functions, self.num_proc = columns, name, functions, num_proc
        self.spans = [[match.span() for match in _WORD.finditer(text)] for text in columns[name]]
        self.words = [
            [text[begin:end].casefold() for begin, end in spans]
            for text, spans in zip(columns[name], self.spans, strict=True)
        ]

    def behind(self) -> list[list[Span]]:
        """For each text the spans of the words behind its votes."""
        texts = range(len(self.words))
        different = [list(dict.fromkeys(words)) for words in self.words]
        asked = [(row, frozenset({word})) for row in texts for word in different[row]]
        whole = self._ask([(row, frozenset()) for row in texts])
        found: list[set[str]] = [set() for _ in texts]
        pending = {(row, source): list[str]() for row, source in np.argwhere(whole >= 0).tolist()}
        for (row, gone), votes in zip(asked, self._ask(asked), strict=True):
            for source in np.flatnonzero((votes != whole[row]) & (whole[row] >= 0)).tolist():
                found[row] |= gone
                pending.pop((row, source), None)
        while pending:
            pending = self._search(pending, different, whole, found)
        return [
            [span for span, word in zip(spans, words, strict=True) if word in mine]
            for spans, words, mine in zip(self.spans, self.words, found, strict=True)
        ]

    def _search(
        self,
        pending: dict[tuple[int, int], list[str]],
        different: list[list[str]],
        whole: np.ndarray,
        found: list[set[str]],
    ) -> dict[tuple[int, int], list[str]]:
        """One more word for each vote that nothing has changed yet; those for which more must be sought."""
        asked, sizes = [], []
        for (row, _), gone in pending.items():
            words = different[row]
            asked += [(row, frozenset(gone).union(words[:size])) for size in range(len(words) + 1)]
            sizes.append(len(words) + 1)
        answers = np.split(self._ask(asked), np.cumsum(sizes)[:-1])
        more = {}
        for ((row, source), gone), votes in zip(pending.items(), answers, strict=True):
            changed = np.flatnonzero(votes[:, source] != whole[row, source])
            if len(changed) and changed[0] == 0:
                found[row].update(gone)
            elif len(changed):
                more[row, source] = [*gone, different[row][changed[0] - 1]]
        return more

    def _ask(self, wanted: list[tuple[int, frozenset[str]]]) -> np.ndarray:
        """(wanted, sources) votes on texts without words."""
        from datasets import Dataset

        if not wanted:
            return np.empty((0, len(self.functions)), dtype=np.int64)
        rows = [row for row, _ in wanted]
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        columns[self.name] = [self._without(row, gone) for row, gone in wanted]
        asked = Dataset.from_dict(columns)
        with _without_bars():
            voted = apply_labeling_functions(asked, self.functions, num_proc=self.num_proc, column="_votes")
        return votes_of(voted, "_votes")

    def _without(self, row: int, gone: frozenset[str]) -> str:
        text = list(self.columns[self.name][row])
        for (begin, end), word in zip(self.spans[row], self.words[row], strict=True):
            if word in gone:
                text[begin:end] = ("_" if word[0].isalnum() or word[0] == "_" else " ") * (end - begin)
        return "".join(text)


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Inside, `datasets` draws no progress bar for each round of questions."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    if shown:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _columns(texts: Sequence[str] | Dataset, text_column: str) -> dict[str, list[Any]]:
    from datasets import Dataset

    if isinstance(texts, str):
        raise TypeError("texts is one text: expected a list of texts, or a Dataset. Wrap it in [...].")
    if not isinstance(texts, Dataset):
        return {text_column: list(texts)}
    if text_column not in texts.column_names:
        raise ValueError(
            f"text_column={text_column!r}: expected a column of the dataset. Known: {', '.join(texts.column_names)}."
        )
    return {name: texts.with_format(None)[name][:] for name in texts.column_names}
