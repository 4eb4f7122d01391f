"""Infers the class of each example from its sources and from similar texts, and trains on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_choice, check_flag, check_fraction, check_not_negative, check_whole
from hf_noisy.data.distributions import check_table
from hf_noisy.data.label_encoding import has_label, one_hot
from hf_noisy.evidence.choice import choose_features
from hf_noisy.evidence.features.tokens import word_vectors
from hf_noisy.evidence.features.views import features_of
from hf_noisy.evidence.inference.infer_truth import infer_truth
from hf_noisy.evidence.inference.sources import Source, posterior, source_from_labels, sources_from_votes
from hf_noisy.methods.parts.base import LABEL_TARGETS, PSEUDO_LABELS, NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.row_vectors import check_row_vectors
from hf_noisy.methods.parts.thresholds import collapse
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision
from hf_noisy.weak.votes import count_voting_sources

logger = logging.get_logger(__name__)

VECTORS = ("auto", "encoder", "words", "both")
SOURCES = ("votes", "label")
RARE = 0.05  # share of the labelled rows below which a class that is never inferred keeps its given labels


class TruthInference(NoiseCallback):
    """Trains each example, labelled or not, on the class inferred from its sources and from similar texts.

    Inference runs once, before the first step. Each text is represented by the pretrained encoder's vector, by word
    features, or by both (see `vectors`). A linear classifier of these features is first fitted to the given labels.
    Then, `rounds` times, with f_ij its probability of class j for example i:

    1. the prior of an example is f_ij^2 / sum_i f_ij, normalised over j;
    2. each source that votes v on the example multiplies the prior by P(it votes | j) P(v | j), estimated from the
       priors of all examples, with a pseudo-count of one per class; a source that abstains is ignored;
    3. the classifier is fitted to all examples, with the posteriors as soft targets.

    The last posteriors are the targets of the first epoch. Before the second, the encoder fine-tuned on them predicts
    all examples. The mean of its predictions and the classifier's replaces f in steps 1 and 2, since neither of the two
    is better everywhere. The result is the target until the end.

    The sources are the votes (a column `weak_labels`); without votes, the given labels are one source. Do not choose an
    epoch by the given labels, which the model no longer learns: keep the last one.

    Source: Raykar et al., "Learning From Crowds", JMLR 2010, for classifier and sources in one
    expectation-maximisation; Lang et al., "Training Subset Selection for Weak Supervision", NeurIPS 2022, for a start
    from a share. The name is that of the task (Zheng et al., "Truth Inference in Crowdsourcing", VLDB 2017). Unlike in
    Raykar et al., there are more than two classes, sources may abstain, priors are sharpened and divided by the
    frequency of their class (Xie et al., "Unsupervised Deep Embedding for Clustering Analysis", ICML 2016), and the
    encoder is fine-tuned on the result.

    Args:
        share: share of the labelled examples for the first fit of the classifier, in (0, 1]; below 1, those whose label
            agrees best with the labels of their neighbours (the cut statistic, as in `Neighbours`).
        neighbours: number of neighbours for a `share` below 1, at least 1.
        rounds: number of rounds, at least 1.
        weight_penalty: factor of half the squared weights of the classifier, relative to its mean loss, at least 0. The
            classifier uses 64 principal components of unit mean variance.
        sharpen: whether step 1 squares and divides by the frequency, or uses f_ij directly.
        sources: "votes"; "label", the given labels as one source even if there are votes; None, no source, so that
            given labels are used for the first fit only.
        vectors: "encoder"; "words", a latent semantic analysis of the words of a column `text`, not truncated, or of
            the tokens if there is no such column; "both", concatenated at unit length; or (rows, width) of your own, in
            row order, clean rows that are trained on last. "auto" is "encoder" if several sources vote, because the
            words of a text reveal which rule voted, and a classifier on them reproduces the rules; "both" if there are
            labels alone; and "words" if `from_pretrained` did not load the model.
        refine: whether to use the fine-tuned encoder's predictions before the second epoch.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, vectors of another number of rows,
            fewer than two examples with a label, no `input_ids` for "words", or a model whose encoder gives no hidden
            states for "encoder".

    Trusted rows keep their label, also during inference. If a class with less than 5 % of the labelled rows is inferred
    for no row, its given labels are kept: so few texts hardly affect the classifier, and the model would never learn
    the class. If one class takes most of the inferred labels, or a larger class loses all of its own
    (`hf_noisy.methods.parts.thresholds.collapse`), the given labels or the previous targets are used instead; a warning
    gives the numbers.

    Costs two passes over the training set and seconds for the classifier (with a `share` below 1 also a search whose
    time grows with the square of the labelled rows); nothing per step; 8 x classes bytes per row, half of that without
    `refine`. Prefer it with a pretrained encoder, for any noise, and most of all if several sources vote. Combines with
    any criterion, several networks, weight averages, and methods that weight or select rows. Does not combine with a
    noise channel or other methods that set targets.

    Logs `estimated_noise_rate`, 1 minus the mean inferred probability of the given labels.

    >>> TruthInference().share
    1.0
    """

    roles = (LABEL_TARGETS, PSEUDO_LABELS)
    skips_channel = True  # all its targets estimate the true class
    logged = MappingProxyType({"estimated_noise_rate": "estimated share of wrong labels"})

    def __init__(
        self,
        share: float = 1.0,
        neighbours: int = 20,
        rounds: int = 6,
        weight_penalty: float = 0.1,
        sharpen: bool = True,
        sources: str | None = "votes",
        vectors: str | ArrayLike = "auto",
        refine: bool = True,
    ) -> None:
        self.share = check_fraction("share", share, "(0, 1]")
        self.neighbours, self.rounds = check_whole("neighbours", neighbours), check_whole("rounds", rounds)
        self.weight_penalty = check_not_negative("weight_penalty", weight_penalty)
        if sources is not None:
            check_choice("sources", sources, SOURCES)
        self.sharpen, self.refine = check_flag("sharpen", sharpen), check_flag("refine", refine)
        self.sources = sources
        if isinstance(vectors, str):
            check_choice("vectors", vectors, VECTORS)
        self.vectors = vectors if isinstance(vectors, str) else check_table("vectors", vectors)

    def setup(self, context: Context) -> None:
        if not isinstance(self.vectors, str):
            check_row_vectors(self.vectors, context.rows)
        self._check_labelled(context, least=2)
        self._allocate(context)

    def _check_labelled(self, context: Context, least: int) -> None:
        labelled = int(has_label(context.labels).sum())
        if labelled < least:
            raise ValueError(
                f"{type(self).__name__}: {labelled} of {context.rows} training rows have a label: expected at least {least}, "
                "from which it infers the others. Add labels or votes."
            )

    def _allocate(self, context: Context) -> None:
        self.context = context
        self.truth = Memory(context.rows, (context.classes,), device=context.device)
        self.predicted = Memory(context.rows if self.refine else 0, (context.classes,), device=context.device)
        self.inferred, self.refined = torch.zeros(2, 1, dtype=torch.bool)
        self.rate = torch.tensor(torch.nan)  # estimated share of wrong labels

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if not bool(self.inferred):
            self.inferred.fill_(True)
            self._teach(self._infer(self._vectors(self.vectors)))
        elif epoch > 0 and self.refine and not bool(self.refined):
            self.refined.fill_(True)
            self._teach(self._refine(survey().probs))

    def _given(self) -> np.ndarray:
        """(rows, classes) given labels, zero rows where there is none."""
        return one_hot(self.context.labels.cpu(), self.context.classes).double().numpy()

    def _infer(self, vectors: np.ndarray) -> np.ndarray:
        """(rows, classes) targets; the given labels if the inferred classes collapse. Sets `rate`."""
        given = self._given()
        found = infer_truth(
            vectors,
            given,
            self._sources(given),
            neighbours=self.neighbours,
            share=self.share,
            rounds=self.rounds,
            penalty=self.weight_penalty,
            sharpen=self.sharpen,
            trusted=self._trusted(),
            seed=self.context.seed,
        )
        if self.refine:
            self.predicted.values.copy_(torch.from_numpy(found.predicted))
        return self._unless_collapsed(found.truth, given, otherwise=given, which="The given labels are")

    def _refine(self, probs: Tensor) -> np.ndarray:
        """(rows, classes) targets that also use the model's `probs`, (rows, classes); the old ones after a collapse."""
        given, trusted = self._given(), self._trusted()
        both = (probs.to(self.predicted.values) + self.predicted.values) / 2
        found = posterior(both.double().cpu(), self._sources(given), sharpen=self.sharpen)
        if trusted is not None:
            found[trusted] = given[trusted]
        before = self.truth.values.double().cpu().numpy()
        return self._unless_collapsed(found, given, otherwise=before, which="The first ones are")

    def _unless_collapsed(self, found: np.ndarray, given: np.ndarray, otherwise: np.ndarray, which: str) -> np.ndarray:
        """Returns `found`, or `otherwise` if the inferred classes collapse; sets `rate`."""
        found = self._with_rare_classes(found, given)
        problem = collapse(np.bincount(found.argmax(1), minlength=self.context.classes), given.sum(0))
        if problem is not None:
            message = problem.replace("pseudo-labels", "inferred classes")
            logger.warning(f"{type(self).__name__}: {message}. {which} taught instead.")
            found = otherwise
        trusted = self._trusted()
        judged = given.sum(1) > 0 if trusted is None else (given.sum(1) > 0) & ~trusted
        self.rate.fill_(doubt(torch.from_numpy(given[judged]), torch.from_numpy(found[judged])))
        return found

    def _with_rare_classes(self, found: np.ndarray, given: np.ndarray) -> np.ndarray:
        """`found`, but a rare class that no row would have keeps its given labels."""
        counts, labelled = np.bincount(found.argmax(1), minlength=self.context.classes), given.sum(0)
        for lost in np.flatnonzero((counts == 0) & (labelled > 0) & (labelled < RARE * labelled.sum())):
            mine = (given.argmax(1) == lost) & (given.sum(1) > 0)
            logger.warning(
                f"{type(self).__name__}: class {lost} gets none of {len(found)} inferred classes; the {int(mine.sum())} rows "
                "that were given it keep it."
            )
            found = np.where(mine[:, None], given, found)
        return found

    def _trusted(self) -> np.ndarray | None:
        return None if self.context.trusted is None else self.context.trusted.cpu().numpy()

    def _teach(self, truth: np.ndarray) -> None:
        self.truth.values.copy_(torch.from_numpy(truth))

    def _sources(self, given: np.ndarray) -> list[Source]:
        if self.sources is None:
            return []
        if self.sources == "label" or self.context.votes is None:
            return [source_from_labels(given)]
        return sources_from_votes(self.context.votes.cpu().numpy(), self.context.classes)

    def _vectors(self, kind: str | np.ndarray) -> np.ndarray:
        if not isinstance(kind, str):
            return kind
        if kind == "auto":
            cut_statistic = math.inf if self._is_pretrained() else math.nan  # assumes an informative encoder
            kind = choose_features(count_voting_sources(self.context.votes), cut_statistic)
        return features_of(kind, self._encoded, self._words)

    def _is_pretrained(self) -> bool:
        """Returns whether `from_pretrained` loaded the model; True if the configuration does not tell."""
        model = self.context.model
        return model is None or getattr(model.config, "_name_or_path", None) != ""

    def _encoded(self) -> np.ndarray:
        assert self.context.encode is not None  # set by the trainer
        return self.context.encode().cpu().numpy()

    def _words(self) -> np.ndarray:
        return word_vectors(type(self).__name__, self.context.dataset, self.context.seed)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        truth = self.truth.read(batch.index)
        known = truth.sum(-1) > 0  # False only if nothing was inferred and there is no label
        guessed = known & ~batch.covered if batch.real is None else known & ~batch.covered & batch.real
        return replace(
            supervision,
            targets=torch.where(known.unsqueeze(-1), truth.to(supervision.targets.dtype), supervision.targets),
            weights=torch.where(guessed, 1.0, supervision.weights),
        ).trusting(known)

    def metrics(self) -> dict[str, Tensor | float]:
        return {} if bool(self.rate.isnan()) else {"estimated_noise_rate": self.rate}

    def report(self) -> dict[str, np.ndarray]:
        confidence, found = self.truth.values.max(-1)
        return {
            "inferred_label": torch.where(confidence > 0, found, -1).cpu().numpy(),
            "inferred_probability": confidence.cpu().numpy(),
        }

    def state_dict(self) -> dict[str, Tensor]:
        return {
            "truth": self.truth.state(),
            "predicted": self.predicted.state(),
            "inferred": self.inferred,
            "refined": self.refined,
            "rate": self.rate,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.truth.load(state["truth"])
        self.predicted.load(state["predicted"])
        self.inferred.copy_(state["inferred"])
        self.refined.copy_(state["refined"])
        self.rate.copy_(state["rate"])


def doubt(given: Tensor, truth: Tensor) -> Tensor:
    """() 1 minus the mean inferred probability of the given labels; 0 without rows.

    Args:
        given, truth: (rows, classes) labels, and inferred classes.

    >>> doubt(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.9, 0.1], [0.5, 0.5]]))
    tensor(0.3000)
    """
    return ((given.sum(-1) - (given * truth).sum(-1)).sum() / max(len(given), 1)).clamp(0, 1)
