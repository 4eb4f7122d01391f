"""Pseudo-labels (Lee 2013), with the thresholds of FixMatch (Sohn et al. 2020) and FlexMatch (Zhang et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_choice, check_flag, check_fraction, check_not_negative
from hf_noisy.data.label_encoding import has_label, one_hot
from hf_noisy.methods.parts.base import PSEUDO_LABELS, NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.selection import whole_epochs
from hf_noisy.methods.parts.thresholds import (
    annealed_threshold,
    balanced_counts,
    class_thresholds,
    collapse,
    most_confident,
)
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision
from hf_noisy.weak.label_model import label_model_probabilities
from hf_noisy.weak.majority import majority_vote

logger = logging.get_logger(__name__)

_CHANCE_FRACTION = 0.2  # a label is doubted below this fraction of its chance probability


class PseudoLabeling(NoiseCallback):
    """Replaces missing and doubted labels by the model's prediction where it is confident enough; leaves the rest out.

    Unlabeled examples are those on which every source abstained and, with `doubt`, those whose label is unlikely. They
    are determined again before each epoch from `start` on. If the likeliest class of an unlabeled example reaches the
    threshold, the example is trained on it; otherwise it is left out of that epoch. A doubted label is used again as
    soon as it is no longer doubted.

    Sources: Lee, "Pseudo-Label", ICML 2013 workshop; Sohn et al., "FixMatch", NeurIPS 2020 (the fixed threshold; its
    two augmentations belong to another method); Zhang et al., "FlexMatch", NeurIPS 2021 (thresholds by class, without
    their warm-up). The papers assign pseudo-labels in each step of long trainings; here once per epoch.

    Args:
        threshold: in (1/K, 1], for the likeliest class's probability. 0.95 in FixMatch; lower here, because a short
            training with many classes may never reach it. If no row reaches it, a warning gives the highest confidence.
        schedule: "fixed"; "per_class": lower for a class with few confident predictions, `class_thresholds`; or
            "annealed": from 1 down to `threshold` in equal steps, reached before the last epoch.
        targets: "hard", the likeliest class, or "soft", the predicted probabilities.
        doubt: None, only rows without a label; "model": also labels to which the model, by its predictions as in
            `refresh`, gives less than `doubt_below`; "label_model": also labels to which the votes give less, by
            `label_model_probabilities`, or by `majority_vote` with fewer than three sources, from the first step on.
            Needs votes; a row without votes is not doubted.
        doubt_below: probability in (0, 1]; None is 0.5 for "label_model", and for "model" a fifth of the chance
            probability, 0.2 / K, or a fifth of the class's share of the labels if that is less: a model that has not
            learned a rare class yet gives it no higher probability.
        refresh: "epoch", a pass over the training set before each epoch; or "average", the exponential average of the
            predictions for each example in training, which costs no pass.
        momentum: of that average, in [0, 1). With 0.9, the untrained model's predictions still have weight 0.73 after
            four epochs, and no row is confident.
        start: share of the training before the first pseudo-labels, in [0, 1); at least one epoch.
        balance: whether to limit the pseudo-labels of each class, keeping the most confident ones: its odds among the
            rows trained on are at most twice those among the rows that keep their label (`balanced_counts`).
        weight: weight of a pseudo-labelled row, at least 0.

    Raises:
        ValueError, TypeError: a parameter outside its domain. Before the first step: a threshold of 1/K or less,
            "label_model" without votes, or no row that could ever be unlabeled.

    Pseudo-labels of one class reinforce themselves. If one class takes most of them (`collapse`), or a class gets none,
    a warning gives the numbers once, and each time is counted in `pseudo_label_collapses`. `balance` is on by default,
    because it can only leave rows out: it never changes a prediction, and has no effect while there are few
    pseudo-labels. It assumes that unlabeled rows have similar classes to labelled ones; if not, switch it off.

    Costs a forward over the training set per epoch from `start` on, about a third of an epoch, or none with "average";
    4 x classes bytes per row. Prefer it if many rows have no label; if all have one, `label_correction` changes them
    more gradually. With several networks, the mean of their probabilities decides. Methods listed after this one select
    among pseudo-labelled rows as well. Works with any criterion and with a noise channel, which pseudo-labels skip.
    Does not combine with `dividemix`, `selfmix` or `self_training`, which set pseudo-labels themselves.

    >>> PseudoLabeling(threshold=0.9, doubt=None).threshold
    0.9
    """

    roles = (PSEUDO_LABELS,)
    logged = MappingProxyType(
        {
            "pseudo_labeled_share": "share of all examples with a pseudo-label",
            "unlabeled_share": "share of all examples without a label, or whose label is dropped",
            "pseudo_label_collapses": "number of updates so far in which one class took nearly all pseudo-labels, or a class got none",
            "pseudo_label_threshold": 'mean over the classes of the confidence that a pseudo-label must reach (not with `schedule="fixed"`)',
        }
    )

    def __init__(
        self,
        threshold: float = 0.9,
        schedule: Literal["fixed", "per_class", "annealed"] = "fixed",
        targets: Literal["hard", "soft"] = "hard",
        doubt: Literal["model", "label_model"] | None = "model",
        doubt_below: float | None = None,
        refresh: Literal["epoch", "average"] = "epoch",
        momentum: float = 0.5,
        start: float = 1 / 3,
        balance: bool = True,
        weight: float = 1.0,
    ) -> None:
        self.threshold = check_fraction("threshold", threshold, "(0, 1]")
        check_choice("schedule", schedule, ["fixed", "per_class", "annealed"])
        check_choice("targets", targets, ["hard", "soft"])
        check_choice("refresh", refresh, ["epoch", "average"])
        if doubt is not None:
            check_choice("doubt", doubt, ["model", "label_model"])
        check_flag("balance", balance)
        self.needs_votes = doubt == "label_model"
        self.schedule, self.targets, self.doubt, self.refresh, self.balance = schedule, targets, doubt, refresh, balance
        self.doubt_below = None if doubt_below is None else check_fraction("doubt_below", doubt_below, "(0, 1]")
        self.momentum = check_fraction("momentum", momentum, "[0, 1)")
        self.start = check_fraction("start", start, "[0, 1)")
        self.weight = check_not_negative("weight", weight)

    # ---- setup --------------------------------------------------------------------------------------------------

    def setup(self, context: Context) -> None:
        rows, classes, device = context.rows, context.classes, context.device
        if self.threshold <= 1 / classes:
            raise ValueError(
                f"threshold={self.threshold:g}: expected a number in (1/{classes}, 1]. The likeliest of {classes} classes "
                f"has {1 / classes:.3g} or more, so every guess would pass. Raise it."
            )
        self.given = one_hot(context.labels, classes).to(device)  # (rows, classes)
        self.trusted = context.trusted
        self.below = self._doubt_threshold()
        self.first = max(1, whole_epochs(self.start * context.epochs))
        self.looks = whole_epochs(context.epochs) - self.first
        unlabeled = self._without_trusted(~has_label(context.labels).to(device) | self._doubted_by_votes(context))
        self._check_unlabeled(unlabeled, context.epochs)
        self.unlabeled = Memory(rows, dtype=torch.bool, device=device)
        self.unlabeled.values.copy_(unlabeled)
        self.never_labelled = unlabeled.clone()  # abstained, or doubted by the votes
        self.pseudo = Memory(rows, dtype=torch.int64, fill=-1, device=device)
        self.confidence = Memory(rows, fill=torch.nan, device=device)
        self.guesses = Memory(rows, (classes if self.targets == "soft" else 0,), device=device)
        self.average = Memory(rows, (classes if self.refresh == "average" else 0,), device=device)
        self.thresholds = torch.full((classes,), torch.nan, device=device)
        self.collapses = torch.zeros(())
        self.warned: set[str] = set()

    def _doubt_threshold(self) -> Tensor:
        """(classes,) probability of a label below which it is doubted."""
        given = self.given.sum(0)
        if self.doubt_below is None and self.doubt == "model":
            return _CHANCE_FRACTION * (given / given.sum().clamp_min(1)).clamp_max(1 / len(given))
        return torch.full_like(given, self.doubt_below or 0.5)

    def _without_trusted(self, rows: Tensor) -> Tensor:
        """`rows` without the trusted ones."""
        return rows if self.trusted is None else rows & ~self.trusted

    def _doubted_by_votes(self, context: Context) -> Tensor:
        """(rows,) labels to which the votes give a low probability."""
        if self.doubt != "label_model":
            return torch.zeros(context.rows, dtype=torch.bool, device=context.device)
        if context.votes is None:
            raise ValueError(
                'doubt="label_model": the training set has no votes. Expected a column weak_labels, as '
                'apply_labeling_functions writes it; or doubt="model".'
            )
        votes = context.votes.cpu().numpy()
        if votes.shape[1] < 3:
            found = majority_vote(votes, context.classes)
        else:
            found = label_model_probabilities(votes, context.classes, seed=context.seed)
        return self._doubted(torch.from_numpy(np.asarray(found, dtype=np.float32)).to(context.device))

    def _doubted(self, probs: Tensor) -> Tensor:
        """(rows,) labels to which `probs` give a low probability; rows with zero `probs` are not doubted."""
        labelled = (self.given.sum(-1) > 0) & (probs.sum(-1) > 0)
        return labelled & ((self.given * (probs - self.below)).sum(-1) < 0)

    def _check_unlabeled(self, unlabeled: Tensor, epochs: float) -> None:
        if self.first >= epochs:
            logger.warning(
                f"PseudoLabeling: start={self.start:g} of {epochs:g} epochs leaves none with pseudo-labels. Train longer."
            )
        if self.doubt == "model" or bool(unlabeled.any()):
            return
        fix = (
            'Use doubt="model"'
            if self.doubt is None
            else f'Raise doubt_below={float(self.below.max()):g}, use doubt="model"'
        )
        raise ValueError(
            f"PseudoLabeling: none of the {len(unlabeled)} training rows is unlabeled, so there is nothing to guess. "
            f"{fix}, or train on rows that abstain as well (labels -1)."
        )

    # ---- before each epoch --------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if epoch < self.first:
            return
        probs = self.average.values if self.refresh == "average" else survey().probs
        unlabeled = self.never_labelled
        if self.doubt == "model":
            unlabeled = unlabeled | self._without_trusted(self._doubted(probs))
        confidence, guess = probs.max(-1)
        self.thresholds.copy_(self._thresholds(probs[unlabeled], epoch))
        passing = unlabeled & (confidence >= self.thresholds[guess])
        self._warn_if_none(unlabeled, passing, confidence, epoch)
        passing = self._balanced(passing, guess, confidence, self.given[~unlabeled].sum(0), epoch)
        self.unlabeled.values.copy_(unlabeled)
        self.pseudo.values.copy_(torch.where(passing, guess, -1))
        self.confidence.values.copy_(confidence)
        if self.targets == "soft":
            self.guesses.values.copy_(probs)

    def _thresholds(self, probs: Tensor, epoch: int) -> Tensor:
        """() or (classes,) thresholds, from the predictions for the unlabeled rows."""
        if self.schedule == "per_class":
            return class_thresholds(probs, self.threshold)
        if self.schedule == "annealed":
            return probs.new_tensor(annealed_threshold(self.threshold, epoch - self.first, self.looks))
        return probs.new_tensor(self.threshold)

    def _balanced(self, passing: Tensor, guess: Tensor, confidence: Tensor, labelled: Tensor, epoch: int) -> Tensor:
        """(rows,) those of `passing` that remain after balancing the classes; warns of a collapse."""
        counts = torch.bincount(guess[passing], minlength=len(labelled)).cpu().numpy()
        of_labels = labelled.double().cpu().numpy()
        most = balanced_counts(counts, of_labels)
        problem = collapse(counts, of_labels)
        if problem is not None:
            self.collapses += 1
            fix = f"balance keeps {most.sum()} of them" if self.balance else "set balance=True to keep classes in check"
            self._warn_once("collapse", f"before epoch {epoch} {problem}; {fix}. Counted in pseudo_label_collapses.")
        return most_confident(passing, guess, confidence, most) if self.balance else passing

    def _warn_if_none(self, unlabeled: Tensor, passing: Tensor, confidence: Tensor, epoch: int) -> None:
        if passing.any() or not unlabeled.any():
            return
        self._warn_once(
            "none",
            f"before epoch {epoch} none of {int(unlabeled.sum())} unlabeled rows reaches the threshold "
            f"{float(self.thresholds.min()):.3g}; the highest confidence is {float(confidence[unlabeled].max()):.3g}. "
            "Lower threshold, or train longer.",
        )

    def _warn_once(self, kind: str, text: str) -> None:
        if kind not in self.warned:
            logger.warning(f"PseudoLabeling: {text} (said once)")
        self.warned.add(kind)

    # ---- each step ----------------------------------------------------------------------------------------------

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if self.refresh == "average":
            before, now = self.average.read(batch.index), predictions.probs
            first = before.sum(-1, keepdim=True) == 0
            self.average.write(batch, torch.where(first, now, self.momentum * before + (1 - self.momentum) * now))
        pseudo = self.pseudo.read(batch.index)
        taken = pseudo >= 0 if batch.real is None else (pseudo >= 0) & batch.real
        guesses = self.guesses.read(batch.index) if self.targets == "soft" else one_hot(pseudo, len(self.thresholds))
        weights = supervision.weights * ~self.unlabeled.read(batch.index)
        return replace(
            supervision,
            targets=torch.where(taken.unsqueeze(-1), guesses.to(supervision.targets.dtype), supervision.targets),
            weights=torch.where(taken, self.weight, weights),
        ).trusting(taken)

    # ---- logging and checkpoints --------------------------------------------------------------------------------

    def metrics(self) -> dict[str, Tensor | float]:
        logs: dict[str, Tensor | float] = {
            "pseudo_labeled_share": (self.pseudo.values >= 0).float().mean(),
            "unlabeled_share": self.unlabeled.values.float().mean(),
            "pseudo_label_collapses": self.collapses,
        }
        if self.schedule != "fixed" and not bool(self.thresholds.isnan().any()):
            logs["pseudo_label_threshold"] = self.thresholds.mean()
        return logs

    def report(self) -> dict[str, np.ndarray]:
        return {
            "pseudo_label": self.pseudo.values.cpu().numpy(),
            "confidence": self.confidence.values.cpu().numpy(),
        }

    def state_dict(self) -> dict[str, Tensor]:
        memories = {name: memory.state() for name, memory in self._memories().items()}
        return {**memories, "thresholds": self.thresholds, "collapses": self.collapses}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, memory in self._memories().items():
            memory.load(state[name])
        self.thresholds.copy_(state["thresholds"])
        self.collapses.copy_(state["collapses"])

    def _memories(self) -> dict[str, Memory]:
        names = ["unlabeled", "pseudo", "confidence"]
        names += ["guesses"] if self.targets == "soft" else []
        names += ["average"] if self.refresh == "average" else []
        return {name: getattr(self, name) for name in names}
