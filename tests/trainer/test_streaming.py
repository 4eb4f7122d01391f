"""Streams: refused where rows must be remembered, checked row by row where they are evaluated."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
from conftest import make_trainer, tiny_model, token_dataset

from hf_noisy.trainer.streaming import LabelledStream, label_evaluation


class Stream(torch.utils.data.IterableDataset):
    """Rows one after the other."""

    def __init__(self, rows) -> None:
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


KINDS = pytest.mark.parametrize(
    "kind", [lambda rows: rows.to_iterable_dataset(), lambda rows: Stream(list(rows))], ids=["datasets", "torch"]
)


def figures(metrics) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if "loss" in name or "accuracy" in name}


@KINDS
def test_a_training_set_that_is_a_stream_is_refused_before_the_first_step(tmp_path, kind):
    with pytest.raises(TypeError, match="train_dataset is a stream.*streaming=False"):
        make_trainer(tmp_path, kind(token_dataset(8)), max_steps=2)


@KINDS
def test_a_clean_dataset_that_is_a_stream_is_refused_before_the_first_step(tmp_path, kind):
    with pytest.raises(TypeError, match="clean_dataset is a stream"):
        make_trainer(tmp_path, rows=8, noise_method="glc", clean_dataset=kind(token_dataset(8)))


@KINDS
def test_a_stream_written_to_disk_trains_as_the_rows_that_it_had(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = token_dataset(8)
    written = datasets.Dataset.from_generator(kind(rows).__iter__, cache_dir=str(tmp_path / "cache"))
    assert written.to_dict() == rows.to_dict()
    assert written.cache_files  # so its rows are read from disk
    losses = [make_trainer(tmp_path, one).train().training_loss for one in (rows, written)]
    assert losses[0] == losses[1]


@KINDS
def test_a_stream_is_evaluated_as_its_rows_are(tmp_path, kind):
    rows = token_dataset(10, [0, 1, 2, -1, 0] * 2)
    found = [figures(make_trainer(tmp_path, eval_dataset=one).evaluate()) for one in (kind(rows), rows)]
    assert found[0] == found[1]
    assert found[0].keys() == {"eval_loss", "eval_label_accuracy"}


@KINDS
def test_a_stream_among_several_sets_and_one_to_predict(tmp_path, kind):
    rows = token_dataset(10)
    trainer = make_trainer(tmp_path, eval_dataset={"stream": kind(rows), "rows": rows}, eval_strategy="epoch")
    trainer.train()
    logged = {name: value for entry in trainer.state.log_history for name, value in figures(entry).items()}
    assert logged["eval_stream_loss"] == logged["eval_rows_loss"]
    assert np.array_equal(trainer.predict(kind(rows)).predictions, trainer.predict(rows).predictions)


def test_a_stream_without_labels_is_predicted(tmp_path):
    rows = token_dataset(6).remove_columns("labels")
    assert make_trainer(tmp_path).predict(Stream(list(rows))).predictions.shape == (6, 3)


FORMS = {
    "names": (["b", "c", "a", ""], [1, 2, 0, -100]),
    "missing": ([1, None, -1, 2], [1, -100, -100, 2]),
    "arrays": (list(np.array([2, 0, 1, -100])), [2, 0, 1, -100]),
    "soft": ([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]], [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]),
}


@pytest.mark.parametrize("form", FORMS)
def test_labels_are_read_as_those_of_rows_are(form):
    given, expected = FORMS[form]
    config = tiny_model(label2id={"a": 0, "b": 1, "c": 2}, id2label={0: "a", 1: "b", 2: "c"}).config
    stream = label_evaluation(Stream([{"label": value, "index": 7} for value in given]), config, where="eval_dataset")
    assert [item["labels"] for item in stream] == expected
    assert all("label" not in item for item in stream)
    assert [item["labels"] for item in stream] == expected  # a second time


@pytest.mark.parametrize("names", [["a", "b", "c"], ["c", "a", "b"]], ids=["as the model", "in another order"])
def test_a_class_label_is_read_by_name(names):
    features = datasets.Features(
        {"labels": datasets.ClassLabel(names=names), "input_ids": datasets.List(datasets.Value("int64"))}
    )
    rows = datasets.Dataset.from_dict({"labels": [0, 1, -1], "input_ids": [[1], [2], [3]]}, features=features)
    config = tiny_model(label2id={"a": 0, "b": 1, "c": 2}, id2label={0: "a", 1: "b", 2: "c"}).config
    found = [item["labels"] for item in label_evaluation(rows.to_iterable_dataset(), config, where="eval_dataset")]
    assert found == [*(("abc").index(names[k]) for k in (0, 1)), -100]
    assert found == [row["labels"] for row in label_evaluation(rows, config, where="eval_dataset")]


BAD = {
    "a class that the model does not have": (7, r"eval_dataset, row 2: label 7: expected a class in \[0, 3\)"),
    "an unknown name": ("x", "eval_dataset, row 2: label 'x': expected a class of the model"),
    "no distribution": ([0.5, 0.1, 0.1], "eval_dataset, row 2: label .* sum to 1"),
    "a fraction": (0.5, "eval_dataset, row 2: label 0.5: expected a class id"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_label_is_refused_by_its_row(bad):
    value, message = BAD[bad]
    rows = [{"labels": 0}, {"labels": 1}, {"labels": value}]
    with pytest.raises(ValueError, match=message):
        list(label_evaluation(Stream(rows), tiny_model().config, where="eval_dataset"))


def test_a_stream_has_the_length_of_its_rows_or_none():
    class Counted(Stream):
        def __len__(self):
            return len(self.rows)

    config = tiny_model().config
    assert len(LabelledStream(Counted([{"labels": 0}] * 3), config, "eval_dataset")) == 3
    with pytest.raises(TypeError):
        len(LabelledStream(Stream([]), config, "eval_dataset"))
    once = label_evaluation(Stream([]), config, where="eval_dataset")
    assert label_evaluation(once, config, where="eval_dataset") is once
