"""A method that looks at the labels first, and says what it does about them and why."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.callbacks.truth_inference import TruthInference
from hf_noisy.domains import check_whole
from hf_noisy.labels import has_label
from hf_noisy.supervision import Context, Survey
from hf_noisy.thresholds import FEW_WRONG
from hf_noisy.truth import mean_coherence, share_of_start

logger = logging.get_logger(__name__)
_LIKE = 1.0  # mean cut statistic, from which similar texts say enough of a label
_LOOKED, _COHERENCE, _TAUGHT = range(3)  # facts


class AutoMethod(TruthInference):
    """Looks once at labels, votes and texts, then teaches the labels as they are or what `TruthInference` makes of them.

    Before the first step, in this order:

    1. With fewer than `min_labels` labels they are taught as they are: `ce`.
    2. The texts are seen by the encoder. If labels are hardly more like those of the nearest texts than by chance (a
       mean cut statistic below 1; 0 is chance), it is not pretrained, or not for such texts, and the labels are taught
       as they are.
    3. `TruthInference` infers classes: from the votes where several sources have voted, else from the labels as one
       source; with more than 50,000 labels it starts from all of them (`share=1`), since a search for neighbours takes
       time that grows with their square.
    4. If less than 3 % of the labels come out as wrong, they are taught as they are: a method would gain little.

    What was chosen, and why, is logged before the first step and in `choice` afterwards. Everything else is as in
    `TruthInference`, and so is what it goes with.

    The bound of 1 lies between an encoder without pretraining, whose view of invented reviews gave 0.6 and 0.7 and whose
    inferred classes were worse than the labels, and the least of the pretrained cases in which they were clearly better, 1.2.

    Args:
        min_labels: from which something is inferred of the others, at least 2.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, no example has a label, or the encoder
            cannot be asked for vectors (as in `TruthInference`).

    >>> AutoMethod().choice is None
    True
    """

    def __init__(self, min_labels: int = 50) -> None:
        super().__init__()
        self.min_labels = check_whole("min_labels", min_labels, 2)

    @property
    def choice(self) -> tuple[str, dict[str, object], str] | None:
        """The method, its parameters and the reason; None before the first step."""
        facts = getattr(self, "facts", None)
        if facts is None or not facts[_LOOKED]:
            return None
        labelled, sources, coherence = self._labelled(), self._voters(), float(facts[_COHERENCE])
        if labelled < self.min_labels:
            return "ce", {}, f"{labelled} labels are too few to infer others from (expected {self.min_labels})."
        if not coherence >= _LIKE:
            told = f"a mean cut statistic of {coherence:.2g} by this encoder, expected {_LIKE:g}"
            return "ce", {}, f"similar texts say too little of a label ({told})."
        rate = f"{float(self.rate):.1%} of {labelled:,} labels come out as wrong"
        if not facts[_TAUGHT]:
            return "ce", {}, f"{rate}, too few for a method to pay."
        by = f"the votes of {sources} sources" if sources > 1 else "the labels as one source"
        rest = self.context.rows - labelled
        unlabeled = f"; {rest:,} rows without a label are taught too" if rest else ""
        reason = f"{rate}, by {by} and by similar texts (a mean cut statistic of {coherence:.2g}){unlabeled}."
        return "truth_inference", {"sources": "votes" if sources > 1 else "label", "share": self._share()}, reason

    def setup(self, context: Context) -> None:
        self._check_labelled(context, least=1)
        self._allocate(context)
        self.facts = torch.tensor([0.0, torch.nan, 0.0])

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if bool(self.inferred):
            if self.facts[_TAUGHT]:
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
        vectors = self._vectors("encoder")
        self.facts[_COHERENCE] = mean_coherence(vectors, self._given(), self.neighbours, self.context.seed)
        if self.facts[_COHERENCE] < _LIKE:
            return
        self.sources = "votes" if self._voters() > 1 else "label"
        truth = self._infer(vectors, self._share())
        self.facts[_TAUGHT] = float(self.rate >= FEW_WRONG)
        if self.facts[_TAUGHT]:
            self._teach(truth)

    def _labelled(self) -> int:
        return int(has_label(self.context.labels).sum())

    def _share(self) -> float:
        return share_of_start(self._labelled(), self.share)

    def _voters(self) -> int:
        """Sources that vote at all; 1 where there are labels alone."""
        votes = self.context.votes
        return 1 if votes is None else int((votes >= 0).any(0).sum())

    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), "facts": self.facts}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        super().load_state_dict(state)
        self.facts.copy_(state["facts"])
