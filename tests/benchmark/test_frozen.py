"""A frozen run trains a head on stored vectors, by the same Trainer; and what was taught is counted with gold labels."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from test_benchmark import write_corpus
from transformers.utils import logging

from hf_noisy import METHODS, CrossEntropy, NoisyTrainer, NoisyTrainingArguments
from hf_noisy.benchmark import Run, Settings, processes, read_results, run_benchmark, schedule, vectors
from hf_noisy.benchmark.data import prepare
from hf_noisy.benchmark.frozen import FrozenClassifier, not_applicable, with_row_numbers
from hf_noisy.benchmark.processes import Workers
from hf_noisy.benchmark.results import identity
from hf_noisy.benchmark.settings import parse_method
from hf_noisy.benchmark.taught import TaughtLabels
from hf_noisy.benchmark.training import TrainingBench, distinct_texts, load_frozen
from hf_noisy.benchmark.vectors import VectorStore
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

FROZEN = Settings(epochs=2, batch_size=16, frozen=True)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> str:
    return str(write_corpus(tmp_path_factory.mktemp("corpora") / "votes"))


@pytest.fixture(autouse=True)
def settings_of_the_process():
    """`execute` sets these for a process of its own."""
    threads, verbosity = torch.get_num_threads(), logging.get_verbosity()
    hidden, hidden_here = datasets.are_progress_bars_disabled(), not logging.is_progress_bar_enabled()
    yield
    torch.set_num_threads(threads)
    logging.set_verbosity(verbosity)
    if not hidden:
        datasets.enable_progress_bars()
    if not hidden_here:
        logging.enable_progress_bar()


@pytest.fixture
def encoded(monkeypatch) -> list[int]:
    """Replaces the encoder by random vectors; holds the number of texts of each call."""
    calls: list[int] = []

    def encode(texts: list[str], model: str, max_length: int) -> np.ndarray:
        calls.append(len(texts))
        draws = [np.random.default_rng(sum(text.encode())).normal(size=5) for text in texts]
        return np.array(draws, dtype=np.float32)

    monkeypatch.setattr(vectors, "encode", encode)
    monkeypatch.setattr(vectors, "model_fingerprint", lambda model: model)
    return calls


# ---- runs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [name for name in METHODS if not_applicable(name) is None])
def test_every_applicable_method_trains_a_head(corpus, method):
    line = schedule.execute(Run(corpus, method, 0, parse_method(method)[1]), FROZEN, {}, threads=1)
    assert 0 <= line["accuracy_last"] <= 1
    assert 0 <= line["taught_correct"] <= 1
    assert line["settings"]["frozen"] is True
    if method == "auto":
        assert line["choices"][0].startswith("`auto` took `")


@pytest.mark.parametrize("row", ["majority_vote", "label_model", "ce", "gold", "clean_valid", "cleanlab"])
def test_the_baselines_run_on_vectors_too_and_hold_what_was_taught(corpus, row):
    line = schedule.execute(Run(corpus, row, 0), FROZEN, {}, threads=1)
    rows = prepare(Run(corpus, "ce", 0), FROZEN, {}).train
    given = (rows.labels == rows.gold)[rows.labels >= 0].mean()
    assert ("given_correct" in line) == ("taught_correct" in line) == (row != "clean_valid")
    if row == "gold":
        assert line["given_correct"] == line["taught_correct"] == 1
    elif row != "clean_valid":
        assert line["given_correct"] == pytest.approx(given)
    if row in ("majority_vote", "ce", "cleanlab"):
        assert line["taught_correct"] == pytest.approx(given)


def test_a_frozen_run_is_another_run_than_a_fine_tuned_one(corpus):
    run, tuned = Run(corpus, "ce", 0), replace(FROZEN, frozen=False)
    assert schedule._identity(run, FROZEN) != schedule._identity(run, tuned)
    assert "frozen" not in tuned.record()  # so that lines of earlier versions are still the same runs
    assert (Settings().epochs, Settings().learning_rates) == (3, (1e-4,))
    assert (Settings(frozen=True).epochs, Settings(frozen=True).learning_rates) == (10, (3e-3,))


def test_the_order_of_runs_does_not_change_their_results(corpus):
    def accuracies(methods: list[str]) -> dict[str, str]:
        lines = [
            schedule.execute(Run(corpus, name, 0, parse_method(name)[1]), FROZEN, {}, threads=1) for name in methods
        ]
        return {line["method"]: line["correct_chosen"] for line in lines}

    assert accuracies(["ce", "co_teaching", "gce"]) == accuracies(["gce", "co_teaching", "ce"])


def test_methods_that_hide_words_are_refused_by_name_with_the_reason(corpus, tmp_path):
    assert not_applicable("rule_masking") is not None
    assert not_applicable("consistency", {"kind": "fixmatch"}) is not None
    assert not_applicable("consistency") is None  # R-Drop: two dropout views
    with pytest.raises(ValueError, match="rule_masking hides or replaces words"):
        run_benchmark([corpus], ["rule_masking"], [0], tmp_path / "results.jsonl", FROZEN)


# ---- stored vectors ------------------------------------------------------------------------------------------------


def test_each_text_is_encoded_once_whatever_the_run(encoded, tmp_path):
    store = VectorStore(tmp_path, "encoder", 16)
    first = store.vectors(["a", "b", "c"])
    again = VectorStore(tmp_path, "encoder", 16).vectors(["c", "d", "a"])
    assert encoded == [3, 1]
    np.testing.assert_array_equal(first[[2, 0]], again[[0, 2]])
    VectorStore(tmp_path, "encoder", 32).vectors(["a"])  # other truncation
    VectorStore(tmp_path, "other", 16).vectors(["a"])
    assert encoded == [3, 1, 1, 1]
    assert not list(tmp_path.rglob("*.unfinished"))


def test_the_runs_of_a_benchmark_share_the_vectors(encoded, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "check_pretrained", lambda *args: None)
    settings = replace(FROZEN, model="encoder")

    def here(workers, run, settings, columns, processes, folder):
        return schedule.execute(run, settings, columns, 1, folder)

    monkeypatch.setattr(schedule, "_in_a_process", here)
    output = tmp_path / "results.jsonl"
    assert run_benchmark([corpus], ["gce"], [0, 1], output, settings, say=lambda text: None) == []
    texts = {text for seed in (0, 1) for text in distinct_texts(prepare(Run(corpus, "ce", seed), settings, {}))}
    assert encoded == [len(texts)]
    assert (tmp_path / "results.vectors").is_dir()
    assert run_benchmark([corpus], ["gce", "sce"], [0, 1], output, settings, say=lambda text: None) == []
    assert len(encoded) == 1
    assert len({identity(line) for line in read_results(output)}) == len(read_results(output)) == 2 * 8


def test_without_a_model_the_vectors_are_word_features_of_the_texts(tmp_path):
    texts = ["good soup", "bad soup", "good film", "bad film"]
    found = VectorStore(tmp_path, None, 16).vectors(texts)
    assert len(found) == 4
    np.testing.assert_array_equal(found, VectorStore(tmp_path, None, 16).vectors(texts))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_the_encoder_of_a_frozen_run_is_the_table_of_vectors(encoded, corpus, tmp_path):
    settings = replace(FROZEN, model="encoder")
    data = prepare(Run(corpus, "ce", 0), settings, {})
    model, numbers = load_frozen(settings, data, 0, tmp_path)
    rows = with_row_numbers(data.train.labelled(data.train.labels), numbers)
    args = NoisyTrainingArguments(output_dir=str(tmp_path / "out"), report_to="none", use_cpu=True)
    trainer = NoisyTrainer(model, args, train_dataset=rows)
    expected = VectorStore(tmp_path, "encoder", 128).vectors(list(dict.fromkeys(rows["text"])))
    places = {text: row for row, text in enumerate(dict.fromkeys(rows["text"]))}
    np.testing.assert_allclose(trainer.encode(), expected[[places[text] for text in rows["text"]]])
    assert model.config._name_or_path == "encoder"  # `truth_inference` takes it for a pretrained encoder
    train = torch.tensor([numbers[text] for text in data.train.texts])
    scaled = model.standardize(model.encoder.embeddings.vectors[train])
    torch.testing.assert_close(scaled.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(5))


def test_a_column_that_is_constant_in_the_training_rows_is_ignored():
    table = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 9.0]])
    model = FrozenClassifier.of(table, np.array([0, 1]), ["a", "b"], seed=0)
    torch.testing.assert_close(model.standardize(model.encoder.embeddings.vectors)[:, 1], torch.zeros(3))


def test_the_weights_are_learned_and_the_vectors_are_not(corpus):
    bench = TrainingBench(FROZEN, prepare(Run(corpus, "ce", 0), FROZEN, {}), 0)
    table = bench.model.encoder.embeddings.vectors.clone()
    rows = bench.data.train.labelled(bench.data.train.labels)
    bench.fit(rows, learning_rate=1e-2, test=bench.data.test.dataset)
    assert not torch.equal(bench.model.classifier.weight, bench.start["classifier.weight"])
    torch.testing.assert_close(bench.model.encoder.embeddings.vectors, table, rtol=0, atol=0)
    assert "encoder.embeddings.vectors" not in bench.start


@pytest.mark.parametrize("method", ["dividemix", "truth_inference"])
def test_a_frozen_training_resumes_exactly(corpus, tmp_path, method):
    data = prepare(Run(corpus, "ce", 0), FROZEN, {})

    def trained(folder: Path, resume: bool) -> dict[str, torch.Tensor]:
        model, numbers = load_frozen(FROZEN, data, 0)
        rows = with_row_numbers(data.train.labelled(data.train.labels), numbers)
        args = NoisyTrainingArguments(
            output_dir=str(folder),
            noise_method=method,
            num_train_epochs=3,
            per_device_train_batch_size=16,
            learning_rate=1e-2,
            save_strategy="epoch",
            report_to="none",
            use_cpu=True,
        )
        trainer = NoisyTrainer(model, args, train_dataset=rows)
        trainer.train(resume_from_checkpoint=str(next(folder.glob("checkpoint-4"))) if resume else None)
        return {name: value.clone() for name, value in trainer.noise.networks[0].state_dict().items()}

    whole = trained(tmp_path, resume=False)
    resumed = trained(tmp_path, resume=True)
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0)


# ---- what was taught -----------------------------------------------------------------------------------------------


def context_of(labels: list[int], networks: int = 1) -> Context:
    return Context(len(labels), 3, networks, torch.tensor(labels), None, CrossEntropy(), 1, 0, torch.device("cpu"))


def test_ties_are_shared_and_a_row_without_weight_counts_by_its_given_label():
    taught = TaughtLabels(np.array([0, 1, 2, 2, 0, 1]))
    labels = [0, 1, 2, 0, -100, 1]
    taught.setup(context_of(labels))
    batch = Batch.from_labels(torch.tensor(labels[:5]), classes=3)
    targets = torch.tensor(
        [
            [0.2, 0.7, 0.1],  # another class than the true one: 0
            [0.5, 0.5, 0.0],  # the true class among two: 1/2
            [1.0, 0.0, 0.0],  # weight 0, and the given label is right: 1
            [0.0, 0.1, 0.9],  # the given label is wrong, the taught one right: 1
            [1.0, 0.0, 0.0],  # no label: not counted
        ]
    )
    supervision = Supervision(targets[None], torch.tensor([[1.0, 0.3, 0.0, 1.0, 1.0]]))
    predictions = Predictions.from_logits(torch.zeros(1, 5, 3), 1, 5)
    assert taught.supervise(supervision, predictions, batch) is supervision
    assert taught.correct() == pytest.approx((0 + 0.5 + 1 + 1 + 1) / 5)  # the last row was never visited: its label


def test_several_networks_are_averaged_and_rows_without_a_known_class_are_left_out():
    taught = TaughtLabels(np.array([0, -1]))
    taught.setup(context_of([1, 1], networks=2))
    batch = Batch.from_labels(torch.tensor([1, 1]), classes=3)
    targets = torch.tensor([[[1.0, 0, 0], [0, 1, 0]], [[0, 1.0, 0], [0, 1, 0]]])
    predictions = Predictions.from_logits(torch.zeros(2, 2, 3), 1, 2)
    taught.supervise(Supervision(targets, torch.ones(2, 2)), predictions, batch)
    assert taught.correct() == 0.5
    unknown = TaughtLabels(np.array([-1, -1]))
    unknown.setup(context_of([1, 1]))
    assert unknown.correct() is None


class TeachesGold(NoiseCallback):
    """Teaches each row the class of a list."""

    def __init__(self, gold: np.ndarray) -> None:
        self.gold = torch.from_numpy(gold)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        targets = torch.nn.functional.one_hot(self.gold[batch.index], supervision.targets.shape[-1]).float()
        return replace(supervision, targets=targets.expand_as(supervision.targets))


def test_the_record_sees_the_targets_of_the_methods_before_it(tmp_path, corpus):
    data = prepare(Run(corpus, "ce", 0), FROZEN, {})
    known = data.train.labels >= 0
    model, numbers = load_frozen(FROZEN, data, 0)
    taught = TaughtLabels(data.train.gold[known])
    args = NoisyTrainingArguments(output_dir=str(tmp_path), num_train_epochs=1, report_to="none", use_cpu=True)
    rows = with_row_numbers(data.train.labelled(data.train.labels), numbers)
    NoisyTrainer(model, args, train_dataset=rows, callbacks=[TeachesGold(data.train.gold[known]), taught]).train()
    assert taught.correct() == 1


# ---- processes -----------------------------------------------------------------------------------------------------


def test_frozen_runs_share_a_process_and_one_that_died_is_replaced(monkeypatch):
    monkeypatch.setattr(processes, "_one_process", lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn")))
    with Workers(reuse=True) as workers:
        first, second = workers.call(os.getpid), workers.call(os.getpid)
        with pytest.raises(BrokenProcessPool):
            workers.call(os._exit, 1)
        third = workers.call(os.getpid)
    assert first == second != third
    with Workers(reuse=False) as workers:
        assert workers.call(os.getpid) != workers.call(os.getpid)
