"""What was estimated of the noise: rates, matrices, the kind, and how far to trust them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from hf_noisy.evidence.matrices.estimate import NoiseEstimate
from hf_noisy.evidence.rates.interval import LEVEL, RateEstimate
from hf_noisy.evidence.rates.kinds import RANDOM, Misses
from hf_noisy.evidence.rates.structure import (
    Consistency,
)

BEST = "truth_inference"  # its rate and matrix are used if classes were inferred
CAUTION = MappingProxyType(
    {
        "symmetric": "labels are wrong at random, so estimators can detect them.",
        "class-dependent": "labels are wrong at random given the class, so estimators can detect them.",
        "instance-dependent": (
            "whether a label is wrong depends on the text, or correct labels of hard texts look wrong: the true rate "
            "may be near 0, or above the estimates. Check some labels by hand."
        ),
        "structured by a rule": (
            "labels that are wrong by a rule look correct to most estimators, so the true rate may be far above the "
            "estimates. Read them as lower bounds at best, and check some labels by hand."
        ),
        "undecided": "the kind of noise is unknown, so read the rates with care.",
    }
)


@dataclass(frozen=True)
class NoiseReport:
    """The estimates of the noise rate, the kind of noise, and the evidence for the kind."""

    estimates: dict[str, NoiseEstimate]  # by name
    kind: str  # one of `hf_noisy.evidence.KINDS`
    evidence: list[str]  # sentences
    misses: Misses | None = None  # from the probabilities, if they were given
    consistency: Consistency | None = None  # of the votes, if there are enough of them and probabilities too
    weighed: RateEstimate | None = None  # from labels, votes and texts together; it determines rate and interval

    @property
    def structured(self) -> bool:
        """Whether wrong labels seem to follow a rule. The rates are then lower bounds at best."""
        return self.kind == "structured by a rule"

    @property
    def rate(self) -> float:
        """Share of wrong labels: `weighed` if it was given, else from the inferred classes, else the median estimator.

        NaN if `weighed` says that it cannot be estimated.
        """
        if self.weighed is not None:
            return self.weighed.rate
        if BEST in self.estimates:
            return self.estimates[BEST].rate
        return float(np.median([estimate.rate for estimate in self.estimates.values()]))

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound of the rate: those of `weighed`, which hold in 80 % of cases, if it was given.

        Without it, the interval spans the intervals of all estimators, since they make common errors. The lower bound is not above that of
        the out-of-fold misses (`Misses.interval`). The kind of noise changes the bounds:

        - Random noise: no more labels are wrong than are missed among all rows, so the upper bound is not above that of
          the misses.
        - Instance-dependent noise: all labels may be correct labels of hard texts, so the lower bound is 0.
        - A rule: the estimators find too little, so the lower bound is that of the inferred classes alone, if they are
          given.
        """
        if self.weighed is not None:
            return self.weighed.low, self.weighed.high
        low = min(estimate.low for estimate in self.estimates.values())
        high = max(estimate.high for estimate in self.estimates.values())
        if self.misses is not None:
            least, most = self.misses.interval
            low, high = min(low, least), min(high, most) if self.kind in RANDOM else high
        if self.kind == "instance-dependent":
            low = 0.0
        elif self.structured and BEST in self.estimates:
            low = self.estimates[BEST].low
        return min(low, self.rate), max(high, self.rate)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest rate of the estimators."""
        rates = [estimate.rate for estimate in self.estimates.values()]
        return min(rates), max(rates)

    def to_json(self) -> dict[str, Any]:
        """Returns what `json.dump` can write.

        The keys are rate; low; high; level; reason; kind; evidence; structured; estimators -> name -> rate, low, high, matrix.
        """
        estimators = {
            name: {
                "rate": estimate.rate,
                "low": estimate.low,
                "high": estimate.high,
                "matrix": estimate.matrix.tolist(),
            }
            for name, estimate in self.estimates.items()
        }
        rate, low, high = (None if math.isnan(value) else value for value in (self.rate, *self.interval))
        return {
            "rate": rate,
            "low": low,
            "high": high,
            "level": None if self.weighed is None else LEVEL,
            "reason": "" if self.weighed is None else self.weighed.reason,
            "kind": self.kind,
            "evidence": list(self.evidence),
            "structured": self.structured,
            "estimators": estimators,
        }

    def __str__(self) -> str:
        """Returns a Markdown table of the rates, the rate and its interval, the kind, and how to read it."""
        low, high = self.interval
        lines = ["| estimator | noise rate | 95% interval |", "|---|---|---|"]
        lines += [f"| {name} | {e.rate:.3f} | {e.low:.3f} to {e.high:.3f} |" for name, e in self.estimates.items()]
        if self.weighed is None:
            lines += ["", f"taken for wrong: {self.rate:.3f} ({low:.3f} to {high:.3f})"]
        elif math.isnan(self.rate):
            lines += ["", f"taken for wrong: unknown, since {self.weighed.reason}"]
        else:
            lines += ["", f"taken for wrong: {self.rate:.3f} ({LEVEL:.0%} interval {low:.3f} to {high:.3f})"]
        lines.append(f"kind: {self.kind}: {CAUTION[self.kind]}")
        return "\n".join([*lines, *(f"- {sentence}" for sentence in self.evidence)])
