"""The results of an audit as they are reported and exported: validated arrays and sentences."""

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

SUSPECT = 0.5  # minimum wrongness of a suspect label


@dataclass(frozen=True, eq=False)
class Noise:
    """The estimated share of wrong labels, and the kind of noise."""

    rate: float  # share of labelled rows whose label is wrong
    low: float  # interval of the rate, 80 % in `audit_labels`
    high: float
    kind: str  # one of `KINDS`
    evidence: Sequence[str] = ()  # sentences for and against the kind
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
    """A word or phrase with which a source errs more often than elsewhere."""

    text: str
    votes: int  # votes of the source on rows with this pattern
    error_rate: float  # estimated share of wrong votes among them
    place: str = ""  # "first text" or "second text" if a row has two, and the pattern is looked for in one of them

    def __post_init__(self) -> None:
        check_share("error_rate", self.error_rate)


@dataclass(frozen=True)
class Source:
    """One source of votes (labeling function)."""

    name: str
    coverage: float  # share of all rows on which the source votes
    conflicts: float  # share of its votes that contradict another source
    accuracy: float | None = None  # estimated share of correct votes; None if it cannot be estimated
    patterns: Sequence[Pattern] = ()  # worst first

    def __post_init__(self) -> None:
        check_share("coverage", self.coverage)
        check_share("conflicts", self.conflicts)
        if self.accuracy is not None:
            check_share("accuracy", self.accuracy)


@dataclass(frozen=True)
class LossMixture:
    """Two normal components fitted to `AuditedRows.losses`. The first one describes the labels taken as correct."""

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
    """One quantity over the epochs of a training. The second curve of an axis is drawn in the color of wrong labels."""

    name: str
    values: Sequence[float]  # one per epoch, starting with epoch 1; NaN leaves a gap
    axis: str  # name and unit of the values; curves with the same axis share a chart


@dataclass(frozen=True)
class Recommendation:
    """The recommended method for training on these labels."""

    method: str  # a value of `noise_method`
    reason: str
    noise_kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reproduction:
    """How to reproduce the report."""

    command: str
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)  # package -> version


@dataclass(frozen=True, eq=False)
class AuditContent:
    """Everything that `write_report` shows and the exports write.

    Raises:
        ValueError: fewer than two class names, a repeated class name, labels, suggestions or votes that are not class
            ids, scores of another length, a matrix of another size, a threshold outside (0, 1], or a mixture without
            losses.
    """

    title: str  # name of the audited labels
    class_names: Sequence[str]  # (classes,), ordered by class id
    rows: AuditedRows
    abstained: int  # number of rows without a label; `rows` excludes them
    noise: Noise
    recommendation: Recommendation
    reproduction: Reproduction
    sources: Sequence[Source] | None = None  # None if there are no votes
    mixture: LossMixture | None = None
    loss_name: str = "loss"  # axis label of `rows.losses`
    curves: Sequence[Curve] = ()
    table_notes: Sequence[str] = ()  # sentences: what was decided when the table was read, and its repeated texts
    basis: Sequence[str] = ()  # sentences: how the wrongness was computed, and at what cost
    threshold: float = SUSPECT  # minimum wrongness of a suspect label
    scorers: Mapping[str, float] = field(default_factory=dict)  # name -> weight in the mean rank (the wrongness)
    # scorer -> (rows,); larger is more suspect; scales differ between scorers
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
        """Number of rows with a label."""
        return len(self.rows)

    @property
    def suspect(self) -> np.ndarray:
        """(rows,) bool. True where the label is suspect."""
        return self.rows.wrongness >= self.threshold

    def worst(self, count: int | None = None) -> np.ndarray:
        """Returns (count,) row numbers by falling wrongness, ties in row order; with count=None, all row numbers."""
        return np.argsort(-self.rows.wrongness, kind="stable")[:count]

    @property
    def key(self) -> str:
        """Hash of title, classes, ids and labels, 16 hex digits. It keeps the decisions of different reports apart."""
        about = [self.title, list(self.class_names), list(self.rows.ids), self.rows.labels.tolist()]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
