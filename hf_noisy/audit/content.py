"""What an audit found, in the form in which it is reported and exported: plain arrays and sentences, checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hf_noisy.audit.checks import check_classes, check_known_or_none, check_length, check_share
from hf_noisy.audit.rows import AuditedRows
from hf_noisy.common.checks import check_choice
from hf_noisy.evidence.matrices.matrices import check_matrix
from hf_noisy.evidence.rates.kinds import KINDS

SUSPECT = 0.5  # wrongness from which on a label counts as suspect


@dataclass(frozen=True, eq=False)
class Noise:
    """How many labels are wrong, and in what way."""

    rate: float  # share of the labelled rows
    low: float  # 95 % interval of the rate
    high: float
    kind: str  # one of `KINDS`
    evidence: Sequence[str] = ()  # sentences, for the kind and against it
    matrix: np.ndarray | None = None  # (classes, classes), row i = P(given label = j | true class = i)

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.rate <= self.high <= 1:
            raise ValueError(
                f"rate={self.rate}, low={self.low}, high={self.high}: expected 0 <= low <= rate <= high <= 1."
            )
        check_choice("kind", self.kind, KINDS)
        if self.matrix is not None:
            object.__setattr__(self, "matrix", check_matrix(self.matrix))


@dataclass(frozen=True)
class Pattern:
    """A word or phrase of the text in whose presence a source errs."""

    text: str
    votes: int  # of the source, on rows with this pattern
    error_rate: float  # estimated share of these votes that is wrong

    def __post_init__(self) -> None:
        check_share("error_rate", self.error_rate)


@dataclass(frozen=True)
class Source:
    """One source of votes."""

    name: str
    coverage: float  # share of all rows on which it votes
    conflicts: float  # share of its votes that another source contradicts
    accuracy: float | None = None  # estimated, of its votes; None where nothing tells
    patterns: Sequence[Pattern] = ()  # the worst first

    def __post_init__(self) -> None:
        check_share("coverage", self.coverage)
        check_share("conflicts", self.conflicts)
        if self.accuracy is not None:
            check_share("accuracy", self.accuracy)


@dataclass(frozen=True)
class LossMixture:
    """Two normal components of `AuditedRows.losses`: the first is of labels that are taken for right."""

    means: tuple[float, float]  # ascending
    deviations: tuple[float, float]  # > 0
    shares: tuple[float, float]  # of the rows; they sum to 1

    def __post_init__(self) -> None:
        if self.means[0] > self.means[1] or min(self.deviations) <= 0 or abs(sum(self.shares) - 1) > 1e-3:
            raise ValueError(
                f"means={self.means}, deviations={self.deviations}, shares={self.shares}: expected ascending means, "
                "positive deviations and shares that sum to 1."
            )


@dataclass(frozen=True)
class Curve:
    """One line over the epochs of the training; the second of an axis has the color of what is wrong."""

    name: str
    values: Sequence[float]  # one an epoch, from epoch 1 on; NaN leaves a gap
    axis: str  # what the values are, with their unit; curves of one axis share a chart


@dataclass(frozen=True)
class Recommendation:
    """The method to train with on these labels."""

    method: str  # as `noise_method` takes it
    reason: str
    noise_kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reproduction:
    """How to make the same report again."""

    command: str
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)  # package -> version


@dataclass(frozen=True, eq=False)
class AuditContent:
    """All that `write_report` shows and the exports write.

    Raises:
        ValueError: fewer than two class names or one twice, labels, suggestions or votes outside them, a matrix of
            another number of classes, a threshold outside (0, 1], a mixture without losses.
    """

    title: str  # what was audited
    class_names: Sequence[str]  # (classes,), in the order of the class ids
    rows: AuditedRows
    abstained: int  # rows without a label, which are not in `rows`
    noise: Noise
    recommendation: Recommendation
    reproduction: Reproduction
    sources: Sequence[Source] | None = None  # None where no votes are known
    mixture: LossMixture | None = None
    loss_name: str = "loss"  # what `rows.losses` are, for the axis
    curves: Sequence[Curve] = ()
    basis: Sequence[str] = ()  # sentences: what the wrongness was computed from, and what it cost
    threshold: float = SUSPECT  # wrongness from which on a label counts as suspect
    scorers: Mapping[str, float] = field(default_factory=dict)  # name -> weight; the wrongness is their mean rank
    # scorer -> (rows,), larger is more suspect, each on a scale of its own
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        classes = len(self.class_names)
        if classes < 2 or len(set(self.class_names)) != classes:
            raise ValueError(f"class_names={list(self.class_names)}: expected two names or more, each once.")
        check_classes("labels", self.rows.labels, classes)
        check_classes("suggested_labels", self.rows.suggested_labels, classes)
        for name, votes in (self.rows.votes or {}).items():
            check_classes(f"votes[{name!r}]", votes, classes, least=-1)
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold}: expected a wrongness in (0, 1].")
        for name, scores in self.scores.items():
            check_length(f"scores[{name!r}]", scores, len(self.rows))
        check_known_or_none("noise.matrix", self.noise.matrix, classes)
        if self.mixture is not None and self.rows.losses is None:
            raise ValueError("mixture without rows.losses: expected the losses that it was fitted to.")

    @property
    def labelled(self) -> int:
        """How many rows have a label."""
        return len(self.rows)

    @property
    def suspect(self) -> np.ndarray:
        """(rows,) True where the label is suspect."""
        return self.rows.wrongness >= self.threshold

    def worst(self, count: int | None = None) -> np.ndarray:
        """(count,) row numbers by falling wrongness, ties in the order of the rows; all of them where count is None."""
        return np.argsort(-self.rows.wrongness, kind="stable")[:count]

    @property
    def key(self) -> str:
        """16 hexadecimal digits that tell this report's decisions from another's: of title, classes, ids and labels."""
        about = [self.title, list(self.class_names), list(self.rows.ids), self.rows.labels.tolist()]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
