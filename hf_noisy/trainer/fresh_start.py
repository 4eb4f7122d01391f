"""Restarts a training from its beginning when a batch did not fit into memory (`auto_find_batch_size`)."""

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
    """Save the initial state before the first attempt to train, and restore it before each later attempt.

    The stock Trainer continues with the weights, optimizer state and random state of the failed attempt. Examples are then
    trained on more often than `num_train_epochs` says, and the early phase of a method starts from trained weights. Here
    all of this state is restored, and the checkpoints of the failed attempt are removed. The result equals a training that
    used the smaller batches from the start. The cost is a copy, in CPU memory, of the trainable weights and of the state of
    an optimizer that was passed.

    Args:
        trainer: a `NoisyTrainer` with `auto_find_batch_size`.
        parts: the trainer's parts; `parts.start` is None at the first attempt.
        batch_size: of this attempt.
        checkpoint: the checkpoint that is resumed from, if any.

    Raises:
        ValueError: a checkpoint is resumed from, and smaller batches would not continue where it stopped.
    """
    if parts.start is None:
        parts.start = FreshStart()
        return
    _check_not_resumed(checkpoint, trainer._train_batch_size)
    logger.warning(f"Batches of {trainer._train_batch_size} rows do not fit; starting afresh with {batch_size}.")
    parts.start.put_back(trainer)


def before_optimizer(trainer: Any, parts: Any) -> None:
    """Refuse a model without trainable weights, and copy its weights if a fresh start may need them.

    Raises:
        ValueError: none of the weights is trainable.
    """
    check_trainable(trainer.model)
    if parts.start is not None:
        parts.start.keep_weights(trainer)


@dataclass
class FreshStart:
    """The initial state of a training, and the checkpoints that it has written since."""

    checkpoints: list[Path] = field(default_factory=list)
    weights: list[tuple[Tensor, Tensor]] | None = None  # each weight, and its copy
    deployed: int = 0  # index of the deployed one of several networks
    optimizer: dict[str, Any] | None = None  # state of an optimizer that was passed
    lr_scheduler: dict[str, Any] | None = None  # likewise

    def __post_init__(self) -> None:
        self.generators = random.getstate(), np.random.get_state(), torch.get_rng_state()
        self.device_generators = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def keep_weights(self, trainer: Trainer) -> None:
        """Copy the weights, buffers and optimizer state that training changes. Later calls do nothing."""
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
        """Restore the initial state of the trainer."""
        random.setstate(self.generators[0])
        np.random.set_state(self.generators[1])
        torch.set_rng_state(self.generators[2])
        if self.device_generators:
            torch.cuda.set_rng_state_all(self.device_generators)
        for folder in self.checkpoints:  # else rotation and resuming would take them for this attempt's
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
                setattr(trainer, name, None)  # the Trainer makes a new one
            else:
                getattr(trainer, name).load_state_dict(copy.deepcopy(state))


@contextlib.contextmanager
def all_rows_at_once(args: TrainingArguments) -> Iterator[None]:
    """Context for passes over all rows. Running out of memory here does not shrink the training batch.

    A smaller training batch would not help.

    Raises:
        RuntimeError: out of memory. The message says which size to reduce.
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
    """Refuse to resume with smaller batches, which would not continue at the row where the checkpoint stopped."""
    if checkpoint is not None:
        raise ValueError(
            f"auto_find_batch_size=True: {checkpoint} was written with batches of {batch_size} rows, which do not fit "
            f"here, and smaller ones would go on at other rows. Resume with auto_find_batch_size=False, "
            "half of per_device_train_batch_size and twice the gradient_accumulation_steps, or start afresh."
        )
