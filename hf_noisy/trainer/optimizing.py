"""Optimizing several networks and noise channels: a learning rate per channel, gradient clipping per network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hf_noisy.models.channels import Channel
from hf_noisy.models.networks import Networks, channels_of


def complete(optimizer: torch.optim.Optimizer, model: Any, scheduler: Any) -> None:
    """Add what a method added to the model, and give each channel its own learning rate.

    Args:
        optimizer: made from the arguments, or passed by the user.
        model: the trained model.
        scheduler: the scheduler that was passed to the trainer; None if it is made later.

    Raises:
        ValueError: as `add_missing` and `give_channels_their_rate`.
    """
    add_missing(optimizer, model, scheduler)
    give_channels_their_rate(optimizer, channels_of(model), scheduler)


def check_scheduler(optimizer: torch.optim.Optimizer | None, scheduler: Any, model: Any, methods: str) -> None:
    """Refuse a scheduler that was passed where a method trains more than the model that it was made for.

    Args:
        optimizer: the one that was passed; None if it is made from the arguments.
        scheduler: the one that was passed; None if it is made later.
        model: the trained model.
        methods: how to name the methods (`hf_noisy.trainer.naming.asked_for`).

    Raises:
        ValueError: it has no learning rate for a further network or for a channel.
    """
    if scheduler is None:
        return
    added = [] if optimizer is None else [what for what, _, _ in _missing(optimizer, model)]
    if any(channel.learning_rate is not None for channel in channels_of(model)):
        added.append("the noise channel")
    if added:
        named = " and ".join(dict.fromkeys(added))
        raise ValueError(
            f"optimizers=(..., a scheduler) with {methods}: it was made before {named}, and has no rate for further parameters. "
            "Expected optimizers=(optimizer, None), so that the scheduler is made from the arguments."
        )


def give_channels_their_rate(optimizer: torch.optim.Optimizer, channels: Sequence[Channel], scheduler: Any) -> None:
    """Put each channel into its own parameter group, with its own learning rate and without weight decay.

    Args:
        optimizer: over all parameters.
        channels: those without their own learning rate stay in their present group.
        scheduler: the scheduler that was passed to the trainer; None if it is made later.

    Raises:
        ValueError: there is a scheduler, which has no rate for the new group.
    """
    for channel in channels:
        own = {id(parameter) for parameter in channel.parameters()}
        groups = [{id(parameter) for parameter in group["params"]} for group in optimizer.param_groups]
        if channel.learning_rate is None or not own or own in groups:
            continue
        if scheduler is not None:
            raise ValueError(
                "optimizers=(..., a scheduler): it was made before the noise channel's parameters were, and has no rate "
                "for them. Expected optimizers=(optimizer, None), so that the scheduler is made from the arguments."
            )
        for group in optimizer.param_groups:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in own]
        optimizer.add_param_group(
            {"params": list(channel.parameters()), "lr": channel.learning_rate, "weight_decay": 0.0}
        )


def add_missing(optimizer: torch.optim.Optimizer, model: Any, scheduler: Any) -> None:
    """Add the parameters of further networks and of channels to an optimizer that was made before they were.

    A parameter of a further network gets the settings of the same parameter of the first one; one that the optimizer
    leaves out there is left out in all networks.

    Args:
        optimizer: over the parameters of the first network, or of all.
        model: the trained model. Nothing is added for a single network without a channel.
        scheduler: the scheduler that was passed to the trainer; None if it is made later.

    Raises:
        ValueError: a scheduler was passed. It has no rate for further groups.
    """
    missing = list(_missing(optimizer, model))
    if missing and scheduler is not None:
        raise ValueError(
            f"optimizers=(..., a scheduler): both were made before {_named(missing)}, and the scheduler has no rate for "
            "further parameters. Expected optimizers=(optimizer, None), so that the scheduler is made from the arguments."
        )
    for _, parameters, settings in missing:
        optimizer.add_param_group({**settings, "params": parameters})


def check_complete(optimizer: torch.optim.Optimizer | None, model: Any, methods: str) -> None:
    """Refuse an optimizer of a subclass that leaves out what a method added to the model.

    Args:
        optimizer: of the training that begins.
        model: the trained model.
        methods: how to name the methods (`hf_noisy.trainer.naming.asked_for`).

    Raises:
        ValueError: a further network or a channel would never learn.
    """
    missing = [] if optimizer is None else list(_missing(optimizer, model))
    if missing:
        own = getattr(optimizer, "optimizer", optimizer)  # Accelerate has wrapped it
        raise ValueError(
            f"{type(own).__name__}, made by create_optimizer, with {methods}: it has no parameters of {_named(missing)}, which "
            "the method trains too. Expected those of self.model, which holds all networks, and not of the model that was passed."
        )


def _missing(optimizer: torch.optim.Optimizer, model: Any) -> Iterator[tuple[str, list[nn.Parameter], dict[str, Any]]]:
    """What it is, parameters that the optimizer lacks, and the settings of their group."""
    if not isinstance(model, Networks):
        return
    groups = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    first = dict(model.first.named_parameters())
    for number, network in enumerate(model.networks):
        alike: dict[int, list[nn.Parameter]] = {}
        for name, parameter in network.named_parameters():
            of_first = groups.get(id(first.get(name)))
            if parameter.requires_grad and id(parameter) not in groups and of_first is not None:
                alike.setdefault(optimizer.param_groups.index(of_first), []).append(parameter)
        for place, parameters in alike.items():
            settings = {key: value for key, value in optimizer.param_groups[place].items() if key != "params"}
            yield f"network {number + 1}", parameters, settings
    for channel in model.channels:
        lacking = [each for each in channel.parameters() if each.requires_grad and id(each) not in groups]
        if lacking:
            yield "the noise channel", lacking, {}


def _named(missing: Sequence[tuple[str, Any, Any]]) -> str:
    return " and ".join(dict.fromkeys(what for what, _, _ in missing))


def clip(trainer: Any, stock: Callable[[], Any]) -> Any:
    """Clip the gradients: several networks each by its own norm, a single one as the stock Trainer does (`stock`)."""
    if not isinstance(trainer.model, Networks):
        return stock()
    trainer.accelerator.unscale_gradients()
    return clip_each(trainer.model, trainer.args.max_grad_norm)


def clip_each(model: Networks, max_norm: float) -> Tensor:
    """Clip each network by its own norm, so that a large gradient of one does not shrink the steps of the others.

    Returns:
        () norm over all networks and channels, before clipping.
    """
    norms = [
        nn.utils.clip_grad_norm_(part.parameters(), max_norm)
        for part in (*model.networks, *model.channels)
        if any(parameter.grad is not None for parameter in part.parameters())  # a channel may have no gradient
    ]
    return torch.stack(norms).norm()
