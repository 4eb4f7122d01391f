"""Optimizing several networks and noise channels: a learning rate per channel, gradient clipping per network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hf_noisy.models.channels import Channel
from hf_noisy.models.networks import Networks


def give_channels_their_rate(optimizer: torch.optim.Optimizer, channels: Sequence[Channel], scheduler: Any) -> None:
    """Put each channel into its own parameter group, with its own learning rate and without weight decay.

    Args:
        optimizer: over all parameters.
        channels: those without their own learning rate stay in their present group.
        scheduler: the scheduler that was passed to the trainer; None if it is made later.

    Raises:
        ValueError: a scheduler was passed. It has no rate for the new group.
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
