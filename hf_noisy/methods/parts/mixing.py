"""Mixes pairs of examples by their word embeddings (mixup), for any architecture."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hf_noisy.common.randomness import keyed_generator
from hf_noisy.models.predictions import Mix


def mixed_inputs(inputs: Mapping[str, Any], mix: Mix, main_input_name: str = "input_ids") -> dict[str, Any]:
    """Extends each example's inputs to the length of the longer example of its pair.

    Where only the partner has a token, the partner's token, token type and mask are used. So everything that a model
    derives from its inputs (positions, padding, the last token of a decoder) is right for both examples.

    Args:
        inputs: (batch, tokens) tensors. Without an `attention_mask`, no token is padding.
        mix: partners and ratios of the batch.
        main_input_name: of the model.
    """
    ids = inputs[main_input_name]
    own = _real_tokens(inputs, ids)
    mixed = {
        name: torch.where(own, value, value[mix.partner])
        if torch.is_tensor(value) and value.shape == ids.shape
        else value
        for name, value in inputs.items()
    }
    if "attention_mask" in inputs:
        mask = inputs["attention_mask"]
        mixed["attention_mask"] = torch.maximum(mask, mask[mix.partner])
    return mixed


@contextlib.contextmanager
def mixed_embeddings(
    networks: list[Any], inputs: Mapping[str, Any], mix: Mix, views: int = 1, main_input_name: str = "input_ids"
) -> Iterator[None]:
    """Context in which the networks mix the word embeddings of each example with those of its partner.

    Where one of the two examples has no token, its embedding counts as zeros. A compiled model runs uncompiled inside
    the context, since compiled code keeps the hooks that it was compiled with.

    Args:
        networks: models with `get_input_embeddings`.
        inputs: original inputs of the batch, before `mixed_inputs`; the views one after the other.
        mix: partners and ratios of the batch.
        views: number of views.
        main_input_name: of the models.

    Raises:
        ValueError: in the forward, if a model embeds other tokens than it was given (for example, without padding).
    """
    ids = inputs[main_input_name]
    own = _real_tokens(inputs, ids)
    rows = len(mix.partner)
    partner = torch.cat([mix.partner + view * rows for view in range(views)])
    ratio = mix.ratio.repeat(views).view(-1, 1, 1)

    def mixed(module: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
        width = ids.shape[1]
        if output.shape[1] > width and len(output) == len(ids):  # the model pads a text to full windows of attention
            return torch.cat([mixed(module, given, output[:, :width]), output[:, width:]], 1)
        if output.shape[:2] != ids.shape:
            raise ValueError(
                f"{type(module).__name__} embeds tokens of shape {tuple(output.shape[:2])}: expected {tuple(ids.shape)}. "
                "Load the model with an attn_implementation that keeps padding, such as 'sdpa'."
            )
        embedded = module.forward(ids) * own.unsqueeze(-1)
        share = ratio.to(embedded.dtype)
        both = share * embedded + (1 - share) * embedded[partner]
        return both.requires_grad_() if output.requires_grad else both  # gradient checkpointing needs it

    handles = [network.get_input_embeddings().register_forward_hook(mixed) for network in networks]
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _real_tokens(inputs: Mapping[str, Any], ids: Tensor) -> Tensor:
    """(batch, tokens) bool. False where there is padding."""
    return inputs["attention_mask"].bool() if "attention_mask" in inputs else torch.ones_like(ids, dtype=torch.bool)


def hide_tokens(inputs: Mapping[str, Any], share: float, generator: torch.Generator) -> dict[str, Any]:
    """Hides each token from attention with probability `share`, which gives another view of the same text.

    The first and the last token of a text are never hidden, since classifiers read them. Inputs without an
    `attention_mask` are returned unchanged.
    """
    if "attention_mask" not in inputs or share == 0:
        return dict(inputs)
    mask = inputs["attention_mask"]
    drawn = torch.rand(mask.shape, generator=generator, device=mask.device) < share
    return {**inputs, "attention_mask": mask.masked_fill(inner_tokens(mask) & drawn, 0)}


def inner_tokens(mask: Tensor) -> Tensor:
    """(batch, tokens) attention mask -> bool. False for padding and for the first and last token of a text."""
    count = mask.cumsum(-1)
    return (mask > 0) & (count > 1) & (count < count[:, -1:])


def draw_mix(key: tuple[Any, ...], rows: int, alpha: float, where: str, device: torch.device | str = "cpu") -> Mix:
    """Draws a random partner for each example, and one ratio for all: max(l, 1 - l), with l from Beta(alpha, alpha).

    Source: Zhang et al., "mixup", ICLR 2018; the maximum is that of Berthelot et al., "MixMatch", NeurIPS 2019.
    """
    generator = keyed_generator(*key, "mix")
    partner = torch.randperm(rows, generator=generator).to(device)
    first, second = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=generator).tolist()
    ratio = first / (first + second) if first + second > 0 else 1.0
    return Mix(partner, torch.full((rows,), max(ratio, 1 - ratio), device=device), where)  # type: ignore[arg-type]
