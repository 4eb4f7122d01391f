"""Accuracy and macro-F1 count what can be counted by hand, offline, and leave nothing behind."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from programs import PRELOADED
from transformers import EvalPrediction

from hf_noisy.data.metrics import compute_metrics


def logits_of(classes, num_classes=3) -> np.ndarray:
    return np.eye(num_classes)[list(classes)] * 4 - 1


def naive(predictions, references) -> dict[str, float]:
    pairs = [(p, r) for p, r in zip(predictions, references, strict=True) if r >= 0]
    scores = []
    for k in sorted({k for pair in pairs for k in pair}):
        hits = sum(p == r == k for p, r in pairs)
        predicted, actual = sum(p == k for p, _ in pairs), sum(r == k for _, r in pairs)
        scores.append(2 * hits / (predicted + actual))
    return {"accuracy": sum(p == r for p, r in pairs) / len(pairs), "f1": sum(scores) / len(scores)}


def test_the_scores_agree_with_a_naive_loop():
    generator = np.random.default_rng(0)
    for _ in range(5):
        predictions, references = generator.integers(3, size=40), generator.integers(-1, 3, size=40)
        scores = compute_metrics(EvalPrediction(logits_of(predictions), references))
        assert scores == pytest.approx(naive(predictions.tolist(), references.tolist()))
        assert all(type(score) is float for score in scores.values())


def test_references_that_abstain_are_left_out():
    expected = compute_metrics(EvalPrediction(logits_of([0, 1]), np.array([0, 2])))
    assert compute_metrics(EvalPrediction(logits_of([0, 1, 1, 2]), np.array([0, 2, -1, -100]))) == expected


def test_a_class_predicted_and_never_right_counts_zero_without_a_warning():
    scores = compute_metrics(EvalPrediction(logits_of([0, 1]), np.array([0, 0])))
    assert scores == pytest.approx({"accuracy": 0.5, "f1": (2 / 3 + 0) / 2})


def test_soft_labels_count_by_their_most_probable_class_and_zero_rows_abstain():
    soft = np.array([[0.1, 0.8, 0.1], [0.6, 0.2, 0.2], [0, 0, 0]], dtype=np.float32)
    assert compute_metrics(EvalPrediction(logits_of([1, 1, 2]), soft))["accuracy"] == 0.5


def test_the_first_of_several_outputs_holds_the_logits():
    prediction = EvalPrediction((logits_of([0, 1]), np.zeros((2, 7))), np.array([0, 1]))
    assert compute_metrics(prediction) == {"accuracy": 1.0, "f1": 1.0}


def test_labels_that_all_abstain_are_refused():
    with pytest.raises(ValueError, match=r"all 2 references abstain: .*remove the labels column"):
        compute_metrics(EvalPrediction(logits_of([0, 1]), np.array([-1, -100])))


@pytest.mark.parametrize(
    ("logits", "labels"),
    [(np.zeros((4, 1, 3)), np.zeros(4)), (np.zeros(4), np.zeros(4)), (np.zeros((4, 3)), np.zeros((4, 2)))],
)
def test_shapes_that_do_not_fit_are_refused(logits, labels):
    with pytest.raises(ValueError, match=r"expected \(rows, classes\) logits"):
        compute_metrics(EvalPrediction(logits, labels))


def test_nothing_is_left_on_disk(tmp_path, monkeypatch):
    import evaluate

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "temporary").mkdir()
    compute_metrics(EvalPrediction(logits_of([0, 1]), np.array([0, 1])))
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]


def test_the_global_generator_is_left_alone():
    np.random.seed(5)
    expected = np.random.RandomState(5).random()
    compute_metrics(EvalPrediction(logits_of([0, 1]), np.array([0, 1])))
    assert np.random.random() == expected


def score_often(path: str) -> None:
    scores = [compute_metrics(EvalPrediction(logits_of([0, 1]), np.array([0, 1])))["accuracy"] for _ in range(50)]
    Path(path).write_text(str(set(scores)))


@pytest.mark.slow
def test_two_processes_that_score_at_once_do_not_collide(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    ranks = [context.Process(target=score_often, args=(str(tmp_path / str(rank)),)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=120)
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == ["{1.0}", "{1.0}"]


@pytest.mark.slow
def test_importing_the_package_imports_neither_evaluate_nor_snorkel():
    script = (
        "import sys, hf_noisy.data.metrics, hf_noisy.weak.votes, hf_noisy.data.corpus;"
        "assert not {'evaluate', 'snorkel'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
