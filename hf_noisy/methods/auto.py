"""A method that checks the labels first, then chooses how to train on them and logs why."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_whole
from hf_noisy.data.label_encoding import has_label
from hf_noisy.evidence.choice import MIN_CV_GAIN_Z, MIN_LABELS, MIN_NOISE_RATE, choose_features, choose_method
from hf_noisy.evidence.features.scores import cv_gain_z, mean_cut_statistic
from hf_noisy.evidence.features.views import features_of
from hf_noisy.methods.truth_inference import TruthInference
from hf_noisy.models.context import Context, Survey
from hf_noisy.weak.votes import count_voting_sources

logger = logging.get_logger(__name__)

_LOOKED, _CUT_STATISTIC, _CV_GAIN_Z, _RATE = range(4)  # indices into `facts`


class AutoMethod(TruthInference):
    """Checks labels, votes and texts once, then trains on the given labels or on classes that `TruthInference` infers.

    The check runs before the first step, in this order:

    1. With fewer than `min_labels` labels, training uses the given labels (`ce`).
    2. The text features are chosen (`hf_noisy.evidence.choice.choose_features`). With labels alone: encoder embeddings
       and word features. With votes of several sources: encoder embeddings, or word features if the mean cut statistic
       of the labels by the embeddings is below 1 (0 is chance), because the encoder is not pretrained for such texts.
       If the encoder is not pretrained at all (`from_pretrained` did not load the model): word features.
    3. If a logistic regression on these features predicts held-out labels less than two standard errors better than the
       majority class does, training uses the given labels: the texts say too little about them.
    4. `TruthInference` infers the classes, from the votes if several sources vote, else from the labels as one source.
    5. If less than 3 % of the labels are estimated to be wrong, training uses the given labels: a method would gain
       little.

    The choice and its reason are logged before the first step and kept in `choice`. Everything else is as in
    `TruthInference`, including what it combines with.

    Args:
        min_labels: minimum number of labels for inference, at least 2.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, no example has a label, or the
            encoder gives no hidden states (as in `TruthInference`).

    >>> AutoMethod().choice is None
    True
    """

    def __init__(self, min_labels: int = MIN_LABELS) -> None:
        super().__init__()
        self.min_labels = check_whole("min_labels", min_labels, 2)

    @property
    def choice(self) -> tuple[str, dict[str, object], str] | None:
        """The method, its parameters and the reason; None before the first step."""
        facts = getattr(self, "facts", None)
        if facts is None or not facts[_LOOKED]:
            return None
        return choose_method(
            labelled=self._labelled(),
            rows=self.context.rows,
            sources=count_voting_sources(self.context.votes),
            cut_statistic=float(facts[_CUT_STATISTIC]),
            cv_gain_z=float(facts[_CV_GAIN_Z]),
            rate=float(facts[_RATE]),
            min_labels=self.min_labels,
        )

    def choices(self) -> list[str]:
        choice = self.choice
        return [] if choice is None else [f"`auto` took `{choice[0]}`, since {choice[2]}"]

    def setup(self, context: Context) -> None:
        self._check_labelled(context, least=1)
        self._allocate(context)
        self.facts = torch.tensor([0.0, torch.nan, torch.nan, torch.nan])

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if bool(self.inferred):
            if self.facts[_RATE] >= MIN_NOISE_RATE:
                super().begin_epoch(epoch, survey)
            return
        self.inferred.fill_(True)
        self.facts[_LOOKED] = 1
        if self._labelled() >= self.min_labels:
            self._look()
        assert self.choice is not None
        method, parameters, reason = self.choice
        listed = "".join(f" {key}={value!r}" for key, value in parameters.items())
        logger.warning(f"auto: {method}{listed}, since {reason}")

    def _look(self) -> None:
        given, seed, sources = self._given(), self.context.seed, count_voting_sources(self.context.votes)
        encoded = cache(self._encoded)  # at most one pass over the texts
        if self._is_pretrained():
            self.facts[_CUT_STATISTIC] = mean_cut_statistic(encoded(), given, self.neighbours, seed)
        vectors = features_of(choose_features(sources, float(self.facts[_CUT_STATISTIC])), encoded, self._words)
        self.facts[_CV_GAIN_Z] = cv_gain_z(vectors, given, seed)
        if not self.facts[_CV_GAIN_Z] >= MIN_CV_GAIN_Z:
            return
        self.sources = "votes" if sources > 1 else "label"
        truth = self._infer(vectors)
        self.facts[_RATE] = float(self.rate)
        if self.rate >= MIN_NOISE_RATE:
            self._teach(truth)

    def _labelled(self) -> int:
        return int(has_label(self.context.labels).sum())

    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), "facts": self.facts}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        super().load_state_dict(state)
        self.facts.copy_(state["facts"])
