"""Selects or weights examples by how well their label agrees with those of similar texts."""

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
    """Drops or down-weights examples whose label disagrees with those of the most similar texts.

    This happens once, before the first step. Each text is represented by a vector: the mean last hidden state of the
    encoder as it is then, before any fine-tuning. Each labelled example gets an agreement score from its nearest
    labelled neighbours (d is the distance between vectors of length 1; a neighbour has weight w = 1 / (1 + d)):

    - "cut_statistic": minus (J - E[J]) / sd[J], where J is the weight of the neighbours with another label. For
      neighbours drawn at random, E[J] = (1 - p) sum w and var[J] = p (1 - p) sum w^2, with p the share of the label in
      all labels. So a label of a rare class needs fewer agreeing neighbours than one of a common class.
    - "votes": the weighted share of the neighbours with the same label.

    For soft labels y and y', <y, y'> is the degree to which they are equal, in J, in p and in the votes. The variance
    is still that of a Bernoulli variable of mean p, an upper bound for soft labels.

    Source: Lang et al., "Training Subset Selection for Weak Supervision", NeurIPS 2022; the statistic is that of
    Muhlenbach et al., "Identifying and Handling Mislabelled Instances", 2004. There, vectors are not scaled to length 1
    and the share is one of all rows. The released code counts each row as its own neighbour; this code does not.

    Args:
        score: "cut_statistic" or "votes".
        neighbours: number of neighbours, at least 1; if fewer rows have a label, all others, with a warning.
        share: share of the labelled examples to keep, in (0, 1]; rounded. "weight" does not use it.
        by_class: whether to choose within each given class (the likeliest of a soft label), at least one row each, so
            that no class vanishes; otherwise among all rows. None is False for the cut statistic, as in the paper,
            which corrects for the frequency of a class, and True for votes, which do not.
        how: "keep" gives the `share` with the best agreement weight 1 and the rest 0, ties at random; "weight" gives
            each example the share of the rows (of its class) whose agreement is not higher, from 1 / rows to 1.
        vectors: (rows, width) of your own instead of the encoder's, in row order, clean rows that are trained on last.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, vectors of another number of rows,
            or (without `vectors`) a model whose encoder gives no hidden states.

    Costs one pass over the training set and a search whose time grows with the square of the rows; nothing per step.
    Prefer it if labels are wrong by a rule or a person: such labels have small losses, but agree less with their
    neighbours. The neighbours of a tiny random encoder are meaningless: pass `vectors`. Examples without a label are
    unchanged and not used as neighbours; trusted rows are used and keep their weight. Only the given labels are scored,
    once, and weights multiply, so it combines with any criterion or method.

    `report` adds `label_agreement` (NaN without a label) and `kept`: True or False for "keep", else the weight.

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
        self.needs_encoder = vectors is None

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
        candidates = np.arange(len(given))
        if context.trusted is not None:
            candidates = np.flatnonzero(~context.trusted.cpu().numpy()[labelled])
        choose = rank_in_group if self.how == "weight" else self._top_share
        chosen[candidates] = choose(agreement[candidates], groups[candidates])
        rows = torch.from_numpy(labelled).to(context.device)
        for memory, values in ((self.agreement, agreement), (self.kept, chosen)):
            memory.values[rows] = torch.from_numpy(values).to(rows.device, torch.float32)

    def _vectors(self) -> np.ndarray:
        if self.vectors is not None:
            return self.vectors
        assert self.context.encode is not None  # set by the trainer
        return self.context.encode().cpu().numpy()

    def _top_share(self, agreement: np.ndarray, groups: np.ndarray) -> np.ndarray:
        return top_share_by_group(agreement, groups, self.share, self.context.seed)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        return supervision.weighted(self.kept.read(batch.index))

    def report(self) -> dict[str, np.ndarray]:
        kept = self.kept.values.cpu().numpy()
        kept = kept * has_label(self.context.labels).cpu().numpy()  # rows without a label are not selected
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
