"""A method that checks the labels first, then chooses how to train on them and logs why."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_whole
from hf_noisy.data.label_encoding import has_label
from hf_noisy.evidence.choice import MIN_LABELS, WEIGHTS, candidate_table, choose_features, choose_method
from hf_noisy.evidence.features.scores import mean_cut_statistic
from hf_noisy.evidence.features.text_features import NEIGHBOURS
from hf_noisy.evidence.features.views import features_of
from hf_noisy.evidence.inference.label_evidence import share_moved
from hf_noisy.methods.neighbours import Neighbours
from hf_noisy.methods.parts.class_prior import class_shares
from hf_noisy.methods.parts.inferred_classes import check_labelled
from hf_noisy.methods.truth_inference import TruthInference
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision
from hf_noisy.weak.votes import count_voting_sources

logger = logging.get_logger(__name__)

_WEIGHTS = "neighbours."  # beginning of names in the state
_LOOKED, _CUT_STATISTIC, _MOVED = range(3)  # indices into `facts`


class AutoMethod(TruthInference):
    """Checks labels, votes and texts once, then trains on inferred classes, on weighted labels, or on labels as given.

    The check runs before the first step, in this order:

    1. With fewer than `min_labels` labels, training uses the given labels (`ce`).
    2. The text features are chosen (`hf_noisy.evidence.choice.choose_features`). With labels alone: encoder embeddings
       and word features. With votes of several sources: encoder embeddings, or word features if the mean cut statistic
       of the labels by the embeddings is below 1 (0 is chance), because the encoder is not pretrained for such texts.
       If the encoder is not pretrained at all (`from_pretrained` did not load the model): word features.
    3. `TruthInference` infers the classes, with several models: from the votes if several sources vote, else from the
       labels.
    4. If less than 4 % of the labels would change, training uses the given labels. If the mean cut statistic is at
       least 1, each example gets a weight by how well its label agrees with those of its nearest neighbours, as by
       `Neighbours(how="weight")`.

    With labels alone, labels change only if a model of the noise predicts held-out labels better than a model without
    noise. That is so if they are wrong at random. Labels that are wrong by a rule or a person are not told from correct
    ones by labels and texts alone, and stay as they are, at most with a weight.

    The choice and its reason are logged before the first step and kept in `choice`. Tables of the
    candidates and of the models that were compared are logged at level info. Everything else is as in `TruthInference`, including what it combines with. If
    labels are weighted, `report` also has the columns of `Neighbours`.

    Args:
        min_labels: minimum number of labels for inference, at least 2.
        class_prior: as in `TruthInference`.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, no example has a label, or the
            encoder gives no hidden states (as in `TruthInference`).

    >>> AutoMethod().choice is None
    True
    """

    def __init__(self, min_labels: int = MIN_LABELS, class_prior: str | ArrayLike | None = None) -> None:
        super().__init__(class_prior=class_prior)
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
            rate=float(self.rate),
            interval=(float(self.bounds[0]), float(self.bounds[1])),
            moved=float(facts[_MOVED]),
            min_labels=self.min_labels,
        )

    @property
    def left_labels(self) -> bool:
        return self.choice is not None and self.choice[0] != "truth_inference"

    def choices(self) -> list[str]:
        choice = self.choice
        return [] if choice is None else [f"`auto` took `{choice[0]}`, since {choice[2]}"]

    def setup(self, context: Context) -> None:
        check_labelled(type(self).__name__, context.labels, least=1)
        class_shares(self.class_prior, context.classes)
        self._allocate(context)
        self.weighting: Neighbours | None = None  # only if labels are weighted: 8 bytes a row
        self.facts = torch.tensor([0.0, torch.nan, torch.nan])

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if bool(self.inferred):
            return
        self.inferred.fill_(True)
        self.facts[_LOOKED] = 1
        encoded = cache(self._encoded)  # at most one pass over the texts
        truth = self._look(encoded) if self._labelled() >= self.min_labels else None
        assert self.choice is not None
        method, parameters, reason = self.choice
        if method == "truth_inference":
            assert truth is not None
            self._teach(truth)
        elif method == "neighbours":
            self.weighting = self._weighting()
            self.weighting.vectors = encoded()
            self.weighting.begin_epoch(epoch, survey)
            self.weighting.vectors = None
        listed = "".join(f" {key}={value!r}" for key, value in parameters.items())
        logger.warning(f"auto: {method}{listed}, since {reason}")
        _, cut_statistic, moved = map(float, self.facts)
        logger.info(f"auto: the candidates\n{candidate_table(method, moved, cut_statistic)}")

    def _weighting(self) -> Neighbours:
        weighting = Neighbours(**WEIGHTS)
        weighting.setup(self.context)
        return weighting

    def _look(self, encoded: Callable[[], np.ndarray]) -> np.ndarray:
        given, seed, sources = self._given(), self.context.seed, count_voting_sources(self.context.votes)
        if self._is_pretrained():
            self.facts[_CUT_STATISTIC] = mean_cut_statistic(encoded(), given, NEIGHBOURS, seed)
        vectors = features_of(choose_features(sources, float(self.facts[_CUT_STATISTIC])), encoded, self._words)
        self.sources = "votes" if sources > 1 else "label"
        truth = self._infer(vectors)
        self.facts[_MOVED] = share_moved(truth, given)
        return truth

    def _labelled(self) -> int:
        return int(has_label(self.context.labels).sum())

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        inferred = super().supervise(supervision, predictions, batch)
        return inferred if self.weighting is None else self.weighting.supervise(inferred, predictions, batch)

    def report(self) -> dict[str, np.ndarray]:
        return {**super().report(), **({} if self.weighting is None else self.weighting.report())}

    def state_dict(self) -> dict[str, Tensor]:
        weights = {} if self.weighting is None else self.weighting.state_dict()
        named = {f"{_WEIGHTS}{name}": value for name, value in weights.items()}
        return {**super().state_dict(), "facts": self.facts, **named}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        super().load_state_dict(state)
        self.facts.copy_(state["facts"])
        weights = {name.removeprefix(_WEIGHTS): value for name, value in state.items() if name.startswith(_WEIGHTS)}
        if weights:
            self.weighting = self._weighting()
            self.weighting.load_state_dict(weights)
