"""Checks of how rows and weights are spread over devices. Setups that would change the training raise an error."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from transformers import Trainer, TrainingArguments

from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.trainer.naming import name_of, with_any

# why a method cannot be used with weights that FSDP splits
SEVERAL_NETWORKS = (
    "it trains several networks, each clipped, judged and saved by itself, and FSDP would split them as one"
)
CHANNEL = "its noise channel has a learning rate of its own and lies beside the network's weights, and FSDP would split both as one"
OTHER_WEIGHTS = "it puts other weights into the network for evaluation, and with FSDP a process has only a part of them"
ENCODER = (
    "the encoder is asked for vectors by itself, and FSDP gathers its weights for a forward of the whole model only"
)
# why a method cannot be used with copies of the model on several GPUs of one process (DataParallel)
JOINED = "its networks or its noise channel speak in one forward, and DataParallel would join what they say as if it were rows"
VECTORS = "it reads what goes into the last layer, which DataParallel keeps in the copies of the model"
_WITHOUT = "Start plain processes (torchrun, without fsdp)"
_VECTORS = (
    "or give vectors of your own where the method takes them (Neighbours(vectors=...), TruthInference(vectors=...))"
)


def check_processes(args: TrainingArguments, methods: str = "") -> None:
    """Refuse settings that hide which process holds which row or weight. Called before anything is set up.

    Args:
        args: the training arguments.
        methods: how to name the methods (`hf_noisy.trainer.naming.asked_for`).

    Raises:
        ValueError: for DeepSpeed, for any parallelism but data parallelism, for batches of different sizes, and for batches
            whose rows are unknown.
    """
    if args.deepspeed or _is_set("ACCELERATE_USE_DEEPSPEED"):
        raise ValueError(
            f"deepspeed={args.deepspeed!r}{with_any(methods)}: its engine clips and steps all networks as one, keeps weights and checkpoints where "
            f"methods do not look for them, and is not tested here. {_WITHOUT}, or, to split weights, fsdp=True with "
            'fsdp_config={"version": 2}.'
        )
    if args.parallelism_config is not None or _is_set("ACCELERATE_USE_PARALLELISM_CONFIG"):
        raise ValueError(
            f"parallelism_config={args.parallelism_config!r}{with_any(methods)}: several processes may then read the same row, which would count once for "
            "each. Expected None: every process reads rows of its own."
        )
    if args.world_size > 1:
        _check_rows(args, with_any(methods))


def _check_rows(args: TrainingArguments, methods: str) -> None:
    if args.train_sampling_strategy == "batch_rebalance":
        raise ValueError(
            f'train_sampling_strategy="batch_rebalance"{methods}: processes get batches of different sizes, which memory cannot '
            'be kept for. Use "group_by_length" or "random".'
        )
    if args.auto_find_batch_size:
        raise ValueError(
            f"auto_find_batch_size=True{methods}: each of {args.world_size} processes would find a batch size of its own, and start "
            "afresh while the others wait for it. Find it with one process, and set per_device_train_batch_size."
        )
    config: Any = args.accelerator_config
    for name, needed in (("even_batches", True), ("split_batches", False), ("dispatch_batches", False)):
        value = getattr(config, name)
        if value is not None and value != needed:
            raise ValueError(
                f"accelerator_config {name}={value}{methods}: on several processes it hides which of them holds which row. "
                f"Leave it at {needed}."
            )


def check_split(trainer: Trainer, methods: str = "") -> None:
    """Refuse splits of the weights that methods and checkpoints do not support. Called once the Trainer knows the split.

    Args:
        trainer: the new trainer.
        methods: how to name the methods (`hf_noisy.trainer.naming.asked_for`).

    Raises:
        ValueError: the FSDP version is not 2, or the model is already split.
    """
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if plugin is not None and plugin.fsdp_version != 2:
        raise ValueError(
            f"fsdp version {plugin.fsdp_version}{with_any(methods)}: it flattens weights, so that they have other names and shapes than those in "
            'a checkpoint. Expected 2: fsdp_config={"version": 2}, or FSDP_VERSION=2 for the launcher.'
        )
    _check_whole(trainer.model, with_any(methods))


def _check_whole(model: Any, methods: str) -> None:
    from torch.distributed.tensor import DTensor

    name = next((name for name, weight in model.named_parameters() if isinstance(weight, DTensor)), None)
    if name is not None:
        raise ValueError(
            f"{type(model).__name__}{methods}: {name} is split over processes already. Load the model whole, and let the Trainer "
            'split it where that is wanted: fsdp=True with fsdp_config={"version": 2}.'
        )


def check_placement(args: TrainingArguments, model: Any, callbacks: Sequence[NoiseCallback]) -> None:
    """Refuse methods that do not support split weights (FSDP) or copies of the model (DataParallel).

    Raises:
        ValueError: a method does not support the setup. The message names the method and the reason.
    """
    for callback in callbacks:
        name = name_of(callback, args)
        why = fsdp_conflict(callback, model) if splits_weights(args) else None
        if why is not None:
            fix = _VECTORS if why == ENCODER else "or use a method of one network"
            raise ValueError(f"fsdp with {name}: {why}. {_WITHOUT}, {fix}.")
        why = data_parallel_conflict(callback, model) if args.n_gpu > 1 else None
        if why is not None:
            raise ValueError(
                f"n_gpu={args.n_gpu} with {name}: {why}. Start a process for each GPU (torchrun --nproc_per_node {args.n_gpu} "
                "SCRIPT; in a notebook accelerate.notebook_launcher), or let Python see one: set CUDA_VISIBLE_DEVICES=0 "
                "before it starts."
            )


def check_encoder(args: TrainingArguments) -> None:
    """Refuse to compute encoder vectors with FSDP, which gathers weights only for a forward of the whole model.

    Raises:
        ValueError: FSDP is requested. The message says what to pass instead.
    """
    if splits_weights(args):
        raise ValueError(f"fsdp: {ENCODER}. {_WITHOUT}, {_VECTORS}.")


def splits_weights(args: TrainingArguments) -> bool:
    """Whether FSDP is requested by `args` or by the launcher. On CPUs accelerate ignores it."""
    return bool(args.fsdp) or _is_set("ACCELERATE_USE_FSDP")


def fsdp_conflict(callback: NoiseCallback, model: Any) -> str | None:
    """The reason why a method needs whole weights on each process; None if it does not."""
    if callback.num_networks > 1:
        return SEVERAL_NETWORKS
    if callback.make_channel(model) is not None:
        return CHANNEL
    if type(callback).deployed is not NoiseCallback.deployed:
        return OTHER_WEIGHTS
    return ENCODER if callback.may_encode(model) else None


def data_parallel_conflict(callback: NoiseCallback, model: Any) -> str | None:
    """The reason why a method does not support copies of the model on several GPUs of one process; None if it does."""
    if callback.num_networks > 1 or callback.make_channel(model) is not None:
        return JOINED
    return VECTORS if callback.needs_vectors else None


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")
