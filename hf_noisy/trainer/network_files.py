"""Networks in files: the deployable one in a folder's root, the others and the noise channels below it or beside it."""

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
    """Write the deployable network into `folder`; of several the others below it, and the channels, if `every`.

    Args:
        trainer: whose `model` is written; it is another one while `save_one` runs.
        folder: where to.
        state: the weights of a single network where they had to be gathered; None takes the model's own.
        save_one: the stock Trainer's `_save`.
        every: whether all networks and channels are written, as in a checkpoint.
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
    """Read what `save` wrote with `every`.

    Args:
        model: what is trained.
        folder: a checkpoint.
        load_one: the stock Trainer's `_load_from_checkpoint`.
        split: whether FSDP splits the weights; then adapters are read as the stock Trainer reads them.
        into: another model that the weights of one network are read into.

    Raises:
        ValueError: the checkpoint has another number of networks, other adapters or no channels.
    """
    if not isinstance(model, Networks):
        _load_one(model if into is None else into, folder, load_one, split, into)
        return
    model.find_deployed(folder)
    for _, network, place in model.places(folder):
        _load_one(network, place, load_one, split, network)
    model.load_channels(folder)


def is_read_here(model: nn.Module, *, split: bool) -> bool:
    """Whether the stock Trainer does not know how to read the best weights of such a model."""
    return isinstance(model, Networks) or (adapters.is_adapted(model) and not split)


def _save_one(network: nn.Module, folder: str, state: dict[str, Any] | None, save_one: Save, writes: bool) -> None:
    adapted = writes and adapters.is_adapted(network)
    with adapters.keep_readme(folder) if adapted else contextlib.nullcontext():
        save_one(folder, state)


def _load_one(network: nn.Module, folder: str, load_one: Load, split: bool, into: nn.Module | None) -> None:
    if adapters.is_adapted(network) and not split:
        # the stock Trainer would take the folder network-1 for one more adapter, and let one of other layers pass
        adapters.load_adapters(network, folder)
    else:
        adapters.check_adapter_checkpoint(network, folder)
        load_one(folder, into)


@contextlib.contextmanager
def _in_place_of_all(trainer: Any, network: nn.Module) -> Iterator[None]:
    """Inside, the stock Trainer takes `network` for the one that it trains."""
    every, trainer.model = trainer.model, network
    try:
        yield
    finally:
        trainer.model = every
