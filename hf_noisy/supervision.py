"""What a method sees of one step and what it may change: frozen dataclasses with shapes beside each field.

Sizes: `networks` is 1 unless a method trains peers, `views` is 1 unless a callback asks for more, `batch` is the rows
of this step on this process, `classes` is the model's `num_labels`, `sources` the number of labeling functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from hf_noisy.channels import Channel
from hf_noisy.losses import Criterion


def keyed_generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator that depends on nothing but `key`, so that a resumed run draws what the unbroken run drew.

    >>> a, b = keyed_generator(0, 12, "word_dropout"), keyed_generator(0, 12, "word_dropout")
    >>> torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
    True
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big") >> 1)


@dataclass(frozen=True)
class CleanRows:
    """Rows whose labels are trusted, beside the training set."""

    labels: Tensor  # (rows, classes) one-hot or soft, as trusted
    given: Tensor  # (rows, classes) the untrusted labels of the same rows; zero rows where there is none
    survey: Callable[[], Tensor]  # -> (networks, rows, classes) log-probabilities, seen without dropout


@dataclass(frozen=True)
class Context:
    """What a method is told once, before the first step (and before its state is loaded from a checkpoint)."""

    rows: int  # training examples
    classes: int
    networks: int
    labels: Tensor  # (rows,) int64 with -100 for abstained; or (rows, classes) float32 with zero rows for abstained
    votes: Tensor | None  # (rows, sources) int16, -1 abstains
    criterion: Criterion
    epochs: float  # of the whole training
    seed: int
    device: torch.device
    clean: CleanRows | None = None  # where the trainer was given a `clean_dataset`
    channels: list[Channel] = field(default_factory=list)  # one a network, or none
    trusted: Tensor | None = None  # (rows,) True for clean rows that are trained on; None where there are none
    model: Any = None  # what is trained, without what an accelerator wraps around it
    dataset: Any = None  # the training rows as they are trained on, tokenized, in row order
    eval_dataset: Any = None  # the trainer's, with checked labels; or a dictionary of such
    tokenizer: Any = None  # the trainer's `processing_class`
    encode: Callable[[], Tensor] | None = None  # -> (rows, width) mean hidden states of the encoder as it is by then

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a method takes neither model nor data along."""
        return self.__dict__ | dict.fromkeys(
            ("clean", "channels", "model", "dataset", "eval_dataset", "tokenizer", "encode")
        )


@dataclass(frozen=True)
class Batch:
    """The rows of one forward and where the training stands."""

    index: Tensor  # (batch,) row numbers in the training set
    given: Tensor  # (batch, classes) labels as they came: one-hot, soft, or all zero where abstained
    votes: Tensor | None  # (batch, sources), -1 abstains
    epoch: float  # epochs done before this step; 1.5 is the middle of the second epoch
    progress: float  # share of the training done before this step, in [0, 1)
    key: tuple[int, int, int]  # (seed, global step, micro-step): what random draws of this step may depend on
    trusted: Tensor | None = field(default=None, kw_only=True)  # (batch,) clean rows; None where none are trained on
    real: Tensor | None = field(default=None, kw_only=True)  # (batch,) False where a sampler repeats a row
    peeking: bool = field(default=False, kw_only=True)  # before the forward that is learned from (`NoiseCallback.peek`)
    everywhere: Tensor  # (batch of all processes,) row numbers; a row that a sampler repeats points past the end
    gather: Callable[[Tensor], Tensor]  # (batch, ...) -> (batch of all processes, ...), in the order of `everywhere`

    @property
    def covered(self) -> Tensor:
        """(batch,) True where the row has a label."""
        return self.given.sum(-1) > 0

    def generator(self, purpose: str) -> torch.Generator:
        """A generator of this step and purpose on the batch's device: equal in a resumed run, other in the next step."""
        return keyed_generator(*self.key, purpose, device=self.index.device)


@dataclass(frozen=True)
class Predictions:
    """What one forward said of the batch, before any supervision."""

    clean_log_probs: Tensor  # (networks, views, batch, classes) of the true class
    unmixed: Predictions | None = None  # where logits were mixed: what they were before
    channelled: Tensor | None = None  # (networks, views, batch, classes) what came out of the channel, if there is one
    channel_matrix: Tensor | None = None  # (networks, classes, classes) the channel's T, with gradient
    vectors: Tensor | None = None  # (networks, views, batch, width) what went into the last layer, where asked for

    @classmethod
    def from_outputs(cls, outputs: Any, views: int, rows: int) -> Predictions:
        """What a training forward gave."""
        clean = cls.from_logits(outputs.logits, views, rows)
        noisy = getattr(outputs, "noisy_log_probs", None)
        if noisy is None:
            return clean
        return replace(clean, channelled=noisy.view_as(clean.clean_log_probs), channel_matrix=outputs.channel_matrix)

    @classmethod
    def from_logits(cls, logits: Tensor, views: int, rows: int) -> Predictions:
        """(views x rows, classes), view by view, or one such table a network; another shape raises."""
        if logits.ndim not in (2, 3) or logits.shape[-2] != views * rows:
            raise ValueError(
                f"the model gives logits of shape {tuple(logits.shape)}: expected ({views * rows}, classes). Use a model "
                "for sequence classification."
            )
        networks = len(logits) if logits.ndim == 3 else 1
        return cls(logits.float().log_softmax(-1).view(networks, views, rows, -1))

    @property
    def noisy_log_probs(self) -> Tensor:
        """(networks, views, batch, classes) of the label that is given: after the channel, if there is one."""
        return self.clean_log_probs if self.channelled is None else self.channelled

    def detached(self) -> Predictions:
        """The same without gradient."""
        channelled, matrix, vectors = (
            None if value is None else value.detach() for value in (self.channelled, self.channel_matrix, self.vectors)
        )
        return Predictions(self.clean_log_probs.detach(), channelled=channelled, channel_matrix=matrix, vectors=vectors)

    def mixed(self, mix: Mix) -> Predictions:
        """Those of mixed vectors: the last layer is linear, so its logits mix as what goes into it.

        Raises:
            ValueError: they have passed a noise channel, which is not linear.
        """
        if self.channelled is not None:
            raise ValueError(
                'vectors are mixed behind a noise channel: expected Mix(where="embeddings"), or no channel.'
            )
        ratio = mix.ratio.view(-1, 1)
        logits = ratio * self.clean_log_probs + (1 - ratio) * self.clean_log_probs[:, :, mix.partner]
        return Predictions(logits.log_softmax(-1), unmixed=self)

    @property
    def probs(self) -> Tensor:
        """(batch, classes) mean over networks of the first view's probabilities."""
        return self.clean_log_probs[:, 0].exp().mean(0)


@dataclass(frozen=True)
class Mix:
    """Which example of the batch each one is mixed with, and how much it keeps of itself."""

    partner: Tensor  # (batch,) positions in the batch
    ratio: Tensor  # (batch,) share of the example itself, in [0, 1]
    where: Literal["embeddings", "vectors"]  # of words; or what goes into the last linear layer, whose logits then mix


@dataclass(frozen=True)
class Supervision:
    """What each example is taught and how hard. `dataclasses.replace` changes it."""

    targets: Tensor  # (networks, batch, classes)
    weights: Tensor  # (networks, batch); never renormalised: the step divides by its number of rows
    mix: Mix | None = None  # the Trainer mixes inputs and targets by it; weights are those of the example itself
    trusted: Tensor | None = None  # (networks, batch) such targets speak of the true class and skip the channel
    taught_views: int | None = None  # the criterion sees the first ones only, and penalties all; None for all

    def trusting(self, rows: Tensor) -> Supervision:
        """The same, where the targets of `rows`, (batch,) or (networks, batch), now speak of the true class."""
        rows = rows.expand_as(self.weights)
        return replace(self, trusted=rows if self.trusted is None else self.trusted | rows)

    def weighted(self, factor: Tensor | float) -> Supervision:
        """The same with every weight multiplied by `factor`: a number, (batch,) or (networks, batch)."""
        return replace(self, weights=self.weights * factor)

    def losses(self, criterion: Criterion, predictions: Predictions) -> Tensor:
        """(networks, batch) what each example costs, mean over views: through the channel unless it is trusted."""
        targets, taught = self.targets.unsqueeze(1), slice(self.taught_views)
        losses = criterion(predictions.noisy_log_probs[:, taught], targets).mean(1)
        if predictions.channelled is None or self.trusted is None:
            return losses
        return torch.where(self.trusted, criterion(predictions.clean_log_probs[:, taught], targets).mean(1), losses)

    def mixed(self) -> Supervision:
        """Targets mixed as the inputs are."""
        if self.mix is None:
            return self
        ratio = self.mix.ratio.unsqueeze(-1)
        return replace(self, targets=ratio * self.targets + (1 - ratio) * self.targets[:, self.mix.partner])

    def checked(self, changed: Supervision, by: str) -> Supervision:
        """`changed`, if it has the shapes of this one; else an error that names the callback."""
        if not isinstance(changed, Supervision):
            raise TypeError(
                f"{by}.supervise gives {type(changed).__name__}: expected a Supervision. Is a `return` missing?"
            )
        shapes = {"targets": self.targets.shape, "weights": self.weights.shape, "trusted": self.weights.shape}
        for name, expected in shapes.items():
            value = getattr(changed, name)
            if value is not None and value.shape != expected:
                raise ValueError(
                    f"{by}.supervise gives {name} of shape {tuple(value.shape)}: expected {tuple(expected)}."
                )
        return changed


@dataclass(frozen=True)
class Survey:
    """All training examples at once, in row order, seen without dropout."""

    log_probs: Tensor  # (networks, rows, classes)
    given: Tensor  # (rows, classes), zero rows where abstained

    @property
    def probs(self) -> Tensor:
        """(rows, classes) mean over networks."""
        return self.log_probs.exp().mean(0)


def concatenate_views(views: list[dict[str, Any]]) -> dict[str, Any]:
    """One batch of all views, view by view."""
    return {
        name: torch.cat([view[name] for view in views]) if torch.is_tensor(value) else value
        for name, value in views[0].items()
    }
