"""A Trainer that trains several networks where its methods ask for them, and saves each so that it can be used alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.trainer_utils import TrainOutput

from hf_noisy.models import adapters
from hf_noisy.models.channels import Channel
from hf_noisy.models.networks import Networks
from hf_noisy.trainer.arguments import NoisyTrainingArguments
from hf_noisy.trainer.labelled_trainer import LabelledTrainer


class NetworksTrainer(LabelledTrainer):
    """What `NoisyTrainer` needs of networks and channels: making, clipping, choice, files.

    With one network and no channel it does nothing of its own.
    """

    _saving_checkpoint = False

    def _count_networks(self) -> int:
        """How many networks the methods ask for; asked again before each training."""
        return 1

    def _make_channels(self, model: Any, count: int) -> list[Channel]:
        """A channel for each network, where a method declares one."""
        return []

    @property
    def networks(self) -> list[Any]:
        """The networks that learn, at least one."""
        return list(self.model.networks) if isinstance(self.model, Networks) else [self.model]

    def call_model_init(self, trial: Any = None) -> nn.Module:
        return self._networks_of(super().call_model_init(trial))

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        if self.args.fp16 and self.args.device.type == "cpu":
            raise ValueError(
                "fp16=True: on a CPU the Trainer trains in 32 bits and does not say so. Use bf16=True, or a GPU."
            )
        self._make_networks()  # before a checkpoint is loaded into them
        return super().train(*args, **kwargs)

    def _make_networks(self) -> None:
        self._set_signature_columns_if_needed()  # those of the model that was given
        model = self._networks_of(self.model)
        if model is not self.model:
            self.model = self.model_wrapped = self.callback_handler.model = model

    def _networks_of(self, model: Any) -> Any:
        """`model`, and beside it as many others, and channels, as the methods declare."""
        count = self._count_networks()
        first: Any = model.networks[model.deployed] if isinstance(model, Networks) else model
        channels = self._make_channels(first, count)
        if isinstance(model, Networks) and len(model.networks) == count and _alike(model.channels, channels):
            return model
        return Networks(first, count, self.args.seed, channels) if count > 1 or channels else first

    @property
    def channels(self) -> list[Channel]:
        """One a network, or none."""
        return list(self.model.channels) if isinstance(self.model, Networks) else []  # type: ignore[arg-type]

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """As the parent's; a channel learns at its own rate and without weight decay."""
        adapters.check_trainable(self.model)
        optimizer = super().create_optimizer(model)
        for channel in self.channels:
            own = {id(parameter) for parameter in channel.parameters()}
            groups = [{id(parameter) for parameter in group["params"]} for group in optimizer.param_groups]
            if channel.learning_rate is None or not own or own in groups:
                continue
            if self.lr_scheduler is not None:
                raise ValueError(
                    "optimizers=(..., a scheduler): it was made before the noise channel's parameters were, and has no rate "
                    "for them. Expected optimizers=(optimizer, None), so that the scheduler is made from the arguments."
                )
            for group in optimizer.param_groups:
                group["params"] = [parameter for parameter in group["params"] if id(parameter) not in own]
            optimizer.add_param_group(
                {"params": list(channel.parameters()), "lr": channel.learning_rate, "weight_decay": 0.0}
            )
        return optimizer

    @property
    def deployed_model(self) -> Any:
        """The classifier that `save_model` writes: of several networks the best on validation labels so far."""
        return self.model.networks[self.model.deployed] if isinstance(self.model, Networks) else self.model

    # ---- one step ----

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """Clip each network by its own norm, so that one network's spike does not shrink the others' steps."""
        if not isinstance(self.model, Networks):
            return super()._clip_grad_norm(model)
        self.accelerator.unscale_gradients()
        norms = [
            nn.utils.clip_grad_norm_(part.parameters(), self.args.max_grad_norm)
            for part in (*self.model.networks, *self.model.channels)
            if any(parameter.grad is not None for parameter in part.parameters())  # a channel may have none
        ]
        return torch.stack(norms).norm()

    # ---- evaluation and files ----

    def _note_evaluation(self, right: list[float], prefix: str) -> None:
        names = list(self.eval_dataset) if isinstance(self.eval_dataset, dict) else []
        meant = f"eval_{names[0]}" if names else "eval"  # of several evaluation sets the first
        if isinstance(self.model, Networks) and right and prefix == meant:
            self.model.deployed = right.index(max(right))

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the deployable classifier: of several networks the best on validation labels so far.

        `NoisyTrainingArguments(save_all_networks=True)` writes the others below it, as a checkpoint always does.
        """
        self._saving_checkpoint = _internal_call
        super().save_model(output_dir, _internal_call)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if isinstance(self.model, Networks):
            self._save_networks(self.model, output_dir or self.args.output_dir or ".")
        else:
            self._save_network(output_dir or self.args.output_dir or ".", state_dict)

    def _save_network(self, folder: str, state_dict: dict[str, Any] | None = None) -> None:
        adapted = self.args.should_save and adapters.is_adapted(self.model)
        with adapters.own_card(folder) if adapted else contextlib.nullcontext():
            super()._save(folder, state_dict)

    def _save_networks(self, peers: Networks, folder: str) -> None:
        every = self._saving_checkpoint or (
            isinstance(self.args, NoisyTrainingArguments) and self.args.save_all_networks
        )
        for number, network, place in peers.places(folder):
            if number == peers.deployed or every:
                self._with_model(network, self._save_network, place)
        if every and self.args.should_save:  # the parent calls this on every process
            peers.save_channels(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if not isinstance(self.model, Networks):
            return self._load_network(resume_from_checkpoint, model)
        self.model.find_deployed(resume_from_checkpoint)
        for _, network, place in self.model.places(resume_from_checkpoint):
            self._load_network(place, network)
        self.model.load_channels(resume_from_checkpoint)

    def _load_network(self, folder: str, model: nn.Module | None) -> None:
        network = self.model if model is None else model
        if adapters.is_adapted(network) and not self.is_fsdp_enabled:
            # the parent would take the folder network-1 for one more adapter, and let one of other layers pass
            adapters.load_adapters(network, folder)
        else:
            adapters.check_kind(network, folder)
            super()._load_from_checkpoint(folder, model)

    def _load_best_model(self) -> None:
        adapted = adapters.is_adapted(self.model) and not (self.is_deepspeed_enabled or self.is_fsdp_enabled)
        if not isinstance(self.model, Networks) and not adapted:
            return super()._load_best_model()
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))

    def _with_model(self, model: nn.Module, call: Callable[[str], None], folder: str) -> None:
        """Let the parent take `model` for the one that it trains."""
        peers, self.model = self.model, model
        try:
            call(folder)
        finally:
            self.model = peers


def _alike(some: Any, others: Any) -> bool:
    """Whether two lists of channels are of the same kinds and sizes."""
    return [_kind(channel) for channel in some] == [_kind(channel) for channel in others]


def _kind(channel: Channel) -> tuple[Any, ...]:
    shapes = [(name, tuple(tensor.shape)) for name, tensor in channel.state_dict().items()]
    return type(channel).__name__, channel.learning_rate, shapes
