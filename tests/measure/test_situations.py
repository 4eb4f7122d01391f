"""Situations that a corpus has, runs that are shared, and tables of lines made by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from hf_noisy.benchmark import Settings
from hf_noisy.data.corpus import Corpus

sys.path.insert(0, str(Path(__file__).resolve().parent))

import situation_tables as tables
import situations

SETTINGS = Settings(frozen=True, max_train_rows=1000)


def corpus_of(rows: int, classes: int = 2) -> Corpus:
    draw = np.random.default_rng(0)
    gold = draw.integers(0, classes, rows)
    texts = [f"{'abcdefgh'[label]} {draw.integers(9)}" for label in gold]
    split = Dataset.from_dict(
        {"id": list(map(str, range(rows))), "text": texts, "weak_labels": [[int(g)] for g in gold], "gold": gold}
    )
    return Corpus("c", tuple("abcdefgh"[:classes]), split, split.select(range(20)), split.select(range(20)))


def settings_for(name: str, corpus: Corpus) -> Settings:
    return situations.settings_for(situations.SITUATIONS[name], corpus, SETTINGS, 0)


def test_every_situation_has_a_title():
    assert list(situations.SITUATIONS) == list(tables.TITLES)


def test_a_limit_that_a_corpus_does_not_reach_is_none_so_that_situations_share_runs():
    small = corpus_of(900)
    assert settings_for("given", small) == settings_for("given", corpus_of(1000))
    assert settings_for("given", small).max_train_rows is settings_for("symmetric_20", small).max_train_rows is None
    large = corpus_of(1200)
    assert settings_for("gold", large).max_train_rows == settings_for("rows_1000", large).max_train_rows == 1000
    assert settings_for("rows_200", large).max_train_rows == 200


@pytest.mark.parametrize(
    ("name", "corpus", "reason"),
    [
        ("rows_1000", corpus_of(900), "900 training rows"),
        ("classes_150", corpus_of(900), "900 training rows, fewer than 10 a class"),
        ("classes_30", corpus_of(400), None),
        ("imbalanced", corpus_of(70), "the rarest class would keep 4 of the training rows of c: expected at least 5"),
        ("imbalanced", corpus_of(400), None),
    ],
)
def test_a_situation_that_a_corpus_does_not_have_is_left_out_with_the_reason(name, corpus, reason):
    if reason is None:
        settings_for(name, corpus)
    else:
        with pytest.raises(situations.AbsentError) as raised:
            settings_for(name, corpus)
        assert str(raised.value) == reason


def test_a_corpus_of_many_classes_is_not_split():
    with pytest.raises(situations.AbsentError, match="8 classes"):
        situations.settings_for(situations.Situation(classes=8), corpus_of(400, 8), SETTINGS, 0)


def test_a_run_is_measured_once_and_true_labels_once_for_all_injected_noise(monkeypatch, tmp_path):
    measured = []

    def measure(self, run, settings):
        measured.append((run.method, settings.noise, settings.max_train_rows))
        return {"accuracy": len(measured)}

    monkeypatch.setattr(situations.Situations, "_measure", measure)
    monkeypatch.setattr(situations, "load", lambda source, seed, columns: corpus_of(1200))
    path = tmp_path / "situations.jsonl"
    for _ in range(2):  # the second time everything is in the file
        bench = situations.Situations(SETTINGS, None, situations.Results(path), ["ce", "gold"])
        for name in ("given", "symmetric_20", "pair_40", "rows_1000", "rows_4000"):
            bench.run("folder/c", name, 0)
        assert measured == [
            *((method, None, None) for method in ("ce", "gold")),
            ("ce", "symmetric:0.2", 1000), ("gold", "symmetric:0.2", 1000), ("ce", "pair:0.4", 1000),
            *((method, None, 1000) for method in ("ce", "gold")),
        ]  # fmt: skip
    lines = situations.read(path)
    assert len(lines) == 9
    assert lines[-1] == {**lines[-1], "situation": "rows_4000", "absent": "1,200 training rows"}
    gold = {line["situation"]: line["accuracy"] for line in lines if line.get("method") == "gold"}
    assert gold["symmetric_20"] == gold["pair_40"] != gold["given"]


def line(corpus: str, method: str, accuracy: float, taught: float = 0.8, seed: int = 0, **others) -> dict:
    about = {"dataset": corpus, "situation": "given", "method": method, "seed": seed, "rows": 100, "classes": 2}
    found = {"accuracy": accuracy, "given": 0.8, "taught": taught, "rate": 0.2, "estimated": None, "took": None}
    return {**about, **found, **others}


LINES = [
    *(line(corpus, "ce", 0.5) for corpus in ("a", "massive18", "slurp_asr")),
    *(line(corpus, "gold", 0.7) for corpus in ("a", "massive18", "slurp_asr")),
    line("a", "auto", 0.6, taught=0.9, estimated=0.1, took="truth_inference"),
    line("massive18", "auto", 0.7, taught=0.7, estimated=0.3, took="ce"),
    line("slurp_asr", "auto", 0.4, taught=0.7, estimated=None),
]


def test_the_worst_change_in_labels_comes_first_and_then_the_worst_gain():
    found = tables.cells(LINES, "given", "auto")
    assert [cell.corpus for cell in found] == ["slurp_asr", "massive18", "a"]
    assert [round(cell.change) for cell in found] == [-10, -10, 10]
    assert [round(cell.gain) for cell in found] == [-10, 20, 10]
    assert [cell.recovered for cell in found] == pytest.approx([-0.5, 1.0, 0.5])


def test_corpora_with_the_same_texts_count_as_one():
    found = tables.cells(LINES, "given", "auto")
    assert tables.over_corpora(found, lambda cell: cell.gain) == pytest.approx((10 + (20 - 10) / 2) / 2)
    assert tables.over_corpora(found, lambda cell: cell.error) == pytest.approx(10)  # of the two that have an estimate
    assert tables.count(found) == 2
    assert "| labels as given | 2 | 3 | 0.800 | 0.800 | +0.0 | -10.0 (`slurp_asr`) | 10.0 |" in tables.table(LINES)


def test_only_seeds_with_both_references_count():
    more = [*LINES, line("a", "auto", 0.0, seed=1)]
    assert tables.cells(more, "given", "auto") == tables.cells(LINES, "given", "auto")


def test_only_the_lines_that_are_asked_for_are_measured_again(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in LINES))
    given = situations.argparse.Namespace(again=["auto"], corpora=["a"], situations=["given"], seeds=[0])
    situations.forget(path, given)
    assert situations.read(path) == [one for one in LINES if (one["dataset"], one["method"]) != ("a", "auto")]
