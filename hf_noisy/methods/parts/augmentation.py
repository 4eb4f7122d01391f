"""Another view of the same text: whole words hidden from attention, or tokens replaced by the mask token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_noisy.methods.parts.mixing import inner_tokens

_CONTINUES = "##"  # WordPiece marks the tokens that go on with a word
_BEGINS = ("Ġ", "▁")  # byte-level BPE and SentencePiece mark those that begin one
_USED = 0.02  # share of a vocabulary that its own marker exceeds; any token may stand in another's by chance


@dataclass(frozen=True)
class Vocabulary:
    """What augmentation has to know of each token."""

    continues: Tensor  # (ids,) bool: True where the token goes on with the word before it
    special: Tensor  # (ids,) bool: True for [CLS] and its like, the unknown token among them
    mask_id: int | None  # of the mask token, where there is one

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, device: torch.device | str = "cpu") -> Vocabulary:
        """Read off the marker that most tokens of the vocabulary carry; without one every token is its own word."""
        ids = tokenizer.get_vocab()
        special_ids = tokenizer.all_special_ids
        size = 1 + max([*ids.values(), *special_ids], default=0)
        counts = {marker: sum(token.startswith(marker) for token in ids) for marker in (_CONTINUES, *_BEGINS)}
        marker = max(counts, key=lambda known: counts[known])
        continues, special = torch.zeros(2, size, dtype=torch.bool)
        if counts[marker] > _USED * len(ids):
            within = [i for token, i in ids.items() if token.startswith(marker) == (marker == _CONTINUES)]
            continues[within] = True
        special[special_ids] = True
        continues[special_ids] = False
        mask_id: Any = tokenizer.mask_token_id
        return cls(continues.to(device), special.to(device), mask_id)

    def is_special(self, ids: Tensor) -> Tensor:
        """(batch, tokens) ids -> bool; an id beyond the tokenizer's counts as its last one, for nothing here may wait."""
        return self.special[ids.clamp_max(len(self.special) - 1)]

    def goes_on(self, ids: Tensor) -> Tensor:
        """(batch, tokens) ids -> bool."""
        return self.continues[ids.clamp_max(len(self.continues) - 1)]


def word_dropout(
    inputs: Mapping[str, Any], share: float, generator: torch.Generator, vocabulary: Vocabulary | None = None
) -> dict[str, Any]:
    """Hides each word from attention with probability `share`, all pieces of it or none.

    Special tokens are never hidden, nor is the word of the first or the last token of a text, which classifiers read.

    Args:
        inputs: (batch, tokens) tensors, `input_ids` and `attention_mask` among them.
        share: in [0, 1).
        generator: on the device of the inputs.
        vocabulary: where a word begins; None takes every token for a word, and none for special.

    Raises:
        ValueError: inputs without an `attention_mask`.

    >>> text = {"input_ids": torch.tensor([[5, 6, 7, 8]]), "attention_mask": torch.ones(1, 4, dtype=torch.int64)}
    >>> word_dropout(text, 0.999, torch.Generator().manual_seed(0))["attention_mask"]
    tensor([[1, 0, 0, 1]])
    """
    if "attention_mask" not in inputs:
        raise ValueError(
            f"word dropout hides words by the attention_mask, and the inputs have none ({', '.join(inputs)}). Keep the "
            "tokenizer's column attention_mask, or use augmentation='token_masking'."
        )
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    word, tokens = _word_numbers(ids, mask, vocabulary), ids.shape[1]
    draws = torch.rand((len(ids), tokens + 1), generator=generator, device=ids.device)
    kept = torch.where(_untouchable(ids, mask, vocabulary), word, tokens)  # the last column stands for no word
    hidden = draws.scatter(1, kept, 1.0).gather(1, word) < share
    return {**inputs, "attention_mask": mask.masked_fill(hidden, 0)}


def token_masking(
    inputs: Mapping[str, Any], share: float, generator: torch.Generator, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Replaces each token by the mask token with probability `share`; special, first and last tokens stay.

    Args:
        inputs: (batch, tokens) tensors, `input_ids` among them; without an `attention_mask` every token counts.
        share: in [0, 1).
        generator: on the device of the inputs.
        vocabulary: with a `mask_id`.

    >>> words = Vocabulary(torch.zeros(9, dtype=torch.bool), torch.zeros(9, dtype=torch.bool), mask_id=4)
    >>> text = {"input_ids": torch.tensor([[5, 6, 7, 8]])}
    >>> token_masking(text, 0.999, torch.Generator().manual_seed(0), words)["input_ids"]
    tensor([[5, 4, 4, 8]])
    """
    assert vocabulary.mask_id is not None
    ids = inputs["input_ids"]
    mask = inputs.get("attention_mask", torch.ones_like(ids))
    drawn = torch.rand(ids.shape, generator=generator, device=ids.device) < share
    replaced = drawn & ~_untouchable(ids, mask, vocabulary)
    return {**inputs, "input_ids": ids.masked_fill(replaced, vocabulary.mask_id)}


def _untouchable(ids: Tensor, mask: Tensor, vocabulary: Vocabulary | None) -> Tensor:
    """(batch, tokens) True for padding, special tokens, and the first and last token of a text."""
    outer = ~inner_tokens(mask)
    return outer if vocabulary is None else outer | vocabulary.is_special(ids)


def _word_numbers(ids: Tensor, mask: Tensor, vocabulary: Vocabulary | None) -> Tensor:
    """(batch, tokens) which word of its row a token belongs to; special tokens and padding end a word."""
    if vocabulary is None:
        return torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    apart = (mask == 0) | vocabulary.is_special(ids)
    begins = ~vocabulary.goes_on(ids) | apart | F.pad(apart, (1, 0), value=True)[:, :-1]
    return begins.cumsum(-1) - 1
