"""Candidate labels: votes as partial labels (PRODEN; Lv et al., ICML 2020)."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_choice, check_fraction, check_not_negative
from hf_noisy.methods.parts.base import LABEL_TARGETS, NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.selection import whole_epochs
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)

STARTS = ("votes", "uniform")


class CandidateLabels(NoiseCallback):
    """Trains an example on every class that a source votes for, weighted by the model's prediction.

    The classes with a vote are the candidates of an example. Its target is the model's prediction p, restricted to the
    candidates and weighted by their numbers of votes n: t_k = n_k^prior p_k / sum_j n_j^prior p_j. The votes contain
    more information than their majority: where the majority is wrong, the true class is often among the candidates.
    During the warm-up, the target is `start`. After it, the target comes from the last training forward of the example
    (with dropout; of the first view). Each network has its own targets.

    Source: Lv et al., "Progressive Identification of True Labels for Partial-Label Learning", ICML 2020, which is
    `start="uniform", prior=0, warmup=0`: there, candidates have no counts, and the target changes from the first of
    hundreds of epochs on. In the released code, a candidate whose share is once rounded to 0 stays at 0; here it does
    not.

    Args:
        start: the first target: "votes", the share of the votes of each candidate; or "uniform".
        prior: exponent of the number of votes, at least 0. 0 ignores the numbers; 1 treats each vote as one observation
            of the true class.
        warmup: share of the training with the first target, in [0, 1], rounded up to whole epochs and at least one.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, a training set without votes
            (column `weak_labels`), or in which every source abstains on every row.

    No further pass; classes x (4 x networks + 2) bytes per row. Where there are votes, the given label is not used: one
    candidate acts as a plain label, and an example whose label abstains, as after a tie, is trained on its candidates
    with weight 1. Examples without a vote stay as they are, and so do trusted rows and targets that an earlier method
    marks as the true class. If `PseudoLabeling` comes before it in the list, pseudo-labels stay and other unlabeled
    examples are trained on their candidates; if it comes after, those examples are left out. A true class that no
    source votes for cannot be found: a robust criterion helps there, and `ConsistencyRegularization` combines with it.
    Works with several networks. Does not combine with another method that sets targets, or with a noise channel.

    Logs, over the examples with a vote: `candidates` (mean number) and `ambiguous_share` (share with more than one),
    both fixed by the data, and `candidate_certainty` (mean share of the likeliest candidate in the ambiguous targets).
    `report` gives `candidate_label`, the likeliest candidate, -1 without a vote: (rows,) for one network, (rows,
    networks) for several.

    >>> CandidateLabels(start="uniform", prior=0.0).warmup < 0.5
    True
    """

    roles = (LABEL_TARGETS,)
    needs_votes = True
    skips_channel = True  # the target estimates the true class
    logged = MappingProxyType(
        {
            "candidates": "mean number of classes voted for, over the examples with a vote",
            "ambiguous_share": "share of the examples with a vote that have votes for more than one class",
            "candidate_certainty": "mean target of the most probable class, over examples with votes for more than one class",
        }
    )

    def __init__(self, start: str = "votes", prior: float = 1.0, warmup: float = 1 / 3) -> None:
        check_choice("start", start, STARTS)
        self.start, self.prior = start, check_not_negative("prior", prior)
        self.warmup = check_fraction("warmup", warmup, "[0, 1]")

    def setup(self, context: Context) -> None:
        counts = _vote_counts(context)
        self.counts, self.networks = counts, context.networks
        self.last_of_warmup = whole_epochs(self.warmup * context.epochs) - 1  # -1 without a warm-up
        start = (counts if self.start == "votes" else counts > 0).float()
        start = start / start.sum(-1, keepdim=True).clamp_min(1)
        self.targets = Memory(context.rows, (context.networks, context.classes), device=context.device)
        self.targets.values.copy_(start.unsqueeze(1))
        if not (self._number_of_candidates() > 1).any():
            logger.warning(
                "CandidateLabels: no row has votes for two classes, so each candidate is a plain label. Add sources that "
                "disagree, or leave the method out."
            )

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        before = self.targets.read(batch.index)  # (batch, networks, classes)
        counts = self.counts[batch.index]
        voted = (counts > 0).any(-1)
        if batch.epoch >= self.last_of_warmup:
            log_probs = predictions.clean_log_probs[:, 0].transpose(0, 1)
            after = restricted(log_probs, counts.unsqueeze(1), self.prior)
            self.targets.write(batch, torch.where(voted.view(-1, 1, 1), after, before))
        replaced = (voted if batch.real is None else voted & batch.real).expand_as(supervision.weights)
        if supervision.trusted is not None:
            replaced = replaced & ~supervision.trusted
        return replace(
            supervision,
            targets=torch.where(replaced.unsqueeze(-1), before.transpose(0, 1), supervision.targets),
            weights=torch.where(replaced & ~batch.covered, 1.0, supervision.weights),
        )

    def _number_of_candidates(self) -> Tensor:
        """(rows,) classes with a vote."""
        return (self.counts > 0).sum(-1)

    def metrics(self) -> dict[str, Tensor | float]:
        number = self._number_of_candidates()
        voted, ambiguous = (number > 0).sum(), number > 1
        logs: dict[str, Tensor | float] = {
            "candidates": number.sum() / voted,
            "ambiguous_share": ambiguous.sum() / voted,
        }
        if bool(ambiguous.any()):
            logs["candidate_certainty"] = self.targets.values[ambiguous].amax(-1).mean()
        return logs

    def report(self) -> dict[str, np.ndarray]:
        without = (self._number_of_candidates() == 0).unsqueeze(-1)
        label = self.targets.values.argmax(-1).masked_fill(without, -1).cpu().numpy()
        return {"candidate_label": label[:, 0] if self.networks == 1 else label}

    def state_dict(self) -> dict[str, Tensor]:
        return {"targets": self.targets.state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.targets.load(state["targets"])


def restricted(log_probs: Tensor, counts: Tensor, prior: float) -> Tensor:
    """(..., classes) probabilities of the candidates only, each times its number of votes to the power `prior`.

    Args:
        log_probs: (..., classes)
        counts: (..., classes) votes; a row without votes returns `log_probs` as probabilities.
        prior: at least 0.

    >>> restricted(torch.tensor([0.5, 0.3, 0.2]).log(), torch.tensor([0, 1, 1]), prior=1.0)
    tensor([0.0000, 0.6000, 0.4000])
    """
    others = (counts == 0) & (counts > 0).any(-1, keepdim=True)
    return (log_probs + prior * counts.clamp_min(1).log()).masked_fill(others, -torch.inf).softmax(-1)


def _vote_counts(context: Context) -> Tensor:
    """(rows, classes) int16 number of sources that vote for each class; raises if there is no vote."""
    if context.votes is None:
        raise ValueError(
            "CandidateLabels learns from the votes of sources and there are none: expected a column weak_labels in "
            "train_dataset, one vote a source, -1 to abstain. Add it with hf_noisy.apply_labeling_functions."
        )
    votes = context.votes
    counts = votes.new_zeros((context.rows, context.classes), dtype=torch.int16)
    for column in votes.split(1, dim=1):  # all at once would take 8 bytes per row and source
        counts.scatter_add_(1, column.clamp_min(0).long(), (column >= 0).to(counts.dtype))
    if not bool(counts.any()):
        raise ValueError(
            f"CandidateLabels: all {votes.shape[1]} sources abstain on all {context.rows} rows of train_dataset: expected "
            "at least one vote in the column weak_labels. Check the labeling functions."
        )
    return counts
