"""Random tables, written by pandas, `datasets`, `csv`, polars and openpyxl in random dialects, are read back as they were.

`pytest tests/data/test_reading_fuzz.py -m slow` tries 2,000 tables and counts those that are refused.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pandas
import pyarrow.feather
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_noisy.data.corpus import read_corpus

MARKS = [*"abcdefghij .,;:|!?'\"\t\n-_#+=()[]{}<>/\\", "é", "ß", "你", "好", "ก", "ש", "😀", "\u00a0"]
WESTERN = ["très bon", "c'est fini", "schöne Größe", "señor, mañana", "plain words", 'he said "no"', "a; b | c"]
TEXTS = st.lists(st.sampled_from(MARKS), min_size=1, max_size=25).map("".join).filter(lambda text: text.strip())
LABELS = {
    "words": ["good", "bad", "mixed up", "C#"],
    "numbers": [0, 1, 2, 10],
    "stars": [1, 2, 3, 4, 5],
    "truth": [True, False],
    "codes": ["007", "012", "100"],
}


def names_of(kind: str, used: set[Any]) -> list[str]:
    """The classes as they must be named and ordered."""
    return [str(value) for value in (sorted(used, key=str) if kind in ("words", "truth") else sorted(used, key=int))]


@st.composite
def tables(draw) -> tuple[str, pandas.DataFrame]:
    kind = draw(st.sampled_from(sorted(LABELS)))
    rows = draw(st.integers(4, 15))
    texts = draw(st.lists(TEXTS, min_size=rows, max_size=rows, unique=True))
    choice = draw(st.permutations(LABELS[kind]))[: draw(st.integers(2, len(LABELS[kind])))]
    labels = [*choice[:2], *(draw(st.sampled_from([*choice, None])) for _ in range(rows - 2))]
    columns: dict[str, list[Any]] = {"text": texts, "label": labels}
    if draw(st.booleans()):
        columns["id"] = [f"{place:03}" for place in range(rows)]
    if draw(st.booleans()):
        columns["extra"] = [draw(st.sampled_from(["", "x", "1.5", "a,b;c"])) for _ in range(rows)]
    order = draw(st.permutations(list(columns)))
    return kind, pandas.DataFrame({name: pandas.Series(columns[name], dtype=object) for name in order})


def as_pandas_types(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Whole numbers with a missing cell become floats, as when pandas reads them."""
    labels = frame["label"]
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in labels.dropna()):
        return frame
    return frame.assign(label=labels.astype(float) if labels.isna().any() else labels.astype(int))


def write_csv(draw, frame: pandas.DataFrame, path: Path) -> Path:
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    if encoding == "cp1252":
        frame = frame.assign(text=[f"{WESTERN[place % len(WESTERN)]} {place}" for place in range(len(frame))])
    ending = draw(st.sampled_from(["csv", "tsv", "csv.gz", "csv.zst", "txt"]))
    separator = "\t" if ending in ("tsv", "txt") else draw(st.sampled_from([",", ";", "\t", "|"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    target = path.with_suffix(f".{ending}")
    if draw(st.booleans()):
        as_pandas_types(frame).to_csv(
            target,
            sep=separator,
            encoding=encoding,
            quoting=quoting,
            index=draw(st.booleans()),
            na_rep=draw(st.sampled_from(["", "NA", "nan", "NULL"])),
            compression={"csv.gz": "gzip", "csv.zst": "zstd"}.get(ending),
        )
        return target
    target = path.with_suffix(".csv" if "csv" in ending else f".{ending}")
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=separator,
        quoting=quoting,
        quotechar=draw(st.sampled_from(['"', "'"])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
    )
    writer.writerow(frame.columns)
    writer.writerows(
        [["" if cell is None else cell for cell in row] for row in frame.astype(object).to_numpy().tolist()]
    )
    target.write_bytes(text.getvalue().encode(encoding))
    return target


def write_json(draw, frame: pandas.DataFrame, path: Path) -> Path:
    target = path.with_suffix(draw(st.sampled_from([".json", ".jsonl"])))
    orient = draw(st.sampled_from(["records", "columns", "index", "split", "table", "lines", "lists"]))
    frame = as_pandas_types(frame)
    if orient == "lists":
        target.write_text(
            json.dumps({name: [None if cell != cell else cell for cell in frame[name].tolist()] for name in frame})
        )
    elif orient == "lines":
        frame.to_json(target, orient="records", lines=True, force_ascii=draw(st.booleans()))
    else:
        frame.to_json(target, orient=orient, force_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 2])))
    return target


def write_workbook(draw, frame: pandas.DataFrame, path: Path) -> Path:
    target = path.with_suffix(".xlsx")
    texts = [
        text.replace("=", "-").replace("\t", " ") for text in frame["text"]
    ]  # no formula, as a spreadsheet would have it
    as_pandas_types(frame.assign(text=texts)).to_excel(target, index=draw(st.booleans()))
    return target


def write_columns(draw, frame: pandas.DataFrame, path: Path) -> Path:
    frame = as_pandas_types(frame)
    kind = draw(st.sampled_from(["parquet", "feather", "saved", "datasets.parquet", "datasets.json", "datasets.csv"]))
    if kind == "parquet":
        frame.to_parquet(path.with_suffix(".parquet"))
        return path.with_suffix(".parquet")
    if kind == "feather":
        pyarrow.feather.write_feather(frame, str(path.with_suffix(".feather")))
        return path.with_suffix(".feather")
    dataset = datasets.Dataset.from_pandas(frame, preserve_index=False)
    target = path.with_suffix("") if kind == "saved" else path.with_suffix(f".{kind.split('.')[1]}")
    write = {"saved": "save_to_disk", ".parquet": "to_parquet", ".json": "to_json", ".csv": "to_csv"}[
        target.suffix or "saved"
    ]
    getattr(dataset, write)(str(target))
    return target


def in_memory(draw, frame: pandas.DataFrame, path: Path) -> Any:
    frame = as_pandas_types(frame)
    kind = draw(st.sampled_from(["pandas", "dataset", "rows", "columns", "splits", "polars"]))
    rows = [{key: None if cell != cell else cell for key, cell in row.items()} for row in frame.to_dict("records")]
    if kind == "dataset":
        return datasets.Dataset.from_list(rows)
    if kind == "splits":
        return datasets.DatasetDict(train=datasets.Dataset.from_list(rows))
    if kind == "polars":
        polars = pytest.importorskip("polars", reason="polars is not installed")
        return polars.from_dicts(rows)
    return {"pandas": frame, "rows": rows, "columns": {name: [row[name] for row in rows] for name in frame}}[kind]


WRITERS = (write_csv, write_csv, write_json, write_workbook, write_columns, in_memory)
REFUSED: Counter[str] = Counter()


def check(draw, folder: Path) -> None:
    kind, frame = draw(tables())
    written = draw(st.sampled_from(WRITERS))(draw, frame, folder / "table")
    REFUSED["tables"] += 1
    try:
        corpus = read_corpus(written)
    except ValueError as error:
        REFUSED[str(error).replace(str(folder), "")[:90]] += 1
        return
    texts = corpus.train["text"][:]
    labels = [corpus.class_names[vote] if vote >= 0 else None for (vote,) in corpus.train["weak_labels"][:]]
    expected = [None if label is None or label != label else str(label) for label in frame["label"].tolist()]
    assert labels == expected, (written, kind, labels, expected)
    assert list(corpus.class_names) == names_of(kind, {label for label in frame["label"] if label is not None}), written
    if not (isinstance(written, Path) and (written.suffix == ".xlsx" or any(word in texts[0] for word in WESTERN))):
        assert texts == frame["text"].tolist(), written
    if "id" in frame:
        assert corpus.train["id"][:] == frame["id"].tolist(), written


SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True, "database": None}


@settings(max_examples=150, **SETTINGS)
@given(data=st.data())
def test_random_tables_are_read_as_they_were_written(data, tmp_path_factory):
    check(data.draw, tmp_path_factory.mktemp("table"))


@pytest.mark.slow
def test_of_two_thousand_random_tables_at_most_two_percent_are_refused(tmp_path_factory):
    REFUSED.clear()

    @settings(max_examples=2000, **SETTINGS)
    @given(data=st.data())
    def many(data):
        check(data.draw, tmp_path_factory.mktemp("table"))

    many()
    tried = REFUSED.pop("tables")
    print(f"{tried} tables, {sum(REFUSED.values())} refused: {dict(REFUSED)}")
    assert tried >= 2000
    assert sum(REFUSED.values()) <= 0.02 * tried
