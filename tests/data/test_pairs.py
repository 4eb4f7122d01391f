"""Rows of two texts: they are read from every form of table, checked, and tokenized as two segments."""

from __future__ import annotations

import json

import datasets
import pytest
from pair_rows import pair_rows, write_pairs

from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.corpus import load_corpus
from hf_noisy.data.pairs import has_pairs, pair_up, texts_of
from hf_noisy.data.splits import split_corpus, tokenize

PAIR = {"text_column": "premise", "text_pair_column": "hypothesis"}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
def test_every_kind_of_file_gives_both_texts(tmp_path, ending):
    table = pair_rows(12)
    path = tmp_path / f"pairs.{ending}"
    rows = datasets.Dataset.from_dict(table)
    writes = {"csv": rows.to_csv, "parquet": rows.to_parquet, "jsonl": rows.to_json}
    if ending == "json":
        path.write_text(json.dumps(list(rows)))
    else:
        writes[ending](path)
    corpus = load_corpus(path, **PAIR)
    assert corpus.train.column_names == ["id", "text", "text_pair", "weak_labels", "gold"]
    assert corpus.train["text"][:] == table["premise"]
    assert corpus.train["text_pair"][:] == table["hypothesis"]
    assert load_corpus(path, text_column="premise").train.column_names == ["id", "text", "weak_labels", "gold"]


def test_a_hub_data_set_and_all_its_splits_give_both_texts(monkeypatch):
    rows = datasets.Dataset.from_dict(pair_rows(30))
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config: {"train": rows, "test": rows})
    monkeypatch.setattr("hf_noisy.data.corpus.wrench_repository", lambda name: None)
    train, valid, test = split_corpus(load_corpus("someone/nli", **PAIR), seed=0)
    assert all(has_pairs(texts_of(split)) for split in (train, valid, test))
    assert set(texts_of(train)) < set(zip(rows["premise"][:], rows["hypothesis"][:], strict=True))


def wrench(folder, data):
    (folder / "label.json").write_text('{"0": "no", "1": "yes"}')
    rows = {str(k): {"label": k, "data": data, "weak_labels": [k]} for k in range(2)}
    for split in ("train", "valid", "test"):
        (folder / f"{split}.json").write_text(json.dumps(rows))
    return folder


def test_the_wrench_layout_has_both_texts_in_data(tmp_path):
    corpus = load_corpus(wrench(tmp_path, {"premise": "A dog.", "hypothesis": "A cat."}), **PAIR)
    for split in (corpus.train, corpus.valid, corpus.test):
        assert texts_of(split) == [("A dog.", "A cat.")] * 2
    with pytest.raises(
        ValueError, match=r"row '0': premis is None.*--text_column premise --text_pair_column hypothesis"
    ):
        load_corpus(tmp_path, text_column="premis")
    with pytest.raises(ValueError, match=r"row '0': hypo is None: expected a text.*another text_pair_column"):
        load_corpus(tmp_path, text_column="premise", text_pair_column="hypo")
    with pytest.raises(ValueError, match="text_pair_column='premise' is text_column too"):
        load_corpus(tmp_path, text_column="premise", text_pair_column="premise")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"no column 'text', but 'premise' and 'hypothesis'.*--text_column premise --text_pair_column hypothesis"),
        (
            {"text_column": "premis"},
            r"no column 'premis', but 'premise' and 'hypothesis'.*text_pair_column='hypothesis'",
        ),
        (
            {**PAIR, "text_pair_column": "premise"},
            r"text_pair_column='premise' is text_column too: expected .*Name another",
        ),
        (
            {**PAIR, "text_pair_column": "label"},
            r"text_pair_column='label' is label_column too: expected a column of texts",
        ),
        ({**PAIR, "text_pair_column": "gold", "gold_column": "gold"}, r"text_pair_column='gold' is gold_column too"),
        ({**PAIR, "votes_columns": ["label", "hypothesis"]}, r"text_pair_column='hypothesis' is votes_columns too"),
        (
            {**PAIR, "text_pair_column": "hypotesis"},
            r"no column 'hypotesis'. Did you mean 'hypothesis'\?.*text_pair_column",
        ),
    ],
)
def test_a_wrong_column_is_refused_with_the_fix(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_corpus(write_pairs(tmp_path / "pairs.csv"), **arguments)


@pytest.mark.parametrize(
    ("first", "second"), [("sentence1", "sentence2"), ("question", "answer"), ("question1", "question2")]
)
def test_recognised_names_are_proposed_and_never_guessed(tmp_path, first, second):
    path = tmp_path / "pairs.csv"
    path.write_text(f"label,{second},{first}\nx,a,b\ny,c,d\n")
    with pytest.raises(ValueError, match=f"--text_column {first} --text_pair_column {second}"):
        load_corpus(path)
    assert texts_of(load_corpus(path, text_column=first, text_pair_column=second).train) == [("b", "a"), ("d", "c")]


def test_a_split_without_the_second_texts_is_named(tmp_path):
    write_pairs(tmp_path / "train.csv")
    (tmp_path / "test.csv").write_text("premise,label\na,same\nb,different\n")
    with pytest.raises(ValueError, match=r"test.csv: no column 'hypothesis'.*every split needs it"):
        load_corpus(tmp_path, **PAIR)


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_row_with_a_blank_second_text_is_left_out_as_with_a_blank_first_one(tmp_path, blank):
    hypotheses = [*pair_rows(11)["hypothesis"], blank]
    path = write_pairs(tmp_path / "pairs.csv", 12, hypothesis=hypotheses)
    corpus = load_corpus(path, **PAIR)
    assert (len(corpus.train), corpus.left_out) == (11, {"train": ("11",)})


def test_both_texts_become_tokens_of_two_segments_and_the_longer_one_is_truncated_first():
    rows = datasets.Dataset.from_dict({"text": ["a b c d e f g h", "a b"], "text_pair": ["x y", "y x"]})
    tokenizer = small_encoder(texts_of(rows))[1]
    found = tokenize(rows, tokenizer, 9)
    assert set(found.column_names) == {"input_ids", "token_type_ids", "attention_mask"}
    assert tokenizer.decode(found[0]["input_ids"]) == "[CLS] a b c d [SEP] x y [SEP]"
    assert found[0]["token_type_ids"] == [0] * 6 + [1] * 3
    swapped = tokenize(rows.map(lambda row: {"text_pair": row["text_pair"][::-1]}), tokenizer, 9)
    assert swapped[1]["input_ids"] != found[1]["input_ids"]
    kept = tokenize(rows, tokenizer, 9, keep_text=True)
    assert texts_of(kept) == texts_of(rows)


def test_second_texts_must_fit_the_first_ones():
    assert pair_up(["a"], None) == ["a"]
    with pytest.raises(ValueError, match="text_pairs has 1 texts: expected 2"):
        pair_up(["a", "b"], ["x"])
    with pytest.raises(ValueError, match="texts are pairs already"):
        pair_up([("a", "b")], ["x"])
    with pytest.raises(ValueError, match="text_pairs is one text"):
        pair_up(["a", "b"], "xy")
