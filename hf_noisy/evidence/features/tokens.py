"""Token ids of a training set, and word features of its texts."""

from __future__ import annotations

from typing import Any

import datasets
import numpy as np

from hf_noisy.data.columns import columns_of
from hf_noisy.data.pairs import TEXT, TEXT_PAIR, Text, pair_up
from hf_noisy.evidence.features.frozen import latent_semantic_vectors


def token_ids(by: str, dataset: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the token ids of each row, and for each row a mask of the tokens that are not padding.

    Args:
        by: name of the caller; error messages begin with it.
        dataset: tokenized rows, in row order.

    Raises:
        ValueError: there is no column `input_ids`.
    """
    names = columns_of(dataset)
    if "input_ids" not in names:
        raise ValueError(f"{by}: the training set has columns {', '.join(names)}: expected input_ids. Tokenize it.")

    ids = _column(dataset, "input_ids", np.int32)
    if "attention_mask" in names:
        return ids, _column(dataset, "attention_mask", np.bool_)
    return ids, [np.ones(len(row), dtype=bool) for row in ids]


def _column(dataset: Any, name: str, kind: Any) -> list[np.ndarray]:
    """Returns a list column as one array (tokens,) per row.

    For a `datasets.Dataset` these are parts of one array; no Python number is created per token.
    """
    if not isinstance(dataset, datasets.Dataset):
        return [np.asarray(dataset[row][name]).astype(kind) for row in range(len(dataset))]
    rows: list[np.ndarray] = []
    for lists in dataset.select_columns([name]).with_format("arrow")[:][name].iterchunks():
        ends = np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))
        parts = np.split(lists.flatten().to_numpy(zero_copy_only=False).astype(kind), ends)
        rows += parts[:-1]  # the part after the last end is empty
    return rows


def word_vectors(by: str, dataset: Any, seed: int = 0, tokenizer: Any = None) -> np.ndarray:
    """Computes word features by latent semantic analysis, (rows, at most 128). No pretrained encoder is needed.

    The words are those of the columns `text` and, if there is one, `text_pair`, untruncated, if every row has them.
    Otherwise the token ids are used as words, without those lost by truncation. Tokens of the second segment
    (`second_segment`) are then those of a second text.

    Args, Raises: as for `token_ids`; `seed` and `tokenizer` as for `latent_semantic_vectors`.
    """
    texts = _texts(dataset)
    if texts is not None:
        return latent_semantic_vectors(texts, seed, tokenizer)
    ids, real = token_ids(by, dataset)
    second = second_segment(dataset)
    if second is None:
        texts = [_joined(row[mask]) for row, mask in zip(ids, real, strict=True)]
    else:
        parts = zip(ids, real, second, strict=True)
        texts = [(_joined(row[mask & ~later]), _joined(row[mask & later])) for row, mask, later in parts]
    return latent_semantic_vectors(texts, seed, None, lowercase=False, token_pattern=r"\S+")


def second_segment(dataset: Any, separator: int | None = None) -> list[np.ndarray] | None:
    """Returns a mask of the tokens of each row's second text, (tokens,) bool, or None if the rows have one text.

    Args:
        dataset: tokenized rows.
        separator: token id between the two texts. It is used if the rows have a column `text_pair` and their tokens no
            `token_type_ids`, as with RoBERTa. Without it, such rows count as one text.
    """
    names = columns_of(dataset)
    if "token_type_ids" in names:
        found = [row == 1 for row in _column(dataset, "token_type_ids", np.int8)]
        if any(row.any() for row in found):
            return found
    if TEXT_PAIR not in names or separator is None:
        return None
    return [np.cumsum(row == separator) > 0 for row in token_ids("tokens", dataset)[0]]


def _joined(ids: np.ndarray) -> str:
    return " ".join(map(str, ids))


def _texts(dataset: Any) -> list[Text] | None:
    """Returns the column `text`, with `text_pair` if there is one, or None if a row has no text."""
    names = columns_of(dataset)
    if TEXT not in names:
        return None
    columns = [_cells(dataset, name) for name in (TEXT, TEXT_PAIR) if name in names]
    if not all(isinstance(text, str) and text for column in columns for text in column):
        return None
    return pair_up(columns[0], columns[1] if len(columns) == 2 else None)


def _cells(dataset: Any, column: str) -> list[Any]:
    if isinstance(dataset, datasets.Dataset):
        return list(dataset.with_format(None)[column][:])
    return [dataset[row].get(column) for row in range(len(dataset))]
