"""Augmented views of a text: whole words hidden from attention, or tokens replaced by the mask token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_noisy.common.scripts import RUN, SPACELESS_ALPHABET
from hf_noisy.methods.parts.mixing import inner_tokens

_CONTINUES = "##"  # WordPiece marks the tokens that continue a word
_SPACE = "▁"
_BEGINS = ("Ġ", _SPACE)  # byte-level BPE and SentencePiece mark the tokens that begin a word
# the bytes that the letters of a byte-level vocabulary stand for, as in GPT-2: printable ones for themselves
_PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
_BYTES = {chr(code): code for code in _PRINTABLE}
_BYTES |= {chr(256 + n): code for n, code in enumerate(code for code in range(256) if code not in _PRINTABLE)}
_MIN_MARKER_SHARE = 0.02  # a marker on at most this share of the tokens is there by chance


@dataclass(frozen=True)
class Vocabulary:
    """Holds the properties of each token that augmentation needs."""

    continues: Tensor  # (ids,) bool. True where the token continues the word before it
    special: Tensor  # (ids,) bool. True for special tokens such as [CLS], including the unknown token
    mask_id: int | None  # id of the mask token; None if the tokenizer has none

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, device: torch.device | str = "cpu") -> Vocabulary:
        """Builds the table from a tokenizer.

        The marker that most tokens of the vocabulary carry shows which tokens continue a word. Without a marker, every
        token is a word of its own. So is a token that begins with a character of a script without spaces between words:
        a marker of spaces would make one word of a whole sentence. WordPiece splits at each Chinese character by
        itself, and Japanese models split words before it, so its marker is heeded in Chinese and Japanese.
        """
        ids = tokenizer.get_vocab()
        special_ids = tokenizer.all_special_ids
        size = 1 + max([*ids.values(), *special_ids], default=0)
        counts = {marker: sum(token.startswith(marker) for token in ids) for marker in (_CONTINUES, *_BEGINS)}
        marker = max(counts, key=lambda known: counts[known])
        continues, special = torch.zeros(2, size, dtype=torch.bool)
        if counts[marker] > _MIN_MARKER_SHARE * len(ids):
            within = [i for token, i in ids.items() if _continues(token, marker)]
            continues[within] = True
        special[special_ids] = True
        continues[special_ids] = False
        mask_id: Any = tokenizer.mask_token_id
        return cls(continues.to(device), special.to(device), mask_id)

    def is_special(self, ids: Tensor) -> Tensor:
        """(batch, tokens) ids -> bool. An id beyond the tokenizer's is read as its last one: a check is slow."""
        return self.special[ids.clamp_max(len(self.special) - 1)]

    def goes_on(self, ids: Tensor) -> Tensor:
        """(batch, tokens) ids -> bool. True where the token continues a word."""
        return self.continues[ids.clamp_max(len(self.continues) - 1)]


def _continues(token: str, marker: str) -> bool:
    """Returns whether a token of a vocabulary with this marker continues the word before it."""
    if marker == _CONTINUES:
        return token.startswith(marker) and not SPACELESS_ALPHABET.match(token, len(marker))
    return not token.startswith(marker) and not RUN.match(token if marker == _SPACE else _first_character(token))


def _first_character(token: str) -> str:
    """Returns the character that a token of byte-level BPE begins; empty if it begins inside of one.

    A token may hold the first bytes of a character only. They are completed to some character of the same script.
    """
    raw = bytes(_BYTES.get(letter, 0x20) for letter in token)
    return (raw + b"\x80\x80").decode(errors="ignore")[:1] if raw[:1] > b"\xbf" else ""


def word_dropout(
    inputs: Mapping[str, Any], share: float, generator: torch.Generator, vocabulary: Vocabulary | None = None
) -> dict[str, Any]:
    """Hides each word from attention with probability `share`: all tokens of the word, or none.

    Special tokens are never hidden. Neither are the words of the first and the last token of a text, since classifiers
    read these tokens.

    Args:
        inputs: (batch, tokens) tensors, including `input_ids` and `attention_mask`.
        share: in [0, 1).
        generator: on the device of the inputs.
        vocabulary: shows where words begin. With None, every token is a word and no token is special.

    Raises:
        ValueError: the inputs have no `attention_mask`.

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
    kept = torch.where(_protected(ids, mask, vocabulary), word, tokens)  # last column: tokens that may be hidden
    hidden = draws.scatter(1, kept, 1.0).gather(1, word) < share
    return {**inputs, "attention_mask": mask.masked_fill(hidden, 0)}


def token_masking(
    inputs: Mapping[str, Any], share: float, generator: torch.Generator, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Replaces each token by the mask token with probability `share`. Special, first and last tokens stay.

    Args:
        inputs: (batch, tokens) tensors, including `input_ids`. Without an `attention_mask`, no token is padding.
        share: in [0, 1).
        generator: on the device of the inputs.
        vocabulary: must have a `mask_id`.

    >>> words = Vocabulary(torch.zeros(9, dtype=torch.bool), torch.zeros(9, dtype=torch.bool), mask_id=4)
    >>> text = {"input_ids": torch.tensor([[5, 6, 7, 8]])}
    >>> token_masking(text, 0.999, torch.Generator().manual_seed(0), words)["input_ids"]
    tensor([[5, 4, 4, 8]])
    """
    assert vocabulary.mask_id is not None
    ids = inputs["input_ids"]
    mask = inputs.get("attention_mask", torch.ones_like(ids))
    drawn = torch.rand(ids.shape, generator=generator, device=ids.device) < share
    replaced = drawn & ~_protected(ids, mask, vocabulary)
    return {**inputs, "input_ids": ids.masked_fill(replaced, vocabulary.mask_id)}


def _protected(ids: Tensor, mask: Tensor, vocabulary: Vocabulary | None) -> Tensor:
    """(batch, tokens) bool. True for padding, special tokens, and the first and last token of a text."""
    outer = ~inner_tokens(mask)
    return outer if vocabulary is None else outer | vocabulary.is_special(ids)


def _word_numbers(ids: Tensor, mask: Tensor, vocabulary: Vocabulary | None) -> Tensor:
    """(batch, tokens) number of the token's word within its row. Special tokens and padding end a word."""
    if vocabulary is None:
        return torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    boundary = (mask == 0) | vocabulary.is_special(ids)
    begins = ~vocabulary.goes_on(ids) | boundary | F.pad(boundary, (1, 0), value=True)[:, :-1]
    return begins.cumsum(-1) - 1
