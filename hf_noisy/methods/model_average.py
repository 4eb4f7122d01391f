"""A moving average of the weights for prediction (Polyak and Juditsky, 1992; Tarvainen and Valpola, NeurIPS 2017)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from hf_noisy.common.checks import check_fraction
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.models.context import Context
from hf_noisy.models.networks import Networks


class ModelAverage(NoiseCallback):
    """Predicts examples with a moving average of the weights; training steps are the same as without it.

    After each optimizer step, a <- d a + (1 - d) w, where w are the trained weights. Evaluation, prediction, surveys
    (and so pseudo-labels made from them), saved models, and the model that the user holds after training use a. It has
    no gradient. The effect of memorised labels varies from step to step and averages out; what is learned stays.

    With `warmup`, d = min(decay, (1 + t) / (10 + t)) after t earlier steps. This averages over about the last tenth of
    the training so far; with decay 0.99, it applies in the first 890 steps. Without it, the average of a short training
    mostly consists of the initial weights.

    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; Tarvainen and Valpola,
    "Mean teachers are better role models", NeurIPS 2017. This is their teacher alone: no consistency loss draws the
    student to it. The warm-up is that of TensorFlow's `ExponentialMovingAverage`.

    Args:
        decay: d, in [0, 1): the weight of the old average in an update.
        warmup: whether d is smaller at first.

    Raises:
        ValueError, TypeError: a parameter outside its domain.

    Costs a pass over the weights per step and a copy of them in memory; no forward. The copy is in float32 if the
    weights have fewer bits, because an average in bfloat16 would not change. A checkpoint's weights are the average;
    the trained ones are stored in the methods' state, so a resumed run is exact. With `load_best_model_at_end`, the
    best average is kept.

    Each of several networks has an average. Not averaged are weights that are frozen when training begins, buffers, and
    a noise channel, which some methods replace in a single step. In a step, methods get predictions of the trained
    weights. Combines with every method except one that changes weights between steps: the average would lag. Weights
    that an accelerator splits (FSDP, DeepSpeed) are not supported.

    >>> ModelAverage().decay
    0.99
    """

    roles = ("average of weights",)

    def __init__(self, decay: float = 0.99, warmup: bool = True) -> None:
        self.decay = check_fraction("decay", decay, "[0, 1)")
        if not isinstance(warmup, bool):
            raise TypeError(f"warmup={warmup!r}: expected True or False.")
        self.warmup = warmup
        self.updates = 0
        self._trained: dict[str, nn.Parameter] = {}  # of the model
        self._average: dict[str, Tensor] = {}  # of the same names; empty if nothing is averaged
        self._backup: dict[str, Tensor] | None = None  # trained weights, while the model uses the average

    def setup(self, context: Context) -> None:
        model = context.model.networks if isinstance(context.model, Networks) else context.model
        self._trained = {  # tied weights once
            name: weight
            for name, weight in model.named_parameters()
            if weight.requires_grad and weight.is_floating_point()
        }
        self._average = {
            name: weight.detach().to(_precise(weight.dtype), copy=True) for name, weight in self._trained.items()
        }
        self.updates = 0

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        averages = list(self._average.values())
        weights = [weight.to(mean.dtype) for weight, mean in zip(self._trained.values(), averages, strict=True)]
        torch._foreach_lerp_(averages, weights, 1 - decay)
        self.updates += 1

    @contextlib.contextmanager
    def deployed(self, model: nn.Module) -> Iterator[None]:
        if self._backup is not None or not self._average:  # nested evaluation, or nothing is averaged
            yield
            return
        self._backup = {name: weight.data for name, weight in self._trained.items()}
        try:
            for name, weight in self._trained.items():
                weight.data = self._average[name].to(weight.dtype)
            yield
        finally:
            for name, weight in self._trained.items():
                weight.data = self._backup[name]
            self._backup = None

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Copies the average into the model after the last step, before the Trainer loads the best average.

        Not in `on_train_end`: there, other callbacks, such as one that saves, would run before or after it by list
        order.
        """
        if "train_runtime" not in kwargs["logs"]:
            return
        for name, weight in self._trained.items():
            weight.data.copy_(self._average[name])
        self._trained, self._average = {}, {}

    def state_dict(self) -> dict[str, Tensor]:
        trained = self._backup or {name: weight.data for name, weight in self._trained.items()}
        state = {f"weights.{name}": weight for name, weight in trained.items()}
        finer = {name: mean for name, mean in self._average.items() if mean.dtype != trained[name].dtype}
        state |= {f"average.{name}": mean for name, mean in finer.items()}  # the saved model has them rounded
        return state | {"updates": torch.tensor(self.updates)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes the saved model weights as the average, and restores the trained weights."""
        for name, weight in self._trained.items():
            self._average[name].copy_(state.get(f"average.{name}", weight.data))
            weight.data.copy_(state[f"weights.{name}"])  # in place: the optimizer holds the parameter
        self.updates = int(state["updates"])

    def __getstate__(self) -> dict[str, Any]:
        """A copy has no weights, and averages nothing until `setup`."""
        return self.__dict__ | {"_trained": {}, "_average": {}, "_backup": None}


def _precise(dtype: torch.dtype) -> torch.dtype:
    """Returns the dtype of an average: 16 bits cannot represent a hundredth of a step."""
    return dtype if torch.finfo(dtype).bits >= 32 else torch.float32
