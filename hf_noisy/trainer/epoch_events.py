"""Passes the start and the end of an epoch on to the parts of a trainer."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from hf_noisy.trainer import assembly, trackers


class EpochEvents(TrainerCallback):
    """Stands after the callbacks that were passed, so that one of them may have ended the training.

    Args:
        trainer: a `NoisyTrainer`.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        assembly.begin_epoch(self.trainer, self.trainer._noise)

    def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        """Show what the methods draw, where `report_to` names a tracker that takes pictures."""
        trainer = self.trainer
        if trainer.is_world_process_zero():
            callbacks, methods = trainer.callback_handler.callbacks, trainer._noise.methods
            trackers.show(callbacks, methods.figures, trainer.state.global_step)
