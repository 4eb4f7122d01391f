"""Token ids of a training set, and word features of its texts."""

from __future__ import annotations

from typing import Any

import datasets
import numpy as np

from hf_noisy.data.columns import columns_of
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

    The words are those of the column `text`, untruncated, if every row has a text. Otherwise the token ids are used as
    words, without those lost by truncation.

    Args, Raises: as for `token_ids`; `seed` and `tokenizer` as for `latent_semantic_vectors`.
    """
    texts = _texts(dataset)
    if texts is not None:
        return latent_semantic_vectors(texts, seed, tokenizer)
    ids, real = token_ids(by, dataset)
    texts = [" ".join(map(str, row[mask])) for row, mask in zip(ids, real, strict=True)]
    return latent_semantic_vectors(texts, seed, None, lowercase=False, token_pattern=r"\S+")


def _texts(dataset: Any) -> list[str] | None:
    """Returns the column `text`, or None if a row has no text."""
    if "text" not in columns_of(dataset):
        return None
    if isinstance(dataset, datasets.Dataset):
        texts = dataset.with_format(None)["text"][:]
    else:
        texts = [dataset[row].get("text") for row in range(len(dataset))]
    return texts if all(isinstance(text, str) and text for text in texts) else None
