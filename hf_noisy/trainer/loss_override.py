"""A subclass that overrides `compute_loss`: what it is given, how its loss is scaled, and when it is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from transformers.utils import logging

from hf_noisy.data.columns import ROW
from hf_noisy.trainer.method_set import MethodSet
from hf_noisy.trainer.progress import REAL

logger = logging.get_logger(__name__)

_SCALING = ("model_accepts_loss_kwargs", "loss_is_scaled_for_ga")  # what the stock Trainer scales a loss by
_OURS = True


class LossOverride:
    """Hands the row numbers of a batch to `NoisyTrainer.compute_loss`, past an override of it in a subclass.

    An override sees the inputs that it would see in the stock Trainer. If it calls `super().compute_loss`, the methods
    set the loss, and the override may add to it. If it does not, no method can act: without a method its loss is taken and
    scaled as the stock Trainer does; with one it is refused before any weight is updated.
    """

    def __init__(self) -> None:
        self.overridden = False
        self.is_stock = False  # whether the loss of the current batch is computed as in the stock Trainer
        self._stock: dict[str, Any] = {}
        self._numbers: dict[str, Tensor] | None = None  # of the current training batch
        self._rows: Any = None  # distinct rows of its whole step
        self._called = True  # whether our `compute_loss` was called for it
        self._warned = False

    def begin(self, trainer: Any, ours: Callable[..., Any]) -> None:
        """Remember how the stock Trainer would scale a loss, and take over the scaling.

        Args:
            trainer: the new trainer.
            ours: `compute_loss` of `NoisyTrainer`.
        """
        self.overridden = type(trainer).compute_loss is not ours
        self._stock = {name: getattr(trainer, name, None) for name in _SCALING}
        self._scale(trainer, ours=True)

    def step(
        self,
        trainer: Any,
        methods: MethodSet,
        stock: Callable[..., Tensor],
        inputs: dict[str, Any],
        rows: Any,
        *,
        is_stock: bool = False,
    ) -> Tensor:
        """The stock training step on a batch, whose row numbers are kept aside.

        Args:
            trainer: a `NoisyTrainer`.
            methods: of the trainer.
            stock: the stock `training_step`, of inputs and number of rows.
            inputs: of the batch.
            rows: number of distinct rows in the whole step.
            is_stock: whether the loss is computed as in the stock Trainer (`hf_noisy.trainer.losses.is_stock_loss`).

        Raises:
            TypeError: the override does not call `super().compute_loss`, and there is a method.
        """
        inputs = dict(inputs)
        self._numbers = trainer._prepare_input({name: inputs.pop(name) for name in (ROW, REAL) if name in inputs})
        self._called, self._rows, self.is_stock = not self.overridden, rows, is_stock
        is_plain = self.overridden and methods.is_plain  # read only where it matters: this runs at every step
        if self.overridden:
            self._scale(trainer, ours=False)  # until our `compute_loss` is called
        counts = self._stock["model_accepts_loss_kwargs"] or trainer.compute_loss_func is not None
        if (is_plain or is_stock) and not counts:
            self._rows = rows = None  # as in the stock Trainer, which divides by the accumulated batches then
        try:
            loss = stock(inputs, rows)
        except Exception as error:
            if not self._called and not is_plain:  # it may fail by what a method needs, such as several networks
                raise self._refusal(trainer) from error
            raise
        finally:
            self._scale(trainer, ours=True)
            self._numbers = self._rows = None
        if not self._called:
            self._without_ours(trainer, is_plain)
        return loss

    def called(self, trainer: Any, inputs: dict[str, Any], rows: Any) -> tuple[dict[str, Any], Any]:
        """What our `compute_loss` reads: the inputs with row numbers, and the number of rows of the whole step.

        Both are those of the current step, whatever the override passes on; outside of a step those that it passes.
        """
        self._called = True
        self._scale(trainer, ours=not self.is_stock)
        return {**(self._numbers or {}), **inputs}, rows if self._rows is None else self._rows

    @contextlib.contextmanager
    def as_stock(self, trainer: Any) -> Iterator[None]:
        """Inside, the trainer has the settings by which the stock Trainer computes a loss."""
        before = {name: getattr(trainer, name) for name in _SCALING}
        self._scale(trainer, ours=False)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(trainer, name, value)

    def _scale(self, trainer: Any, *, ours: bool) -> None:
        for name in _SCALING:
            setattr(trainer, name, _OURS if ours else self._stock[name])

    def _without_ours(self, trainer: Any, is_plain: bool) -> None:
        if not is_plain:
            raise self._refusal(trainer)
        if not self._warned:
            logger.warning(
                f"{type(trainer).__name__}.compute_loss does not call super().compute_loss: example_report() has no losses and "
                "predictions."
            )
        self._warned = True

    def _refusal(self, trainer: Any) -> TypeError:
        named, criterion = getattr(trainer.args, "noise_method", None), type(trainer.noise.criterion).__name__
        return TypeError(
            f"{type(trainer).__name__}.compute_loss does not call super().compute_loss, so no method can act (noise_method={named!r}, "
            f"criterion {criterion}). Pass the loss as criterion=..., a hf_noisy.Criterion; or call super().compute_loss(model, inputs, "
            "return_outputs, num_items_in_batch) and change what it returns; or train without a method."
        )
