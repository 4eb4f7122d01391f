"""Labeling functions see the rows that Snorkel's `PandasLFApplier` shows them, and so vote the same."""

from __future__ import annotations

import copy
import importlib
import math
import pickle
import sys
import types

import datasets
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from read_rows import PREPARED, STYLES, by_snorkel, by_us, memoised, seen, table_of, tables
from snorkel.labeling import LabelingFunction, labeling_function
from snorkel.preprocess import Preprocessor, preprocessor

# --- the same votes ---


@settings(deadline=None, max_examples=60)
@given(tables(), st.integers(1, 8))
def test_every_way_to_read_a_row_gives_what_pandas_gives(table, batch_size):
    # one function at a time would be 60 x 50 maps: all in one, and the name of the first that differs
    differing = (by_snorkel(table, STYLES) != by_us(table, STYLES, batch_size=batch_size)).any(0)
    assert [function.name for function, differs in zip(STYLES, differing, strict=True) if differs] == []


@settings(deadline=None, max_examples=30)
@given(tables().filter(lambda table: "string" in str(table.features)), st.integers(1, 8))
def test_preprocessors_give_the_votes_that_they_give_in_snorkel(table, batch_size):
    assert np.array_equal(by_us(table, PREPARED, batch_size=batch_size), by_snorkel(table, PREPARED))


def test_two_processes_see_missing_values_of_the_whole_table():
    table = table_of(text=["a", "b", "c", "d"], number=[1, 2, 3, None], tags=[[1], [2], [None], [3]])
    expected = by_snorkel(table, STYLES)
    assert np.array_equal(by_us(table, STYLES, num_proc=2), expected)
    assert type(seen(table)[0].number) is float


class Words(Preprocessor):
    def __init__(self):
        super().__init__("words", {"passage": "text"}, {"words": "tokens"}, memoize=True)

    def run(self, passage):
        return {"words": passage.split()}


def test_a_preprocessor_class_maps_fields_and_resources_are_passed():
    @labeling_function(pre=[Words()], resources={"rude": {"ass"}})
    def rude_words(x, rude):
        return 1 if rude & set(x.tokens) else -1

    table = table_of(text=["a class", "an ass", "a class"], number=[1, 2, None])
    assert by_us(table, [rude_words])[:, 0].tolist() == by_snorkel(table, [rude_words])[:, 0].tolist() == [-1, 1, -1]


def test_spacy_functions_get_a_document(monkeypatch):
    """A stand-in parses here: spaCy itself is no dependency."""
    parsed = []
    spacy = types.ModuleType("spacy")
    spacy.load = lambda *_, **__: lambda text: parsed.append(text) or text.split()
    with monkeypatch.context() as patched:  # `datasets` looks into spaCy where it is loaded
        patched.setitem(sys.modules, "spacy", spacy)
        nlp = importlib.import_module("snorkel.labeling.lf.nlp")
        long = nlp.nlp_labeling_function(name="long")(lambda x: 1 if len(x.doc) > 2 else -1)
        short = nlp.nlp_labeling_function(name="short")(lambda x: 0 if len(x["doc"]) < 2 else -1)
        for name in ("snorkel.preprocess.nlp", "snorkel.labeling.lf.nlp"):  # other tests import what is installed
            sys.modules.pop(name)
    table = table_of(text=["a lovely song", "hm", "hm"], number=[1, 2, 2])
    assert by_us(table, [long, short]).tolist() == [[1, -1], [-1, 0], [-1, 0]]
    assert parsed == ["a lovely song", "hm"]  # memoised: once for two functions and two equal rows
    long._pre[0].reset_cache()
    assert by_snorkel(table, [long]).tolist() == [[1], [-1], [-1]]


def test_memoised_results_of_lists_belong_to_their_rows():
    """Snorkel's key holds addresses of strings; rows of later batches would get results of earlier ones."""

    @preprocessor(memoize=True)
    def joined(x):
        x.joined = "".join(x["words"])
        return x

    function = LabelingFunction("joined", lambda x: int(x.joined), pre=[joined])
    table = table_of(text=["t"] * 500, words=[[str(k), str(k)[:1]] for k in range(500)])
    expected = [int(f"{k}{str(k)[0]}") for k in range(500)]
    assert by_us(table, [function], batch_size=1)[:, 0].tolist() == expected
    assert by_us(table.select(range(250, 500)), [function], batch_size=1)[:, 0].tolist() == expected[250:]


def test_snorkels_key_is_back_after_the_call_and_after_an_error():
    @preprocessor(memoize=True, pre=[memoised])
    def outer(x):
        return x

    before = outer._memoize_key
    keys = []
    function = LabelingFunction("f", lambda x: keys.append(memoised._memoize_key) or 0 // x.number, pre=[outer])
    by_us(table_of(number=[1]), [function])
    with pytest.raises(ValueError, match="'f' failed on row 1: ZeroDivisionError"):
        by_us(table_of(number=[1, 0], text=["", ""]), [function])
    assert before not in keys
    assert outer._memoize_key is memoised._memoize_key is before


def test_a_memoised_preprocessor_with_a_key_of_its_own_keeps_it():
    @preprocessor(memoize=True, memoize_key=lambda x: x.text)
    def first_number(x):
        x.first = x.number
        return x

    function = LabelingFunction("f", lambda x: int(x.first), pre=[first_number])
    assert by_us(table_of(text=["a", "a"], number=[3, 4]), [function])[:, 0].tolist() == [3, 3]


# --- rows ---


def test_a_row_can_be_pickled_with_its_number_and_what_was_written():
    row = seen(table_of(text=["a", "b"], number=[1, 2]))[1]
    row.name, row.count, row.length = "second", 5, 1
    for same in (pickle.loads(pickle.dumps(row)), copy.copy(row), copy.deepcopy(row)):
        assert (same.name, same.count, same["length"], same.text) == ("second", 5, 1, "b")
        same.text = "c"
    assert row.text == "b"


def test_columns_with_names_of_a_series_do_not_break_the_row():
    names = [name for name in dir(pd.Series) if not name.startswith("__")]
    row = seen(table_of(**{name: ["v"] for name in [*names, "row", "self"]}))[0]
    assert {row[name] for name in names} == {"v"}
    assert row.name == 0
    assert row.get("count") == "v"
    assert row.isna().sum() == 0


def test_a_property_of_a_series_cannot_be_written():
    row = seen(table_of(text=["a"]))[0]
    with pytest.raises(AttributeError, match=r"'size' is a property of a pandas Series: .*x\['size'\] = "):
        row.size = 3
    row["size"] = 3
    assert (row["size"], row.size) == (3, 2)


def test_series_methods_that_write_change_the_row():
    row = seen(table_of(text=["a"], number=[1]))[0]
    row.at["text"] = "b"
    row.update({"number": 2})
    row[["text"]] = "c"
    assert (row.text, row.number) == ("c", 2)
    del row["text"]
    assert "text" not in row


def test_multidimensional_arrays_are_lists_of_lists():
    features = datasets.Features({"text": datasets.Value("string"), "grid": datasets.Array2D((2, 2), "int64")})
    table = datasets.Dataset.from_dict({"text": ["a"], "grid": [[[1, 2], [3, 4]]]}, features=features)
    assert by_us(table, [LabelingFunction("f", lambda x: int(x.grid[1][0]))]).tolist() == [[3]]


# --- where pandas differs, as the docstring of `apply_labeling_functions` lists ---


def test_an_attribute_that_a_preprocessor_adds_is_an_item_and_reaches_the_next_preprocessor():
    @preprocessor()
    def first(x):
        x.words = 2
        return x

    @preprocessor()
    def second(x):
        x.more = x["words"] + 1
        return x

    function = LabelingFunction("f", lambda x: x.more, pre=[first, second])
    table = table_of(text=["a"], number=[1])
    assert by_us(table, [function]).tolist() == [[3]]
    with pytest.raises(KeyError):
        by_snorkel(table, [function])


def test_an_attribute_that_a_function_adds_stays_with_its_row():
    def f(x):
        before = getattr(x, "mark", 0)
        x.mark = 1
        return before

    table = table_of(text=["a", "b"], number=[1, 2])
    assert by_us(table, [LabelingFunction("f", f)]).tolist() == [[0], [0]]
    assert by_snorkel(table, [LabelingFunction("f", f)]).tolist() == [[0], [1]]


def test_a_written_value_stays_as_written():
    def f(x):
        x.text = None
        return int(x.text is None)

    assert by_us(table_of(text=["a"]), [LabelingFunction("f", f)]).tolist() == [[1]]
    assert by_snorkel(table_of(text=["a"]), [LabelingFunction("f", f)]).tolist() == [[0]]


def test_numbers_in_a_dict_are_those_of_their_batch():
    table = table_of(text=["a", "b"], pair=[{"k": 1}, {"k": None}])
    function = LabelingFunction("f", lambda x: int(isinstance(x.pair["k"], float)))
    assert by_us(table, [function], batch_size=1).tolist() == [[0], [0]]
    assert by_snorkel(table, [function]).tolist() == [[1], [0]]


def test_a_row_is_no_series_by_its_class():
    assert not isinstance(seen(table_of(text=["a"]))[0], pd.Series)
    assert math.isnan(seen(table_of(text=["a", None]))[1].text)
