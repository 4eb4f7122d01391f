"""The row that a labeling function sees is the one that it knows from `PandasLFApplier`."""

from __future__ import annotations

import datetime
import importlib.util
import math

import datasets
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snorkel.labeling import PandasLFApplier, labeling_function
from snorkel.preprocess import preprocessor

from hf_noisy import apply_labeling_functions
from hf_noisy.weak.rows import Row


def missing(cell) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


@preprocessor(memoize=True)
def lowered(x):
    x.text = "" if missing(x.text) else x.text.lower()
    x["letters"] = sum(map(str.isalpha, x.text))
    return x


@labeling_function()
def by_attribute(x):
    return 1 if not missing(x.text) and "http" in x.text else -1


@labeling_function()
def by_item(x):
    return 0 if missing(x["text"]) else int(len(x["text"]) > 3)


@labeling_function()
def by_get(x):
    return 2 if x.get("none", "no") == "no" and missing(x.get("stars")) else -1


@labeling_function()
def by_name(x):
    return 1 if missing(getattr(x, "share", None)) else int(x.share > 0.5)


@labeling_function()
def by_type(x):
    return {int: 0, float: 1}.get(type(x.stars), 2)


@labeling_function()
def by_flag(x):
    return 3 if x.flag is None else int(x.flag)


@labeling_function()
def by_list(x):
    return -1 if missing(x.words) else min(len(x.words), 5) + int(isinstance(x.words, np.ndarray))


@labeling_function()
def by_time(x):
    return -1 if x.day is None or x.day != x.day else x.day.day


@labeling_function(pre=[lowered])
def by_preprocessor(x):
    return min(x.letters, 9)


@labeling_function(resources={"words": frozenset({"a", "http"})})
def by_resource(x, words):
    return -1 if missing(x.text) else int(bool(words & set(x.text.split())))


@labeling_function()
def by_keys(x):
    return int(sorted(x.keys())[0] == "day" and dict(x.items())["stars"] is not None and len(x) == 6 and "text" in x)


FUNCTIONS = [
    by_attribute,
    by_item,
    by_get,
    by_name,
    by_type,
    by_flag,
    by_list,
    by_time,
    by_preprocessor,
    by_resource,
    by_keys,
]
FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "stars": datasets.Value("int64"),
        "share": datasets.Value("float64"),
        "flag": datasets.Value("bool"),
        "words": datasets.List(datasets.Value("string")),
        "day": datasets.Value("timestamp[s]"),
    }
)
CELLS = {
    "text": st.sampled_from(["a http b", "A", "", "abcd", "é ß", "http"]),
    "stars": st.integers(-3, 9),
    "share": st.floats(0, 1),
    "flag": st.booleans(),
    "words": st.lists(st.sampled_from(["a", "b"]), max_size=4),
    "day": st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2030, 1, 1)).map(
        lambda day: day.replace(microsecond=0)
    ),
}


@st.composite
def tables(draw) -> datasets.Dataset:
    rows = draw(st.integers(1, 12))
    columns = {}
    for name, cell in CELLS.items():
        some = st.one_of(st.none(), cell) if draw(st.booleans()) else cell
        columns[name] = draw(st.lists(some, min_size=rows, max_size=rows))
    return datasets.Dataset.from_dict(columns, features=FEATURES)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(dataset=tables(), batch_size=st.integers(1, 5))
def test_votes_equal_those_of_pandas_on_random_tables_with_missing_cells(dataset, batch_size):
    ours = apply_labeling_functions(dataset, FUNCTIONS, batch_size=batch_size)["weak_labels"][:]
    lowered.reset_cache()
    theirs = PandasLFApplier(FUNCTIONS).apply(dataset.to_pandas(), progress_bar=False)
    lowered.reset_cache()
    assert np.array_equal(ours, theirs), (ours, theirs.tolist())


def test_a_filtered_dataset_gives_the_numbers_of_its_own_rows():
    dataset = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "stars": [1, None, 3]})

    @labeling_function()
    def kind(x):
        return int(isinstance(x.stars, float))

    for rows in (dataset, dataset.select([0, 2])):
        expected = PandasLFApplier([kind]).apply(rows.to_pandas(), progress_bar=False).tolist()
        assert apply_labeling_functions(rows, [kind])["weak_labels"][:] == expected


def test_a_table_of_numbers_only_has_floats_where_pandas_has_them():
    @labeling_function()
    def kind(x):
        return int(isinstance(x.a, float))

    for columns in (
        {"a": [1, 2], "b": [0.5, 1.5]},
        {"a": [1, 2], "b": [3, 4]},
        {"a": [1, 2], "b": [3, None]},
        {"a": [1, 2], "b": ["x", "y"]},
    ):
        dataset = datasets.Dataset.from_dict(columns)
        expected = PandasLFApplier([kind]).apply(dataset.to_pandas(), progress_bar=False).tolist()
        assert apply_labeling_functions(dataset, [kind])["weak_labels"][:] == expected, columns


def test_what_differs_is_what_the_docstring_says():
    dataset = datasets.Dataset.from_dict({"name": ["a", "b"], "text": ["x", "y"]})

    @labeling_function()
    def named(x):
        return int(x.name == "a")

    assert apply_labeling_functions(dataset, [named])["weak_labels"][:] == [[1], [0]]
    assert PandasLFApplier([named]).apply(dataset.to_pandas(), progress_bar=False).tolist() == [[0], [0]]
    assert "`x.name` and `x.index`" in apply_labeling_functions.__doc__


def test_several_processes_see_the_same_rows():
    dataset = datasets.Dataset.from_dict({"text": ["a http", None] * 4, "stars": [1, None] * 4})
    one, two = (apply_labeling_functions(dataset, [by_attribute, by_get], num_proc=count) for count in (None, 2))
    assert one["weak_labels"][:] == two["weak_labels"][:]


@pytest.mark.skipif(importlib.util.find_spec("spacy") is None, reason="spacy is not installed")
def test_nlp_labeling_functions_see_a_doc():
    from snorkel.labeling.lf.nlp import nlp_labeling_function

    @nlp_labeling_function(language="en_core_web_sm")
    def has_person(x):
        return int(len(x.doc) > 2)

    dataset = datasets.Dataset.from_dict({"text": ["one two three", "one"]})
    assert apply_labeling_functions(dataset, [has_person])["weak_labels"][:] == [[1], [0]]


def test_a_row_is_a_namespace_and_a_mapping_of_names():
    row = Row(text="a", count=3)
    assert (row.text, row["count"], row.count, row.get("none"), list(row)) == ("a", 3, 3, None, ["a", 3])
    row["new"] = 1
    assert (row.new, row.to_dict(), len(row)) == (1, {"text": "a", "count": 3, "new": 1}, 3)
    with pytest.raises(KeyError, match="none"):
        _ = row["none"]
    with pytest.raises(AttributeError, match="none"):
        _ = row.none
