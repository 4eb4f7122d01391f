"""Label correction: soft (SELC; Lu & He, IJCAI 2022), or hard after repeated disagreement."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_choice, check_fraction, check_whole
from hf_noisy.data.label_encoding import has_label, one_hot
from hf_noisy.methods.parts.base import LABEL_TARGETS, NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.selection import whole_epochs
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)

KINDS = ("soft", "hard")
_FINAL_SHARE = 0.25  # share of the given label at the end of the training, if `momentum` is None


class LabelCorrection(NoiseCallback):
    """Moves each example's target, after a warm-up, from its label towards the model's predictions.

    - "soft": the target t starts at the given label and follows the predictions, t <- a t + (1 - a) p, once per epoch.
    - "hard": the target stays the given label until the model has predicted the same other class in `disagreements`
      consecutive epochs. Then it becomes that class. It may change again in the same way.

    p is the prediction of the training forward (with dropout; of the first view). A step uses the t that already
    contains its p, as in the paper. Each network has its own targets, from its own predictions.

    Source: Lu & He, "SELC: Self-Ensemble Label Correction Improves Learning with Noisy Labels", IJCAI 2022, for "soft".
    There, a = 0.9 for 40 to 200 epochs, so the share of the given label in t vanishes. In 3 to 10 epochs, 0.9 would
    hardly change t. By default, a therefore depends on the length of the training: the share of the given label falls
    to a half over the first half of the epochs after the warm-up, and to a quarter at the end. The paper detects the
    epoch in which memorisation begins; here the warm-up is a share of the training. "hard" is ours, based on the counts
    of disagreeing epochs in `ExampleDynamics`.

    Args:
        kind: "soft" or "hard".
        momentum: a of "soft", in [0, 1), per epoch; None for 0.25^(1 / epochs after the warm-up).
        warmup: share of the training before predictions are used, in [0, 1], rounded up to whole epochs.
        disagreements: for "hard", number of consecutive epochs, at least 1; counted from the end of the warm-up on.

    Raises:
        ValueError, TypeError: a parameter outside its domain.

    No further pass; 4 x classes x networks bytes per row. Examples without a label stay without one, trusted rows keep
    theirs, and targets that an earlier method marks as the true class (pseudo-labels) stay. Weights do not change.
    Prefer "soft" by default, and "hard" if a few labels are clearly wrong and the other targets should stay one-hot.
    Works with any criterion and several networks. Does not combine with another method that sets targets, or with a
    noise channel.

    Logs `corrected_share`, the share of the labeled examples whose target has another likeliest class than the given
    one. `report` gives `corrected_label` (the likeliest class of the target; -1 without a label) and `label_trust` (the
    target's probability of the given class; NaN without a label): (rows,) for one network, (rows, networks) for
    several.

    >>> LabelCorrection(momentum=0.9).kind
    'soft'
    """

    roles = (LABEL_TARGETS,)
    skips_channel = True  # the target moves towards the true class
    logged = MappingProxyType(
        {
            "corrected_share": "share of the labelled examples whose target has another most probable class than the label",
        }
    )

    def __init__(
        self, kind: str = "soft", momentum: float | None = None, warmup: float = 1 / 3, disagreements: int = 2
    ) -> None:
        check_choice("kind", kind, KINDS)
        self.kind = kind
        self.momentum = None if momentum is None else check_fraction("momentum", momentum, "[0, 1)")
        self.warmup = check_fraction("warmup", warmup, "[0, 1]")
        self.disagreements = check_whole("disagreements", disagreements, of=" of epochs")

    def setup(self, context: Context) -> None:
        self.first_epoch = whole_epochs(self.warmup * context.epochs)
        left = whole_epochs(context.epochs) - self.first_epoch
        needed = self.disagreements if self.kind == "hard" else 1
        if left < needed:
            logger.warning(
                f"LabelCorrection: {max(left, 0)} of {context.epochs:g} epochs are left after warmup={self.warmup:.3g}, and "
                f"{needed} needed: no label is ever corrected. Train longer, or with a smaller warmup."
            )
        self.alpha = _FINAL_SHARE ** (1 / max(left, 1)) if self.momentum is None else self.momentum
        given = one_hot(context.labels.to(context.device), context.classes)  # (rows, classes)
        labelled = has_label(given)
        self.labelled = labelled if context.trusted is None else labelled & ~context.trusted  # (rows,)
        self.given, self.networks = given.argmax(-1), context.networks
        shape, device = (context.networks,), context.device
        self.targets = Memory(context.rows, (*shape, context.classes), device=device)
        self.targets.values.copy_(given.unsqueeze(1))
        self.looked = Memory(context.rows, dtype=torch.int32, fill=-1, device=device)  # last epoch that counted
        if self.kind == "hard":
            self.rival = Memory(context.rows, shape, dtype=torch.int64, fill=-1, device=device)  # class predicted last
            self.streak = Memory(context.rows, shape, dtype=torch.int32, device=device)  # consecutive epochs of it

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if batch.epoch < self.first_epoch:
            return supervision
        self._update(predictions, batch)
        replaced = self.labelled[batch.index].expand_as(supervision.weights)
        if supervision.trusted is not None:
            replaced = replaced & ~supervision.trusted
        targets = self.targets.read(batch.index).transpose(0, 1)
        return replace(supervision, targets=torch.where(replaced.unsqueeze(-1), targets, supervision.targets))

    def _update(self, predictions: Predictions, batch: Batch) -> None:
        """Updates the targets with these predictions, at most once per example and epoch."""
        epoch = int(batch.epoch)
        fresh = self.labelled[batch.index] & (self.looked.read(batch.index) < epoch)
        probs = predictions.clean_log_probs[:, 0].exp().transpose(0, 1)  # (batch, networks, classes)
        before = self.targets.read(batch.index)
        if self.kind == "soft":
            after = self.alpha * before + (1 - self.alpha) * probs
        else:
            after = self._overruled(before, probs.argmax(-1), fresh, batch)
        self.targets.write(batch, torch.where(fresh.view(-1, 1, 1), after, before))
        self.looked.write(batch, torch.full_like(batch.index, epoch))

    def _overruled(self, before: Tensor, predicted: Tensor, fresh: Tensor, batch: Batch) -> Tensor:
        """(batch, networks, classes) targets after the classes `predicted`, (batch, networks), are counted."""
        rival, streak = self.rival.read(batch.index), self.streak.read(batch.index)
        longer = torch.where(predicted == rival, streak + 1, 1) * (predicted != before.argmax(-1))
        overruled = longer >= self.disagreements
        new = fresh.unsqueeze(-1)
        self.rival.write(batch, torch.where(new, predicted, rival))
        self.streak.write(batch, torch.where(new, longer, streak))
        classes = torch.arange(before.shape[-1], device=before.device)
        one_hot_prediction = (predicted.unsqueeze(-1) == classes).to(before.dtype)
        return torch.where(overruled.unsqueeze(-1), one_hot_prediction, before)

    def metrics(self) -> dict[str, Tensor | float]:
        changed = (self.targets.values.argmax(-1) != self.given.unsqueeze(-1)) & self.labelled.unsqueeze(-1)
        return {"corrected_share": changed.sum() / self.labelled.sum().clamp_min(1) / self.networks}

    def report(self) -> dict[str, np.ndarray]:
        targets = self.targets.values.cpu()
        given = self.given.cpu().view(-1, 1, 1).expand(-1, self.networks, 1)
        without = (targets.sum(-1) == 0).cpu()
        label = targets.argmax(-1).masked_fill(without, -1).numpy()
        trust = targets.gather(-1, given).squeeze(-1).masked_fill(without, torch.nan).numpy()
        return {
            name: values[:, 0] if self.networks == 1 else values
            for name, values in {"corrected_label": label, "label_trust": trust}.items()
        }

    def state_dict(self) -> dict[str, Tensor]:
        return {name: memory.state() for name, memory in self._memories().items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, memory in self._memories().items():
            memory.load(state[name])

    def _memories(self) -> dict[str, Memory]:
        followed = {"targets": self.targets, "looked": self.looked}
        return followed if self.kind == "soft" else followed | {"rival": self.rival, "streak": self.streak}
