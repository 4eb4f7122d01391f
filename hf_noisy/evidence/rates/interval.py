"""The share of wrong labels with an interval, the same in `auto`, `estimate` and `audit`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hf_noisy.evidence.choice import MIN_MOVED
from hf_noisy.evidence.inference.label_evidence import LabelEvidence
from hf_noisy.evidence.inference.noise_model import RATES

LEVEL = 0.8  # of the interval
_GRID = np.linspace(0, RATES[-1], 601)
# what sources are wrong about together, which no model of them sees: lower bound, mean and upper bound of the difference
# between the true share of wrong labels and the expected one; set on eleven corpora, and not yet tested on others
SHARED_MISTAKES = (-0.01, 0.07, 0.18)
# half the width of the interval where wrong labels go to one class, or follow the confusions of texts
_OTHER_KINDS = 0.08
# rows share texts and vectors, so the likelihood counts for less than it says; both set on the same corpora
_TEMPER = 0.5
_MARGIN = 0.02
_ALMOST_NONE = 0.03  # a lower bound below this is 0
# above the rate, where no noise is found: labels alone do not show what is wrong by a rule or a person
UNSEEN = 0.25


@dataclass(frozen=True)
class RateEstimate:
    """The share of wrong labels."""

    rate: float  # NaN if it cannot be estimated
    low: float  # lower bound
    high: float  # upper bound
    reason: str = ""  # why it cannot be estimated

    def __str__(self) -> str:
        """The rate and its interval, in percent.

        >>> str(RateEstimate(0.2, 0.15, 0.26))
        '20.0 % (80 % interval 15.0 to 26.0)'
        """
        if math.isnan(self.rate):
            return f"unknown, since {self.reason}"
        return f"{100 * self.rate:.1f} % ({100 * LEVEL:.0f} % interval {100 * self.low:.1f} to {100 * self.high:.1f})"


def estimate_rate(evidence: LabelEvidence) -> RateEstimate:
    """Estimates the share of wrong labels, with an interval that is made to hold the true share in 80 % of cases.

    Labels alone: the mean and the central 80 % of the posterior distribution of the rate, under a uniform prior on 0 to
    60 %, from the tempered likelihood of held-out labels (`LabelNoise.profile`), with a margin. If texts say little, the
    interval is wide. It covers what is wrong at random, or with a preference for one class. Labels that are wrong by a
    rule or a person are not seen. Where no noise is found, the upper bound is therefore at least a quarter of the labels above the rate: it is
    not known then whether labels are clean.

    Several sources: the expected share of wrong labels by the models of sources and texts, and what sources are wrong
    about together, as measured on other corpora.

    Args:
        evidence: outcome of `hf_noisy.evidence.inference.label_evidence.weigh_labels`.
    """
    if math.isnan(evidence.rate):
        return RateEstimate(math.nan, math.nan, math.nan, evidence.reason)
    if evidence.by == "sources":
        low, middle, high = (float(np.clip(evidence.rate + each, 0, 1)) for each in SHARED_MISTAKES)
        return RateEstimate(middle, low, high)
    log = np.interp(_GRID, RATES, evidence.profile)
    density = np.exp(_TEMPER * (log - log.max()))
    share = np.cumsum(density) / density.sum()
    tail = (1 - LEVEL) / 2
    low, high = (float(_GRID[min(int(np.searchsorted(share, at)), len(_GRID) - 1)]) for at in (tail, 1 - tail))
    rate = float((density * _GRID).sum() / density.sum())
    low, high = low - _MARGIN, high + _MARGIN
    if evidence.weights.get("commonest", 0.0) + evidence.weights.get("confusions", 0.0) > 0.5:
        rate = evidence.rate
        low, high = rate - _OTHER_KINDS, rate + _OTHER_KINDS
    elif evidence.moved < MIN_MOVED:
        low, high = 0.0, max(high, rate + UNSEEN)
    return RateEstimate(rate, 0.0 if low < _ALMOST_NONE else min(low, rate), min(max(high, rate), 1.0))
