"""A model of label noise that is fitted to labels: its kind, its transition matrix and what it says of each row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("none", "random", "commonest", "confusions")  # where wrong labels go; see `fit_label_noise`
RATES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6)  # of `LabelNoise.profile`
_DOMINANT = 1.2  # factor by which a class must be labelled as itself more often than as another


@dataclass(frozen=True)
class LabelNoise:
    """One model of the noise, fitted to labels."""

    kind: str  # one of `KINDS`
    rate: float  # expected share of wrong labels
    matrix: np.ndarray  # (classes, classes) T, P(label | true class)
    clean: np.ndarray  # (rows, classes) p(true class | text), for labelled rows by models that did not see their label
    truth: np.ndarray  # (labelled, classes) p(true class | text, label)
    log_likelihood: float  # of the held-out labels, in nats, summed over rows
    profile: tuple[float, ...] = ()  # of "random": log-likelihood with each share of wrong labels in `RATES`

    @property
    def is_credible(self) -> bool:
        """Whether each class is labelled as itself clearly more often than as any other class."""
        right = self.matrix.diagonal()
        others = (self.matrix - np.diag(right)).max(1)
        return bool((right >= _DOMINANT * others).all())
