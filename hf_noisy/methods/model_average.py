"""An average of weights, in place of the last ones (Polyak and Juditsky, 1992; Tarvainen and Valpola, NeurIPS 2017)."""

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
    """Judges each example, where all are looked at, by an average of the weights so far; it is taught as without it.

    After each optimizer step a <- d a + (1 - d) w, where w are the weights that are trained. Evaluation, prediction,
    surveys (so pseudo-labels made of them), saved models and the model that the user holds after training have a; no
    gradient ever sees it. Memorised labels come and go from step to step, and average out; what is learned stays.

    With `warmup`, d = min(decay, (1 + t) / (10 + t)) after t earlier steps: an average over about the last tenth of the
    training so far, and with decay 0.99 that rules in the first 890 steps. Without it the average of a short training
    is mostly the weights that it started from.

    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; Tarvainen and Valpola,
    "Mean teachers are better role models", NeurIPS 2017, of which this is the teacher alone: no consistency cost draws
    the student to it. The warm-up is that of TensorFlow's `ExponentialMovingAverage`.

    Args:
        decay: d, in [0, 1): the share of itself that the average keeps at a step.
        warmup: whether d is smaller at first.

    Raises:
        ValueError, TypeError: a parameter outside its domain.

    Costs a pass over the weights a step and a copy of them in memory, in float32 where they have fewer bits, since an
    average in bfloat16 would not move; no forward. A checkpoint's weights are the average, and those that are trained lie
    beside them in the methods' state, so a run resumes exactly. With `load_best_model_at_end` the best average is kept.

    Each of several networks has an average. Weights that are frozen when training begins, buffers, and a noise channel,
    which some methods set anew at once, are as they are trained. What a method sees in a step is of the trained weights.
    Goes with every method but one that puts other weights into the networks between steps: the average would lag.
    Weights that an accelerator splits (FSDP, DeepSpeed) are not supported.

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
        self._average: dict[str, Tensor] = {}  # of the same names; empty where nothing is averaged
        self._aside: dict[str, Tensor] | None = None  # the trained weights, while the model has the average

    def setup(self, context: Context) -> None:
        model = context.model.networks if isinstance(context.model, Networks) else context.model
        self._trained = {  # tied ones once
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
        if self._aside is not None or not self._average:  # an evaluation within another, or nothing is averaged
            yield
            return
        self._aside = {name: weight.data for name, weight in self._trained.items()}
        try:
            for name, weight in self._trained.items():
                weight.data = self._average[name].to(weight.dtype)
            yield
        finally:
            for name, weight in self._trained.items():
                weight.data = self._aside[name]
            self._aside = None

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the user what was evaluated, after the last step and before the Trainer loads the best average.

        Not in `on_train_end`: what another callback does there, such as saving, would come before or after by list order.
        """
        if "train_runtime" not in kwargs["logs"]:
            return
        for name, weight in self._trained.items():
            weight.data.copy_(self._average[name])
        self._trained, self._average = {}, {}

    def state_dict(self) -> dict[str, Tensor]:
        trained = self._aside or {name: weight.data for name, weight in self._trained.items()}
        state = {f"weights.{name}": weight for name, weight in trained.items()}
        finer = {name: mean for name, mean in self._average.items() if mean.dtype != trained[name].dtype}
        state |= {f"average.{name}": mean for name, mean in finer.items()}  # the saved model has it rounded
        return state | {"updates": torch.tensor(self.updates)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the model's weights, as they were saved, for the average, and put back those that are trained."""
        for name, weight in self._trained.items():
            self._average[name].copy_(state.get(f"average.{name}", weight.data))
            weight.data.copy_(state[f"weights.{name}"])  # in place: the optimizer holds the parameter
        self.updates = int(state["updates"])

    def __getstate__(self) -> dict[str, Any]:
        """A copy takes no weights along, and averages nothing until `setup`."""
        return self.__dict__ | {"_trained": {}, "_average": {}, "_aside": None}


def _precise(dtype: torch.dtype) -> torch.dtype:
    """The type of an average: a hundredth of a step is less than what 16 bits tell apart."""
    return dtype if torch.finfo(dtype).bits >= 32 else torch.float32
