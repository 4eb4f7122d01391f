"""Runs on rows of two texts: each pair has a vector of its own, which is never that of a single text."""

from __future__ import annotations

import numpy as np
import pytest
from pair_rows import write_pairs

from hf_noisy.benchmark import Run, Settings, schedule, vectors
from hf_noisy.benchmark.data import prepare
from hf_noisy.benchmark.training import TrainingBench, distinct_texts
from hf_noisy.benchmark.vectors import VectorStore

PAIR = {"text_column": "premise", "text_pair_column": "hypothesis", "gold_column": "gold"}
FROZEN = Settings(epochs=20, batch_size=16, frozen=True, learning_rates=(3e-2,))


@pytest.fixture(scope="module")
def csv(tmp_path_factory) -> str:
    return str(write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.csv", 160))


@pytest.fixture
def encoded(monkeypatch) -> list:
    """Replaces the encoder by random vectors; holds the texts of all calls."""
    asked: list = []

    def encode(texts, model, max_length):
        asked.extend(texts)
        return np.array([np.full(3, len(asked) + row) for row in range(len(texts))], dtype=np.float32)

    monkeypatch.setattr(vectors, "encode", encode)
    monkeypatch.setattr(vectors, "model_fingerprint", lambda model: model)
    return asked


def test_a_stored_vector_is_never_taken_for_another_division_of_the_same_words(encoded, tmp_path):
    different = [("a", "b c"), ("a b", "c"), "a b c", "a", "b c", ("a", "b"), ("b", "a"), "ab", ("ab", ""), ("", "ab")]
    for text in different:
        VectorStore(tmp_path, "encoder", 16).vectors([text])
    assert encoded == different
    VectorStore(tmp_path, "encoder", 16).vectors(different)
    assert encoded == different  # all were stored


def test_word_features_of_pairs_are_stored_apart_from_those_of_their_first_texts(tmp_path):
    pairs = [("red one", "blue"), ("blue one", "blue"), ("red two", "red")]
    single = VectorStore(tmp_path, None, 16).vectors([first for first, _ in pairs])
    assert VectorStore(tmp_path, None, 16).vectors(pairs).shape != single.shape
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_rows_that_share_a_first_text_only_are_no_duplicates(tmp_path):
    path = write_pairs(tmp_path / "pairs.csv", 40, premise=["the same chair"] * 40)
    pairs = distinct_texts(prepare(Run(str(path), "ce", 0), FROZEN, PAIR))
    single = {**PAIR, "text_pair_column": None}
    assert distinct_texts(prepare(Run(str(path), "ce", 0), FROZEN, single)) == ["the same chair"]
    assert 1 < len(pairs) == len(set(pairs))


@pytest.mark.parametrize("method", ["ce", "auto"])
def test_a_frozen_run_learns_what_only_both_texts_say(csv, method):
    def accuracy(columns: dict) -> float:
        return schedule.execute(Run(csv, method, 0), FROZEN, columns, threads=1)["accuracy_last"]

    assert accuracy(PAIR) > 0.9
    assert accuracy({**PAIR, "text_pair_column": None}) < 0.8


def test_a_tuned_run_reads_both_texts_as_two_segments(csv):
    settings = Settings(epochs=1, batch_size=16, max_length=32)
    data = prepare(Run(csv, "ce", 0), settings, PAIR)
    bench = TrainingBench(settings, data, 0)
    tokens = bench.tokens(data.train.labelled(data.train.labels))
    assert {"text", "text_pair", "token_type_ids"} <= set(tokens.column_names)
    assert 1 in tokens[0]["token_type_ids"]
    assert "[UNK]" not in bench.tokenizer.decode(tokens[0]["input_ids"])  # words of both texts are in the vocabulary
    for noise in ("instance_dependent:0.3", "weak_model:0.3"):
        line = schedule.execute(Run(csv, "gce", 0), Settings(epochs=1, noise=noise), PAIR, threads=1)
        assert 0 <= line["accuracy_last"] <= 1


def test_noise_that_depends_on_texts_depends_on_the_second_one(csv):
    def labels(pair: str | None) -> list[int]:
        settings = Settings(noise="weak_model:0.3")
        columns = {**PAIR, "text_pair_column": pair}
        return prepare(Run(csv, "ce", 0), settings, columns).train.labels.tolist()

    assert labels("hypothesis") != labels(None)
