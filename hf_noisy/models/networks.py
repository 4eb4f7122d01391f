"""Networks of one architecture, and what their labels go through, as one module: one forward, one optimizer, one vote."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from hf_noisy.common.randomness import keyed_generator
from hf_noisy.models.adapters import classifier, copied, draw_adapters, is_adapted, used_modules
from hf_noisy.models.channels import Channel, logits_and_vectors

CHANNEL_NAME = "channel.safetensors"  # beside the weights of a checkpoint
FOLDER = "network-{}"  # of a network that is not the one in a checkpoint's root


@dataclass
class NetworksOutput(ModelOutput):
    """What the networks say of the same rows."""

    logits: Tensor | None = None  # training: (networks, rows, classes); evaluation: (rows, classes) of their vote
    network_logits: Tensor | None = None  # evaluation: (networks, rows, classes)
    noisy_log_probs: Tensor | None = None  # training, where there are channels: (networks, rows, classes)
    channel_matrix: Tensor | None = None  # likewise: (networks, classes, classes), the mean over rows


class Networks(nn.Module):
    """Networks that see each example together, so that one may choose what another learns from it.

    They start from the same weights but for the head, which each draws anew, and their dropout differs. Networks with
    adapters (PEFT) share one frozen base: each has adapters and a head of its own, both drawn anew. In training
    the logits are (networks, rows, classes). In evaluation they are the log of the networks' mean probability,
    (rows, classes), as of one model, and `network_logits` holds those of each.

    With channels, the output of training also says what label each network expects to be given; they take no part in
    evaluation, and lie beside a checkpoint's weights, not in them.

    Args:
        model: the first network, as it is; the others are copies of it.
        count: of networks.
        seed: of the other heads.
        channels: one a network, or none.
    """

    _keys_to_ignore_on_save = None

    def __init__(self, model: PreTrainedModel, count: int, seed: int, channels: Sequence[Channel] = ()) -> None:
        super().__init__()
        others = [_with_new_head(copied(model), seed, number) for number in range(1, count)]
        self.networks = nn.ModuleList([model, *others])
        self.channels = nn.ModuleList(channels).to(model.device)
        self.deployed = 0  # the network that a user gets: the best on validation labels, as far as is known

    @property
    def first(self) -> PreTrainedModel:
        """The network that was given."""
        return self.networks[0]  # type: ignore[return-value]

    def forward(self, **inputs: Any) -> NetworksOutput:
        """One pass of every network over the same rows."""
        if self.training and self.channels:
            return self._through_channels(inputs)
        logits = torch.stack([network(**inputs).logits for network in self.networks])
        if self.training:
            return NetworksOutput(logits=logits)
        vote = logits.float().log_softmax(-1).logsumexp(0) - math.log(len(logits))
        return NetworksOutput(logits=vote, network_logits=logits)

    def _through_channels(self, inputs: dict[str, Any]) -> NetworksOutput:
        said = []
        for network, channel in zip(self.networks, self.channels, strict=True):
            if channel.needs_vectors and channel.active:
                logits, vectors = logits_and_vectors(network, inputs)
            else:
                logits, vectors = network(**inputs).logits, None
            said.append((logits, *channel(logits, vectors)))
        logits, noisy, matrices = (torch.stack(parts) for parts in zip(*said, strict=True))
        return NetworksOutput(logits=logits, noisy_log_probs=noisy, channel_matrix=matrices)

    # ---- what the Trainer asks of a model -----------------------------------------------------------------------

    @property
    def config(self) -> Any:
        return self.first.config

    @property
    def main_input_name(self) -> str:
        return self.first.main_input_name

    @property
    def _no_split_modules(self) -> Any:
        return self.first._no_split_modules

    @property
    def device(self) -> torch.device:
        return self.first.device

    @property
    def dtype(self) -> torch.dtype:
        return self.first.dtype

    def get_input_embeddings(self) -> nn.Module:
        return self.first.get_input_embeddings()

    def gradient_checkpointing_enable(self, *args: Any, **kwargs: Any) -> None:
        for network in self.networks:
            network.gradient_checkpointing_enable(*args, **kwargs)  # type: ignore[operator]

    def gradient_checkpointing_disable(self) -> None:
        for network in self.networks:
            network.gradient_checkpointing_disable()  # type: ignore[operator]

    def activation_checkpointing_enable(self, *args: Any, **kwargs: Any) -> None:
        for network in self.networks:
            network.activation_checkpointing_enable(*args, **kwargs)  # type: ignore[operator]

    def activation_checkpointing_disable(self) -> None:
        for network in self.networks:
            network.activation_checkpointing_disable()  # type: ignore[operator]

    def floating_point_ops(self, inputs: dict[str, Any], exclude_embeddings: bool = True) -> int:
        return sum(network.floating_point_ops(inputs, exclude_embeddings) for network in self.networks)  # type: ignore[operator]

    # ---- files --------------------------------------------------------------------------------------------------

    def places(self, folder: str) -> Iterator[tuple[int, Any, str]]:
        """Number, network and folder of each: the deployed one in `folder` itself, the others below it."""
        for number, network in enumerate(self.networks):
            place = folder if number == self.deployed else os.path.join(folder, FOLDER.format(number))
            yield number, network, place

    def find_deployed(self, folder: str) -> None:
        """Know which network lies in the root of a checkpoint: the one that has no folder of its own.

        Raises:
            ValueError: the checkpoint holds another number of networks.
        """
        below = [os.path.isdir(os.path.join(folder, FOLDER.format(number))) for number in range(len(self.networks))]
        if sum(below) != len(self.networks) - 1:
            raise ValueError(
                f"{folder}: holds {sum(below) + 1} network(s), this run has {len(self.networks)}. Resume with the "
                "method that wrote it, from a checkpoint and not from a folder that save_model() wrote."
            )
        self.deployed = below.index(False)

    def save_channels(self, folder: str) -> None:
        """Write the channels, if there are any, beside the weights in `folder`."""
        if self.channels:
            tensors = {name: tensor.contiguous() for name, tensor in self.channels.state_dict().items()}
            save_file(tensors, Path(folder, CHANNEL_NAME))

    def load_channels(self, folder: str) -> None:
        """Take back what `save_channels` wrote.

        Raises:
            ValueError: the checkpoint has no channels and this run has, or the other way round.
        """
        there = Path(folder, CHANNEL_NAME).is_file()
        if there != bool(self.channels):
            raise ValueError(
                f"{folder}: has {'a' if there else 'no'} {CHANNEL_NAME}, this run has {'one' if self.channels else 'none'}. "
                "Resume with the method that wrote the checkpoint."
            )
        if there:
            self.channels.load_state_dict(load_file(Path(folder, CHANNEL_NAME)))


def network_logits(outputs: Any) -> Tensor:
    """(networks, rows, classes) of an evaluation's outputs, whatever the model."""
    return outputs["network_logits"] if "network_logits" in outputs else outputs.logits.unsqueeze(0)


def head_modules(model: PreTrainedModel) -> Iterator[nn.Module]:
    """The modules that a classifier has beside its encoder; those of an adapter are none of them."""
    network = classifier(model)
    for name, module in network.named_children():
        if name != network.base_model_prefix:
            yield from used_modules(module)


@torch.no_grad()
def _with_new_head(model: PreTrainedModel, seed: int, number: int) -> PreTrainedModel:
    """`model` with a head drawn as its architecture draws one; the global generator is left as it was.

    Of an adapted model, what is frozen is the base's, and adapters that do nothing yet are drawn anew too.
    """
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(keyed_generator(seed, "head", number).initial_seed())
        for module in head_modules(model):
            own = list(module.parameters(recurse=False))
            if is_adapted(model) and not all(parameter.requires_grad for parameter in own):
                continue
            for parameter in own:
                parameter._is_hf_initialized = False  # type: ignore[attr-defined]  # else it is left as it is
            classifier(model)._init_weights(module)
        draw_adapters(model)
    return model
