"""Corpora that are derived from others: imbalanced classes, split classes, labels of the commonest class."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset
from test_benchmark import write_corpus

from hf_noisy.benchmark import Run, Settings, run_benchmark
from hf_noisy.benchmark.data import prepare
from hf_noisy.benchmark.derived import derive, geometric_counts, with_imbalance, with_split_classes
from hf_noisy.benchmark.vectors import VectorStore
from hf_noisy.data.corpus import Corpus

SIZES = {"train": 1.0, "valid": 0.2, "test": 0.4}


class Points(VectorStore):
    """The vector of a text is the two numbers that it consists of."""

    def __init__(self) -> None:
        pass

    def vectors(self, texts):
        return np.array([[float(number) for number in text.split()] for text in texts], dtype=np.float32)


def corpus_of(counts: list[int], seed: int = 0) -> Corpus:
    """Each class has two clouds of points, at x = 100 * class and 10 more. The votes are right."""
    draw = np.random.default_rng(seed)

    def split(share: float) -> Dataset:
        gold = draw.permutation(np.repeat(np.arange(len(counts)), [round(share * count) for count in counts]))
        clouds = draw.integers(0, 2, len(gold))
        texts = [f"{100 * k + 10 * c} {draw.normal():.4f}" for k, c in zip(gold, clouds, strict=True)]
        votes = [[int(k)] for k in gold]
        ids = [str(row) for row in range(len(gold))]
        return Dataset.from_dict({"id": ids, "text": texts, "weak_labels": votes, "gold": gold})

    names = tuple(f"c{k}" for k in range(len(counts)))
    return Corpus("points", names, *(split(share) for share in SIZES.values()))


def counts_of(rows: Dataset, classes: int) -> list[int]:
    return np.bincount(rows["gold"][:], minlength=classes).tolist()


# ---- imbalance -----------------------------------------------------------------------------------------------------


def test_counts_fall_geometrically_in_the_order_of_frequency_and_are_the_largest_possible():
    assert geometric_counts([100, 1000, 1000, 1000], 8).tolist() == [100, 800, 400, 200]
    assert geometric_counts([300, 1000, 1000, 1000], 8).tolist() == [125, 1000, 500, 250]


def test_a_cut_keeps_the_same_share_of_each_class_in_every_split_and_only_leaves_out_rows():
    corpus = corpus_of([100, 200, 150])
    cut = with_imbalance(corpus, 10, seed=0)
    assert counts_of(cut.train, 3) == [20, 200, 63]
    assert counts_of(cut.test, 3) == [8, 80, 25]
    assert counts_of(cut.valid, 3) == [4, 40, 13]
    for before, after in ((corpus.train, cut.train), (corpus.test, cut.test)):
        rows = dict(zip(before["id"], before, strict=True))
        assert [rows[row["id"]] for row in after] == list(after)


def test_a_cut_depends_on_the_seed_alone():
    corpus = corpus_of([100, 200])
    one, again, other = (with_imbalance(corpus, 5, seed).train["id"][:] for seed in (0, 0, 1))
    assert one == again != other


def test_a_cut_without_enough_rows_of_the_rarest_class_is_refused():
    corpus = corpus_of([45, 45])
    with pytest.raises(ValueError, match=re.escape("imbalance=10: the rarest class would keep 4 of the training rows")):
        derive(corpus, Settings(imbalance=10), 0)
    assert counts_of(derive(corpus, Settings(imbalance=9), 0).train, 2) == [45, 5]


# ---- split classes -------------------------------------------------------------------------------------------------


def test_a_class_is_split_where_its_training_rows_cluster_and_other_splits_go_by_the_same_centres():
    corpus = corpus_of([60, 40])
    found = with_split_classes(corpus, 2, Points())
    assert found.class_names == ("c0 / 1", "c0 / 2", "c1 / 1", "c1 / 2")
    clouds: dict[int, set[int]] = {}  # new class -> x of its clouds
    for before, rows in zip(
        (corpus.train, corpus.valid, corpus.test), (found.train, found.valid, found.test), strict=True
    ):
        assert rows["text"][:] == before["text"][:]
        assert [row // 2 for row in rows["gold"][:]] == before["gold"][:]
        for text, label in zip(rows["text"], rows["gold"], strict=True):
            clouds.setdefault(label, set()).add(int(text.split()[0]))
    assert sorted(map(len, clouds.values())) == [1, 1, 1, 1]
    assert {vote for row in found.train["weak_labels"] for vote in row} == {-1}


def test_rows_without_a_true_class_stay_without_one():
    corpus = corpus_of([60, 40])
    gold = np.array(corpus.train["gold"][:])
    gold[::5] = -1
    train = corpus.train.remove_columns("gold").add_column("gold", gold)
    found = with_split_classes(replace(corpus, train=train), 2, Points()).train["gold"][:]
    assert np.array_equal(np.array(found) < 0, gold < 0)


def test_a_class_with_too_few_rows_for_its_parts_is_refused():
    with pytest.raises(ValueError, match=r"split_classes=5: 9 training rows of points have the true class 'c1'"):
        derive(corpus_of([60, 9]), Settings(split_classes=5, frozen=True, noise="symmetric:0.2"), 0)


# ---- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"imbalance": 1}, "imbalance=1: expected a number above 1"),
        ({"imbalance": float("nan")}, "imbalance=nan: expected a number above 1"),
        ({"split_classes": 1, "frozen": True, "noise": "pair:0.1"}, "split_classes=1: expected a whole number of at least 2"),
        ({"split_classes": 2, "noise": "pair:0.1"}, "split_classes=2 splits by stored vectors: set frozen"),
        ({"split_classes": 2, "frozen": True}, "split_classes=2: the given labels name the classes of before. Set noise"),
    ],
)  # fmt: skip
def test_settings_outside_their_domain_are_refused(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Settings(**given)


def test_runs_without_the_new_settings_are_the_same_runs_as_before():
    assert not {"imbalance", "split_classes"} & Settings().record().keys()
    assert Settings(imbalance=10).record() == Settings(imbalance=10.0).record()
    assert Settings(imbalance=10).record()["imbalance"] == 10


@pytest.fixture
def written(tmp_path) -> str:
    return str(write_corpus(tmp_path / "votes", rows=120))


def test_derived_corpora_are_trained_on(written, tmp_path):
    settings = Settings(
        epochs=1, frozen=True, imbalance=3, split_classes=2, noise="symmetric:0.2", max_train_rows=60, max_test_rows=10
    )
    data = prepare(Run(written, "ce", 0), settings, {}, tmp_path)
    assert data.class_names == ("bad / 1", "bad / 2", "good / 1", "good / 2")
    assert len(data.train.labels) == 60
    assert len(data.test.labels) == 10
    counts = np.sort(np.bincount(data.train.gold))
    assert counts[-1] > 1.5 * counts[0]
    assert 0 < (data.train.labels != data.train.gold).mean() < 0.5


def test_what_a_corpus_lacks_is_said_before_the_first_run(written, tmp_path):
    with pytest.raises(ValueError, match="imbalance=50: the rarest class would keep"):
        run_benchmark([written], [], [0], tmp_path / "results.jsonl", Settings(imbalance=50, frozen=True))
    assert not (tmp_path / "results.jsonl").exists()
    (tmp_path / "plain").mkdir()
    for split in ("train", "test"):
        rows = "".join(f"t{row},{'ab'[row % 2]},{'ab'[row % 2] if split == 'test' else ''}\n" for row in range(40))
        (tmp_path / "plain" / f"{split}.csv").write_text(f"text,label,gold\n{rows}")
    with pytest.raises(ValueError, match=r"no gold label in the training rows, which imbalance=2\.0 starts from"):
        run_benchmark(
            [str(tmp_path / "plain")],
            [],
            [0],
            tmp_path / "results.jsonl",
            Settings(imbalance=2),
            columns={"gold_column": "gold"},
        )


# ---- noise to the commonest class ----------------------------------------------------------------------------------


def test_the_commonest_class_of_the_training_rows_replaces_others_in_all_splits(written):
    data = prepare(Run(written, "ce", 0), Settings(noise="commonest:0.5"), {})
    commonest = np.bincount(data.train.gold).argmax()
    for rows in (data.train, data.valid, data.test):
        wrong = rows.labels != rows.gold
        assert wrong.any()
        assert set(rows.labels[wrong]) == {commonest}
