"""One training step: views -> one forward -> supervise -> loss."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.utils import logging

from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.mixing import mixed_embeddings, mixed_inputs
from hf_noisy.models.batch import Batch, concatenate_views
from hf_noisy.models.channels import sentence_vectors
from hf_noisy.models.configuration import main_input
from hf_noisy.models.criterion import Criterion
from hf_noisy.models.networks import channels_of, network_logits, networks_of
from hf_noisy.models.outputs import term_of
from hf_noisy.models.predictions import Mix, Predictions
from hf_noisy.models.supervision import Supervision
from hf_noisy.trainer import nonfinite

logger = logging.get_logger(__name__)


class Step:
    """Lets the methods set the target and weight of each example, and computes the loss of a batch.

    Args:
        criterion: per-example loss.
        callbacks: the methods, in fold order.
        rows: of the training set. Methods do not remember predictions that are not finite. Such a row is written to
            position `rows` of a `Memory`, which is never read. With None, all rows are remembered.
        processes: number of processes over which gradients are averaged.
        nonfinite_loss: "raise" or "skip", as in `NoisyTrainingArguments`.
        count_skipped: called with each batch and whether its loss is not finite, if `nonfinite_loss` is "skip".

    >>> from hf_noisy.methods.parts.losses import CrossEntropy
    >>> from transformers.modeling_outputs import SequenceClassifierOutput
    >>> model = nn.Linear(2, 2)
    >>> model.forward = lambda x: SequenceClassifierOutput(logits=nn.functional.linear(x, model.weight, model.bias))
    >>> batch = Batch.from_labels(torch.tensor([0, 1]), classes=2)
    >>> loss, outputs = Step(CrossEntropy(), []).loss(model, {"x": torch.zeros(2, 2)}, batch)
    >>> outputs.logits.shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        criterion: Criterion,
        callbacks: Sequence[NoiseCallback],
        *,
        rows: int | None = None,
        processes: int = 1,
        nonfinite_loss: str = nonfinite.RAISE,
        count_skipped: Callable[[Batch, Tensor], None] | None = None,
    ) -> None:
        self.rows, self.processes = rows, processes
        self.follow(criterion, callbacks, nonfinite_loss)
        self.left_out = False  # whether the last batch was skipped, since its loss was not finite
        self._count_skipped = count_skipped
        self._last: tuple[Tensor, Tensor] | None = None  # row numbers of the last batch, and whether each is finite

    def follow(self, criterion: Criterion, callbacks: Sequence[NoiseCallback], nonfinite_loss: str) -> None:
        """Use these from now on. A callback may change them during training."""
        self.criterion, self.callbacks, self._skips = criterion, callbacks, nonfinite_loss == nonfinite.SKIP

    def loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        batch: Batch,
        rows: Tensor | int | None = None,
        forward: Callable[..., Any] | None = None,
        *,
        keeps_term: bool = False,
    ) -> tuple[Tensor, Any]:
        """The weighted loss of the batch, and the outputs of the forward.

        Args:
            model: one network, or several side by side (`Networks`).
            inputs: of the model, (batch, ...) each.
            batch: the rows, their labels and the progress of training.
            rows: number of distinct rows in the whole optimizer step, the divisor of the sum. By default the rows of
                this batch times the number of processes.
            forward: called in place of `model`, if the model is wrapped.
            keeps_term: whether the model adds a term of its own to cross-entropy. It is added to the loss of each row.

        Returns:
            loss: (), with gradient: the weighted sum over rows, divided by `rows`, times the number of processes.
            outputs: of the forward, over all views.

        Raises:
            ValueError: a method mixes embeddings without asking for a `peek`; logits or supervision of a wrong shape.
        """
        forward = model if forward is None else forward
        supervision = None
        if any(callback.peek(batch) for callback in self.callbacks):
            supervision = self.supervise(self.peek(model, inputs, batch), batch)
        views = self.views(inputs, batch)
        mix = None if supervision is None else supervision.mix
        ids = batch.given.argmax(-1).repeat(len(views)) if keeps_term else None
        predictions, outputs = self.forward(model, forward, views, batch, mix, ids)
        if supervision is None:
            supervision = self.supervise(predictions.detached(), batch)
            if supervision.mix is not None and supervision.mix.where == "embeddings":
                raise ValueError("a method mixes embeddings after the forward: expected `peek` to ask for one before.")
        if supervision.mix is not None and supervision.mix.where == "vectors":
            predictions = predictions.mixed(supervision.mix)
        loss = self.weighted_sum(predictions, supervision.mixed(), batch)
        if ids is not None:
            loss = loss + term_of(outputs, ids) * (len(batch.index) if batch.real is None else batch.real.sum())
        count = rows if rows is not None else len(batch.index) * self.processes
        loss = loss / count * self.processes  # DDP averages over processes
        return (self._without_nonfinite(loss, model, batch) if self._skips else loss), outputs

    # ---- the parts of a step, in their order ----------------------------------------------------------------------

    @torch.no_grad()
    def peek(self, model: nn.Module, inputs: dict[str, Any], batch: Batch) -> Predictions:
        """Predictions for the batch without dropout or gradient, before the training forward."""
        views = self.views(inputs, replace(batch, peeking=True))
        model.eval()
        logits = network_logits(model(**concatenate_views(views)))
        model.train()
        return Predictions.from_logits(logits, len(views), len(batch.index))

    def views(self, inputs: dict[str, Any], batch: Batch) -> list[dict[str, Any]]:
        """The inputs of the forward. Each method may add views to those of the methods before it."""
        views = [inputs]
        for callback in self.callbacks:
            views = [view for given in views for view in callback.views(given, batch)]
        return views

    def forward(
        self,
        model: nn.Module,
        forward: Callable[..., Any],
        views: list[dict[str, Any]],
        batch: Batch,
        mix: Mix | None = None,
        labels: Tensor | None = None,
    ) -> tuple[Predictions, Any]:
        """Run one forward over all views: on mixed embeddings if `mix` requires it, with vectors if a method needs them.

        With `labels`, (views x batch,) ids, the model computes its own loss too.
        """
        inputs = views[0] if len(views) == 1 else concatenate_views(views)
        networks, found = networks_of(model), []
        for channel in channels_of(model):
            channel.present = None if batch.real is None else batch.real.repeat(len(views))
        with contextlib.ExitStack() as stack:
            if any(callback.needs_vectors for callback in self.callbacks):
                mask = inputs.get("attention_mask")
                found = [stack.enter_context(sentence_vectors(network, mask)) for network in networks]
            if mix is not None and mix.where == "embeddings":
                name: Any = main_input(model)
                stack.enter_context(mixed_embeddings(networks, inputs, mix, len(views), name))
                inputs = concatenate_views([mixed_inputs(view, mix, name) for view in views])
            outputs = forward(**inputs) if labels is None else forward(**inputs, labels=labels)
        given = labels is not None
        predictions = Predictions.from_outputs(outputs, len(views), len(batch.index), labelled=given)
        self._check_classes(predictions, batch)
        if found:
            vectors = torch.stack([seen[-1].float() for seen in found])
            predictions = replace(predictions, vectors=vectors.unflatten(1, (len(views), len(batch.index))))
        return predictions, outputs

    @staticmethod
    def _check_classes(predictions: Predictions, batch: Batch) -> None:
        found, expected = predictions.clean_log_probs.shape[-1], batch.given.shape[-1]
        if found != expected:
            raise ValueError(
                f"the model gives {found} logits a row: expected {expected}, one for each class of the labels. Set "
                f"model.num_labels = {found}, or give the model {expected} outputs."
            )

    @torch.no_grad()
    def supervise(self, predictions: Predictions, batch: Batch) -> Supervision:
        """Start from the given labels with weight 1, and let each method change them in turn."""
        finite = nonfinite.finite_rows(predictions)
        self._last = batch.index, finite
        predictions, batch = nonfinite.uniform_where_not_finite(predictions, finite), self._remembering(batch, finite)
        networks = len(predictions.clean_log_probs)
        taught = batch.covered if batch.real is None else batch.covered & batch.real
        supervision = Supervision(
            targets=batch.given.expand(networks, -1, -1),
            weights=taught.float().expand(networks, -1),
            trusted=None if batch.trusted is None else batch.trusted.expand(networks, -1),
        )
        for callback in self.callbacks:
            changed = callback.supervise(supervision, predictions, batch)
            supervision = supervision.checked(changed, type(callback).__name__)
        return supervision

    def _remembering(self, batch: Batch, finite: Tensor) -> Batch:
        """`batch`, changed so that methods remember only `finite` rows that are not repetitions."""
        if self.rows is None:
            return batch
        own = batch.index if batch.real is None else torch.where(batch.real, batch.index, self.rows)
        return replace(batch, gathered_index=batch.gather(torch.where(finite, own, self.rows)))

    def weighted_sum(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor:
        """() losses and penalties, summed over rows and networks, averaged over views."""
        losses = supervision.losses(self.criterion, predictions)
        present = torch.ones_like(batch.index) if batch.real is None else batch.real
        total = (losses * supervision.weights * present).sum()
        for callback in self.callbacks:
            penalty = callback.penalty(predictions, supervision, batch)
            if penalty is not None:
                total = total + (penalty * present).sum()  # a scalar counts once per row
        return total

    # ---- losses that are not finite -------------------------------------------------------------------------------

    def _without_nonfinite(self, loss: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        """`loss` if finite, else zero with a zero gradient. Each process decides for its own rows; all processes count."""
        not_finite = ~loss.detach().isfinite()
        if self._count_skipped is not None:
            self._count_skipped(batch, not_finite)
        self.left_out = bool(not_finite)
        if not self.left_out:
            return loss
        logger.warning(f"step {batch.key[1] + 1}: a batch is left out, since its loss is {loss.item()}.")
        return nonfinite.no_gradient(model.parameters())

    def checked(self, loss: Tensor, step: int) -> Tensor:
        """The loss of a batch as the Trainer logs it: NaN for a skipped batch, so that the mean leaves it out.

        Args:
            loss: (), after the backward pass.
            step: number of the optimizer step, from 1.

        Raises:
            FloatingPointError: the loss is not finite, and `nonfinite_loss` is "raise". No weight has been updated with it.
        """
        if self._skips:
            return torch.full_like(loss, torch.nan) if self.left_out else loss
        if not loss.isfinite():  # the Trainer synchronizes for the loss here anyway
            raise FloatingPointError(f"loss={loss.item()} at step {step}, {self._suspects()}")
        return loss

    def _suspects(self) -> str:
        """Names the rows of the last batch with non-finite predictions; if there are none, the whole batch."""
        assert self._last is not None
        index, finite = self._last
        return nonfinite.advice(~finite if not finite.all() else finite, index)
