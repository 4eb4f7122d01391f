"""Checks of parameters. Each error gives the value, what was expected, and the fix."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Real


def check_fraction(name: str, value: float, domain: str) -> float:
    """Return `value` if it is a number in `domain`, else raise. `domain` is an interval in [0, 1], such as "(0, 1]".

    >>> check_fraction("k", 0.5, "[0, 1)")
    0.5
    >>> check_fraction("noise_rate", 40, "[0, 1)")
    Traceback (most recent call last):
    ValueError: noise_rate=40: expected a number in [0, 1). Did you mean 0.4?
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r}: expected a number in {domain}, got {type(value).__name__}.")
    above = value >= 0 if domain.startswith("[") else value > 0
    below = value <= 1 if domain.endswith("]") else value < 1
    if above and below and not math.isnan(value):
        return float(value)
    hint = f" Did you mean {value / 100:g}?" if 2 <= value < 100 else ""
    raise ValueError(f"{name}={value!r}: expected a number in {domain}.{hint}")


def check_not_negative(name: str, value: float) -> float:
    """Return `value` if it is a finite number of at least 0, else raise.

    >>> check_not_negative("lam", -1)
    Traceback (most recent call last):
    ValueError: lam=-1: expected a number, 0 or more.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r}: expected a number, 0 or more, got {type(value).__name__}.")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}={value!r}: expected a number, 0 or more.")
    return float(value)


def check_whole(name: str, value: int, least: int = 1, *, of: str = "") -> int:
    """Return `value` if it is a whole number of at least `least`, else raise.

    >>> check_whole("warmup_epochs", 0, of=" of epochs")
    Traceback (most recent call last):
    ValueError: warmup_epochs=0: expected a whole number of epochs, 1 or more.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r}: expected a whole number{of}, {least} or more.")
    return value


def check_flag(name: str, value: bool) -> bool:
    """Return `value` if it is True or False.

    Raises:
        TypeError: `value` is anything else, 0 and 1 included.

    >>> check_flag("balance", True)
    True
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: expected True or False, got {type(value).__name__}.")
    return value


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise unless `value` is one of `choices`.

    >>> check_choice("kind", "sotf", ["soft", "hard"])
    Traceback (most recent call last):
    ValueError: kind='sotf': expected 'soft' or 'hard'. Did you mean 'soft'? Known: soft, hard.
    """
    if value not in choices:
        raise ValueError(
            f"{name}={value!r}: expected {' or '.join(map(repr, choices))}. {nearest(str(value), choices)}"
        )


def check_encodable(what: str, text: str) -> str:
    r"""Return `text` if UTF-8 can encode it, else raise. A lone surrogate (half a character) cannot be encoded.

    >>> check_encodable("row 3: text", "caf\ud800")
    Traceback (most recent call last):
    ValueError: row 3: text holds '\ud800' at position 3, half a character: expected text that UTF-8 can write. Drop ...
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} holds {text[error.start]!r} at position {error.start}, half a character: expected text that UTF-8 can "
            "write. Drop it with text.encode('utf-8', 'ignore').decode()."
        ) from error
    return text


def nearest(name: object, known: Iterable[object]) -> str:
    """Return the end of an error about an unknown name: the nearest known name, then all known names.

    >>> nearest("gcee", ["ce", "gce"])
    "Did you mean 'gce'? Known: ce, gce."
    """
    names = [str(one) for one in known]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return (f"Did you mean {close[0]!r}? " if close else "") + f"Known: {', '.join(names)}."
