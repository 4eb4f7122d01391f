"""Columns read and added as they are stored are those that `datasets` itself would give."""

from __future__ import annotations

import datasets
import numpy as np
import pytest

from hf_noisy.data.columns import dataset_of, stored_column, with_columns


def rows(count: int = 12) -> datasets.Dataset:
    return datasets.Dataset.from_dict(
        {
            "number": list(range(count)),
            "words": [[row] * (row % 3) for row in range(count)],
            "name": list("abcdefghijkl"),
        }
    )


ORDERS = {
    "as stored": lambda dataset: dataset,
    "a slice": lambda dataset: dataset.select(range(3, 9)),
    "shuffled": lambda dataset: dataset.shuffle(seed=0),
    "filtered": lambda dataset: dataset.filter(lambda row: row["number"] % 3 > 0),
    "shuffled, then a slice": lambda dataset: dataset.shuffle(seed=0).select(range(2, 7)),
    "shuffled twice": lambda dataset: dataset.shuffle(seed=0).shuffle(seed=1),
    "rows twice": lambda dataset: dataset.select([3, 3, 0, 11, 3]),
    "of two tables": lambda dataset: datasets.concatenate_datasets([dataset.shuffle(seed=0), dataset]),
    "formatted": lambda dataset: dataset.shuffle(seed=0).with_format("numpy", columns=["number", "words"]),
    "transformed": lambda dataset: dataset.shuffle(seed=0).with_transform(
        lambda batch: {"number": [0] * len(batch["number"])}
    ),
}
EVERY_ORDER = pytest.mark.parametrize("order", ORDERS)


@EVERY_ORDER
def test_a_column_is_read_in_row_order_as_it_is_stored(order):
    dataset = ORDERS[order](rows())
    for column in ("number", "words", "name"):
        assert stored_column(dataset, column).to_pylist() == dataset.with_format(None)[column][:]


@EVERY_ORDER
def test_new_columns_are_those_that_add_column_gives(order):
    if order == "transformed":
        pytest.skip("its items are made anew; such a set is wrapped")
    dataset = ORDERS[order](rows())
    before = dataset.with_format(None).to_dict()
    draw = np.random.default_rng(0)
    new = {"index": np.arange(len(dataset)), "soft": draw.random((len(dataset), 3), dtype=np.float32)}
    expected = dataset.with_format(None)
    for name, values in new.items():
        expected = expected.add_column(name, list(values))
    found = with_columns(dataset, new)
    assert found.with_format(None).to_dict() == expected.to_dict()
    assert found.features == expected.features
    assert found.format["type"] == dataset.format["type"]
    assert set(found.format["columns"]) == {*dataset.format["columns"], *new}
    assert dataset.with_format(None).to_dict() == before
    assert found._fingerprint != dataset._fingerprint


def test_a_shuffled_set_is_not_written_anew():
    dataset = rows().shuffle(seed=0)
    found = with_columns(dataset, {"index": np.arange(12)})
    old, new = (one.data.column("number").chunk(0).buffers()[1].address for one in (dataset, found))
    assert old == new
    assert dataset.add_column("index", list(range(12))).data.column("number").chunk(0).buffers()[1].address != old


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.bool_, np.uint8])
def test_rows_that_a_filter_left_out_have_no_say(kind):
    dataset = rows().filter(lambda row: row["number"] % 2 > 0)
    values = (np.arange(6) % 2).astype(kind)
    found = with_columns(dataset, {"new": values})
    assert found["new"][:] == values.tolist()
    assert found.select([5, 0])["new"][:] == values[[5, 0]].tolist()


def test_a_dataset_of_arrays_is_what_from_dict_gives():
    columns = {
        "index": np.arange(3),
        "loss": np.array([0.5, np.nan, 1.0], dtype=np.float32),
        "kept": np.array([True, False, True]),
        "weight": np.arange(6, dtype=np.float32).reshape(3, 2).T.reshape(3, 2),
        "cube": np.zeros((3, 2, 1)),
        "name": ["a", "b", "c"],
    }
    expected = datasets.Dataset.from_dict({name: list(values) for name, values in columns.items()})
    found = dataset_of(columns)
    assert str(found.to_dict()) == str(expected.to_dict())
    assert found.features == expected.features
