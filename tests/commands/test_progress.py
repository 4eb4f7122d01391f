"""Bars of progress appear on a terminal and nowhere else, and change no result. `--quiet` leaves the results."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path

import datasets
import numpy as np
import pytest
from conftest import make_trainer, same, token_dataset
from snorkel.labeling import labeling_function
from tqdm import tqdm
from transformers.utils import logging

from hf_noisy import NoisyTrainer, apply_labeling_functions, cli
from hf_noisy.benchmark import schedule
from hf_noisy.common import progress
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.splits import tokenize
from hf_noisy.evidence.features import neighbours
from hf_noisy.recipe import RecipeTrainingArguments


class Terminal:
    """Inside the context, stderr is a pseudo-terminal. Afterwards `text` is what was written to it."""

    def __enter__(self) -> Terminal:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.parts: list[bytes] = []
        self.thread = threading.Thread(target=self._read)
        self.thread.start()
        self.before, sys.stderr = sys.stderr, os.fdopen(slave, "w")
        return self

    def __exit__(self, *_: object) -> None:
        stream, sys.stderr = sys.stderr, self.before
        stream.close()
        self.thread.join(10)
        os.close(self.master)
        self.text = b"".join(self.parts).decode()

    def _read(self) -> None:
        try:
            while part := os.read(self.master, 65536):
                self.parts.append(part)
        except OSError:  # the other end is closed
            pass


@pytest.fixture(autouse=True)
def _bars_appear_at_once(monkeypatch) -> None:
    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread that outlives the test
    monkeypatch.delenv("RANK", raising=False)


@pytest.fixture
def bars_of_datasets() -> Iterator[None]:
    """`datasets` shows bars, as it does unless told otherwise; conftest.py tells it otherwise."""
    datasets.enable_progress_bars()
    yield
    datasets.disable_progress_bars()


@pytest.fixture
def bars_of_transformers() -> Iterator[None]:
    """`transformers` shows bars, as it does unless told otherwise; a benchmark in this process may have told it."""
    before = logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    yield
    if not before:
        logging.disable_progress_bar()


@pytest.fixture
def labels_csv(tmp_path) -> Path:
    rows = [f"{word} thing {k},{label}" for k in range(40) for word, label in (("nice", "good"), ("poor", "bad"))]
    path = tmp_path / "my.csv"
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


# --- the bar ---


def test_a_bar_appears_on_a_terminal_and_disappears():
    with Terminal() as terminal:
        assert list(progress.progress_bar("Counting", range(3), unit="row")) == [0, 1, 2]
    assert "Counting: " in terminal.text
    assert "0/3" in terminal.text
    assert terminal.text.rpartition("\r")[0].rpartition("\r")[2].strip() == ""  # overwritten by blanks


def test_short_work_shows_no_bar(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 60)
    with Terminal() as terminal:
        assert list(progress.progress_bar("Counting", range(3))) == [0, 1, 2]
    assert terminal.text == ""


@pytest.mark.parametrize("reason", ["quiet", "another process", "no terminal"])
def test_no_bar_appears(reason, monkeypatch, capsys):
    if reason == "another process":
        monkeypatch.setenv("RANK", "1")
    terminal = Terminal()
    with nullcontext() if reason == "no terminal" else terminal, progress.quietly(reason == "quiet"):
        assert list(progress.progress_bar("Counting", iter("ab"))) == ["a", "b"]
        with progress.progress_bar("Counting", total=2) as bar:
            bar.update()
        with progress.bars_aside():
            pass
    assert reason == "no terminal" or terminal.text == ""
    assert capsys.readouterr().err == ""


def test_quiet_ends_with_its_context_and_an_inner_one_does_not_undo_it(capsys):
    with progress.quietly():
        with progress.quietly(False):
            progress.note("inside")
        progress.note("inside")
    progress.note("outside")
    assert capsys.readouterr().out == "outside\n"


def test_a_note_does_not_run_into_a_bar(monkeypatch):
    with Terminal() as terminal:
        monkeypatch.setattr(sys, "stdout", sys.stderr)
        with progress.progress_bar("Benchmark", total=2, unit="run") as bar:
            progress.note("first run: done")
            bar.update()
    lines = terminal.text.replace("\r", "\n").splitlines()
    assert "first run: done" in [line.strip() for line in lines]


# --- where work takes long ---


def test_neighbours_found_block_by_block_are_those_of_one_search(monkeypatch):
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(4000, 6))
    vectors[draw.integers(0, 4000, 500)] = vectors[draw.integers(0, 4000, 500)]  # equal rows
    vectors[:30] = 0  # more equal rows than neighbours
    whole = neighbours.nearest_rows(vectors, 20)
    monkeypatch.setattr(neighbours, "_BLOCK", 1536)
    parts = neighbours.nearest_rows(vectors, 20)
    assert np.array_equal(whole.rows, parts.rows)
    assert np.array_equal(whole.distances, parts.distances)
    assert not (whole.rows == np.arange(4000)[:, None]).any()  # no row is its own neighbour


def test_an_estimate_is_the_same_with_bars(labels_csv, tmp_path, capsys):
    words = ["estimate", "--data", str(labels_csv), "--resamples", "10", "--output"]
    with Terminal() as terminal:
        assert cli.main([*words, str(tmp_path / "with.json")]) == 0
    for doing in ("Predicting labels out of fold", "Inferring classes", "Estimating the noise", "Resampling rows"):
        assert f"{doing}: " in terminal.text
    assert cli.main([*words, str(tmp_path / "without.json")]) == 0
    assert (tmp_path / "with.json").read_text() == (tmp_path / "without.json").read_text()
    shown = capsys.readouterr()
    first, second, _ = shown.out.split("wrote ")
    assert first == second.partition("\n")[2]
    assert "%|" not in shown.err


def train_with_bars(folder, **arguments) -> tuple[NoisyTrainer, str]:
    trainer = make_trainer(folder, token_dataset(60), noise_method="truth_inference", logging_steps=9, **arguments)
    with Terminal() as terminal:
        trainer.train()
        trainer.encode()
    return trainer, terminal.text


@pytest.mark.parametrize(
    ("models", "shown"),
    [
        ("several", ("Encoding texts", "Comparing models of the noise")),
        ("one", ("Encoding texts", "Inferring classes", "Predicting all rows")),
    ],
)
def test_a_training_shows_what_a_method_does_unless_tqdm_is_disabled(tmp_path, models, shown):
    settings = {"noise_kwargs": {"models": models}}
    quiet, nothing = train_with_bars(tmp_path / "quiet", disable_tqdm=True, **settings)
    loud, text = train_with_bars(tmp_path / "loud", disable_tqdm=False, **settings)
    assert nothing == ""
    for doing in shown:
        assert f"{doing}: " in text
    assert same(quiet, loud)


def test_a_benchmark_shows_how_many_runs_are_done():
    futures: dict[Future, int] = {Future(): number for number in range(3)}
    for future, number in futures.items():
        future.set_result(number)

    class Writer:
        def finished(self, run, line):
            assert run == line

    with Terminal() as terminal:
        schedule._collect(futures, Writer())
    assert "Benchmark: " in terminal.text


@labeling_function()
def praise(x):
    return 1 if "nice" in x.text else -1


@pytest.mark.usefixtures("bars_of_datasets")
def test_bars_of_datasets_appear_only_on_a_terminal(capsys):
    rows = datasets.Dataset.from_dict({"text": ["a nice day", "a day"] * 10})
    with Terminal() as terminal:
        apply_labeling_functions(rows, [praise])
    assert "Applying 1 labeling functions" in terminal.text
    apply_labeling_functions(rows, [praise])
    tokenize(rows, small_encoder(["a nice day"])[1], 8)
    assert capsys.readouterr().err == ""
    assert not datasets.are_progress_bars_disabled()  # as before


def test_bars_of_datasets_stay_disabled_where_the_user_disabled_them():
    rows = datasets.Dataset.from_dict({"text": ["a nice day"] * 10})
    with Terminal() as terminal:
        apply_labeling_functions(rows, [praise])
    assert terminal.text == ""


@pytest.mark.usefixtures("bars_of_datasets", "bars_of_transformers")
def test_a_command_hides_bars_of_other_libraries_where_ours_are_hidden():
    assert logging.is_progress_bar_enabled()
    with Terminal(), progress.output_of_command(quiet=False):
        assert datasets.are_progress_bars_disabled()
        assert logging.is_progress_bar_enabled()
        with progress.dataset_bars(in_commands=True):
            assert not datasets.are_progress_bars_disabled()
        with progress.dataset_bars():
            assert datasets.are_progress_bars_disabled()
    with Terminal(), progress.output_of_command(quiet=True), progress.dataset_bars(in_commands=True):
        assert datasets.are_progress_bars_disabled()
        assert not logging.is_progress_bar_enabled()
    assert logging.is_progress_bar_enabled()
    assert not datasets.are_progress_bars_disabled()


# --- commands ---


def test_bars_of_a_recipe_follow_the_terminal_unless_the_user_sets_them(tmp_path):
    folder = str(tmp_path)
    with Terminal():
        assert RecipeTrainingArguments(folder, use_cpu=True).disable_tqdm is False
        assert RecipeTrainingArguments(folder, use_cpu=True, disable_tqdm=True).disable_tqdm is True
    assert RecipeTrainingArguments(folder, use_cpu=True).disable_tqdm is True
    assert RecipeTrainingArguments(folder, use_cpu=True, disable_tqdm=False).disable_tqdm is False


@pytest.mark.slow
def test_a_quiet_training_prints_the_table_alone(labels_csv, tmp_path, capsys):
    words = ["train", "--data", str(labels_csv), "--epochs", "1", "--use_cpu", "True", "--method", "ce"]
    with Terminal() as terminal:
        assert cli.main([*words, "--output", str(tmp_path / "out"), "--quiet"]) == 0
    assert terminal.text == ""
    assert capsys.readouterr().out == (tmp_path / "out" / "results.md").read_text()
    assert cli.main([*words, "--output", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert "cross-entropy on weak labels: " in shown.out
    assert "'train_loss'" in shown.out
    assert "%|" not in shown.err


def test_a_quiet_audit_and_estimate_print_results_alone(labels_csv, tmp_path, capsys):
    words = ["--data", str(labels_csv), "--resamples", "5", "--quiet", "--output"]
    assert cli.main(["audit", *words, str(tmp_path / "audit")]) == 0
    shown = capsys.readouterr().out
    assert "taken for wrong: " in shown
    assert "wrote" not in shown
    assert cli.main(["estimate", *words, str(tmp_path / "noise.json")]) == 0
    shown = capsys.readouterr().out
    assert "| estimator |" in shown
    assert "wrote" not in shown


def test_quiet_may_stand_in_a_file_of_settings(labels_csv, tmp_path, capsys):
    config = tmp_path / "settings.yaml"
    config.write_text(f"data: {labels_csv}\nquiet: true\nresamples: 5\nestimators: [truth_inference]\n")
    assert cli.main(["estimate", "--config", str(config), "--output", str(tmp_path / "noise.json")]) == 0
    assert "wrote" not in capsys.readouterr().out
