"""Tells noise that depends on the class alone, by how well models of it predict held-out labels.

Each model says: the text gives the probability of its true class, p(y | x), and the true class gives the probability of
the label, T[y, label] (forward correction, Patrini et al., "Making Deep Neural Networks Robust to Label Noise", CVPR
2017). p is a linear classifier that is fitted to the labels through T, on other rows than it predicts. The models
differ in where wrong labels go. A model with noise predicts held-out labels better than one without only if the labels
of the surest texts are wrong as often as those of less sure ones: the share that psychometrics calls the lapse rate
(Wichmann and Hill, "The psychometric function", 2001). If labels are right, or wrong by a rule or a person, there is no
such share, and no model with noise wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.common.progress import progress_bar
from hf_noisy.evidence.features.neighbours import NearestRows
from hf_noisy.evidence.inference.noise_fits import FOLDS, NoiseFits
from hf_noisy.evidence.inference.noise_model import KINDS, LabelNoise


@dataclass(frozen=True)
class NoisePrior:
    """Prior log odds of the models of the noise against "random", in nats."""

    none: float = 8.0
    commonest: float = -3.0
    per_class: float = -0.7  # of "confusions", for each class whose confusions it estimates

    def log_odds(self, kind: str, classes: int) -> float:
        """The log odds of one model."""
        return {"none": self.none, "commonest": self.commonest, "confusions": self.per_class * classes}.get(kind, 0.0)


def model_weights(fits: Mapping[str, LabelNoise], prior: NoisePrior | None = None) -> dict[str, float]:
    """Returns the posterior probability of each model, from the likelihood of held-out labels.

    The prior favours labels without noise: a model with noise must predict held-out labels better by eight nats in all
    (eleven for the commonest class, eight and 0.7 for each class for confusions) to be as probable. A model has probability
    0 if some class is not clearly labelled as itself more often than as another.
    """
    prior = NoisePrior() if prior is None else prior
    log = {
        kind: prior.log_odds(kind, len(fit.matrix)) + fit.log_likelihood
        for kind, fit in fits.items()
        if fit.is_credible or kind == "none"
    }
    most = max(log.values())
    weights = {kind: float(np.exp(value - most)) for kind, value in log.items()}
    total = sum(weights.values())
    return {kind: weights.get(kind, 0.0) / total for kind in fits}


def mean_truth(
    fits: Mapping[str, LabelNoise], weights: Mapping[str, float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Averages the models by `weights`, which are those of `model_weights` without others.

    Returns:
        (labelled, classes) probabilities of the true class from text and label, and (rows, classes) from the text alone.
    """
    weights = model_weights(fits) if weights is None else weights
    truth = sum(weights[kind] * fit.truth for kind, fit in fits.items())
    clean = sum(weights[kind] * fit.clean for kind, fit in fits.items())
    return np.asarray(truth), np.asarray(clean)


def fit_label_noise(
    view: np.ndarray,
    near: NearestRows,
    labels: np.ndarray,
    classes: int,
    *,
    kinds: Sequence[str] = KINDS,
    seed: int = 0,
) -> dict[str, LabelNoise]:
    """Fits models of the noise in labels: by name, each with the likelihood of held-out labels.

    - "none": labels are right.
    - "random": a wrong label is any other class, by how often it is given.
    - "commonest": a wrong label is the class that is given most often.
    - "confusions": a wrong label is what the surest texts of its true class are labelled by mistake.

    Args:
        view: (rows, width) text features.
        near: nearest neighbours among the labelled rows, row numbers counted among these.
        labels: (rows,) class ids, -1 for no label.
        classes: number of classes.
        kinds: models to fit besides "none".
        seed: seed of the folds, and of the sample if more than 10,000 rows have a label.

    Raises:
        ValueError: fewer labelled rows than folds, or one class only.
    """
    labelled = np.flatnonzero(labels >= 0)
    given = labels[labelled]
    if len(given) < 2 * FOLDS or len(np.unique(given)) < 2:
        raise ValueError(
            f"{len(given)} labels of {len(np.unique(given))} classes: expected {2 * FOLDS} labels of two classes or more."
        )
    fits = NoiseFits(view, near, labelled, given, classes, seed)
    wanted = [kind for kind in KINDS if kind in kinds and (kind != "confusions" or classes > 2)]
    found = {"none": fits.without_noise()}
    for kind in progress_bar(
        "Comparing models of the noise", [kind for kind in wanted if kind != "none"], unit="model"
    ):
        found[kind] = fits.with_noise(kind)
    return found
