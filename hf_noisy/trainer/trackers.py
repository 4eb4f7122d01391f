"""Logs figures to the trackers of `report_to` that accept images: TensorBoard, Weights & Biases and trackio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback
from transformers.utils import logging

from hf_noisy.common.drawing import pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.get_logger(__name__)

_STEP = "train/global_step"  # the x-axis of the Transformers callbacks


def show(callbacks: Sequence[TrainerCallback], draw: Callable[[], Mapping[str, Figure]], step: int) -> None:
    """Log the figures of `draw` to each tracker among `callbacks`. Without a tracker, `draw` is not called.

    If matplotlib is not installed, a warning is given once and training continues.
    """
    takers = list(_takers(callbacks, step))
    if not takers:
        return
    try:
        pictures = {f"train/{name}": pixels(figure) for name, figure in draw().items()}
    except ImportError as error:
        logger.warning_once(f"no pictures are logged: {error}")
        return
    for name, picture in pictures.items():
        for take in takers:
            take(name, picture)


def _takers(callbacks: Sequence[TrainerCallback], step: int) -> Iterator[Callable[[str, np.ndarray], None]]:
    for callback in callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.tb_writer is not None:
            yield _of_tensorboard(callback.tb_writer, step)
        elif isinstance(callback, WandbCallback):
            import wandb  # type: ignore[import-not-found, unused-ignore]

            yield _of_run(wandb, step)
        elif isinstance(callback, TrackioCallback):
            import trackio  # type: ignore[import-not-found, unused-ignore]

            yield _of_run(trackio, step)


def _of_tensorboard(writer: Any, step: int) -> Callable[[str, np.ndarray], None]:
    return lambda name, picture: writer.add_image(name, picture, step, dataformats="HWC")


def _of_run(tracker: Any, step: int) -> Callable[[str, np.ndarray], None]:
    """Logs an image with a module that has `log` and `Image`, as Weights & Biases and trackio do."""
    return lambda name, picture: tracker.log({name: tracker.Image(picture), _STEP: step})
