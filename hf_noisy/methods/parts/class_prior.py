"""Checks how common the classes are, where a user knows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.common.checks import check_choice
from hf_noisy.data.distributions import check_distributions, check_table


def check_class_prior(class_prior: str | ArrayLike | None) -> str | np.ndarray | None:
    """Returns "balanced", (classes,) shares, or None.

    >>> check_class_prior([0.5, 0.4])
    Traceback (most recent call last):
    ValueError: class_prior[0] sums to 0.9: expected 1. Divide each row by its sum.
    """
    if class_prior is None:
        return None
    if isinstance(class_prior, str):
        check_choice("class_prior", class_prior, ("balanced",))
        return class_prior
    shares = check_table("class_prior", np.atleast_2d(class_prior))
    check_distributions("class_prior", shares, 1e-3)
    if (shares == 0).any():
        raise ValueError(f"class_prior[{int(shares[0].argmin())}]=0: expected shares above 0. Leave the class out.")
    return shares[0] / shares.sum()


def class_shares(class_prior: str | np.ndarray | None, classes: int) -> np.ndarray | None:
    """Returns (classes,) shares, or None if they are not known.

    Raises:
        ValueError: another number of shares than classes.

    >>> class_shares("balanced", 4)
    array([0.25, 0.25, 0.25, 0.25])
    """
    if class_prior is None:
        return None
    if isinstance(class_prior, str):
        return np.full(classes, 1 / classes)
    if len(class_prior) != classes:
        raise ValueError(f"class_prior has {len(class_prior)} shares: expected {classes}, one for each class.")
    return class_prior
