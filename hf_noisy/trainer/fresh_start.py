"""A training starts afresh where a batch did not fit into memory (`auto_find_batch_size`)."""

from __future__ import annotations

import contextlib
import copy
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor
from transformers import Trainer, TrainingArguments
from transformers.utils import logging

from hf_noisy.models.adapters import check_trainable
from hf_noisy.models.networks import Networks

logger = logging.get_logger(__name__)


def start_afresh(trainer: Any, parts: Any, batch_size: int | None, checkpoint: str | None) -> None:
    """Before each try to train: keep what it begins with, or put that back where a batch did not fit.

    The stock Trainer goes on from the weights, optimizer state and random numbers of the try that failed, so that
    examples are learned more often than the epochs say, from weights that no early phase of a method has seen. Here all
    of them are put back, and checkpoints that the failed try wrote are removed, so that a training with smaller batches is
    what it would be had they been asked for at once. Costs a copy, in the computer's memory, of the weights that learn,
    and of the state of an optimizer that was passed.

    Args:
        trainer: a `NoisyTrainer` with `auto_find_batch_size`.
        parts: of it; `parts.start` is None at the first try.
        batch_size: of this try.
        checkpoint: that is resumed from, if any.

    Raises:
        ValueError: smaller batches would not go on where the checkpoint stopped.
    """
    if parts.start is None:
        parts.start = FreshStart()
        return
    _check_not_resumed(checkpoint, trainer._train_batch_size)
    logger.warning(f"Batches of {trainer._train_batch_size} rows do not fit; starting afresh with {batch_size}.")
    parts.start.put_back(trainer)


def before_optimizer(trainer: Any, parts: Any) -> None:
    """Refuse a model that would learn nothing, and keep its weights where a fresh start may need them.

    Raises:
        ValueError: none of the weights has a gradient.
    """
    check_trainable(trainer.model)
    if parts.start is not None:
        parts.start.keep_weights(trainer)


@dataclass
class FreshStart:
    """What a training began with, and the checkpoints that it has written since."""

    checkpoints: list[Path] = field(default_factory=list)
    weights: list[tuple[Tensor, Tensor]] | None = None  # each with a copy of it
    deployed: int = 0  # which of several networks
    optimizer: dict[str, Any] | None = None  # the state of one that was passed
    lr_scheduler: dict[str, Any] | None = None  # likewise

    def __post_init__(self) -> None:
        self.generators = random.getstate(), np.random.get_state(), torch.get_rng_state()
        self.of_devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def keep_weights(self, trainer: Trainer) -> None:
        """Copy what learning changes, once."""
        if self.weights is not None:
            return
        model: Any = trainer.model
        changing = [*(weight for weight in model.parameters() if weight.requires_grad), *model.buffers()]
        self.weights = [(tensor, tensor.detach().to("cpu", copy=True)) for tensor in changing]
        self.deployed = model.deployed if isinstance(model, Networks) else 0
        self.optimizer, self.lr_scheduler = (
            None if part is None else copy.deepcopy(part.state_dict())
            for part in (trainer.optimizer, trainer.lr_scheduler)
        )

    @torch.no_grad()
    def put_back(self, trainer: Any) -> None:
        """Let the trainer be as it was."""
        random.setstate(self.generators[0])
        np.random.set_state(self.generators[1])
        torch.set_rng_state(self.generators[2])
        if self.of_devices:
            torch.cuda.set_rng_state_all(self.of_devices)
        for folder in self.checkpoints:  # they would be rotated, and resumed from, as those of this training
            shutil.rmtree(folder, ignore_errors=True)
        self.checkpoints.clear()
        trainer.current_flos = 0
        if self.weights is None:
            return
        for tensor, kept in self.weights:
            tensor.copy_(kept)
        if isinstance(trainer.model, Networks):
            trainer.model.deployed = self.deployed
        for name, state in (("optimizer", self.optimizer), ("lr_scheduler", self.lr_scheduler)):
            if state is None:
                setattr(trainer, name, None)  # the Trainer makes another
            else:
                getattr(trainer, name).load_state_dict(copy.deepcopy(state))


@contextlib.contextmanager
def all_rows_at_once(args: TrainingArguments) -> Iterator[None]:
    """Inside, memory that runs out is not taken for too large a training batch, which would be made smaller in vain.

    Raises:
        RuntimeError: memory has run out; the message says which size to reduce.
    """
    try:
        yield
    except RuntimeError as error:
        if not (args.auto_find_batch_size and should_reduce_batch_size(error)):
            raise
        raise RuntimeError(
            f"per_device_eval_batch_size={args.per_device_eval_batch_size}: a look at all training rows hit an "
            "out-of-memory error, and auto_find_batch_size makes training batches smaller only. Expected a smaller one."
        ) from error


def _check_not_resumed(checkpoint: str | None, batch_size: int) -> None:
    """Smaller batches would not go on at the row where the checkpoint's training stopped."""
    if checkpoint is not None:
        raise ValueError(
            f"auto_find_batch_size=True: {checkpoint} was written with batches of {batch_size} rows, which do not fit "
            f"here, and smaller ones would go on at other rows. Resume with auto_find_batch_size=False, "
            "half of per_device_train_batch_size and twice the gradient_accumulation_steps, or start afresh."
        )
