"""What to train with on labels of a kind."""

from __future__ import annotations

from typing import Any

from hf_noisy.audit.content import Recommendation
from hf_noisy.evidence.choice import choose_method


def recommend(kind: str, **seen: Any) -> Recommendation:
    """The method to train with: what `auto` would choose (`hf_noisy.evidence.choice.choose_method`), and what else to try.

    Args:
        kind: one of `hf_noisy.audit.KINDS`.
        seen: of `choose_method`.
    """
    method, parameters, reason = choose_method(**seen)
    reason = reason[0].upper() + reason[1:]
    if method != "ce" and kind == "symmetric":
        reason += " Wrong labels look drawn at random: compare with sce, a loss that costs no time."
    return Recommendation(method, reason, parameters)
