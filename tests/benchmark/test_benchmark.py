"""One line a run, the same budget for all, nothing read that may not be read, and nothing lost when interrupted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import flat_weights, make_trainer, token_dataset
from programs import run_program

from hf_noisy import METHODS
from hf_noisy.benchmark import Run, Settings, data, read_results, rows, run_benchmark, schedule
from hf_noisy.benchmark.data import prepare
from hf_noisy.benchmark.report import write_report
from hf_noisy.benchmark.results import CORRECT, KEYS, OPTIONAL, to_line
from hf_noisy.benchmark.settings import FIXED, parse_method, plan
from hf_noisy.benchmark.speed import FLOOR, measure_speed, render_speed
from hf_noisy.benchmark.training import EpochScores, Fit, TrainingBench

ROOT = Path(__file__).resolve().parents[2]
SMALL = Settings(epochs=2, max_length=12, batch_size=16, learning_rates=(1e-2,))
WORDS = {0: "bad awful sad", 1: "good great glad"}


def write_corpus(folder: Path, *, rows: int = 60, sources: int = 3, valid_votes: bool = True, seed: int = 0) -> Path:
    """A WRENCH folder of two classes, whose sources each vote wrong on one row in five and abstain on one in five."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    (folder / "label.json").write_text(json.dumps({"0": "bad", "1": "good"}))
    for split, size in (("train", rows), ("valid", 20), ("test", 30)):
        lines = {}
        for row in range(size):
            gold = int(draw.integers(2))
            words = [*draw.choice(WORDS[gold].split(), 2), *draw.choice(["the", "film", "soup"], draw.integers(1, 6))]
            votes = [int(draw.choice([gold, gold, gold, 1 - gold, -1])) for _ in range(sources)]
            if split == "valid" and not valid_votes:
                votes = [-1] * sources
            lines[str(row)] = {"label": gold, "data": {"text": " ".join(words)}, "weak_labels": votes}
        (folder / f"{split}.json").write_text(json.dumps(lines))
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> str:
    return str(write_corpus(tmp_path_factory.mktemp("corpora") / "votes"))


@pytest.fixture(scope="module")
def results(corpus, tmp_path_factory) -> Path:
    """A benchmark of one corpus, seed and method, run for real."""
    output = tmp_path_factory.mktemp("results") / "results.jsonl"
    assert run_benchmark([corpus], ["gce:q=0.5"], [0], output, SMALL, say=lambda text: None) == []
    return output


def line_of(results: Path, method: str) -> dict:
    (line,) = (line for line in read_results(results) if line["method"] == method)
    return line


# ---- lines ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_fixed_rows_and_the_method_are_there_with_every_key(results):
    lines = read_results(results)
    assert {line["method"] for line in lines} == {*FIXED, "gce"}
    assert all({*KEYS} - {*CORRECT} <= {*line} <= {*KEYS} for line in lines)
    assert {line["method"] for line in lines if line["reads_gold"]} == {"gold", "clean_valid"}
    assert line_of(results, "gce")["params"] == {"q": 0.5}
    assert all(line["settings"] == SMALL.record() for line in lines)


@pytest.mark.slow
def test_cost_is_a_multiple_of_cross_entropy(results):
    assert line_of(results, "ce")["cost"] == 1
    for line in read_results(results):
        expected = line["processor_seconds"] / line_of(results, "ce")["processor_seconds"]
        if line["versions"]["device"] == "cpu":
            assert line["cost"] == pytest.approx(expected, abs=1e-3)
    assert all(line_of(results, name)["cost"] > 0 for name in ("cleanlab", "clean_valid"))


@pytest.mark.slow
def test_the_accuracies_are_those_of_the_packed_rows_and_best_is_never_below_another_epoch(results):
    for line in read_results(results):
        right = np.unpackbits(np.frombuffer(bytes.fromhex(line["correct_chosen"]), np.uint8), count=line["test_rows"])
        assert right.mean() == pytest.approx(line["accuracy_chosen"])
        assert line["accuracy_best"] >= max(line["accuracy_last"], line["accuracy_chosen"])


@pytest.mark.slow
def test_each_rule_of_stopping_has_the_accuracy_of_its_epoch(results):
    for line in read_results(results):
        at_rule = line["accuracy_by_rule"]
        assert (at_rule is None) == (line["method"] in ("majority_vote", "label_model", "clean_valid")), line["method"]
        if at_rule is not None:
            assert tuple(at_rule) == ("accuracy", "label_wave", "both")
            assert at_rule["accuracy"] == line["accuracy_chosen"]
            assert max(at_rule.values()) <= line["accuracy_best"]


@pytest.mark.slow
def test_older_lines_without_accuracy_by_rule_are_read_beside_new_ones_and_not_run_again(results, corpus, tmp_path):
    output = tmp_path / "results.jsonl"
    whole = results.read_text().splitlines()
    old = [json.loads(line) for line in whole[:-1]]
    for line in old[::2]:
        del line["accuracy_by_rule"]
    text = "".join(json.dumps(line) + "\n" for line in old)
    output.write_text(text)
    assert read_results(output) == old
    assert run_benchmark([corpus], ["gce:q=0.5"], [0], output, SMALL, say=lambda text: None) == []
    assert output.read_text().startswith(text)
    assert len(read_results(output)) == len(whole)
    write_report(read_results(output), tmp_path / "report.md")


@pytest.mark.slow
def test_noise_rates_are_counted_by_gold_labels(results, corpus):
    rows = prepare(Run(corpus, "ce", 0), SMALL, {}).train
    known = rows.labels >= 0
    assert line_of(results, "ce")["noise_rate"] == pytest.approx((rows.labels != rows.gold)[known].mean())
    assert 0.1 < line_of(results, "ce")["noise_rate"] < 0.4
    assert line_of(results, "gold")["noise_rate"] == line_of(results, "clean_valid")["noise_rate"] == 0
    assert line_of(results, "ce")["estimated_noise_rate"] is None
    assert 0 < line_of(results, "cleanlab")["estimated_noise_rate"] < 1
    assert line_of(results, "cleanlab")["train_rows"] < line_of(results, "ce")["train_rows"] == known.sum()


@pytest.mark.slow
def test_a_run_gives_the_same_figures_again(results, corpus):
    again = schedule.execute(Run(corpus, "gce", 0, {"q": 0.5}), SMALL, {}, threads=1)
    for key in ("accuracy_last", "accuracy_chosen", "accuracy_best", "f1_last", "correct_chosen", "noise_rate"):
        assert again[key] == line_of(results, "gce")[key]


@pytest.mark.slow
def test_interrupted_it_goes_on_where_it_stopped(results, corpus, tmp_path):
    output = tmp_path / "results.jsonl"
    whole = results.read_text().splitlines()
    cut = [line for line in whole if '"label_model"' not in line and '"majority_vote"' not in line]
    output.write_text("\n".join(cut) + "\n" + whole[0][:40])  # killed while it wrote a line
    said: list[str] = []
    assert run_benchmark([corpus], ["gce:q=0.5"], [0], output, SMALL, say=said.append) == []
    assert output.read_text().startswith("\n".join(cut) + "\n")
    assert sorted(line["method"] for line in read_results(output)) == sorted({*FIXED, "gce"})
    assert line_of(output, "label_model")["accuracy_last"] == line_of(results, "label_model")["accuracy_last"]
    assert said[0].startswith("5 of 7 runs")
    assert sum("label_model" in text for text in said) == 1
    assert run_benchmark([corpus], ["gce:q=0.5"], [0], output, SMALL, say=said.append) == []
    assert said[-1].startswith("7 of 7 runs")


@pytest.mark.slow
def test_other_settings_or_parameters_are_other_runs(results, corpus, tmp_path, monkeypatch):
    output = tmp_path / "results.jsonl"
    output.write_text(results.read_text())
    started = fake_runs(monkeypatch)
    run_benchmark([corpus], ["gce:q=0.9"], [0], output, SMALL, say=lambda text: None)
    assert [(run.method, run.params) for run in started] == [("ce", {}), ("gce", {"q": 0.9})]  # `ce` for the cost
    run_benchmark([corpus], [], [0], output, replace(SMALL, noise="pair:0.3"), say=lambda text: None)
    assert len(started) == 2 + len(FIXED)


def test_what_learns_from_gold_labels_alone_is_not_run_again_under_another_noise(corpus, tmp_path, monkeypatch):
    output = tmp_path / "results.jsonl"
    started = fake_runs(monkeypatch)
    for noise in ("symmetric:0.2", None, "symmetric:0.4"):  # labels as given are not an injected noise
        started.clear()
        assert run_benchmark([corpus], ["gce"], [0], output, replace(SMALL, noise=noise), say=lambda text: None) == []
        spared = {"gold", "clean_valid"} if noise == "symmetric:0.4" else set()
        assert {run.method for run in started} == {*FIXED, "gce"} - spared
    lines = {(line["settings"]["noise"], line["method"]): line for line in read_results(output)}
    assert len(lines) == len(read_results(output)) == 3 * (len(FIXED) + 1)
    assert lines["symmetric:0.4", "gold"]["cost"] == 1.5


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gold", "clean_valid"])
def test_what_learns_from_gold_labels_alone_learns_the_same_under_another_noise(corpus, method):
    first, second = (
        schedule.execute(Run(corpus, method, 0), replace(SMALL, noise=noise), {}, threads=1)
        for noise in ("symmetric:0.2", "symmetric:0.4")
    )
    for line in (first, second):
        for key in ("settings", "train_seconds", "processor_seconds", "peak_memory_mb"):
            del line[key]
    assert first == second


def test_the_report_is_written_from_the_file(results, tmp_path):
    write_report(read_results(results), tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    assert "| `gce` |" in text
    assert (tmp_path / "report-accuracy.png").stat().st_size > 1000


# ---- the schedule, without training --------------------------------------------------------------------------------


def fake_runs(
    monkeypatch, *, fails: str = "", order: dict[str, float] | None = None, slowness: float = 1.0
) -> list[Run]:
    """Replaces the process of a run by a made-up line; `order` says how long each method takes to come back."""
    import time

    started: list[Run] = []

    def run(workers, run: Run, settings: Settings, *others) -> dict:
        started.append(run)
        time.sleep((order or {}).get(run.method, 0.0))
        if run.method == fails:
            raise RuntimeError("out of luck")
        line = dict.fromkeys(KEYS) | {"dataset": run.dataset, "method": run.method, "params": dict(run.params)}
        line |= {"seed": run.seed, "settings": settings.record(), "versions": {"device": "cpu"}}
        seconds = slowness * (2.0 if run.method == "ce" else 3.0)
        return line | {"train_seconds": seconds, "processor_seconds": seconds}

    monkeypatch.setattr(schedule, "_in_a_process", run)
    return started


def test_lines_wait_for_the_cost_of_cross_entropy(corpus, tmp_path, monkeypatch):
    fake_runs(monkeypatch, order={"ce": 0.3})
    output = tmp_path / "results.jsonl"
    assert run_benchmark([corpus], ["gce"], [0], output, SMALL, processes=3, say=lambda text: None) == []
    costs = {line["method"]: line["cost"] for line in read_results(output)}
    assert costs == {"ce": 1.0, **{name: 1.5 for name in (*FIXED, "gce") if name != "ce"}}
    for line in read_results(output):
        assert line["cost"] * line["ce_seconds"] == pytest.approx(line["processor_seconds"])


def test_a_line_that_is_added_later_costs_a_multiple_of_cross_entropy_beside_it(corpus, tmp_path, monkeypatch):
    output = tmp_path / "results.jsonl"
    fake_runs(monkeypatch)
    run_benchmark([corpus], [], [0], output, SMALL, say=lambda text: None)
    before = output.read_text()
    started = fake_runs(monkeypatch, slowness=0.5, order={"ce": 0.3})  # a faster machine today
    assert run_benchmark([corpus], ["gce"], [0], output, SMALL, processes=2, say=lambda text: None) == []
    assert {run.method for run in started} == {"ce", "gce"}
    assert output.read_text().startswith(before)
    (added,) = read_results(output)[len(FIXED) :]
    assert (added["method"], added["cost"]) == ("gce", 1.5)
    started.clear()
    run_benchmark([corpus], ["gce"], [0], output, SMALL, say=lambda text: None)
    assert not started  # nothing to add, nothing to compare with


def test_a_run_that_fails_writes_nothing_and_is_named_and_the_others_go_on(corpus, tmp_path, monkeypatch):
    fake_runs(monkeypatch, fails="gce")
    output = tmp_path / "results.jsonl"
    failures = run_benchmark([corpus], ["gce", "sce"], [0], output, SMALL, say=lambda text: None)
    assert failures == ["votes gce q=0.7 seed 0: RuntimeError: out of luck"]
    assert {line["method"] for line in read_results(output)} == {*FIXED, "sce"}


def test_without_cross_entropy_the_others_of_its_rows_have_no_cost_and_are_not_written(corpus, tmp_path, monkeypatch):
    fake_runs(monkeypatch, fails="ce")
    output = tmp_path / "results.jsonl"
    failures = run_benchmark([corpus], ["gce"], [0], output, SMALL, say=lambda text: None)
    assert len(failures) == len(FIXED) + 1
    assert not output.exists()


@pytest.mark.slow
def test_a_run_whose_process_dies_is_named_and_the_others_go_on(corpus, tmp_path):
    code = "import os; os.kill(os.getpid(), 9)"
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'forkserver' in ' '.join(sys.orig_argv):\n"
        "    import hf_noisy.benchmark.rows as rows\n"
        f"    def die(*args): exec({code!r})\n"
        "    rows.VOTE_ROWS['label_model'] = die\n"
    )
    output = tmp_path / "results.jsonl"
    words = [
        "--data",
        corpus,
        "--methods",
        "--seeds",
        "0",
        "--epochs",
        "1",
        "--max_length",
        "12",
        "--output",
        str(output),
    ]
    done = recipe(*words, environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed: votes label_model seed 0: BrokenProcessPool" in done.stderr
    assert {line["method"] for line in read_results(output)} == {*FIXED} - {"label_model"}


ORPHANS = """
import os, signal, time
from concurrent.futures import ProcessPoolExecutor
from hf_noisy.benchmark.processes import end_with_parent, fresh_processes

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, mp_context=fresh_processes(), initializer=end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_benchmark_that_is_killed_leaves_no_process_behind(tmp_path):
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    worker = Path("/proc", done.stdout.strip())
    assert done.stdout.strip().isdecimal(), done.stderr
    for _ in range(100):
        if not worker.exists():
            return
        time.sleep(0.1)
    os.kill(int(worker.name), 9)
    raise AssertionError("the worker lives on")


def test_progress_counts_runs_and_estimates_what_is_left(corpus, tmp_path, monkeypatch):
    fake_runs(monkeypatch)
    said: list[str] = []
    run_benchmark([corpus], [], [0, 1], tmp_path / "results.jsonl", SMALL, say=said.append)
    assert said[0].startswith("0 of 12 runs")
    assert [text.partition(" ")[0] for text in said[1:]] == [f"[{number}/12]" for number in range(1, 13)]
    assert "minute left" in said[5]


def test_cross_entropy_comes_first_and_each_row_once():
    runs = plan(["a", "b"], ["ce", "gce", "gce", "gce:q=0.5"], [3, 4])
    assert [run.method for run in runs[:1]] == ["ce"]
    assert len(runs) == 2 * 2 * (len(FIXED) + 2)
    assert [run.seed for run in runs] == [3] * 16 + [4] * 16


def test_only_the_baselines_that_are_asked_for_run_and_always_cross_entropy():
    assert [run.method for run in plan(["a"], ["gce"], [0], ["gold"])] == ["ce", "gold", "gce"]
    assert [run.method for run in plan(["a"], ["gce"], [0], ["ce"])] == ["ce", "gce"]
    with pytest.raises(ValueError, match="unknown baseline 'godl'.*'gold'"):
        plan(["a"], [], [0], ["godl"])


def test_parameters_are_written_out_so_that_another_default_is_another_run():
    assert parse_method("sce") == ("sce", METHODS["sce"].parameters)
    assert parse_method("sce:alpha=0.1")[1] == {**METHODS["sce"].parameters, "alpha": 0.1}


# ---- rows ----------------------------------------------------------------------------------------------------------


def scrambled(folder: Path, corpus: str, splits: tuple[str, ...]) -> str:
    """The same corpus with other gold labels in `splits`."""
    folder.mkdir()
    for file in Path(corpus).iterdir():
        found = json.loads(file.read_text())
        if file.stem in splits:
            for number, row in enumerate(found.values()):
                row["label"] = number % 2
        (folder / file.name).write_text(json.dumps(found))
    return str(folder)


@pytest.mark.slow
def test_only_rows_that_say_so_read_gold_labels_of_training_and_validation(corpus, tmp_path):
    other = scrambled(tmp_path / "votes", corpus, ("train", "valid"))
    for method in ("majority_vote", "label_model", "ce", "cleanlab", "gce", "gold", "clean_valid"):
        found = [
            rows.run_row(run, SMALL, prepare(run, SMALL, {}))
            for run in (Run(corpus, method, 0, parse_method(method)[1]), Run(other, method, 0, parse_method(method)[1]))
        ]
        same = all(np.array_equal(a, b) for a, b in zip(found[0].predictions, found[1].predictions, strict=True))
        same &= found[0].chosen == found[1].chosen
        assert same != Run(corpus, method, 0).reads_gold, method


def test_without_votes_on_validation_rows_a_tenth_of_train_is_held_out(tmp_path):
    folder = write_corpus(tmp_path / "silent", valid_votes=False)
    found = prepare(Run(str(folder), "ce", 0), SMALL, {})
    train, valid = found.train.dataset, found.valid.dataset
    assert (len(train), len(valid)) == (54, 6)
    ids = json.loads((folder / "train.json").read_text())
    assert {*train["id"], *valid["id"]} == set(ids)
    assert not {*train["id"]} & {*valid["id"]}
    assert len(found.clean.dataset) == 20  # clean_valid still has the corpus's own


def test_a_smaller_training_set_differs_by_seed_and_the_test_rows_do_not(corpus):
    settings = replace(SMALL, max_train_rows=30, max_test_rows=10)
    one, two = (prepare(Run(corpus, "ce", seed), settings, {}) for seed in (0, 1))
    assert len(one.train.dataset) == len(two.train.dataset) == 30
    assert one.train.dataset["id"][:] != two.train.dataset["id"][:]
    assert one.test.dataset["id"][:] == two.test.dataset["id"][:]
    assert len(one.test.dataset) == 10


@pytest.mark.parametrize(
    "noise", ["symmetric:0.4", "instance_dependent:0.4", "weak_model:0.4", "asymmetric:[[0.6, 0.4], [0.4, 0.6]]"]
)
def test_injected_noise_replaces_votes_in_every_split_and_keeps_gold(corpus, noise):
    settings = replace(SMALL, noise=noise)
    found = prepare(Run(corpus, "ce", 0), settings, {})
    for split in (found.train, found.valid, found.test):
        assert split.votes.shape[1] == 1
        assert np.array_equal(split.votes[:, 0], split.labels)
        assert 0.1 < (split.labels != split.gold).mean() < 0.7
    assert np.array_equal(found.train.labels, prepare(Run(corpus, "gce", 0), settings, {}).train.labels)
    other = prepare(Run(corpus, "ce", 1), settings, {}).train.labels
    assert np.array_equal(found.train.labels, other) == noise.startswith("weak_model")  # which leaves nothing to lot


def test_test_rows_without_gold_are_left_out(corpus, tmp_path):
    folder = tmp_path / "some"
    other = Path(scrambled(folder, corpus, ()))
    lines = json.loads((other / "test.json").read_text())
    lines["0"]["label"] = None
    (other / "test.json").write_text(json.dumps(lines))
    found = prepare(Run(str(other), "ce", 0), SMALL, {})
    assert len(found.test.dataset) == 29
    assert (found.test.gold >= 0).all()


def test_with_one_source_the_label_model_is_the_vote(tmp_path):
    folder = str(write_corpus(tmp_path / "one", sources=1))
    vote, model = (
        rows.run_row(run, SMALL, prepare(run, SMALL, {}))
        for run in (Run(folder, "majority_vote", 0), Run(folder, "label_model", 0))
    )
    assert np.array_equal(vote.predictions[0], model.predictions[0])


@pytest.mark.parametrize("method", ["majority_vote", "label_model"])
def test_test_rows_whose_votes_are_the_true_classes_measure_no_vote(tmp_path, method):
    folder = write_corpus(tmp_path / "told", sources=1)
    lines = json.loads((folder / "test.json").read_text())
    for row in lines.values():
        row["weak_labels"] = [row["label"]]
    (folder / "test.json").write_text(json.dumps(lines))
    line = schedule.execute(Run(str(folder), method, 0), SMALL, {}, threads=1)
    assert line["accuracy_chosen"] is None


def test_rows_that_the_corpus_cannot_give_are_written_without_figures(tmp_path):
    folder = write_corpus(tmp_path / "poor")
    for split in ("train", "valid"):
        lines = json.loads((folder / f"{split}.json").read_text())
        for row in lines.values():
            row["label"] = None
        (folder / f"{split}.json").write_text(json.dumps(lines))
    for method in ("gold", "clean_valid"):
        line = schedule.execute(Run(str(folder), method, 0), SMALL, {}, threads=1)
        assert line["accuracy_chosen"] is line["correct_chosen"] is None
        assert line["reads_gold"]


class Recorder(TrainingBench):
    """Notes what each training was asked for, and scores learning rates as told."""

    def __init__(self, settings, data, seed, vectors=None):
        super().__init__(settings, data, seed, vectors)
        self.fits = []

    def fit(self, rows, **asked):
        self.fits.append((len(rows), asked))
        RECORDED.append((len(rows), asked))
        fit = super().fit(rows, **asked)
        scores = [0.5, 0.7] if asked["learning_rate"] == 2e-2 else [0.6, 0.6]
        return replace(fit, scores=scores if asked.get("valid") is not None else [])


RECORDED: list = []


@pytest.fixture
def recorded(monkeypatch):
    RECORDED.clear()
    monkeypatch.setattr(rows, "TrainingBench", Recorder)
    return RECORDED


def test_an_outcome_holds_the_epoch_of_each_rule():
    predictions = [np.array([0, 0]), np.array([0, 1]), np.array([1, 1]), np.array([1, 0])]
    fit = Fit([0.9, 0.5, 0.7, 0.95], [float("nan"), 0.3, 0.2, 0.4], predictions, np.zeros((2, 2)), np.zeros(2), None)
    outcome = rows._outcome(fit, np.zeros(5), 5)
    assert outcome.by_rule == {"accuracy": 3, "label_wave": 2, "both": 0}
    assert (outcome.chosen, outcome.score) == (3, 0.95)
    outcome = rows._outcome(replace(fit, scores=[]), np.zeros(5), 5)
    assert (outcome.by_rule, outcome.chosen, outcome.score) == ({}, 3, 0.0)
    test = SimpleNamespace(gold=np.array([1, 1]))
    data = SimpleNamespace(test=test, train=test, classes=2)
    line = to_line(Run("votes", "ce", 0), SMALL, replace(outcome, labels=None, by_rule={"both": 1}), data, 1.0)
    assert line["accuracy_by_rule"] == {"both": 0.5}


@pytest.mark.parametrize("left", [True, False])
def test_where_a_method_left_the_labels_as_they_are_the_epoch_is_chosen_as_for_ce(left, monkeypatch):
    fit = Fit(
        [0.9, 0.4], [np.nan] * 2, [np.zeros(3), np.ones(3)], np.zeros((3, 2)), np.zeros(2), None, left_labels=left
    )
    given = SimpleNamespace(
        labels=np.zeros(3, dtype=int), gold=np.zeros(3, dtype=int), labelled=lambda *_, **__: [], dataset=[]
    )
    bench = SimpleNamespace(data=SimpleNamespace(train=given, valid=given, test=given), fit=lambda *_, **__: fit)
    assert rows._method(bench, Run("corpus", "auto", 0), 1e-3).chosen == (0 if left else 1)
    assert rows._method(bench, Run("corpus", "ce", 0), 1e-3).chosen == 0


@pytest.mark.slow
@pytest.mark.parametrize("passes", [1, 3])
def test_changes_are_of_the_end_of_each_epoch_that_is_looked_at(corpus, passes):
    bench = TrainingBench(SMALL, prepare(Run(corpus, "ce", 0), SMALL, {}), 0)
    train, test = bench.data.train, bench.data.test.dataset
    few = train.labelled(train.labels)
    fit = bench.fit(few, learning_rate=1e-2, test=test, passes=passes)
    assert len(fit.changes) == len(fit.predictions) == SMALL.epochs
    assert np.isnan(fit.changes[0]) == (passes == 1)  # after three passes all rows were seen twice
    assert 0 <= fit.changes[1] <= 1


@pytest.mark.slow
def test_each_method_takes_the_learning_rate_that_is_best_on_noisy_validation_and_the_first_best_epoch(
    corpus, recorded
):
    settings = replace(SMALL, learning_rates=(1e-2, 2e-2, 5e-3))
    run = Run(corpus, "ce", 0)
    outcome = rows.run_row(run, settings, prepare(run, settings, {}))
    assert [asked["learning_rate"] for _, asked in recorded] == [5e-3, 1e-2, 2e-2]
    assert (outcome.learning_rate, outcome.chosen) == (2e-2, 1)
    recorded.clear()
    settings = replace(SMALL, learning_rates=(1e-2, 5e-3))
    outcome = rows.run_row(run, settings, prepare(run, settings, {}))
    assert (outcome.learning_rate, outcome.chosen) == (5e-3, 0)


@pytest.mark.slow
def test_clean_validation_rows_are_trained_on_for_as_many_steps_as_the_others_take(corpus, recorded):
    run = Run(corpus, "clean_valid", 0)
    found = prepare(run, SMALL, {})
    outcome = rows.run_row(run, SMALL, found)
    (size, asked) = recorded[-1]
    assert size == 20
    assert asked["passes"] == round((found.train.labels >= 0).sum() / 20) > 1
    assert len(outcome.predictions) == SMALL.epochs
    assert outcome.chosen == SMALL.epochs - 1


def test_looking_at_an_epoch_does_not_change_training(tmp_path):
    rows = token_dataset(40)
    weights = []
    for watched in (False, True):
        scores = EpochScores()
        trainer = make_trainer(tmp_path, rows, model=None, callbacks=[scores] if watched else [])
        trainer.model.config.hidden_dropout_prob = 0.1
        for module in trainer.model.modules():
            if type(module).__name__ == "Dropout":
                module.p = 0.3
        scores.watch(trainer, rows, rows)
        trainer.train()
        weights.append(flat_weights(trainer.model))
    assert len(scores.predictions) == len(scores.valid) == 2
    assert scores.valid[-1] == pytest.approx((scores.predictions[-1] == np.array(rows["labels"][:])).mean())
    assert bool((weights[0] == weights[1]).all())


# ---- bad input -----------------------------------------------------------------------------------------------------


def attempt(corpus, output, *, methods=(), seeds=(0,), settings=SMALL, **more):
    return run_benchmark([corpus], methods, seeds, output, settings, say=lambda text: None, **more)


def test_bad_input_ends_before_the_first_run(corpus, tmp_path, monkeypatch):
    started, output = fake_runs(monkeypatch), tmp_path / "results.jsonl"
    with pytest.raises(ValueError, match="unknown method 'gcee'. Did you mean 'gce'"):
        attempt(corpus, output, methods=["gcee"])
    with pytest.raises(ValueError, match="'p' is no parameter of gce"):
        attempt(corpus, output, methods=["gce:p=0.5"])
    with pytest.raises(ValueError, match="'q0.5' is no parameter: expected name=value"):
        attempt(corpus, output, methods=["gce:q0.5"])
    with pytest.raises(ValueError, match="q=2"):
        attempt(corpus, output, methods=["gce:q=2"])
    with pytest.raises(ValueError, match="both are a choice of small losses"):
        attempt(corpus, output, methods=["co_teaching+jocor"])
    with pytest.raises(ValueError, match="gold takes no parameters"):
        attempt(corpus, output, methods=["gold:q=2"])
    with pytest.raises(ValueError, match="seeds: expected at least one"):
        attempt(corpus, output, seeds=[])
    with pytest.raises(ValueError, match="seeds: 1, 1: expected each once"):
        attempt(corpus, output, seeds=[1, 1])
    with pytest.raises(ValueError, match="seeds: -1: expected whole numbers of at least 0"):
        attempt(corpus, output, seeds=[0, -1])
    three = "asymmetric:[[1, 0, 0], [0, 1, 0], [0, 0, 1]]"
    with pytest.raises(ValueError, match="a matrix of 3 classes: expected 2 rows and columns"):
        attempt(corpus, output, settings=replace(SMALL, noise=three))
    with pytest.raises(ValueError, match="corpora: votes, votes: expected each once"):
        run_benchmark([corpus, "elsewhere/votes"], [], [0], output, SMALL)
    with pytest.raises(ValueError, match="processes=0"):
        attempt(corpus, output, processes=0)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        attempt("./nowhere", output)
    incomplete = Path(scrambled(tmp_path / "incomplete", corpus, ()))
    (incomplete / "valid.json").unlink()
    with pytest.raises(FileNotFoundError, match="valid.json: missing"):
        attempt(str(incomplete), output)
    assert not started
    assert not output.exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs=0: expected a whole number of at least 1"),
        ("max_train_rows", -5, "max_train_rows=-5"),
        ("learning_rates", (), "learning_rates"),
        ("learning_rates", (0.0,), "learning_rates"),
        ("noise", "symmetric:20", "rate=20.0: expected a number in [0, 1). Did you mean 0.2?"),
        ("noise", "symetric:0.2", "Did you mean 'symmetric'"),
        ("noise", "asymmetric:[[0.9, 0.2], [0.1, 0.9]]", "transition[0] sums to 1.1"),
    ],
)
def test_settings_outside_their_domain_are_refused(field, value, message):
    import re

    with pytest.raises(ValueError, match=re.escape(message)):
        Settings(**{field: value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"dataset": "youtube", "accuracy": 0.9}\n', "line 1: of another schema: missing accuracy_best"),
        (json.dumps(dict.fromkeys({*KEYS, "more"})) + "\n", "line 1: of another schema: missing nothing; unknown more"),
        (json.dumps(dict.fromkeys({*KEYS} - {*OPTIONAL, "seed"})) + "\n", "missing seed; unknown nothing"),
        ("dataset,method\nyoutube,ce\n", "line 1: no JSON object"),
        ("[1, 2]\n", "line 1: of another schema"),
    ],
)
def test_an_output_of_another_schema_is_refused_and_left_as_it_was(corpus, tmp_path, monkeypatch, text, message):
    started, output = fake_runs(monkeypatch), tmp_path / "results.jsonl"
    output.write_text(text)
    with pytest.raises(ValueError, match=message):
        attempt(corpus, output)
    assert output.read_text() == text
    assert not started


def test_a_corpus_without_gold_test_labels_cannot_be_measured(corpus, tmp_path, monkeypatch):
    fake_runs(monkeypatch)
    other = Path(scrambled(tmp_path / "blind", corpus, ()))
    lines = json.loads((other / "test.json").read_text())
    for row in lines.values():
        row["label"] = None
    (other / "test.json").write_text(json.dumps(lines))
    with pytest.raises(ValueError, match="no gold label in the test rows"):
        attempt(str(other), tmp_path / "results.jsonl")


def test_a_missing_package_is_named_with_its_extra(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install hf_noisy\[benchmark\]"):
        attempt(corpus, tmp_path / "results.jsonl")


# ---- the command ---------------------------------------------------------------------------------------------------


def recipe(*words, environment=None) -> subprocess.CompletedProcess:
    return run_program(["python", "recipes/benchmark.py", *words], environment=environment)


@pytest.mark.slow
def test_the_command_reports_on_a_file_without_running_anything(results, tmp_path):
    done = recipe("--output", results, "--report", tmp_path / "report.md")
    assert done.returncode == 0, done.stderr
    said = f"no --data, so nothing is run: a report on what {results} holds\nwrote {tmp_path / 'report.md'}\n"
    assert done.stdout == said


@pytest.mark.slow
def test_the_command_ends_non_zero_and_says_why(tmp_path):
    done = recipe("--data", tmp_path, "--output", tmp_path / "results.jsonl")
    assert done.returncode != 0
    assert "label.json" in done.stderr


@pytest.mark.slow
def test_a_step_is_measured_against_the_stock_trainer_and_a_bare_loop():
    methods = ["glc", "co_teaching+rule_masking"]  # trusted rows; two networks and votes
    costs = measure_speed(methods, rows=4, length=8, rounds=2, say=lambda text: None)
    assert [cost.name for cost in costs] == [FLOOR, *methods]
    assert all(0 < cost.low <= cost.ratio <= cost.high for cost in costs)
    assert [cost.networks for cost in costs] == [1, 1, 2]
    table = [row.split(" | ") for row in render_speed(costs, "title").splitlines()]
    floor = {row[0].removeprefix("| "): row[2] for row in table if len(row) > 4}
    assert floor["co_teaching+rule_masking"] == f"{2 * costs[0].ratio:.2f}"


@pytest.mark.slow
def test_a_side_that_dies_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="its process died; the reason stands above"):
        measure_speed(["ce"], str(tmp_path / "nowhere"), rows=2, length=8, rounds=1, say=lambda text: None)


def test_speed_needs_a_round_and_a_known_method():
    with pytest.raises(ValueError, match="rounds=0"):
        measure_speed(["gce"], rounds=0)
    with pytest.raises(ValueError, match="Did you mean 'gce'"):
        measure_speed(["gcee"], rounds=1)


def test_the_embedded_corpus_has_a_name_of_its_own():
    assert data.EMBEDDED == "reviews"
    assert prepare(Run("reviews", "ce", 3), replace(SMALL, max_train_rows=10), {}).class_names == (
        "negative",
        "positive",
    )
