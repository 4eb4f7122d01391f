"""The scores of an audit, in the forms that other tools import; none of those tools is needed to write them.

Formats: `dataset.records.from_json` of Argilla 2 (docs.argilla.io, "Add, update, and delete records"), and Label Studio's
JSON of pre-annotated tasks (labelstud.io/guide/predictions).
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
    """A row for each labelled example, in the order of the dataset.

    Yields:
        id (string), label (class id), wrongness, suggested_label (class id), suggested_probability, reasons (list).
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
    """Writes `score_rows` as JSON lines, and returns how many they are."""
    return _write_lines(score_rows(content), path)


def argilla_records(
    content: AuditContent,
    *,
    worst: int | None = None,
    field: str = "text",
    question: str = "label",
    texts: bool = True,
) -> list[dict[str, Any]]:
    """Records for Argilla 2, the most suspect first: `rg.Record.from_dict` of each, or `records.from_json` of the file.

    The suggested class is the suggestion, with its probability as score and "hf_noisy audit" as agent. The metadata are
    given_label (terms), wrongness (float), suspect_reasons (terms), and loss (float) where there are losses; the dataset's
    settings have to name them, or allow extra metadata.

    Args:
        content: what was found.
        worst: how many rows; None for all.
        field: of the dataset's settings, that holds the text.
        question: a `LabelQuestion` whose labels are the class names.
        texts: False leaves the field out, for records that the server has under the same ids: scores alone are updated.
    """
    rows, names = content.rows, content.class_names
    return [
        {
            "id": rows.ids[place],
            "fields": {field: rows.texts[place]} if texts else None,
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
    """Writes `argilla_records`, a JSON list, and returns how many they are."""
    return _write_list(argilla_records(content, **options), path)


def label_studio_tasks(
    content: AuditContent,
    *,
    worst: int | None = None,
    text: str = "text",
    from_name: str = "label",
    to_name: str = "text",
) -> list[dict[str, Any]]:
    """Tasks for Label Studio, the most suspect first, each with the suggested class as a prediction.

    The prediction's score is the probability of the suggested class; wrongness, given_label and reasons are data, by which
    the Data Manager sorts and filters.

    Args:
        content: what was found.
        worst: how many rows; None for all.
        text: under which key of the data the text is.
        from_name: of the `Choices` in the labeling configuration.
        to_name: of its `Text`; `label_studio_config` writes a configuration that fits.
    """
    rows, names = content.rows, content.class_names
    return [
        {
            "data": {
                text: rows.texts[place],
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
    """Writes `label_studio_tasks`, a JSON list, and returns how many they are."""
    return _write_list(label_studio_tasks(content, **options), path)


def label_studio_config(
    content: AuditContent, *, text: str = "text", from_name: str = "label", to_name: str = "text"
) -> str:
    """The labeling configuration that `label_studio_tasks` of the same names fits.

    Class names are escaped.
    """
    choices = "".join(f"\n    <Choice value={quoteattr(name)}/>" for name in content.class_names)
    return (
        f"<View>\n  <Text name={quoteattr(to_name)} value={quoteattr('$' + text)}/>\n"
        f'  <Choices name={quoteattr(from_name)} toName={quoteattr(to_name)} choice="single">{choices}\n'
        "  </Choices>\n</View>\n"
    )


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
