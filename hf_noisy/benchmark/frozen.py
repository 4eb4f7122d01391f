"""A classifier whose encoder is a table of stored vectors: only its linear head is trained.

A text is one "token", the number of its row in the table. So the Trainer, the methods, several networks and checkpoints
work on it as on any model of Transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel, set_seed
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

from hf_noisy.common.progress import dataset_bars
from hf_noisy.data.pairs import Text, texts_of
from hf_noisy.methods.building import build_methods
from hf_noisy.methods.parts.base import NoiseCallback

if TYPE_CHECKING:
    from datasets import Dataset

_TINY = 1e-6  # a column whose deviation is at most this share of the largest one is constant, up to rounding


class FrozenConfig(PretrainedConfig):
    """Configuration of `FrozenClassifier`.

    Args:
        vocab_size: number of stored vectors.
        hidden_size: width of a vector.
        dropout: dropout of the standardised vector, before the linear layer.
        others: as for `PretrainedConfig`.
    """

    model_type = "frozen_vectors"

    def __init__(self, vocab_size: int = 1, hidden_size: int = 1, dropout: float = 0.1, **others: Any) -> None:
        self.vocab_size, self.hidden_size, self.dropout = vocab_size, hidden_size, dropout
        super().__init__(**others)


class VectorTable(nn.Module):
    """Looks up vectors by row number. They have no gradient and are not saved in checkpoints."""

    vectors: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(rows, width), persistent=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        """(batch, tokens) row numbers -> (batch, tokens, width)."""
        return F.embedding(input_ids, self.vectors)


class FrozenEncoder(nn.Module):
    """The stored vectors as the hidden states of an encoder."""

    def __init__(self, config: FrozenConfig) -> None:
        super().__init__()
        self.embeddings = VectorTable(config.vocab_size, config.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutput:
        """(batch, tokens) row numbers -> `last_hidden_state` (batch, tokens, width)."""
        return BaseModelOutput(last_hidden_state=self.embeddings(input_ids))


class Standardize(nn.Module):
    """Subtracts a mean from each column and divides by a deviation. Both are fixed and saved in checkpoints."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def forward(self, vectors: Tensor) -> Tensor:
        """(batch, width) -> (batch, width)."""
        return (vectors - self.mean) / self.deviation


class FrozenClassifier(PreTrainedModel):
    """Classifies stored vectors: standardise, dropout, one linear layer, which is all that is trained.

    The stored vectors are no part of a checkpoint: load its weights into a model made with the same vectors.
    """

    config_class = FrozenConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"

    def __init__(self, config: FrozenConfig) -> None:
        super().__init__(config)
        self.encoder = FrozenEncoder(config)
        self.standardize = Standardize(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        assert config.num_labels is not None
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @classmethod
    def of(
        cls, vectors: np.ndarray, train: np.ndarray, class_names: Sequence[str], *, seed: int, name: str = ""
    ) -> FrozenClassifier:
        """Makes a classifier with a new head.

        Args:
            vectors: (rows, width) of all texts.
            train: (training rows,) row numbers of the training texts, whose mean and deviation standardise the vectors.
            class_names: one name per class.
            seed: of the head.
            name: of the pretrained encoder; empty for vectors that no pretrained encoder made.
        """
        set_seed(seed)
        config = FrozenConfig(
            *vectors.shape,
            id2label=dict(enumerate(class_names)),
            label2id={label: k for k, label in enumerate(class_names)},
            name_or_path=name,
        )
        model = cls(config)
        table = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
        seen = table[torch.from_numpy(train)].double()
        deviation = seen.std(0, correction=0)
        model.encoder.embeddings.vectors.copy_(table)
        model.standardize.mean.copy_(seen.mean(0))
        model.standardize.deviation.copy_(torch.where(deviation > _TINY * deviation.max(), deviation, torch.inf))
        return model

    def get_input_embeddings(self) -> nn.Module:
        """The table of vectors. Methods that mix word embeddings mix these."""
        return self.encoder.embeddings

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None, **others: Any
    ) -> SequenceClassifierOutput:
        """(batch, 1) row numbers -> `logits` (batch, classes); with `labels` (batch,) also the mean `loss`."""
        states = self.encoder(input_ids).last_hidden_state
        present = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        weights = present.unsqueeze(-1).to(states.dtype)
        vectors = (states * weights).sum(1) / weights.sum(1).clamp_min(1)
        logits = self.classifier(self.dropout(self.standardize(vectors)))
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def with_row_numbers(rows: Dataset, numbers: Mapping[Text, int]) -> Dataset:
    """Returns `rows` with `input_ids`, the number of each text as its only token, and an `attention_mask`.

    Args:
        rows: with a column `text`, and `text_pair` if rows have two texts.
        numbers: text, or pair of texts -> row of its vector.
    """
    with dataset_bars(in_commands=False):
        return rows.map(
            lambda batch: {
                "input_ids": [[numbers[text]] for text in texts_of(batch)],
                "attention_mask": [[1]] * len(batch["text"]),
            },
            batched=True,
            load_from_cache_file=False,
        )


def not_applicable(method: str, params: Mapping[str, Any] | None = None) -> str | None:
    """Returns why a method cannot run on a frozen encoder, or None if it can.

    >>> not_applicable("rule_masking")
    'rule_masking hides or replaces words, and a frozen encoder gives one vector for a whole text'
    >>> not_applicable("gce", {"q": 0.5}) is None
    True
    """
    if any(isinstance(part, NoiseCallback) and part.needs_tokens for part in build_methods(method, params)):
        return f"{method} hides or replaces words, and a frozen encoder gives one vector for a whole text"
    return None
