"""Saves and loads networks: the deployed one in a folder, other networks and noise channels below or beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from hf_noisy.models import adapters
from hf_noisy.models.networks import Networks

Save = Callable[[str, "dict[str, Any] | None"], None]  # writes `trainer.model` into a folder
Load = Callable[[str, "nn.Module | None"], None]  # reads a folder into a model, by default `trainer.model`


def save(trainer: Any, folder: str, state: dict[str, Any] | None, save_one: Save, *, every: bool) -> None:
    """Write the deployed network into `folder`. With `every`, also write the other networks and the channels.

    Args:
        trainer: its `model` is written. While `save_one` runs, `trainer.model` is the network being written.
        folder: the target folder.
        state: the gathered weights of a single network; None for the model's own.
        save_one: the stock Trainer's `_save`.
        every: whether to write all networks and channels, as in a checkpoint.
    """
    model, writes = trainer.model, trainer.args.should_save
    if not isinstance(model, Networks):
        _save_one(model, folder, state, save_one, writes)
        return
    for number, network, place in model.places(folder):
        if number == model.deployed or every:
            with _in_place_of_all(trainer, network):
                _save_one(network, place, None, save_one, writes)
    if every and writes:  # the stock Trainer saves on every process
        model.save_channels(folder)


def load(model: nn.Module, folder: str, load_one: Load, *, split: bool, into: nn.Module | None = None) -> None:
    """Read a checkpoint that `save` wrote with `every`.

    Args:
        model: the trained model.
        folder: a checkpoint.
        load_one: the stock Trainer's `_load_from_checkpoint`.
        split: whether FSDP splits the weights. If so, the stock Trainer reads the adapters.
        into: another model to read the weights of a single network into; None for `model`.

    Raises:
        ValueError: the checkpoint has a different number of networks, other adapters or no channels.
    """
    if not isinstance(model, Networks):
        _load_one(model if into is None else into, folder, load_one, split, into)
        return
    model.find_deployed(folder)
    for _, network, place in model.places(folder):
        _load_one(network, place, load_one, split, network)
    model.load_channels(folder)


def is_read_here(model: nn.Module, *, split: bool) -> bool:
    """Whether the best weights must be read here, since the stock Trainer cannot read them for this model."""
    return isinstance(model, Networks) or (adapters.is_adapted(model) and not split)


def _save_one(network: nn.Module, folder: str, state: dict[str, Any] | None, save_one: Save, writes: bool) -> None:
    adapted = writes and adapters.is_adapted(network)
    with adapters.keep_readme(folder) if adapted else contextlib.nullcontext():
        save_one(folder, state)


def _load_one(network: nn.Module, folder: str, load_one: Load, split: bool, into: nn.Module | None) -> None:
    if adapters.is_adapted(network) and not split:
        # the stock Trainer would read the folder network-1 as another adapter, and accept an adapter of other layers
        adapters.load_adapters(network, folder)
    else:
        adapters.check_adapter_checkpoint(network, folder)
        load_one(folder, into)


@contextlib.contextmanager
def _in_place_of_all(trainer: Any, network: nn.Module) -> Iterator[None]:
    """Inside, `trainer.model` is `network`."""
    every, trainer.model = trainer.model, network
    try:
        yield
    finally:
        trainer.model = every
