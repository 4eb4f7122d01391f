"""Networks of one architecture and their noise channels in one module, with one forward, optimizer and prediction."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from hf_noisy.common.randomness import keyed_generator
from hf_noisy.models.adapters import classifier, copy_model, is_adapted, reset_untrained_adapters, used_modules
from hf_noisy.models.channels import Channel, outputs_and_vectors
from hf_noisy.models.configuration import config_of, main_input
from hf_noisy.models.outputs import NETWORK_LOGITS, labelled_logits, logits_of, own_term

CHANNEL_NAME = "channel.safetensors"  # file next to the weights of a checkpoint
FOLDER = "network-{}"  # folder of a network that is not in the root of a checkpoint


@dataclass
class NetworksOutput(ModelOutput):
    """Predictions of all networks on the same rows."""

    logits: Tensor | None = None  # training: (networks, rows, classes); evaluation: (rows, classes) of their mean
    network_logits: Tensor | None = None  # evaluation: (networks, rows, classes)
    noisy_log_probs: Tensor | None = None  # training, with channels: (networks, rows, classes)
    channel_matrix: Tensor | None = None  # training, with channels: (networks, classes, classes), mean over rows
    own_term: Tensor | None = None  # with `labels`: () what the networks add to cross-entropy in their own losses


class Networks(nn.Module):
    """Networks that are trained together on the same examples, so that one can select examples for another.

    All networks but the first are copies of it with a newly initialised head. Their dropout differs. Networks with
    adapters (PEFT) share one frozen base. Each has adapters and a head of its own; those of the copies are newly
    initialised. In training, the logits are (networks, rows, classes). In evaluation, they are the log of the networks'
    mean probability, (rows, classes), or the logits of the only network, and `network_logits` holds the logits of each network.

    With channels, the training output also holds each network's prediction of the given label. Channels are not used in
    evaluation. They are saved next to the weights of a checkpoint, not in them.

    Args:
        model: the first network, used as it is. The others are copies of it.
        count: number of networks.
        seed: of the heads of the other networks.
        channels: one per network, or none.
    """

    _keys_to_ignore_on_save = None

    def __init__(self, model: PreTrainedModel, count: int, seed: int, channels: Sequence[Channel] = ()) -> None:
        super().__init__()
        others = [_with_new_head(copy_model(model), seed, number) for number in range(1, count)]
        self.networks = nn.ModuleList([model, *others])
        self.channels = nn.ModuleList(channels).to(next(model.parameters()).device)
        self.deployed = 0  # the network that a user gets: the best on validation labels so far

    @property
    def first(self) -> PreTrainedModel:
        """The network that was passed as `model`."""
        return self.networks[0]  # type: ignore[return-value]

    def forward(self, **inputs: Any) -> NetworksOutput:
        """One forward pass of every network over the same rows. With `labels`, the networks' own terms are returned too."""
        if self.training and self.channels:
            return self._forward_with_channels(inputs)
        outputs = [network(**inputs) for network in self.networks]
        logits, term = torch.stack([_logits(each, inputs) for each in outputs]), _own_terms(outputs, inputs)
        if self.training:
            return NetworksOutput(logits=logits, own_term=term)
        several = len(logits) > 1  # the logits of one network are those of the model that users get
        mean = logits.float().log_softmax(-1).logsumexp(0) - math.log(len(logits)) if several else logits[0]
        return NetworksOutput(logits=mean, network_logits=logits, own_term=term)

    def _forward_with_channels(self, inputs: dict[str, Any]) -> NetworksOutput:
        outputs, found = [], []
        for network, channel in zip(self.networks, self.channels, strict=True):
            if channel.needs_vectors and channel.active:
                output, vectors = outputs_and_vectors(network, inputs)
            else:
                output, vectors = network(**inputs), None
            outputs.append(output)
            logits = _logits(output, inputs)
            found.append((logits, *channel(logits, vectors)))
        logits, noisy, matrices = (torch.stack(parts) for parts in zip(*found, strict=True))
        term = _own_terms(outputs, inputs)
        return NetworksOutput(logits=logits, noisy_log_probs=noisy, channel_matrix=matrices, own_term=term)

    # ---- the interface of a model that the Trainer uses ---------------------------------------------------------

    @property
    def config(self) -> Any:
        return config_of(self.first)

    @property
    def main_input_name(self) -> str:
        return main_input(self.first)

    @property
    def _no_split_modules(self) -> Any:
        return getattr(self.first, "_no_split_modules", None)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(parameter.dtype for parameter in self.parameters() if parameter.is_floating_point())

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
        counts = [getattr(network, "floating_point_ops", None) for network in self.networks]
        return sum(count(inputs, exclude_embeddings) for count in counts if count is not None)

    # ---- files --------------------------------------------------------------------------------------------------

    def save_pretrained(self, *args: Any, **kwargs: Any) -> Any:
        """Save the deployed network, as `PreTrainedModel.save_pretrained` does. `NoisyTrainer.save_model` can save all."""
        return self.networks[self.deployed].save_pretrained(*args, **kwargs)  # type: ignore[operator]

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """Upload the deployed network, as `PreTrainedModel.push_to_hub` does."""
        return self.networks[self.deployed].push_to_hub(*args, **kwargs)  # type: ignore[operator]

    def places(self, folder: str) -> Iterator[tuple[int, Any, str]]:
        """Number, network and folder of each network: `folder` for the deployed one, subfolders for the others."""
        for number, network in enumerate(self.networks):
            place = folder if number == self.deployed else os.path.join(folder, FOLDER.format(number))
            yield number, network, place

    def find_deployed(self, folder: str) -> None:
        """Set `deployed` to the network in the root of a checkpoint: the one without a folder of its own.

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
        """Write the channels, if there are any, to `folder`, next to the weights."""
        if self.channels:
            tensors = {name: tensor.contiguous() for name, tensor in self.channels.state_dict().items()}
            save_file(tensors, Path(folder, CHANNEL_NAME))

    def load_channels(self, folder: str) -> None:
        """Load what `save_channels` wrote.

        Raises:
            ValueError: only one of the checkpoint and this run has channels.
        """
        there = Path(folder, CHANNEL_NAME).is_file()
        if there != bool(self.channels):
            raise ValueError(
                f"{folder}: has {'a' if there else 'no'} {CHANNEL_NAME}, this run has {'one' if self.channels else 'none'}. "
                "Resume with the method that wrote the checkpoint."
            )
        if there:
            self.channels.load_state_dict(load_file(Path(folder, CHANNEL_NAME)))


def networks_of(model: Any) -> list[Any]:
    """The trained networks: those of a `Networks`, or the model itself."""
    return list(model.networks) if isinstance(model, Networks) else [model]


def channels_of(model: Any) -> list[Channel]:
    """The noise channels of a model, one for each network, or none."""
    return list(model.channels) if isinstance(model, Networks) else []  # type: ignore[arg-type]


def deployed_network(model: Any) -> Any:
    """The network that a user gets. Of several, it is the best one on validation labels so far."""
    return model.networks[model.deployed] if isinstance(model, Networks) else model


def side_by_side(model: Any, count: int, channels: Sequence[Channel], seed: int) -> Any:
    """`count` networks with their channels, as one module. A single network without a channel is returned as it is.

    Args:
        model: the first network, or a `Networks`. The latter is returned if its networks and channels already match.
        count: number of networks.
        channels: one for each network, or none.
        seed: of the heads of the other networks.
    """
    if isinstance(model, Networks) and len(model.networks) == count and _alike(model.channels, channels):
        return model
    first = deployed_network(model)
    return Networks(first, count, seed, channels) if count > 1 or channels else first


def _alike(some: Any, others: Any) -> bool:
    """Whether two lists of channels have the same types and sizes."""
    return [_kind(channel) for channel in some] == [_kind(channel) for channel in others]


def _kind(channel: Channel) -> tuple[Any, ...]:
    shapes = [(name, tuple(tensor.shape)) for name, tensor in channel.state_dict().items()]
    return type(channel).__name__, channel.learning_rate, shapes


def _logits(outputs: Any, inputs: dict[str, Any]) -> Tensor:
    return labelled_logits(outputs) if "labels" in inputs else logits_of(outputs)


def _own_terms(outputs: list[Any], inputs: dict[str, Any]) -> Tensor | None:
    """() sum over networks, if they were given labels."""
    return torch.stack([own_term(each, inputs["labels"]) for each in outputs]).sum() if "labels" in inputs else None


def network_logits(outputs: Any) -> Tensor:
    """(networks, rows, classes) logits from the outputs of an evaluation, for one network or several."""
    several = isinstance(outputs, Mapping) and NETWORK_LOGITS in outputs
    return outputs[NETWORK_LOGITS] if several else logits_of(outputs).unsqueeze(0)


def head_modules(model: PreTrainedModel) -> Iterator[nn.Module]:
    """The modules of a classifier outside its encoder, without those of adapters. Without an encoder, the last linear layer.

    Raises:
        ValueError: there is neither an encoder nor a linear layer.
    """
    network = classifier(model)
    encoder, children = getattr(network, "base_model_prefix", None), dict(network.named_children())
    if encoder in children:
        for name, module in children.items():
            if name != encoder:
                yield from used_modules(module)
        return
    layers = [module for module in used_modules(network) if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError(
            f"{type(network).__name__}: it has no linear layer, so a second network cannot begin with another head. Use a "
            "method of one network."
        )
    yield layers[-1]


@torch.no_grad()
def _with_new_head(model: PreTrainedModel, seed: int, number: int) -> PreTrainedModel:
    """`model` with a new head, initialised as its architecture does. The global random generator is not changed.

    In an adapted model, frozen modules keep the base's weights. Adapters that do not change the output yet are newly
    initialised too.
    """
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(keyed_generator(seed, "head", number).initial_seed())
        for module in head_modules(model):
            own = list(module.parameters(recurse=False))
            if is_adapted(model) and not all(parameter.requires_grad for parameter in own):
                continue
            for parameter in own:
                parameter._is_hf_initialized = False  # type: ignore[attr-defined]  # else `_init_weights` skips it
            initialise = getattr(classifier(model), "_init_weights", None)
            initialise(module) if initialise is not None else module.reset_parameters()  # type: ignore[operator]
        reset_untrained_adapters(model)
    return model
