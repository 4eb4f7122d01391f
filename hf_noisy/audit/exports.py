"""Exports the scores of an audit in formats that other tools import. Writing them requires none of these tools.

Formats: the JSON that `dataset.records.from_json` of Argilla 2 reads (docs.argilla.io, "Add, update, and delete
records"), and Label Studio's JSON of pre-annotated tasks (labelstud.io/guide/predictions).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from hf_noisy.audit.content import AuditContent

AGENT = "hf_noisy audit"


def score_rows(content: AuditContent) -> Iterator[dict[str, Any]]:
    """Yields one row for each labelled example, in the order of the dataset.

    Yields:
        Dict with id (string), label (class id), wrongness, suggested_label (class id), suggested_probability and
        reasons (list).
    """
    rows = content.rows
    for place, row_id in enumerate(rows.ids):
        yield {
            "id": row_id,
            "label": int(rows.labels[place]),
            "wrongness": float(rows.wrongness[place]),
            "suggested_label": int(rows.suggested_labels[place]),
            "suggested_probability": float(rows.suggested_probabilities[place]),
            "reasons": list(rows.reasons[place]),
        }


def write_scores(content: AuditContent, path: str | Path) -> int:
    """Writes `score_rows` as JSON lines and returns the number of rows."""
    return _write_lines(score_rows(content), path)


def argilla_records(
    content: AuditContent,
    *,
    worst: int | None = None,
    field: str = "text",
    question: str = "label",
    texts: bool = True,
) -> list[dict[str, Any]]:
    """Returns records for Argilla 2, most suspect first.

    Load each record with `rg.Record.from_dict`, or the file of `write_argilla` with `records.from_json`.

    The suggestion is the suggested class, with its probability as score and "hf_noisy audit" as agent. The metadata are
    given_label (terms), wrongness (float), suspect_reasons (terms), and loss (float) if losses are known. The settings
    of the Argilla dataset must define these properties or allow extra metadata.

    Args:
        content: the audit.
        worst: number of rows to export; None exports all.
        field: the text field in the settings of the Argilla dataset. The second text of a row, if rows have two, is in
            another text field, whose name ends in `_pair`: text_pair.
        question: a `LabelQuestion` whose labels are the class names.
        texts: False omits the text field. Use it for records that are on the server already, under the same ids: only
            the scores are updated.
    """
    rows, names = content.rows, content.class_names
    return [
        {
            "id": rows.ids[place],
            "fields": _texts(content, place, field) if texts else None,
            "metadata": _metadata(content, place),
            "suggestions": {
                question: {
                    "value": names[rows.suggested_labels[place]],
                    "score": float(rows.suggested_probabilities[place]),
                    "agent": AGENT,
                }
            },
            "responses": {},
            "vectors": {},
        }
        for place in content.worst(worst).tolist()
    ]


def write_argilla(content: AuditContent, path: str | Path, **options: Any) -> int:
    """Writes `argilla_records` as a JSON list and returns the number of records."""
    return _write_list(argilla_records(content, **options), path)


def label_studio_tasks(
    content: AuditContent,
    *,
    worst: int | None = None,
    text: str = "text",
    from_name: str = "label",
    to_name: str = "text",
) -> list[dict[str, Any]]:
    """Returns tasks for Label Studio, most suspect first. Each has the suggested class as a prediction.

    The prediction's score is the probability of the suggested class. Wrongness, given_label and reasons are stored as
    data, so the Data Manager can sort and filter by them.

    Args:
        content: the audit.
        worst: number of rows to export; None exports all.
        text: key of the text in the task's data. The second text of a row, if rows have two, has the key text_pair.
        from_name: name of the `Choices` in the labeling configuration.
        to_name: name of its `Text`. `label_studio_config` returns a matching configuration.
    """
    rows, names = content.rows, content.class_names
    return [
        {
            "data": {
                **_texts(content, place, text),
                "row_id": rows.ids[place],
                "given_label": names[rows.labels[place]],
                "wrongness": float(rows.wrongness[place]),
                "reasons": "; ".join(rows.reasons[place]),
            },
            "predictions": [
                {
                    "model_version": AGENT,
                    "score": float(rows.suggested_probabilities[place]),
                    "result": [
                        {
                            "id": f"suggestion-{place}",
                            "from_name": from_name,
                            "to_name": to_name,
                            "type": "choices",
                            "value": {"choices": [names[rows.suggested_labels[place]]]},
                        }
                    ],
                }
            ],
        }
        for place in content.worst(worst).tolist()
    ]


def write_label_studio(content: AuditContent, path: str | Path, **options: Any) -> int:
    """Writes `label_studio_tasks` as a JSON list and returns the number of tasks."""
    return _write_list(label_studio_tasks(content, **options), path)


def label_studio_config(
    content: AuditContent, *, text: str = "text", from_name: str = "label", to_name: str = "text"
) -> str:
    """Returns the labeling configuration for `label_studio_tasks` with the same names. Class names are escaped."""
    choices = "".join(f"\n    <Choice value={quoteattr(name)}/>" for name in content.class_names)
    second = ""
    if content.rows.text_pairs is not None:
        second = f"  <Text name={quoteattr(to_name + '_pair')} value={quoteattr('$' + text + '_pair')}/>\n"
    return (
        f"<View>\n  <Text name={quoteattr(to_name)} value={quoteattr('$' + text)}/>\n{second}"
        f'  <Choices name={quoteattr(from_name)} toName={quoteattr(to_name)} choice="single">{choices}\n'
        "  </Choices>\n</View>\n"
    )


def _texts(content: AuditContent, place: int, name: str) -> dict[str, str]:
    """Returns the text of a row under `name`, and its second text, if rows have two, under a name that ends in _pair."""
    rows = content.rows
    second = {} if rows.text_pairs is None else {f"{name}_pair": rows.text_pairs[place]}
    return {name: rows.texts[place], **second}


def _metadata(content: AuditContent, place: int) -> dict[str, Any]:
    rows = content.rows
    metadata: dict[str, Any] = {
        "given_label": content.class_names[rows.labels[place]],
        "wrongness": float(rows.wrongness[place]),
        "suspect_reasons": list(rows.reasons[place]),
    }
    if rows.losses is not None:
        metadata["loss"] = float(rows.losses[place])
    return metadata


def _write_lines(rows: Iterable[dict[str, Any]], path: str | Path) -> int:
    count = 0
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, allow_nan=False) + "\n")
            count += 1
    return count


def _write_list(rows: list[dict[str, Any]], path: str | Path) -> int:
    Path(path).write_text(json.dumps(rows, allow_nan=False, indent=1) + "\n", encoding="utf-8", newline="\n")
    return len(rows)
