"""A small audit, made up, for the tests of what is done with one."""

from __future__ import annotations

import numpy as np

from hf_noisy.audit import (
    AuditContent,
    AuditedRows,
    Curve,
    LossMixture,
    Noise,
    Pattern,
    Recommendation,
    Reproduction,
    Source,
)

CLASSES = ("ham", "spam", "unsure")
SCRIPT = "<script>window.ran = 1; alert(1)</script>"
HOSTILE = (
    SCRIPT,
    "</script><img src=http://127.0.0.1:9/x onerror='window.ran = 1'>",
    "<!-- <script>",
    "]]>&lt;b&gt; &amp; \u2028\u2029 \x00\x1b",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "x;=cmd|' /C calc'!A0",
    "שלום \u202eabc\u202c עולם",
    "👩‍👩‍👧‍👦 é 🏳️‍🌈",
    "{{ 7 * 7 }} ${1} {% raw %}",
    "half a character \ud83d",
)


def make_rows(rows: int = 120, texts: tuple[str, ...] = (), **changes) -> AuditedRows:
    """`rows` rows of three classes whose wrongness falls with the row number; `texts` are the first of them."""
    numbers = np.arange(rows)
    labels = numbers % 3
    votes = {"looks_for_links": np.where(numbers % 2, labels, -1), "<b>shouts</b>": (labels + 1) % 3}
    given = {
        "ids": [f"r{k}" for k in range(rows)],
        "texts": [*texts, *(f"message number {k}, {'please subscribe' if k % 5 == 0 else 'hello'}" for k in numbers)][
            :rows
        ],
        "labels": labels,
        "wrongness": np.linspace(0.999, 0.001, rows),
        "suggested_labels": (labels + (numbers % 10 != 9)) % 3,  # of each tenth row the given label
        "suggested_probabilities": 0.5 + 0.4 * (numbers % 7) / 7,
        "reasons": [
            ["never learned"] * (k % 2 == 0) + [f"neighbours say otherwise: {k % 9} of 10"] * (k % 3 == 0)
            for k in range(rows)
        ],
        "votes": votes,
        "losses": np.linspace(4, 0.01, rows),
    }
    return AuditedRows(**{**given, **changes})


def make_content(count: int = 120, texts: tuple[str, ...] = (), **changes) -> AuditContent:
    """All parts of an audit; `changes` replace fields of it."""
    given = {
        "title": "messages",
        "class_names": CLASSES,
        "rows": changes["rows"] if "rows" in changes else make_rows(count, texts),
        "abstained": 7,
        "noise": Noise(
            0.231,
            0.19,
            0.27,
            "class-dependent",
            ["Of 100 ham, 20 are labelled spam."],
            np.array([[0.8, 0.2, 0.0], [0.05, 0.9, 0.05], [0.4, 0.1, 0.5]]),
        ),
        "recommendation": Recommendation("gce", "It doubts labels that it cannot learn.", {"q": 0.7}),
        "reproduction": Reproduction("python recipes/audit.py --data messages", 3, {"hf_noisy": "0.1.0"}),
        "sources": [
            Source("looks_for_links", 0.5, 0.25, 0.9, [Pattern("see http", 40, 0.6)]),
            Source("<b>shouts</b>", 1.0, 0.3, None),
        ],
        "mixture": LossMixture((0.5, 3.0), (0.3, 0.5), (0.7, 0.3)),
        "curves": [
            Curve("other", [1.0, 0.5, 0.2], "mean loss, in nats"),
            Curve("suspect", [2.0, float("nan"), 1.5], "mean loss, in nats"),
        ],
        "basis": ["One training of 3 epochs."],
    }
    return AuditContent(**{**given, **changes})
