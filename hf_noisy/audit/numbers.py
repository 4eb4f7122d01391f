"""Formats numbers for the report, with a suitable number of digits."""

from __future__ import annotations

import math


def share(value: float, of: int | None = None) -> str:
    """Formats a share in percent, with one decimal from 10,000 rows on; never 0 or 100 unless it is exactly that.

    >>> share(0.2512, 4000), share(0.2512, 40_000), share(0.001, 4000), share(0.9999, 4000), share(0, 9)
    ('25%', '25.1%', '<1%', '>99%', '0%')
    """
    digits = 1 if of is not None and of >= 10_000 else 0
    return _clipped(100 * value, 100, digits) + "%"


def unit(value: float) -> str:
    """Formats a number in [0, 1] with two digits; never 0 or 1 unless it is exactly that.

    >>> unit(0.876), unit(0.9996), unit(1), unit(0.001)
    ('0.88', '>0.99', '1.00', '<0.01')
    """
    return _clipped(value, 1, 2)


def rate(value: float, low: float, high: float) -> tuple[str, str, str]:
    """Formats a rate and its interval in percent, with one decimal if the interval is narrower than two points.

    >>> rate(0.2312, 0.19, 0.274), rate(0.0512, 0.047, 0.056)
    (('23', '19', '27'), ('5.1', '4.7', '5.6'))
    """
    digits = 0 if high - low >= 0.02 else 1
    return f"{100 * value:.{digits}f}", f"{100 * low:.{digits}f}", f"{100 * high:.{digits}f}"


def about(count: float) -> str:
    """Formats an estimated count, rounded to two significant digits.

    >>> about(1243.7), about(87), about(0)
    ('1,200', '87', '0')
    """
    if count < 100:
        return f"{count:.0f}"
    scale = 10 ** (math.floor(math.log10(count)) - 1)
    return f"{round(count / scale) * scale:,}"


def percent_words(value: float) -> str:
    """Formats the probability of a cell as a number out of 100.

    >>> percent_words(0.873), percent_words(0.002), percent_words(0.0)
    ('87', '<1', '0')
    """
    return _clipped(100 * value, 100, 0)


def tick(value: float, step: float) -> str:
    """Formats the number of a tick, with as many decimals as its step has.

    >>> tick(0.30000000000000004, 0.1), tick(2000, 500)
    ('0.3', '2,000')
    """
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{digits}f}"


def _clipped(value: float, most: int, digits: int) -> str:
    smallest = 10.0**-digits
    shown = f"{value:.{digits}f}"
    if value > 0 and float(shown) == 0:
        return f"<{smallest:.{digits}f}"
    if value < most and float(shown) == most:
        return f">{most - smallest:.{digits}f}"
    return shown
