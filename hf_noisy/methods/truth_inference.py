"""Infers the class of each example from its sources and from similar texts, and trains on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_choice, check_flag, check_fraction, check_not_negative, check_whole
from hf_noisy.data.distributions import check_table
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.evidence.choice import choose_features
from hf_noisy.evidence.features.tokens import word_vectors
from hf_noisy.evidence.features.views import features_of
from hf_noisy.evidence.inference.infer_truth import infer_truth
from hf_noisy.evidence.inference.label_evidence import LabelEvidence, weigh_labels
from hf_noisy.evidence.inference.sources import Source, posterior, source_from_labels, sources_from_votes
from hf_noisy.evidence.rates.interval import estimate_rate
from hf_noisy.methods.parts.base import LABEL_TARGETS, PSEUDO_LABELS, NoiseCallback
from hf_noisy.methods.parts.class_prior import check_class_prior, class_shares
from hf_noisy.methods.parts.inference_models import MODELS, OF_ONE, check_used
from hf_noisy.methods.parts.inferred_classes import LOGGED, check_labelled, doubt, keep_rare_classes
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.row_vectors import check_row_vectors
from hf_noisy.methods.parts.thresholds import collapse
from hf_noisy.models.batch import Batch
from hf_noisy.models.configuration import config_of
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision
from hf_noisy.weak.votes import count_voting_sources

logger = logging.get_logger(__name__)

VECTORS = ("auto", "encoder", "words", "both")
SOURCES = ("votes", "label")


class TruthInference(NoiseCallback):
    """Trains each example, labelled or not, on the class inferred from its sources and from similar texts.

    Inference runs once, before the first step. Each text is represented by the pretrained encoder's vector, by word
    features, or by both (see `vectors`). With `models="several"`:

    - If several sources vote (a column `weak_labels`), two models of sources and texts are fitted by
      expectation-maximisation and averaged (`hf_noisy.evidence.inference.combined_sources.combine_sources`). A label
      moves to another class only if its mean probability is at least 0.7, or 0.5 if the sources are rules.
    - If there are labels alone, models of the noise are compared by how well they predict held-out labels, and averaged
      (`hf_noisy.evidence.inference.label_noise.fit_label_noise`). They find labels that are wrong at random. Labels that
      are wrong by a rule or a person stay as they are, since text and label alone do not tell them from correct ones.

    With `models="one"`, a linear classifier of the features is first fitted to the given labels. Then, `rounds` times,
    with f_ij its probability of class j for example i:

    1. the prior of an example is f_ij^2 / sum_i f_ij, normalised over j;
    2. each source that votes v on the example multiplies the prior by P(it votes | j) P(v | j), estimated from the
       priors of all examples, with a pseudo-count of one per class; a source that abstains is ignored;
    3. the classifier is fitted to all examples, with the posteriors as soft targets.

    The last posteriors are the targets of the first epoch. Before the second, the encoder fine-tuned on them predicts
    all examples. The mean of its predictions and the classifier's replaces f in steps 1 and 2. The result is the target
    until the end. The given labels are one source if there are no votes. This model assumes balanced classes and a
    linear classifier that is more often right than the labels. Where that holds, it also finds labels that are wrong by
    a rule; where it does not, it makes correct labels wrong.

    Do not choose an epoch by the given labels, which the model no longer learns: keep the last one.

    Source: Raykar et al., "Learning From Crowds", JMLR 2010, for classifier and sources in one
    expectation-maximisation; Patrini et al., "Making Deep Neural Networks Robust to Label Noise", CVPR 2017, for a
    classifier that is fitted through the noise; Lang et al., "Training Subset Selection for Weak Supervision", NeurIPS
    2022, for a start from a share. The name is that of the task (Zheng et al., "Truth Inference in Crowdsourcing", VLDB
    2017). Unlike in Raykar et al., there are more than two classes and sources may abstain; one model sharpens priors
    and divides them by the frequency of their class (Xie et al., "Unsupervised Deep Embedding for Clustering Analysis",
    ICML 2016), and refines with the encoder.

    Args:
        models: "several" or "one".
        class_prior: how common the classes are, if you know it: "balanced", or (classes,) shares that sum to 1. Only
            with several models; None estimates it.
        share: share of the labelled examples for the first fit of the classifier, in (0, 1]; below 1, those whose label
            agrees best with the labels of their neighbours (the cut statistic, as in `Neighbours`). Only with one model,
            as all that follow up to `sharpen`.
        neighbours: number of neighbours for a `share` below 1, at least 1.
        rounds: number of rounds, at least 1.
        weight_penalty: factor of half the squared weights of the classifier, relative to its mean loss, at least 0. The
            classifier uses 64 principal components of unit mean variance.
        sharpen: whether step 1 squares and divides by the frequency, or uses f_ij directly.
        sources: "votes"; "label", the given labels as one source even if there are votes; with one model also None, no
            source, so that given labels are used for the first fit only.
        vectors: "encoder"; "words", a latent semantic analysis of the words of a column `text`, not truncated, or of
            the tokens if there is no such column; "both", concatenated at unit length; or (rows, width) of your own, in
            row order, clean rows that are trained on last. "auto" is "encoder" if several sources vote, because the
            words of a text reveal which rule voted, and a classifier on them reproduces the rules; "both" if there are
            labels alone; and "words" if `from_pretrained` did not load the model.
        refine: whether to use the fine-tuned encoder's predictions before the second epoch. None is True with one model
            and False with several.

    Raises:
        ValueError, TypeError: a parameter outside its domain, or one that the other kind of `models` needs; before the
            first step, vectors or shares of another number of rows or classes, fewer than two examples with a label, no
            `input_ids` for "words", or a model whose encoder gives no hidden states for "encoder".

    Trusted rows keep their label, also during inference. If classes with less than 5 % of the labelled rows are
    inferred for no row, their given labels are kept: so few texts hardly affect a classifier, and the model would never
    learn the class. If one class takes most of the inferred labels, or a larger class loses all of its own
    (`hf_noisy.methods.parts.thresholds.collapse`), the given labels or the previous targets are used instead; a warning
    gives the numbers. If there is too little to compare, the labels stay as they are and a warning gives the reason.

    Costs a pass over the training set (one model: two) and seconds for the classifiers; with several models, or a
    `share` below 1, also a search for neighbours whose time grows with the square of the rows; nothing per step; 8 x
    classes bytes per row, half of that without `refine`. Prefer it with a pretrained encoder, and most of all if several
    sources vote. Combines with any criterion, several networks, weight averages, and methods that weight or select rows.
    Does not combine with a noise channel or other methods that set targets.

    Logs `estimated_noise_rate`, with several models also its 80 % interval (`hf_noisy.evidence.rates.interval`); with
    one model, 1 minus the mean inferred probability of the given labels.

    >>> TruthInference().models
    'several'
    """

    roles = (LABEL_TARGETS, PSEUDO_LABELS)
    skips_channel = True  # all its targets estimate the true class
    logged = LOGGED

    def __init__(
        self,
        models: str = "several",
        class_prior: str | ArrayLike | None = None,
        share: float = 1.0,
        neighbours: int = 20,
        rounds: int = 6,
        weight_penalty: float = 0.1,
        sharpen: bool = True,
        sources: str | None = "votes",
        vectors: str | ArrayLike = "auto",
        refine: bool | None = None,
    ) -> None:
        check_choice("models", models, MODELS)
        self.models, self.class_prior = models, check_class_prior(class_prior)
        self.share = check_fraction("share", share, "(0, 1]")
        self.neighbours, self.rounds = check_whole("neighbours", neighbours), check_whole("rounds", rounds)
        self.weight_penalty = check_not_negative("weight_penalty", weight_penalty)
        if sources is not None:
            check_choice("sources", sources, SOURCES)
        self.sharpen = check_flag("sharpen", sharpen)
        self.refine = models == "one" if refine is None else check_flag("refine", refine)
        self.sources = sources
        if isinstance(vectors, str):
            check_choice("vectors", vectors, VECTORS)
        self.vectors = vectors if isinstance(vectors, str) else check_table("vectors", vectors)
        check_used(models, {name: getattr(self, name) for name in (*OF_ONE, "sources", "class_prior")})

    def may_encode(self, model: Any) -> bool:
        if not isinstance(self.vectors, str) or self.vectors == "words":
            return False
        return self.vectors != "auto" or _is_pretrained(model)

    def setup(self, context: Context) -> None:
        if not isinstance(self.vectors, str):
            check_row_vectors(self.vectors, context.rows)
        class_shares(self.class_prior, context.classes)
        check_labelled(type(self).__name__, context.labels, least=2)
        self._allocate(context)

    def _allocate(self, context: Context) -> None:
        self.context = context
        self.truth = Memory(context.rows, (context.classes,), device=context.device)
        self.predicted = Memory(context.rows if self.refine else 0, (context.classes,), device=context.device)
        self.inferred, self.refined = torch.zeros(2, 1, dtype=torch.bool)
        self.rate = torch.tensor(torch.nan)  # estimated share of wrong labels
        self.bounds = torch.full((2,), torch.nan)  # of the rate, with several models
        self.evidence: LabelEvidence | None = None  # of several models; None after a resume

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if not bool(self.inferred):
            self.inferred.fill_(True)
            self._teach(self._infer(self._vectors(self.vectors)))
            if self.evidence is not None and self.evidence.reason:
                message = f"the labels are taught as they are, since {self.evidence.reason}"
                logger.warning(f"{type(self).__name__}: {message}.")
        elif epoch > 0 and self.refine and not bool(self.refined):
            self.refined.fill_(True)
            self._teach(self._refine(survey().probs))

    def _given(self) -> np.ndarray:
        """(rows, classes) given labels, zero rows where there is none."""
        return one_hot(self.context.labels.cpu(), self.context.classes).double().numpy()

    def _infer(self, vectors: np.ndarray) -> np.ndarray:
        """(rows, classes) targets; the given labels if the inferred classes collapse. Sets `rate`."""
        given = self._given()
        if self.models == "several":
            return self._weigh(vectors, given)
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

    def _weigh(self, vectors: np.ndarray, given: np.ndarray) -> np.ndarray:
        """(rows, classes) targets by several models; sets `evidence` and `rate`."""
        votes = self.context.votes if self.sources == "votes" else None
        self.evidence = weigh_labels(
            vectors,
            given,
            None if votes is None else votes.cpu().numpy(),
            class_prior=class_shares(self.class_prior, self.context.classes),
            seed=self.context.seed,
        )
        if self.evidence.reason:
            return given
        logger.info(f"{type(self).__name__}: what was compared\n{self.evidence.table()}")
        found, trusted = self.evidence.truth.copy(), self._trusted()
        if trusted is not None:
            found[trusted] = given[trusted]
        taught = self._unless_collapsed(found, given, otherwise=given, which="The given labels are")
        estimate = estimate_rate(self.evidence)
        self.rate.fill_(estimate.rate)
        self.bounds.copy_(torch.tensor([estimate.low, estimate.high]))
        return taught

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
        found, kept = keep_rare_classes(found, given)
        if kept is not None:
            logger.warning(f"{type(self).__name__}: {kept}.")
        problem = collapse(np.bincount(found.argmax(1), minlength=self.context.classes), given.sum(0))
        if problem is not None:
            message = problem.replace("pseudo-labels", "inferred classes")
            logger.warning(f"{type(self).__name__}: {message}. {which} taught instead.")
            found = otherwise
        trusted = self._trusted()
        judged = given.sum(1) > 0 if trusted is None else (given.sum(1) > 0) & ~trusted
        self.rate.fill_(doubt(torch.from_numpy(given[judged]), torch.from_numpy(found[judged])))
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
        return _is_pretrained(self.context.model)

    def _encoded(self) -> np.ndarray:
        assert self.context.encode is not None  # set by the trainer
        return self.context.encode().cpu().numpy()

    def _words(self) -> np.ndarray:
        return word_vectors(type(self).__name__, self.context.dataset, self.context.seed, self.context.tokenizer)

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
        if bool(self.rate.isnan()):
            return {}
        low, high = self.bounds
        interval = {} if bool(low.isnan()) else {"noise_rate_low": low, "noise_rate_high": high}
        return {"estimated_noise_rate": self.rate, **interval}

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
            "bounds": self.bounds,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.truth.load(state["truth"])
        self.predicted.load(state["predicted"])
        self.inferred.copy_(state["inferred"])
        self.refined.copy_(state["refined"])
        self.rate.copy_(state["rate"])
        self.bounds.copy_(state["bounds"])


def _is_pretrained(model: Any) -> bool:
    """Returns whether `from_pretrained` loaded the model; True if the configuration does not tell."""
    return model is None or getattr(config_of(model), "_name_or_path", None) != ""
