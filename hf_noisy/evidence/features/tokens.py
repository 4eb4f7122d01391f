"""The tokens of a training set: their numbers, and a vector for each text by the words in it."""

from __future__ import annotations

from typing import Any

import datasets
import numpy as np

from hf_noisy.data.columns import columns_of
from hf_noisy.evidence.features.frozen import latent_semantic_vectors


def token_ids(by: str, dataset: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The token numbers of each row, and which of them are real tokens and not padding.

    Args:
        by: who asks; errors begin with it.
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
    """A list column, (tokens,) each: of a `datasets.Dataset` parts of one array, without a Python number a token."""
    if not isinstance(dataset, datasets.Dataset):
        return [np.asarray(dataset[row][name]).astype(kind) for row in range(len(dataset))]
    rows: list[np.ndarray] = []
    for lists in dataset.select_columns([name]).with_format("arrow")[:][name].iterchunks():
        ends = np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))
        parts = np.split(lists.flatten().to_numpy(zero_copy_only=False).astype(kind), ends)
        rows += parts[:-1]  # after the last is nothing
    return rows


def word_vectors(by: str, dataset: Any, seed: int = 0) -> np.ndarray:
    """(rows, at most 128) a latent semantic analysis of words and pairs of words: no encoder, so none need be pretrained.

    The words are those of a column `text` where every row has one, whole; else the tokens, as far as texts were not cut.

    Args, Raises: as `token_ids`; `seed` is of the analysis.
    """
    texts = _texts(dataset)
    if texts is not None:
        return latent_semantic_vectors(texts, seed)
    ids, real = token_ids(by, dataset)
    texts = [" ".join(map(str, row[mask])) for row, mask in zip(ids, real, strict=True)]
    return latent_semantic_vectors(texts, seed, lowercase=False, token_pattern=r"\S+")


def _texts(dataset: Any) -> list[str] | None:
    """The column `text`, or None where a row has none."""
    if "text" not in columns_of(dataset):
        return None
    if isinstance(dataset, datasets.Dataset):
        texts = dataset.with_format(None)["text"][:]
    else:
        texts = [dataset[row].get("text") for row in range(len(dataset))]
    return texts if all(isinstance(text, str) and text for text in texts) else None
