"""A callback that forwards the start and the end of each epoch to the parts of a trainer."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from hf_noisy.trainer import assembly, trackers


class EpochEvents(TrainerCallback):
    """Forwards epoch events. It runs after the user's callbacks, since one of them may stop the training.

    Args:
        trainer: a `NoisyTrainer`.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        assembly.begin_epoch(self.trainer, self.trainer._noise)

    def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        """Log the figures of the methods, if `report_to` names a tracker that accepts images."""
        trainer = self.trainer
        if trainer.is_world_process_zero():
            callbacks, methods = trainer.callback_handler.callbacks, trainer._noise.methods
            trackers.show(callbacks, methods.figures, trainer.state.global_step)
