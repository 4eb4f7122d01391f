"""Two texts a row, from the file to the tokens, the vectors, the audit and the saved model."""

from __future__ import annotations

import json
import random

import pandas
import pytest
from transformers import pipeline

from hf_noisy import cli
from hf_noisy.audit import apply_decisions
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.corpus import read_corpus
from hf_noisy.data.pairs import texts_of
from hf_noisy.data.splits import tokenize

STATES = [("runs late", "is on time"), ("is closed", "is open"), ("is cold", "is warm")]
THINGS = ["the tram", "the bridge", "our boiler", "her garden", "that cinema", "the ferry"]
OPTIONS = ["--text_column", "premise", "--text_pair_column", "hypothesis"]


def rows(count: int = 80) -> pandas.DataFrame:
    rng = random.Random(0)
    found = []
    for number in range(count):
        first, second = rng.sample(rng.choice(STATES), 2)
        same, thing = rng.random() < 0.5, rng.choice(THINGS)
        found.append(
            (f"{thing} {first} on day {number}", f"{thing} {first if same else second}", "same" if same else "contrary")
        )
    return pandas.DataFrame(found, columns=["premise", "hypothesis", "label"])


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "pairs.csv"
    rows().to_csv(path, index=False)
    return path


def read(source, **options):
    return read_corpus(source, text_column="premise", text_pair_column="hypothesis", **options)


def test_a_pair_is_read_and_both_texts_reach_the_tokens(table):
    corpus, frame = read(table), rows()
    assert corpus.train["text"][:] == frame["premise"].tolist()
    assert corpus.train["text_pair"][:] == frame["hypothesis"].tolist()
    _, tokenizer = small_encoder(texts_of(corpus.train), corpus.class_names, seed=0, max_length=32)
    found = tokenize(corpus.train, tokenizer, 32)["input_ids"][:]
    assert found == tokenizer(frame["premise"].tolist(), frame["hypothesis"].tolist())["input_ids"]
    turned = corpus.train.rename_columns({"text": "text_pair", "text_pair": "text"})
    assert tokenize(turned, tokenizer, 32)["input_ids"][:] != found
    assert all(len(ids) <= 9 for ids in tokenize(corpus.train, tokenizer, 9)["input_ids"])


def test_rows_with_one_blank_text_are_left_out_and_wrench_has_pairs_too(tmp_path):
    frame = pandas.DataFrame(
        {"premise": ["a", "", "c", "d"], "hypothesis": ["x", "y", None, "z"], "label": [0, 1, 1, 1]}
    )
    corpus = read(frame)
    assert (corpus.train["id"][:], corpus.left_out) == (["0", "3"], {"train": ("1", "2")})
    row = {"label": 0, "data": {"premise": "a", "hypothesis": "b"}, "weak_labels": [1]}
    (tmp_path / "label.json").write_text('{"0": "x", "1": "y"}')
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.json").write_text(json.dumps({"7": row}))
    assert texts_of(read(tmp_path).test) == [("a", "b")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no column 'text'.*text_column='premise', text_pair_column='hypothesis'"),
        (
            {"text_column": "premise", "text_pair_column": "premise"},
            "text_pair_column='premise' is text_column too",
        ),
        (
            {"text_column": "premise", "text_pair_column": "label", "label_column": "label"},
            "text_pair_column='label' is label_column too",
        ),
        (
            {"text_column": "premise", "text_pair_column": "hypotesis"},
            "no column 'hypotesis'. Did you mean 'hypothesis'",
        ),
    ],
)
def test_columns_that_are_no_pair_are_refused_and_known_names_proposed(table, options, message):
    with pytest.raises(ValueError, match=message):
        read_corpus(table, **options)


def test_a_split_without_the_second_text_is_refused(table):
    with pytest.raises(ValueError, match="no column 'hypothesis'"):
        read({"train": rows(), "test": rows()[["premise", "label"]]})


def test_commands_take_pairs_and_the_saved_model_is_called_with_both(table, tmp_path, capsys):
    train = ["train", str(table), *OPTIONS, "--output_dir", str(tmp_path / "model"), "--noise_method", "gce"]
    assert cli.main([*train, "--num_train_epochs", "1", "--baselines", "False", "--use_cpu", "True"]) == 0
    classify = pipeline("text-classification", model=str(tmp_path / "model"))
    found = [
        classify({"text": "the tram is open", "text_pair": second})["score"] for second in ("the tram is open", "no")
    ]
    assert found[0] != found[1]
    assert '"text_pair"' in (tmp_path / "model" / "README.md").read_text()
    assert cli.main(["audit", str(table), *OPTIONS, "--output", str(tmp_path / "audit"), "--resamples", "2"]) == 0
    page = (tmp_path / "audit" / "report.html").read_text()
    assert rows()["hypothesis"][3] in page
    assert rows()["premise"][3] in page
    assert "texts 'premise' and 'hypothesis'" in capsys.readouterr().out


def test_the_benchmark_takes_pairs(tmp_path):
    frame = rows().assign(gold=rows()["label"])
    frame.to_csv(tmp_path / "pairs.csv", index=False)
    words = ["benchmark", str(tmp_path / "pairs.csv"), *OPTIONS, "--gold_column", "gold", "--frozen", "--epochs", "1"]
    words += ["--methods", "gce", "--baselines", "ce", "--seeds", "0", "--output", str(tmp_path / "r.jsonl")]
    assert cli.main(words) == 0
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 2


def test_decisions_apply_to_a_table_of_pairs(table, tmp_path):
    (tmp_path / "decided.csv").write_text(
        "id,label,decision,new_label\n4,same,drop,\n".replace("same", rows()["label"][4])
    )
    done = apply_decisions(
        str(table), tmp_path / "decided.csv", output=tmp_path / "new.csv", text_column="premise", original_column=""
    )
    assert (done.rows, done.dropped) == (79, 1)
    assert pandas.read_csv(tmp_path / "new.csv").equals(rows().drop(4).reset_index(drop=True))
