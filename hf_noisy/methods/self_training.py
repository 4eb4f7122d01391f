"""Contrastive self-training, COSINE (Yu et al., NAACL 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_flag, check_fraction, check_not_negative, check_whole
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.evidence.inference.sharpening import frequency_normalised
from hf_noisy.methods.parts.base import LABEL_TARGETS, PSEUDO_LABELS, NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.prediction_changes import PredictionChanges
from hf_noisy.methods.parts.selection import whole_epochs
from hf_noisy.methods.parts.stopping_rules import has_risen
from hf_noisy.methods.parts.thresholds import collapse
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)

_MIN_SURE_SHARE = 0.1  # share of the rows: with fewer confident ones, the given labels stay in use
_TEACHES, _SURE, _COLLAPSES, _FIRST = range(4)  # facts: is the teacher used, confident share, count, epochs of stage 1
_FALLBACK = "The given labels are used until the teacher's next pass."


class SelfTraining(NoiseCallback):
    """Trains on the given labels at first, then only on the model's own confident predictions, weighted by confidence.

    The first stage is cross-entropy on the given labels, stopped early: at the end of the first epoch in which more
    predictions changed than in the one before (Label Wave, `hf_noisy.NoisyStopping`), and at the latest after the
    `first_stage` share of the training. From then on, the given labels are not used. Before every `refresh_epochs`
    epochs, the model becomes its own teacher: it predicts all examples, labelled or not, without dropout. With f_ij its
    probability of class j for example i and f_j = sum_i f_ij,

        y_ij = (f_ij^2 / f_j) / sum_k (f_ik^2 / f_k),    w_i = 1 - H(y_i) / log K,

    and the student minimises, over the set C of examples whose w_i is at least `confidence`, mean w_i KL(y_i || f_i) +
    `contrast` R1 + `lam` R2. R1 is the mean over pairs of C within the batch of W d^2 + (1 - W) max(0, `gamma` - d)^2.
    W is 1 if both have the same likeliest class in y and 0 otherwise. d is the squared distance of their vectors (the
    input of the last layer) divided by their width. R2 is the mean over C of KL(uniform || f_i).

    Source: Yu et al., "Fine-Tuning Pre-trained Language Model with Weak Supervision: A Contrastive-Regularized
    Self-Training Approach" (COSINE), NAACL 2021. This follows the paper, not its code. The code divides by the log of
    the batch size instead of log K, so almost no row is filtered, and takes the vectors of R1 from the teacher, so R1
    has no gradient. Differences from the paper:

    - f_j is summed over all rows, not over the batch, which has too few rows of rare classes.
    - The teacher is renewed by epochs, not by steps.
    - All three terms are divided by the rows of the step, like every loss here, not by the size of C. R1 is a mean over
      pairs, not a sum.
    - Both stages share one optimizer and one learning rate schedule.
    - Label Wave, not a clean validation set, chooses when the first stage ends. It detects a minimum one epoch late and
      does not go back to it.
    - The second stage waits until the teacher is confident on a tenth of the rows and no class is lost (`balance`).

    Args:
        first_stage: maximum share of the training on the given labels, in (0, 1); at least one epoch.
        early_stopping: whether the first stage may end earlier. A rise needs three epochs, so a shorter stage is never
            stopped.
        refresh_epochs: whole epochs between two passes of the teacher, at least 1.
        confidence: xi, in [0, 1): rows whose w_i is lower are not trained on; 0.6 to 0.7 in the paper.
        contrast: weight of R1, at least 0; 1 in the paper.
        gamma: margin of R1, at least 0; 1 in the paper.
        lam: lambda, weight of R2, at least 0; 0.1 in the paper.
        balance: whether to train on the given labels until the next pass if one class takes most pseudo-labels, or a
            class gets none (`hf_noisy.methods.parts.thresholds.collapse`); not in the paper.

    Raises:
        ValueError, TypeError: a parameter outside its domain.

    If the teacher is confident on fewer than a tenth of the rows, training uses the given labels until its next pass,
    and a warning gives the numbers once. A batch without a confident row has no loss. A collapse causes one warning and
    is counted in `pseudo_label_collapses`: f_j reduces the probability of a class that is predicted often, but does not
    prevent a collapse if the model has only learned the largest class yet. Trusted rows keep label and weight.

    Costs a forward over the training set per pass, and batch x batch x width numbers; 8 + 4 x classes bytes per row.
    Prefer it with a pretrained encoder that is nearly right after an epoch, and if many rows have no label: wrong
    labels that the model has learned by then are reinforced. Several networks have one teacher, their mean. Works with
    any criterion; with cross-entropy the gradient is that of KL. Does not combine with a noise channel, or with a
    method that sets targets or pseudo-labels itself. Methods that select rows come after it in the list.

    >>> SelfTraining().confidence
    0.6
    """

    roles = (LABEL_TARGETS, PSEUDO_LABELS)
    skips_channel = True  # all targets of the second stage estimate the true class
    needs_vectors = True
    histories = ("changes",)
    logged = MappingProxyType(
        {
            "pseudo_label_collapses": "number of updates so far in which one class took nearly all pseudo-labels, or a class got none",
            "confident_share": "share of all examples whose prediction is confident enough to be the target",
            "first_stage_epochs": "number of epochs on the given labels, known once they have ended",
        }
    )

    def __init__(
        self,
        first_stage: float = 1 / 3,
        early_stopping: bool = True,
        refresh_epochs: int = 1,
        confidence: float = 0.6,
        contrast: float = 1.0,
        gamma: float = 1.0,
        lam: float = 0.1,
        balance: bool = True,
    ) -> None:
        self.first_stage = check_fraction("first_stage", first_stage, "(0, 1)")
        self.refresh_epochs = check_whole("refresh_epochs", refresh_epochs, of=" of epochs")
        self.confidence = check_fraction("confidence", confidence, "[0, 1)")
        self.contrast = check_not_negative("contrast", contrast)
        self.gamma = check_not_negative("gamma", gamma)
        self.lam = check_not_negative("lam", lam)
        self.early_stopping = check_flag("early_stopping", early_stopping)
        self.balance = check_flag("balance", balance)

    def setup(self, context: Context) -> None:
        self.latest = max(1, whole_epochs(self.first_stage * context.epochs))
        self.trusted = context.trusted
        self.labelled = one_hot(context.labels, context.classes).sum(0).double().cpu().numpy()  # (classes,)
        self.targets = Memory(context.rows, (context.classes,), device=context.device)
        self.facts = torch.tensor([0.0, torch.nan, 0.0, torch.nan])
        self.seen = PredictionChanges(context)
        self.changes: list[float] = []  # per epoch of the first stage
        self.warned: set[str] = set()
        if self.latest >= context.epochs:
            logger.warning(
                f"SelfTraining: first_stage={self.first_stage:g} of {context.epochs:g} epochs leaves none for the second "
                "stage. Train longer."
            )

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if epoch and self.in_first_stage:
            self.changes.append(self.seen.share())
            if epoch >= self.latest or (self.early_stopping and has_risen(self.changes)):
                self.facts[_FIRST] = epoch
        if self.in_first_stage or (epoch - int(self.facts[_FIRST])) % self.refresh_epochs:
            return
        targets = frequency_normalised(survey().probs)
        weights = certainty(targets)
        sure = weights >= self.confidence
        self.targets.values.copy_(targets)
        share = float(sure.float().mean())
        few = share < _MIN_SURE_SHARE
        if few:
            self._warn_once(
                "few",
                f"before epoch {epoch} {int(sure.sum())} of {len(sure)} rows are as sure as confidence="
                f"{self.confidence:g}; the highest weight is {float(weights.max()):.3g}. {_FALLBACK} Lower confidence, or "
                "lengthen first_stage.",
            )
        counts = torch.bincount(targets[sure].argmax(-1), minlength=len(self.labelled)).cpu().numpy()
        problem = collapse(counts, self.labelled)
        if problem is not None:
            self.facts[_COLLAPSES] += 1
            fix = _FALLBACK if self.balance else "Set balance=True to wait until that is over."
            self._warn_once("collapse", f"before epoch {epoch} {problem}. {fix} Counted in pseudo_label_collapses.")
        waits = few or (self.balance and problem is not None)
        self.facts[_TEACHES], self.facts[_SURE] = float(not waits), share

    def _warn_once(self, kind: str, text: str) -> None:
        if kind not in self.warned:
            logger.warning(f"SelfTraining: {text} (said once)")
        self.warned.add(kind)

    @property
    def in_first_stage(self) -> bool:
        """Whether the first stage has not ended yet."""
        return bool(self.facts[_FIRST].isnan())  # on the CPU

    @property
    def teaching(self) -> bool:
        """Whether there is a teacher that is confident on enough rows."""
        return bool(self.facts[_TEACHES])  # on the CPU

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, classes) targets, (batch,) weights, and (batch,) which rows are in C."""
        targets = self.targets.read(batch.index)
        weights = certainty(targets)
        sure = weights >= self.confidence
        for excluded in (None if batch.real is None else ~batch.real, batch.trusted):
            sure = sure if excluded is None else sure & ~excluded
        return targets, weights, sure

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if self.in_first_stage:
            self.seen.note(predictions, batch)
        if not self.teaching:
            return supervision
        targets, weights, sure = self._read(batch)
        keeps = torch.zeros_like(sure) if batch.trusted is None else batch.trusted
        return replace(
            supervision,
            targets=torch.where(keeps.unsqueeze(-1), supervision.targets, targets.to(supervision.targets.dtype)),
            weights=torch.where(keeps, supervision.weights, weights * sure),
        ).trusting(~keeps)

    def penalty(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor | None:
        if not self.teaching:
            return None
        assert predictions.vectors is not None  # `needs_vectors`
        targets, _, sure = self._read(batch)
        chosen = (sure & (supervision.weights > 0)).unsqueeze(1)  # (networks, 1, batch); a later method may drop some
        apart = contrastive(predictions.vectors, targets.argmax(-1), chosen, self.gamma)  # (networks, views, batch)
        return (
            ((self.contrast * apart + self.lam * kl_from_uniform(predictions.clean_log_probs)) * chosen).mean(1).sum(0)
        )

    def metrics(self) -> dict[str, Tensor | float]:
        logs: dict[str, Tensor | float] = {"pseudo_label_collapses": self.facts[_COLLAPSES]}
        for name, column in (("confident_share", _SURE), ("first_stage_epochs", _FIRST)):
            if not bool(self.facts[column].isnan()):
                logs[name] = self.facts[column]
        return logs

    def report(self) -> dict[str, np.ndarray]:
        targets = self.targets.values
        has_target = targets.sum(-1) > 0
        taught = has_target & (certainty(targets) >= self.confidence) & self.teaching
        return {
            "pseudo_label": torch.where(taught, targets.argmax(-1), -1).cpu().numpy(),
            "confidence": certainty(targets).masked_fill(~has_target, torch.nan).cpu().numpy(),
        }

    def state_dict(self) -> dict[str, Tensor]:
        changes = torch.tensor(self.changes, dtype=torch.float64)
        return {"targets": self.targets.state(), "facts": self.facts, "seen": self.seen.state(), "changes": changes}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.targets.load(state["targets"])
        self.facts.copy_(state["facts"])
        self.seen.load(state["seen"])
        self.changes = state["changes"].tolist()


def certainty(targets: Tensor) -> Tensor:
    """(..., classes) -> (...) 1 - H / log K: 1 for a single class, 0 for the uniform distribution.

    >>> certainty(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    tensor([1., 0.])
    """
    return (1 - torch.special.entr(targets).sum(-1) / math.log(targets.shape[-1])).clamp(0, 1)


def kl_from_uniform(log_probs: Tensor) -> Tensor:
    """(..., classes) -> (...) KL(uniform || p)."""
    return -log_probs.mean(-1) - math.log(log_probs.shape[-1])


def contrastive(vectors: Tensor, classes: Tensor, chosen: Tensor, gamma: float) -> Tensor:
    """R1 of each row: the mean over the other chosen rows, 0 if there is none.

    Args:
        vectors: (..., batch, width)
        classes: (batch,) pseudo-labels.
        chosen: (..., batch) bool, which rows take part.
        gamma: the margin.

    Returns:
        (..., batch)

    >>> contrastive(torch.tensor([[0.0], [1.0], [0.5]]), torch.tensor([0, 0, 1]), torch.tensor([True] * 3), 1.0)
    tensor([0.7812, 0.7812, 0.5625])
    """
    distance = (vectors.unsqueeze(-2) - vectors.unsqueeze(-3)).square().mean(-1)  # (..., batch, batch)
    same = classes.unsqueeze(-1) == classes
    losses = torch.where(same, distance.square(), (gamma - distance).clamp_min(0).square())
    others = ~torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    pairs = chosen.unsqueeze(-1) & chosen.unsqueeze(-2) & others
    return (losses * pairs).sum(-1) / pairs.sum(-1).clamp_min(1)
