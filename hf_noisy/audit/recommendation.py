"""Recommends a training method for audited labels."""

from __future__ import annotations

from typing import Any

from hf_noisy.audit.content import Recommendation
from hf_noisy.evidence.choice import choose_method


def recommend(kind: str, **statistics: Any) -> Recommendation:
    """Returns the method that `auto` would choose (`hf_noisy.evidence.choice.choose_method`), with the reason.

    For symmetric noise, the reason also says what to compare with.

    Args:
        kind: the kind of noise, one of `hf_noisy.audit.KINDS`.
        statistics: keyword arguments of `choose_method`.
    """
    method, parameters, reason = choose_method(**statistics)
    reason = reason[0].upper() + reason[1:]
    if method != "ce" and kind == "symmetric":
        reason += " Wrong labels look drawn at random: in a short training of a pretrained encoder compare with ce."
    return Recommendation(method, reason, parameters)
