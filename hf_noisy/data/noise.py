"""Injects known label noise into clean labels, so that an experiment can measure how a method handles it.

In this module K is the number of classes. `labels` are (rows,) class ids; -1 and -100 abstain and are not changed. The
same arguments and seed give the same labels, regardless of earlier random draws. No argument is modified.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.common.checks import check_fraction
from hf_noisy.data.distributions import check_distributions, check_table

_ABSTAINED = (-1, -100)
# added to the seed: a caller may draw the clean labels with the same seed, and the flips must be independent of them
_SEED_SALT = 0x6E6F697365
_FLIP_RATE_DEVIATION = 0.1  # the standard deviation of an example's flip rate, Xia et al., Algorithm 2


@dataclass(frozen=True, eq=False)  # == of arrays is ambiguous
class NoisyLabels:
    """The label of each example after the noise, and the noise that was actually injected."""

    labels: np.ndarray  # (rows,) int64
    transition: np.ndarray  # (classes, classes) float64; [i, j] is the share of rows of class i that became j
    changed: np.ndarray  # (rows,) bool, True where the label is now wrong

    @property
    def rate(self) -> float:
        """The share of labelled rows whose label was changed; 0 if no row has a label."""
        labelled = np.count_nonzero(self.labels >= 0)
        return float(self.changed.sum() / labelled) if labelled else 0.0


def symmetric(
    labels: ArrayLike, rate: float, num_classes: int, *, seed: int = 0, may_return_true: bool = False
) -> NoisyLabels:
    """Gives each example, with probability `rate`, a class drawn uniformly.

    Papers define a symmetric rate in two ways, so a table should say which one it uses. By default the class is drawn
    from the K - 1 other classes, and `rate` of the labels become wrong (Han et al., "Co-teaching", NeurIPS 2018). With
    `may_return_true` it is drawn from all K classes, the true one included. Then only rate * (K - 1) / K of the labels
    become wrong (Zhang et al., ICLR 2017; Li et al., "DivideMix", ICLR 2020): with two classes and 0.5, a quarter.

    Args:
        labels: (rows,) class ids; -1 or -100 abstains.
        rate: in [0, 1), the share of labels that are drawn again.
        num_classes: K, at least 2.
        seed: the same seed gives the same flips.
        may_return_true: whether the true class may be drawn.

    Raises:
        ValueError, TypeError: an argument is outside its domain; the error names the row if there is one.

    This is the easiest noise. As long as a class has fewer wrong labels than correct ones, the wrong labels have no
    pattern to learn. Report `pair` or `instance_dependent` noise as well.

    >>> noisy = symmetric([0, 1, 2, 0, 1, 2, -1, 0], 0.5, 3)
    >>> noisy.labels
    array([ 0,  2,  1,  1,  1,  0, -1,  2])
    >>> round(noisy.rate, 3)
    0.714
    """
    classes = checked_classes(num_classes)
    other = check_fraction("rate", rate, "[0, 1)") / (classes if may_return_true else classes - 1)
    transition = np.full((classes, classes), other)
    np.fill_diagonal(transition, 1 - other * (classes - 1))
    return _by_class(labels, transition, seed)


def pair(labels: ArrayLike, rate: float, num_classes: int, *, seed: int = 0) -> NoisyLabels:
    """Gives each example of class k, with probability `rate`, the class k + 1 (the last class becomes 0).

    Source: "pair flipping" of Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy
    Labels", NeurIPS 2018.

    Args:
        labels: (rows,) class ids; -1 or -100 abstains.
        rate: in [0, 1), the share of labels that become wrong. Above 0.5 most examples of every class have the same
            wrong label, and no method can find the true class without clean data.
        num_classes: K, at least 2. With two classes this is `symmetric`.
        seed: the same seed gives the same flips.

    Raises:
        ValueError, TypeError: an argument is outside its domain; the error names the row if there is one.

    It is harder than `symmetric` at the same rate, since all wrong labels of a class are the same.

    >>> pair([0, 1, 2, 0, 1, 2, -1, 0], 0.4, 3).labels
    array([ 0,  2,  0,  0,  1,  0, -1,  1])
    """
    classes, rate = checked_classes(num_classes), check_fraction("rate", rate, "[0, 1)")
    identity = np.eye(classes)
    return _by_class(labels, (1 - rate) * identity + rate * np.roll(identity, 1, axis=1), seed)


def asymmetric(labels: ArrayLike, transition: ArrayLike, *, seed: int = 0) -> NoisyLabels:
    """Gives each example of class i the class j with probability `transition[i, j]`.

    Source: class-conditional noise as in Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss
    Correction Approach", CVPR 2017.

    Args:
        labels: (rows,) class ids; -1 or -100 abstains.
        transition: (K, K) probabilities; every row sums to 1 within 1e-6.
        seed: the same seed gives the same flips.

    Raises:
        ValueError, TypeError: `transition` is not such a matrix, or has no row for a label.

    Use it if you know which classes are confused: a confusion matrix of annotators gives realistic noise.

    >>> asymmetric([0, 0, 0, 0, 1, 1, 1, 1], [[0.5, 0.5], [0, 1]]).transition
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    return _by_class(labels, checked_transition(transition), seed)


def to_commonest(
    labels: ArrayLike, rate: float, num_classes: int, *, seed: int = 0, commonest: int | None = None
) -> NoisyLabels:
    """Gives each example of another class, with probability `rate`, the commonest class.

    Args:
        labels: (rows,) class ids; -1 or -100 abstains.
        rate: in [0, 1), the share of labels of the other classes that become wrong. Labels of the commonest class stay,
            so the share of all labels is smaller: `NoisyLabels.rate`.
        num_classes: K, at least 2.
        seed: the same seed gives the same flips.
        commonest: the class that replaces others. None is the commonest class of `labels`, the first of equals.

    Raises:
        ValueError, TypeError: an argument is outside its domain; the error names the row if there is one.

    Use it to test a method on labels of annotators or rules that fall back on one class.

    >>> to_commonest([0, 1, 1, 1, 2, 2, -1, 0], 0.5, 3).labels
    array([ 0,  1,  1,  1,  1,  1, -1,  1])
    """
    classes, rate = checked_classes(num_classes), check_fraction("rate", rate, "[0, 1)")
    clean = _checked_labels(labels, classes)
    if commonest is None:
        commonest = int(np.bincount(clean[clean >= 0], minlength=classes).argmax())
    transition = (1 - rate) * np.eye(classes) + rate * np.eye(classes)[[commonest] * classes]
    return _by_class(clean, transition, seed)


def instance_dependent(
    labels: ArrayLike, rate: float, features: ArrayLike, num_classes: int, *, seed: int = 0
) -> NoisyLabels:
    """Gives each example, with a flip rate of its own, a wrong class drawn according to its features.

    Source: Xia et al., "Part-dependent Label Noise: Towards Instance-dependent Label Noise", NeurIPS 2020, Algorithm 2.
    Example i flips with probability q_i ~ N(rate, 0.1^2) truncated to [0, 1]. The wrong class is drawn from
    softmax(x_i W_y) without the true class y. W_y (dim, K) is standard normal, one for each true class, and depends
    only on the seed, dim and K.

    Args:
        labels: (rows,) class ids; -1 or -100 abstains.
        rate: in [0, 1), the mean of the normal. 0 changes nothing. Any other rate below 0.2 gives more wrong labels
            than it states, since the normal is truncated at 0: a rate of 0.1 gives 0.13. A rate above 0.8 gives fewer.
            Report `NoisyLabels.rate`.
        features: (rows, dim) finite numbers, such as sentence embeddings. They are standardised here, column by column.
        num_classes: K, at least 2. With two classes the wrong class is the other one, and the features have no effect.
        seed: the same seed gives the same flips.

    Raises:
        ValueError, TypeError: an argument is outside its domain; the error names the row if there is one.

    Use it to test a method on wrong labels that a model can learn from the text. `weak_model` puts wrong labels on hard
    examples.

    >>> instance_dependent([0, 1, 2, 0], 0.5, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]], 3).labels
    array([0, 2, 2, 0])
    """
    classes, rate = checked_classes(num_classes), check_fraction("rate", rate, "[0, 1)")
    clean = _checked_labels(labels, classes)
    table = check_table("features", features)
    _check_rows("features", table, len(clean))
    table = _standardized(table)
    for_classes, for_rows = _generator(seed).spawn(2)
    flip_rates = _flip_rates(for_rows, rate, len(clean))
    uniform, noisy = for_rows.random(len(clean)), clean.copy()
    for true_class in range(classes):
        projection = for_classes.standard_normal((table.shape[1], classes))
        rows = np.flatnonzero(clean == true_class)
        probabilities = _flip_probabilities(table[rows] @ projection, true_class, flip_rates[rows])
        noisy[rows] = _drawn(probabilities, uniform[rows])
    return _result(clean, noisy, classes)


def weak_model(labels: ArrayLike, rate: float, probabilities: ArrayLike, *, seed: int = 0) -> NoisyLabels:
    """Gives examples the most probable wrong class of a weak model, where the probability of that class is highest.

    Source: Chen et al., "Beyond Class-Conditional Assumption: A Primary Attempt to Combat Instance-Dependent Label
    Noise", AAAI 2021. In the paper a network predicts the probabilities of its training examples, averaged over epochs.

    Args:
        labels: (rows,) class ids; -1 or -100 abstains.
        rate: in [0, 1); exactly round(rate * labelled rows) labels become wrong.
        probabilities: (rows, K) of the weak model; every row sums to 1 within 0.001, which half precision meets.
        seed: breaks ties among rows and among classes at random. Without ties it has no effect.

    Raises:
        ValueError, TypeError: an argument is outside its domain; the error names the row if there is one.

    Use it to test a method on wrong labels that look like correct labels of hard examples. Low-loss selection and
    robust losses separate the two by the loss. Use probabilities of a model other than the model under test, or the
    noise is tailored to that model.

    >>> weak_model([0, 0, 1, 1], 0.5, [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.0, 1.0]]).labels
    array([0, 1, 0, 1])
    """
    rate = check_fraction("rate", rate, "[0, 1)")
    table = check_table("probabilities", probabilities)
    classes = checked_classes(table.shape[1], "columns of probabilities")
    clean = _checked_labels(labels, classes)
    _check_rows("probabilities", table, len(clean))
    check_distributions("probabilities", table, tolerance=1e-3)
    labelled, generator = np.flatnonzero(clean >= 0), _generator(seed)
    wrong = table[labelled]
    wrong[np.arange(len(labelled)), clean[labelled]] = -1
    highest = wrong.max(-1)
    hardest = np.lexsort((generator.random(len(labelled)), -highest))[: round(rate * len(labelled))]
    most_probable = (wrong[hardest] == highest[hardest, None]).astype(float)
    noisy = clean.copy()
    noisy[labelled[hardest]] = _drawn(most_probable, generator.random(len(hardest)))
    return _result(clean, noisy, classes)


def _by_class(labels: ArrayLike, transition: np.ndarray, seed: int) -> NoisyLabels:
    """Draw each noisy label from the row of `transition` of its class."""
    clean = _checked_labels(labels, len(transition))
    uniform, noisy = _generator(seed).random(len(clean)), clean.copy()
    for true_class, probabilities in enumerate(transition):
        rows = np.flatnonzero(clean == true_class)
        noisy[rows] = _drawn(probabilities, uniform[rows])
    return _result(clean, noisy, len(transition))


def _drawn(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw (rows,) classes from (..., classes) proportions and (rows,) numbers in [0, 1), never one of proportion 0."""
    cumulated = probabilities.cumsum(-1)
    return (uniform[:, None] >= cumulated / cumulated[..., -1:]).sum(-1)


def _result(clean: np.ndarray, noisy: np.ndarray, classes: int) -> NoisyLabels:
    """Return the noisy labels with their counted transition. A class without rows gets a row of the identity."""
    labelled = clean >= 0
    pairs = clean[labelled] * classes + noisy[labelled]
    counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(float)
    totals = counts.sum(-1, keepdims=True)
    transition = np.where(totals > 0, counts / np.maximum(totals, 1), np.eye(classes))
    return NoisyLabels(noisy, transition, clean != noisy)


def _flip_rates(generator: np.random.Generator, rate: float, rows: int) -> np.ndarray:
    """Draw (rows,) rates from the normal around `rate`, truncated to [0, 1]; all are 0 if `rate` is 0."""
    if rate == 0:
        return np.zeros(rows)
    rates = generator.normal(rate, _FLIP_RATE_DEVIATION, rows)
    while (outside := (rates < 0) | (rates > 1)).any():
        rates[outside] = generator.normal(rate, _FLIP_RATE_DEVIATION, np.count_nonzero(outside))
    return rates


def _flip_probabilities(scores: np.ndarray, true_class: int, flip_rates: np.ndarray) -> np.ndarray:
    """Convert (rows, classes) scores to probabilities: 1 - q for the true class, q split by softmax for the others."""
    scores = np.where(np.arange(scores.shape[-1]) == true_class, -np.inf, scores)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    probabilities = flip_rates[:, None] * shares / shares.sum(-1, keepdims=True)
    probabilities[:, true_class] = 1 - flip_rates
    return probabilities


def _standardized(features: np.ndarray) -> np.ndarray:
    """Scale columns to mean 0 and standard deviation 1. A constant column becomes 0, even if rounding makes it vary."""
    if len(features) == 0:
        return features
    varies = np.ptp(features, axis=0) > 0
    return (features - features.mean(0)) * varies / np.where(varies, features.std(0), 1)


def _generator(seed: int) -> np.random.Generator:
    """Return a generator of this seed. None is refused: it would give other labels in every process and run."""
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"seed={seed!r}: expected an integer, got {type(seed).__name__}. Did you mean seed=0?")
    if seed < 0:
        raise ValueError(f"seed={seed}: expected an integer of at least 0. Did you mean seed={-seed}?")
    return np.random.default_rng((int(seed), _SEED_SALT))


def checked_classes(num_classes: int, name: str = "num_classes") -> int:
    if isinstance(num_classes, bool) or not isinstance(num_classes, Integral):
        raise TypeError(f"{name}={num_classes!r}: expected an integer of at least 2, got {type(num_classes).__name__}.")
    if num_classes < 2:
        raise ValueError(f"{name}={num_classes}: expected at least 2. A label can be wrong only if there is another.")
    return int(num_classes)


def _checked_labels(labels: ArrayLike, classes: int) -> np.ndarray:
    """Return (rows,) int64 labels, each a class or an abstention. Raise an error that names the first bad row."""
    try:
        found = np.asarray(labels)
    except ValueError as error:
        raise ValueError(f"labels: expected (rows,) class ids, got {labels!r}. Give one class id a row.") from error
    if found.ndim != 1:
        raise ValueError(f"labels of shape {found.shape}: expected (rows,) class ids. Take argmax(-1) of soft labels.")
    if len(found) and found.dtype.kind not in "iu":
        raise TypeError(f"labels of type {found.dtype}: expected integers. Convert them to class ids first.")
    bad = np.flatnonzero((found >= classes) | ((found < 0) & ~np.isin(found, _ABSTAINED)))
    if len(bad):
        raise ValueError(
            f"labels[{bad[0]}]={found[bad[0]]}: expected a class in [0, {classes}), or -1 or -100 where the row has no "
            "label. Mend the label, or give the noise as many classes as the data has."
        )
    return found.astype(np.int64)


def _check_rows(name: str, table: np.ndarray, rows: int) -> None:
    """Raise unless `table` has one row for each label."""
    if len(table) != rows:
        raise ValueError(f"{name} has {len(table)} rows: expected {rows}, one for each label, abstained ones included.")


def checked_transition(transition: ArrayLike) -> np.ndarray:
    found = check_table("transition", transition)
    if len(found) != found.shape[1]:
        raise ValueError(f"transition of shape {found.shape}: expected (classes, classes), a row for each true class.")
    checked_classes(len(found), "rows of transition")
    check_distributions("transition", found, tolerance=1e-6)
    return found
