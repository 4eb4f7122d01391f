"""A method that looks at the labels first, and says what it does about them and why."""

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

_LOOKED, _CUT_STATISTIC, _CV_GAIN_Z, _RATE = range(4)  # facts


class AutoMethod(TruthInference):
    """Looks once at labels, votes and texts, then teaches the labels as they are or what `TruthInference` makes of them.

    Before the first step, in this order:

    1. With fewer than `min_labels` labels they are taught as they are: `ce`.
    2. It is settled what texts are seen by (`hf_noisy.evidence.choice.choose_features`): the encoder and their words where there are labels
       alone; the encoder where several sources have voted, or the words where labels are hardly more like those of the nearest
       texts, by the encoder, than by chance (a mean cut statistic below 1; 0 is chance), since it is not pretrained for such
       texts; and the words where it is not pretrained at all, as a model that `from_pretrained` did not load.
    3. If a logistic regression of that tells held-out labels less than two standard errors better than their frequency does,
       they are taught as they are: texts say too little of them.
    4. `TruthInference` infers classes: from the votes where several sources have voted, else from the labels as one
       source.
    5. If less than 3 % of the labels come out as wrong, they are taught as they are: a method would gain little.

    What was chosen, and why, is logged before the first step and in `choice` afterwards. Everything else is as in
    `TruthInference`, and so is what it goes with.

    Args:
        min_labels: from which something is inferred of the others, at least 2.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, no example has a label, or the encoder
            cannot be asked for vectors (as in `TruthInference`).

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
        encoded = cache(self._encoded)  # one pass, whoever asks
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
