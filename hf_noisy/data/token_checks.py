"""Checks before the first batch that a dataset is tokenized for the model."""

from __future__ import annotations

from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import nn
from transformers import DataCollatorWithPadding, PretrainedConfig, default_data_collator

from hf_noisy.data.columns import is_list_type

_TOKENIZE = "Tokenize first: dataset.map(lambda row: tokenizer(row['text'], truncation=True), batched=True)."


def check_tokens(dataset: Any, model: Any, collator: Any, *, where: str, alone: bool = False) -> None:
    """Check that `dataset` is tokenized and fits `model`, before a batch fails with an unclear message.

    Only a `datasets.Dataset` is checked, and if it has a transform, only its column names. The longest length is
    checked only with a collator of Transformers that does not truncate. Rows that are `alone` in their batch need no padding.

    Raises:
        ValueError: no column of tokens, a row without tokens, a token outside the vocabulary, a mask of another length,
            a text longer than the model's positions, or texts of different lengths without padding.
    """
    if not isinstance(dataset, datasets.Dataset):
        return
    name, known = model.main_input_name, dataset.column_names
    if not {name, "inputs_embeds"} & set(known):
        raise ValueError(f"{where} has columns {', '.join(known)}: expected tokenized text in '{name}'. {_TOKENIZE}")
    if name != "input_ids" or name not in known or dataset.format["type"] == "custom" or not len(dataset):
        return
    stored = dataset.data.column(name)  # includes rows that a filter left out; reading the others alone is far slower
    rows = np.arange(len(stored)) if dataset._indices is None else np.asarray(dataset._indices.column(0))
    if not is_list_type(stored.type) or not (
        pa.types.is_integer(stored.type.value_type) or pa.types.is_null(stored.type.value_type)
    ):
        raise ValueError(
            f"{where}, row 0: {name} is {stored[int(rows[0])].as_py()!r}: expected a list of token ids. {_TOKENIZE}"
        )
    stock = (
        collator is default_data_collator or type(collator) is DataCollatorWithPadding
    )  # any other may truncate or pad
    positions = (_positions(model) if stock else None) or np.inf
    lengths = _lengths(stored)[rows]
    wrong = {
        f"1 or more. Drop rows without text. {_TOKENIZE}": lengths == 0,
        f"{positions} or fewer, as many as the model has positions. {_TOKENIZE}": lengths > positions,
        f"{lengths[0]} as in row 0, since nothing pads. Pass the tokenizer: processing_class=tokenizer.": (
            (lengths != lengths[0]) & (collator is default_data_collator and not alone)
        ),
    }
    if "attention_mask" in known:
        masks = _lengths(dataset.data.column("attention_mask"))[rows]
        wrong[f"an attention_mask of that length. {_TOKENIZE}"] = lengths != masks
    for expected, bad in wrong.items():
        for row in np.flatnonzero(bad)[:1]:
            raise ValueError(f"{where}, row {row}: has {lengths[row]} tokens: expected {expected}")
    _check_vocabulary(stored, rows, model.config, where)


def _check_vocabulary(stored: pa.ChunkedArray, rows: np.ndarray, config: PretrainedConfig, where: str) -> None:
    size, begun = getattr(config, "vocab_size", None) or np.iinfo(np.int64).max, 0
    for part in stored.chunks:
        tokens, ends = part.flatten(), _lengths(part).cumsum()
        extremes = pc.min_max(tokens).as_py()
        if extremes["min"] is not None and not 0 <= extremes["min"] <= extremes["max"] < size:
            at = np.flatnonzero((np.asarray(tokens) < 0) | (np.asarray(tokens) >= size))
            holders = begun + np.searchsorted(ends, at, side="right")
            for row in np.flatnonzero(np.isin(rows, holders))[:1]:
                token = tokens[int(at[holders == rows[row]][0])]
                raise ValueError(
                    f"{where}, row {row}: holds the token {token}: expected 0 to {size - 1}, the model's vocabulary. Tokenize "
                    "with the model's own tokenizer; for tokens that were added, call model.resize_token_embeddings."
                )
        begun += len(part)


def _lengths(lists: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.list_value_length(lists).fill_null(0))


def _positions(model: nn.Module) -> int | None:
    """Return the number of a model's learned positions, or None if they are relative or not known."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and name.rpartition(".")[2] in ("position_embeddings", "wpe"):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return None
