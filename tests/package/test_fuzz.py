"""A small sample of `fuzz.py`, the defects that it found, and what it must find."""

from __future__ import annotations

import sys

import fuzz
import pytest
import torch
from fuzz_cases import PARAMETERS, Case, cases
from fuzz_trainings import TrainerCase, check_training, trainer_cases
from hypothesis import given, settings
from hypothesis.strategies import integers

from hf_noisy import METHODS, EarlyLearningRegularization, Memory
from hf_noisy.methods.parts.dynamics import ExampleDynamics

BY_HAND = {
    "augmentation",
    "doubt",
    "how",
    "vectors",
    "tokens",
    "matrix",
}  # in whole or part: what a tokenizer or shapes decide
ELR = Case(methods={"elr": {}}, rows=8, abstaining=0.3, seed=1)


@settings(fuzz.SETTINGS, max_examples=12, derandomize=True)
@given(cases())
def test_random_methods_on_random_rows_keep_their_promises(case):
    with fuzz.learning_briefly():
        fuzz.check_steps(case)


@pytest.mark.slow
@settings(fuzz.SETTINGS, max_examples=2, derandomize=True)
@given(trainer_cases())
def test_random_trainings_end_with_finite_numbers_and_resume(trial):
    with fuzz.learning_briefly():
        check_training(trial)


def test_every_method_and_nearly_every_parameter_is_drawn():
    assert PARAMETERS.keys() == METHODS.keys()
    for name, parameters in PARAMETERS.items():
        drawn, known = set(parameters(3)), set(METHODS[name].parameters)
        assert drawn <= known
        assert known - drawn <= BY_HAND | {"rate"}, name


# ---- what it found -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        Case({"gce_truncated": {}, "dividemix": {}}, rows=2, batch=1, epochs=3.0),
        Case({"bootstrap_hard": {}, "dividemix": {}}, rows=2, epochs=3.0, repeats=True),
    ],
    ids=["left out by a method before it", "repeated by a sampler"],
)
def test_dividemix_gives_no_weight_to_a_row_that_has_none(case):
    fuzz.check_steps(case)


def test_rule_masking_leaves_pseudo_labels_as_they_are():
    guessing = {"threshold": 0.6, "balance": False, "doubt": "model", "doubt_below": 0.9}
    methods = {"pseudo_labeling": guessing, "rule_masking": {"folds": "correct"}}
    fuzz.check_steps(Case(methods, rows=60, batch=10, sources=3, epochs=3.0, spread=5.0, abstaining=0.3, seed=21))


# ---- what it must find ---------------------------------------------------------------------------------------------


def test_a_regulariser_that_reads_rows_without_a_label_is_found(monkeypatch):
    def penalty(self, predictions, supervision, batch):
        return predictions.clean_log_probs.square().sum((0, 1, 3))

    fuzz.check_steps(ELR)
    monkeypatch.setattr(EarlyLearningRegularization, "penalty", penalty)
    with pytest.raises(AssertionError, match="without label and weight has a gradient"):
        fuzz.check_steps(ELR)


def test_a_memory_that_is_not_in_the_checkpoint_is_found(monkeypatch):
    monkeypatch.setattr(EarlyLearningRegularization, "state_dict", lambda self: {})
    monkeypatch.setattr(EarlyLearningRegularization, "load_state_dict", lambda self, state: None)
    with pytest.raises(AssertionError, match="resumed: a loss of"):
        fuzz.check_steps(ELR)


def test_a_memory_that_is_written_in_the_wrong_place_is_found(monkeypatch):
    def write(self, batch, values):
        self.values[(batch.index + 1) % len(self.values)] = values.to(self.values.dtype)

    monkeypatch.setattr(Memory, "write", write)
    with pytest.raises(AssertionError, match="changes for a row that is not in the batch"):
        fuzz.check_steps(ELR)


def test_a_method_that_goes_by_the_place_of_a_row_is_found(monkeypatch):
    def supervise(self, supervision, predictions, batch):
        return supervision.weighted(torch.linspace(0.5, 1, len(batch.index)))

    monkeypatch.setattr(ExampleDynamics, "supervise", supervise)
    with pytest.raises(AssertionError, match="a weight depends on the order of the batch"):
        fuzz.check_steps(Case({"ce": {}}, rows=8, batch=4))


def test_a_training_that_resumes_otherwise_is_found(monkeypatch):
    monkeypatch.setattr(EarlyLearningRegularization, "load_state_dict", lambda self, state: None)
    with pytest.raises(AssertionError, match="it ends otherwise"):
        check_training(TrainerCase(ELR))


def test_it_counts_what_it_tried_and_shows_the_smallest_failure(capsys):
    def check_small(number):
        assert number < 700

    tried, failures = fuzz.run(check_small, integers(0, 1000), 120, seed=0)
    printed = capsys.readouterr()
    assert tried == 120
    assert failures > 1
    assert "case=700" in printed.err
    assert f"check_small: 120 of 120, {failures} failures" in printed.out


def test_its_last_line_says_how_many_were_tried_and_failed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--examples", "3", "--methods", "elr", "ce"])
    assert fuzz.main() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 examples, 0 failures"
