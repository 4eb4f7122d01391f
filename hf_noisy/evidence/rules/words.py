"""Words behind votes: the words without which a labeling function votes differently."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_noisy.common.progress import progress_bar, quietly
from hf_noisy.evidence.features.words import Span, WordSplitter, word_splitter
from hf_noisy.weak.labeling_functions import apply_labeling_functions
from hf_noisy.weak.votes import votes_of

if TYPE_CHECKING:
    from datasets import Dataset
    from snorkel.labeling import LabelingFunction
    from transformers import PreTrainedTokenizerBase


_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]+")
_TEXTS = 256  # texts per batch; each is copied once per word


def words_behind_votes(
    texts: Sequence[str] | Dataset,
    functions: Sequence[LabelingFunction],
    *,
    text_column: str = "text",
    num_proc: int | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> list[list[Span]]:
    """Finds the words of each text without which a labeling function that votes on it would vote differently.

    Each word (all its occurrences, ignoring case) is masked, and every function is run again. The word is behind each
    vote that changes. Masking replaces letters by `_` and punctuation by blanks, so that the text keeps its length and
    its word count.

    If no single word changes a vote, as when each of two keywords suffices, words are masked cumulatively from the
    first on until the vote changes. The word masked last is behind it. The search is repeated with this word masked,
    until masking the words found changes the vote. If a phrase stands beside another that suffices too, possibly only
    one of its words is found.

    Not found: causes other than words (the length of a text, other columns), and two words that only together undo a
    vote that one other word already undoes.

    Args:
        texts: the texts, or a Dataset whose other columns the functions may read too.
        functions: labeling functions made by `@labeling_function()`.
        text_column: text column of a Dataset; for a list of texts, the name under which the functions read the text.
        num_proc: number of processes that run the functions.
        tokenizer: its pieces are the words of texts without spaces between words, where no segmenter is installed;
            without either, each character is a word (`hf_noisy.evidence.features.words.word_splitter`).

    Returns:
        For each text the spans (begin, end) of its words behind votes, in order; `[]` if there are none.

    Raises:
        ValueError, TypeError: no such column, or what `apply_labeling_functions` raises.

    The cost is one vote of each function per different word of a text, and more if a vote has several causes.

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
    count, splitter = len(columns[text_column]), word_splitter(columns[text_column], tokenizer)
    found: list[list[Span]] = []
    for begin in progress_bar("Searching words behind votes", range(0, count, _TEXTS), unit="batch"):
        part = {name: values[begin : begin + _TEXTS] for name, values in columns.items()}
        found += _Texts(part, text_column, functions, num_proc, splitter).behind()
    return found


def rule_token_mask(
    texts: Sequence[str] | Dataset,
    functions: Sequence[LabelingFunction],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int | None = None,
    text_column: str = "text",
    text_pair_column: str | None = None,
    num_proc: int | None = None,
) -> list[list[int]]:
    """Returns 1 for each token that belongs to a word behind a vote, else 0: the argument `tokens` of `RuleMasking`.

    Args:
        texts, functions, text_column, num_proc: as for `words_behind_votes`.
        tokenizer: a fast tokenizer, which returns the offsets of its tokens.
        max_length: as for the tokenization of the training set; None for the tokenizer's own.
        text_pair_column: column of second texts of a Dataset, whose words are looked for too. The rows are then tokenized as
            pairs. A vote for which either text alone suffices has no words behind it.

    Returns:
        For each text one number per token of the tokenizer, including special tokens, which are 0.

    Raises:
        TypeError: a tokenizer that is not fast.
        ValueError: as `words_behind_votes`.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise TypeError(
            f"{type(tokenizer).__name__} does not know where in the text its tokens stand: expected a fast tokenizer. Load "
            "one with AutoTokenizer."
        )
    spans = words_behind_votes(texts, functions, text_column=text_column, num_proc=num_proc, tokenizer=tokenizer)
    if not spans:
        return []
    names = [text_column] if text_pair_column is None else [text_column, text_pair_column]
    by_text = [
        spans,
        *(words_behind_votes(texts, functions, text_column=name, num_proc=num_proc) for name in names[1:]),
    ]
    written = [list(_columns(texts, name)[name]) for name in names]
    tokens = tokenizer(*written, truncation=True, max_length=max_length, return_offsets_mapping=True)
    return [
        [
            int(side is not None and any(begin < stop and start < end for start, stop in by_text[side][row]))
            for (begin, end), side in zip(places, tokens.sequence_ids(row), strict=True)
        ]
        for row, places in enumerate(tokens["offset_mapping"])
    ]


class _Texts:
    """Texts with their other columns and their words, and the votes of the functions on masked texts."""

    def __init__(
        self,
        columns: dict[str, list[Any]],
        name: str,
        functions: Sequence[LabelingFunction],
        num_proc: int | None,
        splitter: WordSplitter | None,
    ) -> None:
        self.columns, self.name, self.functions, self.num_proc = columns, name, functions, num_proc
        self.spans = [
            [match.span() for match in _WORD.finditer(text)] if splitter is None else splitter.spans(text, _WORD)
            for text in columns[name]
        ]
        self.words = [
            [text[begin:end].casefold() for begin, end in spans]
            for text, spans in zip(columns[name], self.spans, strict=True)
        ]

    def behind(self) -> list[list[Span]]:
        """Returns for each text the spans of the words behind its votes."""
        texts = range(len(self.words))
        different = [list(dict.fromkeys(words)) for words in self.words]
        asked = [(row, frozenset({word})) for row in texts for word in different[row]]
        whole = self._votes_without([(row, frozenset()) for row in texts])
        found: list[set[str]] = [set() for _ in texts]
        pending = {(row, source): list[str]() for row, source in np.argwhere(whole >= 0).tolist()}
        for (row, masked), votes in zip(asked, self._votes_without(asked), strict=True):
            for source in np.flatnonzero((votes != whole[row]) & (whole[row] >= 0)).tolist():
                found[row] |= masked
                pending.pop((row, source), None)
        while pending:
            pending = self._search(pending, different, whole, found)
        return [
            [span for span, word in zip(spans, words, strict=True) if word in own]
            for spans, words, own in zip(self.spans, self.words, found, strict=True)
        ]

    def _search(
        self,
        pending: dict[tuple[int, int], list[str]],
        different: list[list[str]],
        whole: np.ndarray,
        found: list[set[str]],
    ) -> dict[tuple[int, int], list[str]]:
        """Finds one more word for each vote that has not changed yet.

        Returns the votes that need a further search, with the words found.
        """
        asked, sizes = [], []
        for (row, _), masked in pending.items():
            words = different[row]
            asked += [(row, frozenset(masked).union(words[:size])) for size in range(len(words) + 1)]
            sizes.append(len(words) + 1)
        answers = np.split(self._votes_without(asked), np.cumsum(sizes)[:-1])
        more = {}
        for ((row, source), masked), votes in zip(pending.items(), answers, strict=True):
            changed = np.flatnonzero(votes[:, source] != whole[row, source])
            if len(changed) and changed[0] == 0:
                found[row].update(masked)
            elif len(changed):
                more[row, source] = [*masked, different[row][changed[0] - 1]]
        return more

    def _votes_without(self, wanted: list[tuple[int, frozenset[str]]]) -> np.ndarray:
        """Returns the votes (wanted, sources) on texts in which the given words are masked."""
        from datasets import Dataset

        if not wanted:
            return np.empty((0, len(self.functions)), dtype=np.int64)
        rows = [row for row, _ in wanted]
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        columns[self.name] = [self._masked_text(row, masked) for row, masked in wanted]
        asked = Dataset.from_dict(columns)
        with quietly():
            voted = apply_labeling_functions(asked, self.functions, num_proc=self.num_proc, column="_votes")
        return votes_of(voted, "_votes")

    def _masked_text(self, row: int, masked: frozenset[str]) -> str:
        text = list(self.columns[self.name][row])
        for (begin, end), word in zip(self.spans[row], self.words[row], strict=True):
            if word in masked:
                text[begin:end] = ("_" if word[0].isalnum() or word[0] == "_" else " ") * (end - begin)
        return "".join(text)


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
