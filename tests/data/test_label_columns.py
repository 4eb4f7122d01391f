"""Columns of labels as people have them: names, ids, soft rows, missing ones, in any kind of dataset."""

from __future__ import annotations

import datasets
from conftest import (
    make_trainer,
    tiny_model,
    token_dataset,
    token_rows,
)
from transformers import AutoModelForSequenceClassification


def test_strings_are_numbered_in_sorted_order_and_name_the_classes(tmp_path):
    names = ["good", "bad", "", "fair"] * 5
    trainer = make_trainer(tmp_path, token_dataset(20, names), eval_dataset=token_dataset(4, ["fair"] * 4))
    trainer.train()
    assert trainer.noise.labels[:4].tolist() == [2, 0, -100, 1]
    assert trainer.model.config.id2label == {0: "bad", 1: "fair", 2: "good"}
    assert trainer.eval_dataset["labels"][:] == [1] * 4
    trainer.save_model(str(tmp_path))
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path).config.label2id["good"] == 2


def test_a_class_label_names_the_classes(tmp_path):
    dataset = token_dataset(20).cast_column("labels", datasets.ClassLabel(names=["x", "y", "z"]))
    assert make_trainer(tmp_path, dataset).model.config.id2label == {0: "x", 1: "y", 2: "z"}


def test_names_of_the_model_win_over_sorted_order(tmp_path):
    model = tiny_model(2, id2label={0: "POS", 1: "NEG"}, label2id={"POS": 0, "NEG": 1})
    trainer = make_trainer(tmp_path, token_dataset(6, ["NEG", "POS"] * 3), model=model)
    assert trainer.noise.labels.tolist() == [1, 0] * 3


def test_class_labels_in_another_order_are_mapped_by_name(tmp_path):
    model = tiny_model(2, id2label={0: "neg", 1: "pos"}, label2id={"neg": 0, "pos": 1})
    swapped = token_dataset(4, [0, 1, -1, 0]).cast_column("labels", datasets.ClassLabel(names=["pos", "neg"]))
    trainer = make_trainer(tmp_path, swapped, model=model, eval_dataset=swapped)
    assert trainer.noise.labels.tolist() == [1, 0, -100, 1]
    assert trainer.eval_dataset["labels"][:] == [1, 0, -100, 1]


def test_a_missing_label_among_soft_rows_abstains(tmp_path):
    trainer = make_trainer(tmp_path, token_dataset(3, [[1.0, 0.0, 0.0], None, [0.0, 0.5, 0.5]]))
    assert trainer.noise.labels.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0.5, 0.5]]


def test_a_format_that_hides_columns_hides_them_still(tmp_path):
    dataset = token_dataset(8).add_column("note", ["x"] * 8)
    dataset.set_format("torch", columns=["input_ids", "attention_mask", "labels"])
    trainer = make_trainer(tmp_path, dataset, remove_unused_columns=False)
    trainer.train()
    assert "note" not in trainer.train_dataset.column_names


def test_a_list_of_dictionaries_may_mix_ids_and_soft_rows(tmp_path):
    columns = token_rows(4)
    labels = [2, [0.5, 0.5, 0.0], -1, [0.0, 0.0, 0.0]]
    rows = [{k: v[i] for k, v in columns.items()} | {"label": labels[i]} for i in range(4)]
    trainer = make_trainer(tmp_path, rows)
    assert trainer.noise.labels.tolist() == [[0, 0, 1], [0.5, 0.5, 0], [0, 0, 0], [0, 0, 0]]
    trainer.train()
    assert trainer.example_report()["label"][:] == [2, 0, None, None]
    assert "index" not in rows[0]


def test_a_column_named_index_is_the_users_own_and_does_no_harm(tmp_path):
    dataset = token_dataset(8).add_column("index", [7] * 8)
    trainer = make_trainer(tmp_path, dataset)
    trainer.train()
    assert trainer.example_report()["seen"][:] == [2] * 8
    assert dataset["index"][:] == [7] * 8


def test_a_dataset_with_a_transform_is_wrapped(tmp_path):
    dataset = token_dataset(8)
    dataset.set_transform(lambda rows: {"input_ids": rows["input_ids"], "labels": rows["labels"]})
    trainer = make_trainer(tmp_path, dataset, remove_unused_columns=False)
    trainer.train()
    assert trainer.example_report()["seen"][:] == [2] * 8
