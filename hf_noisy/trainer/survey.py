"""Inference over all rows: predictions in row order, and encoder vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hf_noisy.common.progress import progress_bar
from hf_noisy.common.randomness import forked_generators
from hf_noisy.data.columns import ROW
from hf_noisy.models.adapters import classifier
from hf_noisy.models.batch import of_one_process
from hf_noisy.models.networks import network_logits


def _pooled(mask: Tensor, length: int) -> Tensor:
    """(rows, tokens) attention mask -> (rows, length, 1) float32, for an encoder that pools neighbouring tokens."""
    mask = mask.float().unsqueeze(1)
    if mask.shape[-1] != length:
        mask = torch.nn.functional.adaptive_max_pool1d(mask, length)
    return mask.transpose(1, 2)


def _as_it_is(inputs: dict[str, Any]) -> dict[str, Any]:
    return inputs


@dataclass(frozen=True)
class RowPass:
    """Runs the model once on every row, without dropout. The random state of training is unchanged.

    With several processes, each runs its own batches and `gather` joins the results.
    """

    model: nn.Module
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = _as_it_is  # puts a batch on the device
    gather: Callable[[Tensor], Tensor] = of_one_process  # (batch, ...) -> (batch of all processes, ...)
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext  # around each forward
    around: Callable[[], AbstractContextManager[Any]] = nullcontext  # around the pass; swaps in the deployed weights
    quiet: bool = False  # whether to show no bar

    @torch.no_grad()
    def __call__(self, batches: Iterable[Any], rows: int, look: Callable[[dict[str, Any]], Tensor]) -> Tensor:
        """(rows, ...) results of `look`, ordered by row number.

        Args:
            batches: with the row numbers in `index`; labels are removed.
            rows: number of rows.
            look: inputs of a batch -> (batch, ...).
        """
        table: Tensor | None = None
        was_training = self.model.training
        self.model.eval()
        with forked_generators(), self.around():
            for batch in batches:
                inputs = self.prepare(dict(batch))
                index = self.gather(inputs.pop(ROW))
                inputs.pop("labels", None)
                with self.autocast():
                    found = self.gather(look(inputs))
                if table is None:
                    table = found.new_zeros((rows, *found.shape[1:]))
                table[index] = found
        self.model.train(was_training)
        assert table is not None  # a training set without rows was refused
        return table

    def log_probs(self, batches: Iterable[Any], rows: int) -> Tensor:
        """(networks, rows, classes) log-probabilities, ordered by the row numbers in `batches`."""

        def look(inputs: dict[str, Any]) -> Tensor:
            return network_logits(self.model(**inputs)).float().log_softmax(-1).transpose(0, 1)

        return self(self._bar("Predicting all rows", batches), rows, look).transpose(0, 1)

    def vectors(self, batches: Iterable[Any], rows: int, network: Any) -> Tensor:
        """(rows, width) float32: the mean of the last hidden states over the tokens of each row, without padding.

        Args:
            batches: with the row numbers in `index`.
            rows: number of rows.
            network: its encoder is run. For an encoder-decoder, the decoder is not run.

        Raises:
            ValueError: the base model returns no hidden states.
        """
        network = classifier(network)
        encoder = network.base_model.get_encoder() if network.config.is_encoder_decoder else network.base_model

        def look(inputs: dict[str, Any]) -> Tensor:
            outputs = encoder(**inputs)
            states = outputs[0] if isinstance(outputs, tuple) else getattr(outputs, "last_hidden_state", None)
            if not isinstance(states, Tensor) or states.ndim != 3:
                raise ValueError(
                    f"{type(network).__name__}: its base model gives no last_hidden_state, so examples have no vectors. "
                    "Expected a Transformers model for sequence classification, or vectors of your own."
                )
            states, mask = states.float(), inputs.get("attention_mask")  # a sum in 16 bits may round or overflow
            present = torch.ones_like(states[..., :1]) if mask is None else _pooled(mask, states.shape[1])
            return (states * present).sum(1) / present.sum(1).clamp_min(1)

        return self(self._bar("Encoding texts", batches), rows, look)

    def _bar(self, doing: str, batches: Iterable[Any]) -> Iterable[Any]:
        return batches if self.quiet else progress_bar(doing, batches, unit="batch")
