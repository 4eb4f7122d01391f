"""Every command and recipe on a table of two texts a row, from the file to the saved model, the page and the estimates."""

from __future__ import annotations

import json
import re

import pytest
from pair_rows import COLOURS, pair_rows, write_pairs
from transformers import AutoTokenizer, pipeline

from hf_noisy import cli
from hf_noisy.commands.arguments import AuditArguments, BenchmarkArguments, EstimateArguments, RecipeArguments

COLUMNS = ["--text_column", "premise", "--text_pair_column", "hypothesis", "--gold_column", "gold"]
FEW = ["--num_train_epochs", "1", "--disable_tqdm", "True"]


@pytest.fixture(scope="module")
def csv(tmp_path_factory) -> str:
    return str(write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.csv"))


def run(*words: object) -> None:
    assert cli.main([str(word) for word in words]) == 0


@pytest.mark.parametrize("kind", [RecipeArguments, AuditArguments, EstimateArguments, BenchmarkArguments])
def test_every_command_has_the_option(kind):
    assert kind(text_pair_column="hypothesis").columns["text_pair_column"] == "hypothesis"
    assert kind().columns["text_pair_column"] is None


def test_a_model_of_pairs_is_trained_saved_and_called_as_its_card_says(csv, tmp_path):
    run("train", "--data", csv, *COLUMNS, *FEW, "--noise_method", "rule_masking+gce", "--output", tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert 1 in tokenizer("red chair", "blue chair")["token_type_ids"]
    assert set(COLOURS) <= set(tokenizer.get_vocab())
    assert "hypothesis" not in tokenizer.get_vocab()
    card = (tmp_path / "out" / "README.md").read_text()
    call = re.search(r"^pipe\((.*)\)$", card, re.MULTILINE)
    assert call is not None
    pipe = pipeline("text-classification", model=str(tmp_path / "out"))
    found = pipe(json.loads(call[1]))
    found = found[0] if isinstance(found, list) else found
    assert found["label"] in {"same", "different"}
    scores = [pipe({"text": "the red chair", "text_pair": second})["score"] for second in ("red", "a blue chair")]
    assert scores[0] != scores[1]


def test_a_model_of_single_texts_has_no_word_of_pairs_on_its_card(csv, tmp_path):
    run("train", "--data", csv, "--text_column", "premise", *FEW, "--output", tmp_path / "out", "--noise_method", "gce")
    assert "text_pair" not in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("columns", [COLUMNS, ["--text_column", "premise"]])
def test_an_audit_shows_both_texts_or_the_one(csv, tmp_path, columns):
    run("audit", "--data", csv, *columns, "--scorers", "held_out", "--resamples", 2, "--output", tmp_path)
    table = pair_rows()
    page = (tmp_path / "report.html").read_text()
    data = json.loads(re.search(r'id="audit-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    rows = [int(row) for row in data["ids"]]
    assert len(rows) == 80
    assert data["texts"] == [table["premise"][row] for row in rows]
    assert data["pairs"] == ([table["hypothesis"][row] for row in rows] if columns is COLUMNS else None)
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    wrong = {row for row, label in enumerate(table["label"]) if label != table["gold"][row]}
    worst = {int(line["id"]) for line in sorted(lines, key=lambda line: -line["wrongness"])[: len(wrong)]}
    share = len(worst & wrong) / len(wrong)
    assert share > 0.7 if columns is COLUMNS else share < 0.7  # only both texts together say the label


def test_an_estimate_reads_both_texts(csv, tmp_path):
    def agreement(*columns: str) -> float:
        run("estimate", "--data", csv, *columns, "--resamples", 2, "--output", tmp_path / "noise.json")
        return json.loads((tmp_path / "noise.json").read_text())["estimators"]["confident_joint"]["rate"]

    both, first = agreement(*COLUMNS), agreement("--text_column", "premise")
    assert abs(both - 1 / 9) < 0.08
    assert both != first


@pytest.mark.slow
def test_a_benchmark_of_frozen_vectors_reads_both_texts(csv, tmp_path):
    output = tmp_path / "results.jsonl"
    budget = ["--seeds", 0, "--epochs", 20, "--learning_rate", 0.03, "--output", output]
    run("benchmark", "--data", csv, *COLUMNS, "--frozen", "--methods", "gce", "--baselines", "ce", *budget)
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert {line["method"] for line in lines} == {"gce", "ce"}
    assert all(line["accuracy_last"] > 0.8 for line in lines)


def test_a_file_of_pairs_without_the_options_gets_them_proposed(csv, capsys):
    assert cli.main(["train", "--data", csv]) == 2
    assert "--text_column premise --text_pair_column hypothesis" in capsys.readouterr().err
    assert cli.main(["audit", "--data", csv, "--text_column", "premise", "--text_pair_column", "hypotesis"]) == 2
    assert "no column 'hypotesis'. Did you mean 'hypothesis'?" in capsys.readouterr().err
