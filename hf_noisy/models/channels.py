"""Noise channels: fixed or learned transition matrices between predictions of true classes and given labels.

Below, K is the number of classes and T a transition matrix. T[i, j] is the probability that an example of true class i
was given the label j, so its rows sum to 1. A channel turns the log-probabilities of the true class into those of the
given label, log sum_i p_i T_ij. Channels are part of the forward of `Networks`, so that their gradients are gathered
with those of the classifier. In evaluation they are not used.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_noisy.models.adapters import classifier, used_modules
from hf_noisy.models.configuration import config_of

_TINY = 1e-8  # added to probabilities before the logarithm (Goldberger and Ben-Reuven, 2017)


class Channel(nn.Module, ABC):
    """Turns predictions of the true class into predictions of the given label.

    Until it is `active`, it returns predictions unchanged and has no gradient.

    Args:
        classes: K.
    """

    needs_vectors = False  # whether it reads the inputs of the classifier's last layer
    learning_rate: float | None = None  # of its parameters; None for that of the classifier
    present: Tensor | None = (
        None  # (rows,) bool, of the next forward. False where a sampler repeats a row; None if none
    )

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes, self.active = classes, False

    @abstractmethod
    def log_matrix(self, vectors: Tensor | None) -> Tensor:
        """(rows or 1, classes, classes) log T of each row, or one for all rows. `vectors` is (rows, width)."""

    @abstractmethod
    def set_matrix(self, matrix: Tensor) -> None:
        """Sets the channel to T (classes, classes)."""

    @torch.no_grad()
    def mean_matrix(self) -> Tensor:
        """(classes, classes) T, without the part that depends on the row."""
        return self.log_matrix(None)[0].exp()

    def forward(self, logits: Tensor, vectors: Tensor | None) -> tuple[Tensor, Tensor]:
        """(rows, classes) logits -> (rows, classes) log-probabilities of the given label; (classes, classes) mean T."""
        log_probs = logits.float().log_softmax(-1)
        if not self.active:
            return log_probs, torch.eye(self.classes, device=logits.device)
        with torch.autocast(logits.device.type, enabled=False):
            log_matrix = self.log_matrix(None if vectors is None else vectors.float())
            return (log_probs.unsqueeze(-1) + log_matrix).logsumexp(-2), self._mean(log_matrix.exp())

    def _mean(self, matrices: Tensor) -> Tensor:
        """(rows or 1, classes, classes) -> (classes, classes) mean over the rows that are not repeated, or all."""
        if self.present is None or len(matrices) == 1:
            return matrices.mean(0)
        counted = torch.where(self.present.any(), self.present, True).to(matrices.dtype)
        return torch.einsum("r,rij->ij", counted / counted.sum(), matrices)


class FixedChannel(Channel):
    """A matrix that is given or estimated, and not trained."""

    matrix: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.register_buffer("matrix", torch.eye(classes))

    def log_matrix(self, vectors: Tensor | None) -> Tensor:
        return self.matrix.clamp_min(torch.finfo(torch.float32).tiny).log().unsqueeze(0)

    def set_matrix(self, matrix: Tensor) -> None:
        self.matrix.copy_(matrix)


class SimpleChannel(Channel):
    """One learned matrix. Each row is a softmax, so it stays a distribution.

    Source: the simple layer of Goldberger and Ben-Reuven, "Training deep neural-networks using a noise adaptation
    layer", ICLR 2017.
    """

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.bias = nn.Parameter((torch.eye(classes) + _TINY).log())

    def log_matrix(self, vectors: Tensor | None) -> Tensor:
        return self.bias.log_softmax(-1).unsqueeze(0)

    @torch.no_grad()
    def set_matrix(self, matrix: Tensor) -> None:
        self.bias.copy_((matrix + _TINY).log())


class ComplexChannel(SimpleChannel):
    """A learned matrix for each sentence: one softmax layer per true class on the input of the classifier's last layer.

    While `adapts` is False, its weights stay 0 and it equals the simple channel.

    Source: the complex layer of Goldberger and Ben-Reuven, ICLR 2017.

    Args:
        classes: K.
        width: size of the sentence vectors.
    """

    needs_vectors = True

    def __init__(self, classes: int, width: int) -> None:
        super().__init__(classes)
        self.weight = nn.Parameter(torch.zeros(classes, classes, width))
        self.adapts = False

    @torch.no_grad()
    def set_matrix(self, matrix: Tensor) -> None:
        super().set_matrix(matrix)
        self.weight.zero_()

    def log_matrix(self, vectors: Tensor | None) -> Tensor:
        if vectors is None or not self.adapts:
            return super().log_matrix(None)
        return (self.bias + torch.einsum("rw,ijw->rij", vectors, self.weight)).log_softmax(-1)


def last_layer(model: PreTrainedModel) -> nn.Linear:
    """The linear layer that gives the logits. Its input is the sentence vector.

    Raises:
        ValueError: no linear layer of the model's head has one output per class.
    """
    network = classifier(model)
    encoder = getattr(network, "base_model_prefix", None)
    found = [
        module
        for name, child in network.named_children()
        if name != encoder
        for module in used_modules(child)
        if isinstance(module, nn.Linear) and module.out_features == config_of(network).num_labels
    ]
    if not found:
        raise ValueError(
            f"{type(network).__name__}: no linear layer of its head gives {config_of(model).num_labels} logits, so there are no "
            "sentence vectors. Use a method that reads logits only, such as noise_adaptation in place of noise_adaptation_complex."
        )
    return found[-1]


@contextlib.contextmanager
def sentence_vectors(model: PreTrainedModel, attention_mask: Tensor | None) -> Iterator[list[Tensor]]:
    """Context in which a forward of `model` appends the (rows, width) inputs of its last layer to the list.

    A decoder's last layer reads every token. The vector is then that of the last token that is not padding. A compiled
    model runs uncompiled inside the context, since compiled code keeps the hooks that it was compiled with.
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, given: tuple[Any, ...]) -> None:
        vectors = given[0]
        if vectors.ndim == 3:
            rows = torch.arange(len(vectors), device=vectors.device)
            vectors = vectors[rows, _last_real(vectors, attention_mask)]
        found.append(vectors)

    handle = last_layer(model).register_forward_pre_hook(keep)
    try:
        with torch.compiler.set_stance("force_eager"):
            yield found
    finally:
        handle.remove()


@torch.compiler.disable
def outputs_and_vectors(model: Any, inputs: dict[str, Any]) -> tuple[Any, Tensor]:
    """The outputs of a forward, and the (rows, width) inputs of the last layer."""
    with sentence_vectors(model, inputs.get("attention_mask")) as found:
        outputs = model(**inputs)
    return outputs, found[-1]


def _last_real(vectors: Tensor, attention_mask: Tensor | None) -> Tensor:
    """(rows,) position of the last token that is not padding."""
    rows, tokens = vectors.shape[:2]
    position = torch.arange(tokens, device=vectors.device)
    if attention_mask is None:
        return position[-1:].expand(rows)
    return (position * (attention_mask > 0)).argmax(-1)
