"""A pass over all rows without learning: predictions in row order, and vectors of the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hf_noisy.common.randomness import forked_generators
from hf_noisy.data.columns import INDEX
from hf_noisy.models.adapters import classifier
from hf_noisy.models.networks import network_logits


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class RowPass:
    """Looks at every row once, without dropout; draws no random number that training would have drawn.

    With several processes each looks at its own batches, and `gather` joins what they see.
    """

    model: nn.Module
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = _as_it_is  # puts a batch on the device
    gather: Callable[[Tensor], Tensor] = _as_it_is  # (batch, ...) -> (batch of all processes, ...)
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext  # around each forward
    around: Callable[[], AbstractContextManager[Any]] = nullcontext  # around the pass: the weights that users will get

    @torch.no_grad()
    def __call__(self, batches: Iterable[Any], rows: int, look: Callable[[dict[str, Any]], Tensor]) -> Tensor:
        """(rows, ...) what `look` says of each batch, by the numbers of its rows.

        Args:
            batches: with the row numbers in `index`; labels are left out.
            rows: how many there are.
            look: inputs of a batch -> (batch, ...).
        """
        table: Tensor | None = None
        was_training = self.model.training
        self.model.eval()
        with forked_generators(), self.around():
            for batch in batches:
                inputs = self.prepare(dict(batch))
                index = self.gather(inputs.pop(INDEX))
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
        """(networks, rows, classes) of the rows that `batches` number."""

        def look(inputs: dict[str, Any]) -> Tensor:
            return network_logits(self.model(**inputs)).float().log_softmax(-1).transpose(0, 1)

        return self(batches, rows, look).transpose(0, 1)

    def vectors(self, batches: Iterable[Any], rows: int, network: Any) -> Tensor:
        """(rows, width) float32: the mean of each row's last hidden states, padding left out.

        Args:
            batches: with the row numbers in `index`.
            rows: how many there are.
            network: whose encoder is asked; of an encoder-decoder the decoder is left out.

        Raises:
            ValueError: its base model gives no hidden states.
        """
        network = classifier(network)
        encoder = network.base_model.get_encoder() if network.config.is_encoder_decoder else network.base_model

        def look(inputs: dict[str, Any]) -> Tensor:
            states = getattr(encoder(**inputs), "last_hidden_state", None)
            if states is None:
                raise ValueError(
                    f"{type(network).__name__}: its base model gives no last_hidden_state, so examples have no vectors. "
                    "Expected a Transformers model for sequence classification, or vectors of your own."
                )
            states, mask = states.float(), inputs.get("attention_mask")  # a sum in 16 bits is rounded, or overflows
            present = torch.ones_like(states[..., :1]) if mask is None else mask.unsqueeze(-1).float()
            return (states * present).sum(1) / present.sum(1).clamp_min(1)

        return self(batches, rows, look)
