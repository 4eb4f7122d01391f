"""Writes an audit as one HTML file. It needs no server and no network, and runs nothing that the texts contain."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hf_noisy.audit import charts, numbers
from hf_noisy.audit.content import AuditContent
from hf_noisy.audit.heat_map import heat_map
from hf_noisy.audit.rows import reason_kind
from hf_noisy.common.checks import check_whole
from hf_noisy.common.scripts import isolated

WORST = 2000
_TEXT_BUDGET = 16_000_000  # characters of all texts in one report; above it, long texts are cut to a common length
_STYLES = ("base.css", "figures.css", "review.css")
_SCRIPTS = ("formats.js", "store.js", "view.js", "rows.js", "keys.js", "exchange.js", "main.js")


def write_report(content: AuditContent, path: str | Path, worst: int = WORST) -> int:
    """Writes the audit as one HTML file that needs neither a server nor a network.

    The figures cover all labelled rows. The table shows the `worst` most suspect rows and states their number.
    Decisions made in the table are exported as CSV or JSONL, which `apply_decisions` reads.

    Texts, names and patterns are untrusted input. They are escaped in the page and inserted into the table as plain
    text only. The page's Content-Security-Policy allows no request and no script but its own. If the texts of the table
    have more than 16 million characters in total, long texts are cut, and the page states by how much.

    Args:
        content: the audit.
        path: path of the file; an existing file is overwritten.
        worst: maximum number of rows in the table, by falling wrongness.

    Returns:
        Number of rows in the table.

    Raises:
        ValueError: `worst` is not a whole number of at least 1.
    """
    check_whole("worst", worst, of=" of rows")
    chosen = content.worst(worst)
    Path(path).write_text(_render(content, chosen), encoding="utf-8", errors="replace", newline="\n")
    return len(chosen)


def _render(content: AuditContent, chosen: np.ndarray) -> str:
    environment = Environment(
        loader=PackageLoader("hf_noisy.audit"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(share=numbers.share, unit=numbers.unit, isolated=isolated)
    style = "".join(environment.get_template(name).render() for name in _STYLES)
    script = _script()
    return environment.get_template("report.html.j2").render(
        content=content,
        shown=len(chosen),
        suspects=int(content.suspect.sum()),
        suspects_shown=int(content.suspect[chosen].sum()),
        rate=numbers.rate(content.noise.rate, content.noise.low, content.noise.high),
        wrong=numbers.about(content.noise.rate * content.labelled),
        rate_axis=_rate_axis(content),
        bars=charts.class_bars(content),
        matrix=None if content.noise.matrix is None else heat_map(content.noise.matrix, content.class_names),
        losses=None if content.rows.losses is None else charts.histogram(content.rows.losses, content.mixture),
        curves=charts.line_charts(content.curves),
        snippet=_snippet(content),
        generator=f"hf_noisy {version('hf_noisy')}",
        data=Markup(inert_json(_table(content, chosen))),
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )


def inert_json(value: Any) -> str:
    r"""Returns ASCII JSON that cannot open or close anything in HTML, whatever its strings contain.

    >>> inert_json("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def text_limit(lengths: np.ndarray, budget: int) -> int:
    """Returns the maximum text length, in characters, with which all texts together have at most `budget` characters.

    >>> text_limit(np.array([10, 20, 900]), 100), text_limit(np.array([10, 20]), 100)
    (70, 20)
    """
    left = budget
    ordered = np.sort(lengths)
    for place, length in enumerate(ordered):
        even = left // (len(ordered) - place)
        if length > even:
            return int(even)
        left -= int(length)
    return int(ordered[-1])


def _script() -> str:
    folder = files("hf_noisy.audit") / "templates"
    parts = "".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _policy(style: str, script: str) -> str:
    """Returns a Content-Security-Policy: apart from this style and script, nothing may be loaded, sent or run."""
    allowed = {"script-src": script, "style-src": style}
    digests = {
        name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for name, text in allowed.items()
    }
    parts = ["default-src 'none'", "base-uri 'none'", "form-action 'none'"]
    return "; ".join(parts + [f"{name} 'sha256-{digest}'" for name, digest in digests.items()])


def _rate_axis(content: AuditContent) -> Mapping[str, Any]:
    """Returns the noise rate and its interval as positions on an axis from 0, in percent of the axis."""
    step, marks = charts.ticks(0, max(content.noise.high, 0.05))
    scale = 100 / marks[-1]
    return {
        "rate": round(content.noise.rate * scale, 2),
        "low": round(content.noise.low * scale, 2),
        "width": round((content.noise.high - content.noise.low) * scale, 2),
        "ticks": [charts.Tick(round(mark * scale, 2), numbers.tick(100 * mark, 100 * step) + "%") for mark in marks],
    }


def _snippet(content: AuditContent) -> str:
    given = content.recommendation
    lines = ["...,", f"noise_method={given.method!r},"]
    lines += [f"noise_kwargs={dict(given.noise_kwargs)!r},"] if given.noise_kwargs else []
    return "\n    ".join(["NoisyTrainingArguments(", *lines]) + "\n)"


def _table(content: AuditContent, chosen: np.ndarray) -> dict[str, Any]:
    """Returns the data for the page's script: columns of the worst rows, by falling wrongness."""
    rows = content.rows
    lengths = np.array([len(rows.texts[row]) for row in chosen])
    second = None if rows.text_pairs is None else [rows.text_pairs[row] for row in chosen]
    second_lengths = np.array([len(text) for text in second or ()], dtype=np.int64)
    limit = text_limit(np.concatenate([lengths, second_lengths]), _TEXT_BUDGET)
    kinds = {
        kind: k for k, kind in enumerate(dict.fromkeys(reason_kind(r) for row in chosen for r in rows.reasons[row]))
    }
    names = list(rows.votes or {})
    votes = None if rows.votes is None else np.stack([rows.votes[name][chosen] for name in names], 1) if names else None
    return {
        "key": content.key,
        "title": content.title,
        "classes": list(content.class_names),
        "threshold": content.threshold,
        "kinds": list(kinds),
        "sources": names,
        "ids": [rows.ids[row] for row in chosen],
        "texts": [rows.texts[row][:limit] for row in chosen],
        "lengths": lengths.tolist(),
        "pairs": None if second is None else [text[:limit] for text in second],  # second texts
        "pairLengths": second_lengths.tolist(),
        "limit": limit,  # characters per text; longer texts were cut
        "labels": rows.labels[chosen].tolist(),
        "wrongness": _rounded(rows.wrongness[chosen]),
        "suggested": rows.suggested_labels[chosen].tolist(),
        "probability": _rounded(rows.suggested_probabilities[chosen]),
        "reasons": [[[kinds[reason_kind(reason)], reason] for reason in rows.reasons[row]] for row in chosen],
        "losses": None if rows.losses is None else [float(f"{loss:.4g}") for loss in rows.losses[chosen]],
        "votes": None
        if votes is None
        else [[[int(s), int(row[s])] for s in np.flatnonzero(row >= 0)] for row in votes],
    }


def _rounded(values: np.ndarray) -> list[float]:
    return np.round(values, 5).tolist()
