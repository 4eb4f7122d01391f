"""Finds complete checkpoints, so that a training that was killed while saving resumes from the previous one."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import logging

from hf_noisy.models.configuration import config_of
from hf_noisy.trainer.state import STATE_NAME, check_identity, load_some, load_state, save_state

logger = logging.get_logger(__name__)

_COUNT = re.compile(r"\d{1,6}", re.ASCII)
_NUMBER = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)")


def incomplete_reason(checkpoint: str | Path) -> str | None:
    """The reason why a checkpoint is incomplete; None if it is complete.

    The Trainer writes `trainer_state.json` last. If that file can be read, all files written before it are complete. The
    files of other processes are checked separately.
    """
    folder = Path(checkpoint)
    try:
        progress = json.loads((folder / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"it has no {TRAINER_STATE_NAME}"
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested too deeply
        return f"its {TRAINER_STATE_NAME} is cut short"
    if not isinstance(progress, dict):
        return f"its {TRAINER_STATE_NAME} is cut short"
    if not (folder / STATE_NAME).exists():
        return None
    try:
        with safe_open(folder / STATE_NAME, framework="pt") as file:
            processes = (file.metadata() or {}).get("processes", "1")
    except SafetensorError as error:
        return f"its {STATE_NAME} cannot be read ({error})"
    if not _COUNT.fullmatch(processes):
        return f"its {STATE_NAME} was written by processes={processes[:20]!r}, which is no count"
    for rank in range(int(processes) if int(processes) > 1 else 0):
        if not zipfile.is_zipfile(folder / f"rng_state_{rank}.pth"):
            return f"the random state of process {rank} is not there or cut short"
    return None


def last_whole_checkpoint(output_dir: str | Path) -> str | None:
    """The latest complete checkpoint in `output_dir`; None if there is no checkpoint. Incomplete ones give a warning.

    Raises:
        ValueError: there are checkpoints, but none is complete.
    """
    broken: list[str] = []
    for folder in reversed(_in_order(Path(output_dir))):
        missing = incomplete_reason(folder)
        if missing is None:
            for line in broken:
                logger.warning(f"{line}: it was not finished. The training goes on from {folder}.")
            return str(folder)
        broken.append(f"{folder}: {missing}")
    if broken:
        raise ValueError(f"no whole checkpoint in {output_dir}: {'; '.join(broken)}. Start afresh, or name another.")
    return None


def find_checkpoint(resume: str | os.PathLike[str] | bool | None, output_dir: str | None) -> str | bool | None:
    """The checkpoint that `train(resume_from_checkpoint=resume)` resumes from.

    Raises:
        ValueError: the given checkpoint is incomplete or does not exist, or `resume` is True and there is no complete one.
    """
    if resume is True:
        found = last_whole_checkpoint(output_dir) if output_dir is not None else None
        if found is None:
            raise ValueError(
                f"resume_from_checkpoint=True: No valid checkpoint found in output directory ({output_dir}), expected a folder checkpoint-STEP. Train without "
                "it first, with save_strategy='epoch' or 'steps'."
            )
        return found
    if resume is None or isinstance(resume, bool):
        return resume
    if not Path(resume).is_dir():
        raise ValueError(
            f"Can't find a valid checkpoint at {os.fspath(resume)!r} (resume_from_checkpoint): no such folder. Expected a checkpoint, as OUTPUT_DIR/checkpoint-STEP; "
            "True finds the last one in output_dir."
        )
    missing = incomplete_reason(Path(resume))
    if missing is not None:
        raise ValueError(
            f"{resume}: {missing}, so it was not finished. Expected a whole checkpoint, "
            "and not what save_model() wrote: resume_from_checkpoint=True finds the last one."
        )
    return os.fspath(resume)


def begin(checkpoint: str | Path, limit: int | None = None) -> None:
    """Mark a checkpoint as incomplete before it is written. It may overwrite an older one of the same step.

    If only the last `limit` checkpoints are kept, incomplete ones in the same folder are removed. Rotation would count them
    and remove a complete one instead.
    """
    checkpoint = Path(checkpoint)
    (checkpoint / TRAINER_STATE_NAME).unlink(missing_ok=True)
    for folder in _in_order(checkpoint.parent) if limit and limit > 0 else ():
        if folder != checkpoint and (missing := incomplete_reason(folder)) is not None:
            logger.warning(f"{folder}: {missing}. It was not finished, and is removed.")
            shutil.rmtree(folder, ignore_errors=True)


# ---- saving and loading the state of a trainer -----------------------------------------------------------------------


def begin_saving(trainer: Any, trial: Any) -> Path:
    """Prepare the folder of a checkpoint that the stock Trainer is about to write. Returns the folder.

    Args:
        trainer: a `NoisyTrainer`.
        trial: the trial of a hyperparameter search, if any.
    """
    folder = Path(trainer._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{trainer.state.global_step}")
    if trainer.args.should_save:
        begin(folder, trainer.args.save_total_limit)
    trainer.accelerator.wait_for_everyone()
    return folder


def save_methods(trainer: Any, parts: Any, folder: str) -> None:
    """Write the state of the methods. Only one process writes, since all hold the same state."""
    args = trainer.args
    if args.should_save:
        # if each node saves its own files, the processes that write into this folder are unknown
        processes = 1 if args.save_on_each_node else args.world_size
        save_state(folder, parts.methods.callbacks, _identity(trainer, parts), parts.methods.begun_epoch, processes)


def check_methods(trainer: Any, parts: Any, folder: str) -> None:
    """Refuse the checkpoint of a different run.

    Raises:
        ValueError: the checkpoint comes from another method, class count or training set.
    """
    if Path(folder, STATE_NAME).is_file():
        check_identity(folder, _identity(trainer, parts))


def load_methods(trainer: Any, parts: Any, folder: str | None) -> None:
    """Restore the state of the methods. A checkpoint of a plain Trainer has none and gives a warning.

    Raises:
        ValueError: as `hf_noisy.trainer.state.load_state`.
    """
    if folder is None:
        return
    if Path(folder, STATE_NAME).is_file():
        parts.methods.begun_epoch = load_state(folder, parts.methods.callbacks, _identity(trainer, parts))
    else:
        logger.warning(
            f"{folder} has no {STATE_NAME}: it is a plain Trainer's checkpoint, or one with the model only. What it "
            "has resumes; what the methods remember of each example starts afresh."
        )


def load_channels(parts: Any, folder: str) -> None:
    """Restore the state of the methods with a noise channel, as it was when these weights were saved."""
    if Path(folder, STATE_NAME).is_file():
        load_some(folder, parts.methods.with_channel())


def _identity(trainer: Any, parts: Any) -> dict[str, str]:
    return parts.identity(config_of(trainer.model).num_labels, trainer.train_dataset)


def _in_order(root: Path) -> list[Path]:
    """The checkpoints in a folder, ordered by step."""
    found = ((_NUMBER.fullmatch(path.name), path) for path in root.iterdir() if path.is_dir()) if root.is_dir() else ()
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]
