"""Base class of DivideMix and SelfMix: splits all examples by a mixture of two Gaussians on their losses."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_fraction, check_whole
from hf_noisy.methods.parts.base import LABEL_TARGETS, PSEUDO_LABELS, SECOND_VIEW, NoiseCallback
from hf_noisy.methods.parts.losses import CrossEntropy
from hf_noisy.methods.parts.losses_figure import losses_figure
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.selection import fit_loss_mixture
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.get_logger(__name__)


class LossSplit(NoiseCallback):
    """Removes the label of examples whose loss suggests a wrong label. Base class of `DivideMix` and `SelfMix`.

    Before each epoch after the warm-up, all examples are evaluated without dropout. A mixture of two Gaussians is
    fitted to each network's losses. An example keeps its label if its probability of the component with the lower mean
    is above `clean_threshold`. An example without a label is always treated as unlabeled.

    If a network's losses are all equal, or no example would keep its label, all examples keep their labels for this
    epoch. Such a fallback gives a warning once and is counted each time. So is a mixture that did not converge, and a
    class of which no example keeps its label.

    Args:
        warmup_epochs: number of whole epochs on all labels before the first split, at least 1.
        clean_threshold: in [0, 1).
        temperature: of sharpening, above 0.
        alpha: parameter of the Beta(alpha, alpha) distribution of mixing ratios, above 0.
    """

    roles = ("split of the examples by their losses", LABEL_TARGETS, PSEUDO_LABELS, SECOND_VIEW)
    skips_channel = True  # refined and guessed targets refer to the true class
    logged = MappingProxyType(
        {
            "estimated_noise_rate": "estimated share of wrong labels",
            "mixture_mean_clean": "mean of the lower of two normals fitted to the losses, on a scale of 0 to 1",
            "mixture_mean_noisy": "mean of the upper of two normals fitted to the losses, on a scale of 0 to 1",
            "labelled_share": "share of the labelled examples that keep their label in this epoch",
            "split_fallbacks": "number of times so far that a network's split failed, did not converge, or kept no label of a class",
            "loss_mixture": "picture: the losses of kept and of dropped labels, and the probability that a label is clean",
        }
    )

    def __init__(self, warmup_epochs: int, clean_threshold: float, temperature: float, alpha: float) -> None:
        self.warmup_epochs = check_whole("warmup_epochs", warmup_epochs, of=" of epochs")
        self.clean_threshold = check_fraction("clean_threshold", clean_threshold, "[0, 1)")
        self.temperature, self.alpha = _positive("temperature", temperature), _positive("alpha", alpha)

    def setup(self, context: Context) -> None:
        self.context, self.warned = context, False
        if context.epochs <= self.warmup_epochs:
            logger.warning(
                f"{type(self).__name__}: warmup_epochs={self.warmup_epochs} of {context.epochs:g} epochs: the examples are "
                "never split, and all labels are used. Train longer."
            )
        shape, device = (context.networks,), context.device
        self.clean_probability = Memory(context.rows, shape, fill=1.0, device=device)  # by each network's own mixture
        self.keeps_label = Memory(context.rows, shape, dtype=torch.bool, fill=True, device=device)  # the same
        self.facts = torch.full((4,), torch.nan)  # mixture means, share that keeps its label, fallbacks so far
        self.facts[3] = 0
        self.last_split: tuple[np.ndarray, np.ndarray, np.ndarray] | None = (
            None  # (networks, labelled rows) of the last split
        )

    def active(self, batch: Batch) -> bool:
        """Whether the warm-up is over, so that the examples have been split."""
        return batch.epoch >= self.warmup_epochs

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if epoch < self.warmup_epochs:
            return
        seen = survey()
        losses = CrossEntropy()(seen.log_probs, seen.given).cpu().double().numpy()  # (networks, rows)
        covered = (seen.given.sum(-1) > 0).cpu().numpy()
        split = [self._split(losses[network], covered, epoch) for network in range(len(losses))]
        probability, keeps = (np.stack(columns, -1) for columns in zip(*split, strict=True))
        labels = seen.given.argmax(-1).cpu().numpy()
        for label in np.unique(labels[covered]):
            if not keeps[labels == label].any():
                self._warn(
                    f"before epoch {epoch} no example of class {label} keeps its label; the class is learned from guesses."
                )
        self.clean_probability.values.copy_(torch.from_numpy(probability))
        self.keeps_label.values.copy_(torch.from_numpy(keeps))
        self.last_split = losses[:, covered], keeps.T[:, covered], probability.T[:, covered]
        self.facts[2] = float(keeps[covered].mean()) if covered.any() else torch.nan

    def _split(self, losses: np.ndarray, covered: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """(rows,) probability of a clean label, and (rows,) bool whether the label is kept, for one network."""
        probability = np.zeros(len(losses))
        mixture = fit_loss_mixture(losses[covered], self.context.seed)
        if mixture is None:
            self._warn(f"before epoch {epoch} all losses are equal and cannot be split; all labels are kept.")
            return covered.astype(float), covered
        if not mixture.converged:
            self._warn(f"before epoch {epoch} the mixture of losses did not converge; it is used as it is.")
        probability[covered] = mixture.clean_probability
        self.facts[:2] = torch.tensor(mixture.means)
        keeps = (probability > self.clean_threshold) & covered
        if not keeps.any():
            self._warn(f"before epoch {epoch} no example would keep its label; all are kept.")
            return covered.astype(float), covered
        return probability, keeps

    def _warn(self, text: str) -> None:
        self.facts[3] += 1
        if not self.warned:
            logger.warning(f"{type(self).__name__}: {text} (said once; logged as split_fallbacks)")
        self.warned = True

    def metrics(self) -> dict[str, Tensor | float]:
        names = ("mixture_mean_clean", "mixture_mean_noisy", "labelled_share", "split_fallbacks")
        logs: dict[str, Tensor | float] = {
            name: fact for name, fact in zip(names, self.facts, strict=True) if not bool(fact.isnan())
        }
        if "labelled_share" in logs:
            logs["estimated_noise_rate"] = 1 - self.facts[2]
        return logs

    def figures(self) -> dict[str, Figure]:
        return {} if self.last_split is None else {"loss_mixture": losses_figure(*self.last_split)}

    def report(self) -> dict[str, np.ndarray]:
        probability = self.clean_probability.values.cpu().numpy()
        return {"clean_probability": probability[:, 0] if self.context.networks == 1 else probability}

    def state_dict(self) -> dict[str, Tensor]:
        return {
            "clean_probability": self.clean_probability.state(),
            "keeps_label": self.keeps_label.state(),
            "facts": self.facts,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.clean_probability.load(state["clean_probability"])
        self.keeps_label.load(state["keeps_label"])
        self.facts.copy_(state["facts"])


def sharpen(probs: Tensor, temperature: float) -> Tensor:
    """Sharpens (..., classes) probabilities: raises them to the power 1 / temperature and normalises them.

    Source: Berthelot et al., "MixMatch", NeurIPS 2019.

    >>> sharpen(torch.tensor([0.8, 0.2]), 0.5)
    tensor([0.9412, 0.0588])
    """
    logits = probs.clamp_min(torch.finfo(probs.dtype).tiny).log() / temperature
    return logits.softmax(-1)


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}={value!r}: expected a number above 0, got {type(value).__name__}.")
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}={value!r}: expected a number above 0.")
    return float(value)
