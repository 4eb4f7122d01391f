"""Tells the methods that an epoch begins or has ended, after the callbacks of the user."""

from __future__ import annotations

from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import CallbackHandler

from hf_noisy.trainer import assembly, trackers


class EpochEvents(CallbackHandler):
    """The callback handler of a `NoisyTrainer`. Its list holds the callbacks of the user and of the stock Trainer only.

    The methods come after the callbacks, since one of them may stop the training.

    Args:
        trainer: a `NoisyTrainer`. Its handler is taken over.
    """

    def __init__(self, trainer: Any) -> None:
        self.__dict__.update(vars(trainer.callback_handler))
        self.trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> Any:
        control = super().on_epoch_begin(args, state, control)
        assembly.begin_epoch(self.trainer, self.trainer._noise)
        return control

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Also log the figures of the methods, if `report_to` names a tracker that accepts images."""
        control, trainer = super().on_epoch_end(args, state, control), self.trainer
        if trainer.is_world_process_zero():
            trackers.show(self.callbacks, trainer._noise.methods.figures, trainer.state.global_step)
        return control
