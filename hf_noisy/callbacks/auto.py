"""A method that looks at the labels first, and says what it does about them and why."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.callbacks.truth_inference import TruthInference, doubt
from hf_noisy.labels import has_label
from hf_noisy.supervision import Context, Survey
from hf_noisy.truth import mean_coherence

logger = logging.get_logger(__name__)
_FEWEST = 50  # labels, from which something may be inferred of the others
_LIKE = 0.2  # mean cut statistic, below which texts that are near have labels like those of any texts; 0 by chance
_RIGHT = 0.03  # share of labels that are taken for wrong, below which there is little to win
_MANY = 50_000  # labels, whose neighbours would be searched for too long
_VIEWS = ("encoder", "words")
_LOOKED, _BY_ENCODER, _BY_WORDS, _VIEW, _RATE, _TAUGHT = range(6)  # facts


class AutoMethod(TruthInference):
    """Looks once at labels, votes and texts, then teaches the labels as they are or what `TruthInference` makes of them.

    Before the first step, in this order:

    1. With fewer than 50 labels they are taught as they are: `ce`.
    2. The texts are seen by the encoder. If labels are no more like those of the nearest texts than by chance (a mean
       cut statistic below 0.2), the encoder is not pretrained, or not for such texts, and the words are looked at
       instead. If they tell no more, labels are taught as they are.
    3. `TruthInference` infers classes: from the votes where several sources have voted, else from the labels as one
       source; with more than 50,000 labels it starts from all of them (`share=1`), since a search for neighbours takes
       time that grows with their square.
    4. If less than 3 % of the labels come out as wrong, they are taught as they are, since a method costs more than it gains.

    What was chosen, and why, is logged before the first step and in `choice` afterwards. Everything else is as in `TruthInference`; so
    is what it goes with.

    Raises:
        ValueError: before the first step, no example has a label.

    >>> AutoMethod().choice is None
    True
    """

    def __init__(self) -> None:
        super().__init__()

    @property
    def choice(self) -> tuple[str, dict[str, object], str] | None:
        """The method, its parameters and the reason; None before the first step."""
        facts = getattr(self, "facts", None)
        if facts is None or not facts[_LOOKED]:
            return None
        rows, labelled, sources = self.context.rows, self._labelled(), self._voters()
        if labelled < _FEWEST:
            return "ce", {}, f"{labelled} labels are too few to infer others from (expected {_FEWEST})."
        if facts[_VIEW] < 0:
            told = f"{float(facts[_BY_ENCODER]):.2g} by the encoder and {float(facts[_BY_WORDS]):.2g} by words"
            return "ce", {}, f"similar texts say nothing of a label (mean cut statistic {told}; expected {_LIKE})."
        rate = f"{float(facts[_RATE]):.1%} of {labelled:,} labels come out as wrong"
        if not facts[_TAUGHT]:
            return "ce", {}, f"{rate}, too few for a method to pay."
        view, coherence = _VIEWS[int(facts[_VIEW])], float(facts[_BY_ENCODER + int(facts[_VIEW])])
        by = f"the votes of {sources} sources" if sources > 1 else "the labels as one source"
        parameters: dict[str, object] = {
            "vectors": view,
            "sources": "votes" if sources > 1 else "label",
            "share": self._share(),
        }
        unlabeled = f"; {rows - labelled:,} rows without a label are taught too" if rows > labelled else ""
        return (
            "truth_inference",
            parameters,
            f"{rate}, by {by} and by similar texts (mean cut statistic {coherence:.2g} by {view}){unlabeled}.",
        )

    def setup(self, context: Context) -> None:
        self._check_labelled(context, least=1)
        self._allocate(context)
        self.facts = torch.tensor([0.0, torch.nan, torch.nan, -1.0, torch.nan, 0.0])

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if bool(self.inferred):
            return
        self.inferred.fill_(True)
        self.facts[_LOOKED] = 1
        vectors = self._telling_vectors() if self._labelled() >= _FEWEST else None
        if vectors is not None:
            given = self._given()
            self.sources = "votes" if self._voters() > 1 else "label"
            truth = self._infer(vectors, self._share())
            judged = given.sum(1) > 0
            if self.context.trusted is not None:
                judged &= ~self.context.trusted.cpu().numpy()
            self.facts[_RATE] = doubt(torch.from_numpy(given[judged]), torch.from_numpy(truth[judged]))
            self.facts[_TAUGHT] = float(self.facts[_RATE] >= _RIGHT)
            if self.facts[_TAUGHT]:
                self._teach(truth)
        assert self.choice is not None
        method, parameters, reason = self.choice
        listed = " ".join(f"{key}={value!r}" for key, value in parameters.items())
        logger.warning(f"auto: {' '.join([method, listed]).strip()}, since {reason}")

    def _telling_vectors(self) -> np.ndarray | None:
        """Of the first view of the texts in which near ones have like labels; None of neither."""
        given = self._given()
        for number, view in enumerate(_VIEWS):
            vectors = self._vectors(view)
            told = mean_coherence(vectors, given, self.neighbours, self.context.seed)
            self.facts[_BY_ENCODER + number] = told
            if told >= _LIKE:
                self.facts[_VIEW] = number
                return vectors
        return None

    def _labelled(self) -> int:
        return int(has_label(self.context.labels).sum())

    def _share(self) -> float:
        return self.share if self._labelled() <= _MANY else 1.0

    def _voters(self) -> int:
        """Sources that vote at all; 1 where there are labels alone."""
        votes = self.context.votes
        return 1 if votes is None else int((votes >= 0).any(0).sum())

    def metrics(self) -> dict[str, Tensor | float]:
        return {} if bool(self.facts[_RATE].isnan()) else {"estimated_noise_rate": self.facts[_RATE]}

    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), "facts": self.facts}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        super().load_state_dict(state)
        self.facts.copy_(state["facts"])
