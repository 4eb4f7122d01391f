"""A curriculum by neighbours: keep or weigh the examples whose label agrees with those of similar texts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_choice, check_fraction, check_whole
from hf_noisy.data.distributions import check_table
from hf_noisy.data.label_encoding import has_label, one_hot
from hf_noisy.evidence.features.neighbours import label_agreement, nearest_rows, rank_in_group, top_share_by_group
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.row_vectors import check_row_vectors
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)

SCORES = ("cut_statistic", "votes")
WAYS = ("keep", "weight")


class Neighbours(NoiseCallback):
    """Leaves out the examples whose label disagrees with those of the most similar texts, seen by a frozen encoder.

    Once, before the first step, each text becomes a vector: the mean last hidden state of the encoder as it is then,
    which is as it was pretrained. Each labelled example then has a agreement, by its nearest labelled neighbours (the
    distance d of vectors of length 1; a neighbour weighs w = 1 / (1 + d)):

    - "cut_statistic": minus (J - E[J]) / sd[J], where J is the weight of the neighbours with another label, and
      neighbours drawn by lot have E[J] = (1 - p) sum w and var[J] = p (1 - p) sum w^2, p the share of the label in all
      labels. So a label of a rare class needs fewer like neighbours than one of a common class.
    - "votes": the weighted share of the neighbours with the same label.

    Of soft labels y and y' the product <y, y'> is how far they are the same, in J, in p and in the votes; the variance
    is still that of a coin with mean p, which soft labels stay below.

    Source: Lang et al., "Training Subset Selection for Weak Supervision", NeurIPS 2022; the statistic is that of
    Muhlenbach et al., "Identifying and Handling Mislabelled Instances", 2004. There the vectors are not brought to length
    1 and the share is one of all rows; the released code counts each row as its own neighbour, which here it is not.

    Args:
        score: "cut_statistic" or "votes".
        neighbours: of an example, at least 1; where fewer rows have a label, all others, with a warning.
        share: of the labelled examples that is kept, in (0, 1]; rounded. "weight" does not read it.
        by_class: choose within each given class (the likeliest of a soft label), at least one row each, so that no class
            vanishes; otherwise among all. None is among all for the cut statistic, as in the paper, which makes up for
            how common a class is, and by class for votes, which do not.
        how: "keep" gives the most coherent `share` weight 1 and the rest 0, ties by lot; "weight" gives each example the
            share of the rows (of its class) that are no more coherent than it, from 1 / rows to 1.
        vectors: (rows, width) of your own in place of the encoder's, in row order, clean rows that are trained on last.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, vectors of another number of rows,
            or (without `vectors`) a model whose encoder gives no hidden states.

    Costs one pass over the training set and a search whose time grows with the square of the rows; a step costs
    nothing. Prefer it where labels are wrong by a rule or a person: such labels look right to the losses, but less so
    to the neighbours. A tiny random encoder knows no neighbours: give vectors. Examples without a label are left alone
    and are nobody's neighbours; trusted rows are neighbours and keep their weight. It judges the labels as they were
    given, once, and weights multiply, so it goes with any criterion or method.

    `report` adds `label_agreement` (NaN without a label) and `kept`: True and False, or the weight.

    >>> Neighbours(share=0.5).score
    'cut_statistic'
    """

    def __init__(
        self,
        score: str = "cut_statistic",
        neighbours: int = 20,
        share: float = 0.6,
        by_class: bool | None = None,
        how: str = "keep",
        vectors: ArrayLike | None = None,
    ) -> None:
        check_choice("score", score, SCORES)
        check_choice("how", how, WAYS)
        if by_class is not None and not isinstance(by_class, bool):
            raise TypeError(f"by_class={by_class!r}: expected True, False or None.")
        self.score, self.how, self.neighbours = score, how, check_whole("neighbours", neighbours)
        self.by_class = score == "votes" if by_class is None else by_class
        self.share = check_fraction("share", share, "(0, 1]")
        self.vectors = None if vectors is None else check_table("vectors", vectors)

    def setup(self, context: Context) -> None:
        if self.vectors is not None:
            check_row_vectors(self.vectors, context.rows)
        self.context = context
        self.agreement = Memory(context.rows, fill=torch.nan, device=context.device)
        self.kept = Memory(context.rows, fill=1.0, device=context.device)
        self.searched = torch.zeros(1, dtype=torch.bool)

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if bool(self.searched):
            return
        self.searched.fill_(True)
        context, labels = self.context, self.context.labels.cpu()
        labelled = np.flatnonzero(has_label(labels).numpy())
        count = min(self.neighbours, len(labelled) - 1)
        if count < self.neighbours:
            logger.warning(
                f"Neighbours: neighbours={self.neighbours}, but {len(labelled)} rows have a label; each is compared with "
                f"the other {count}."
            )
        if count == 0:
            return
        vectors = self._vectors()
        given = one_hot(labels, context.classes).double().numpy()[labelled]
        agreement = label_agreement(nearest_rows(vectors[labelled], count), given, self.score)
        groups = given.argmax(1) if self.by_class else np.zeros(len(given), dtype=np.int64)
        chosen = np.ones(len(given))
        judged = np.arange(len(given))
        if context.trusted is not None:
            judged = np.flatnonzero(~context.trusted.cpu().numpy()[labelled])
        choose = rank_in_group if self.how == "weight" else self._top_share
        chosen[judged] = choose(agreement[judged], groups[judged])
        rows = torch.from_numpy(labelled).to(context.device)
        for memory, values in ((self.agreement, agreement), (self.kept, chosen)):
            memory.values[rows] = torch.from_numpy(values).to(rows.device, torch.float32)

    def _vectors(self) -> np.ndarray:
        if self.vectors is not None:
            return self.vectors
        assert self.context.encode is not None  # the trainer gives it
        return self.context.encode().cpu().numpy()

    def _top_share(self, agreement: np.ndarray, groups: np.ndarray) -> np.ndarray:
        return top_share_by_group(agreement, groups, self.share, self.context.seed)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        return supervision.weighted(self.kept.read(batch.index))

    def report(self) -> dict[str, np.ndarray]:
        kept = self.kept.values.cpu().numpy()
        kept = kept * has_label(self.context.labels).cpu().numpy()  # rows without a label are left alone, not chosen
        return {
            "kept": kept > 0 if self.how == "keep" else kept,
            "label_agreement": self.agreement.values.cpu().numpy(),
        }

    def state_dict(self) -> dict[str, Tensor]:
        return {"kept": self.kept.state(), "label_agreement": self.agreement.state(), "searched": self.searched}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.kept.load(state["kept"])
        self.agreement.load(state["label_agreement"])
        self.searched.copy_(state["searched"])
