"""Labels audited by the vectors of their texts: wrong ones are found, counted and named, and no gold label is read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from by_hand import context
from conftest import make_trainer
from datasets import Dataset
from programs import run_program
from sklearn.metrics import average_precision_score
from transformers import AutoModelForSequenceClassification
from voters import by_people, by_rules

from hf_noisy import AutoMethod
from hf_noisy.audit import audit_labels, score_rows, write_report
from hf_noisy.audit.scorers import (
    SAID,
    SCORERS,
    Evidence,
    contradiction,
    default_weights,
    label_improbability,
    neighbour_disagreement,
    wrongness,
)
from hf_noisy.audit.training import learning_curves
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.label_encoding import one_hot_rows
from hf_noisy.data.noise import pair, symmetric
from hf_noisy.evidence.features.neighbours import NearestRows, nearest_rows
from hf_noisy.evidence.inference.infer_classes import infer_classes
from hf_noisy.evidence.inference.label_evidence import weigh_labels
from hf_noisy.evidence.rates.interval import estimate_rate
from hf_noisy.methods.building import check_methods
from hf_noisy.weak.majority import hard_labels, majority_vote

ROOT = Path(__file__).resolve().parents[2]
FEW = {"resamples": 5}


def points_of(rows: int = 900, classes: int = 3, distance: float = 4.0, seed: int = 0):
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, classes, rows)
    return distance * np.eye(classes)[gold] + draw.standard_normal((rows, classes)), gold


def audited(labels, points, names=("a", "b", "c"), **more):
    texts = [f"text {row}" for row in range(len(labels))]
    return audit_labels(texts, labels, names, points, **{**FEW, **more})


def test_wrong_labels_at_random_are_found_counted_and_corrected():
    points, gold = points_of()
    labels = symmetric(gold, 0.2, 3, seed=1).labels
    content = audited(labels, points)
    wrong = labels != gold
    assert average_precision_score(wrong, content.rows.wrongness) > 0.95
    assert content.noise.kind == "symmetric"
    assert content.noise.rate == pytest.approx(wrong.mean(), abs=0.05)
    assert content.noise.low <= wrong.mean() <= content.noise.high
    assert content.suspect.mean() == pytest.approx(content.scores["truth"].mean(), abs=0.01)
    assert (content.rows.suggested_labels == gold)[wrong].mean() > 0.95
    assert content.recommendation.method == "truth_inference"
    assert "compare with ce" in content.recommendation.reason
    found = [reasons for reasons, is_wrong in zip(content.rows.reasons, wrong, strict=True) if is_wrong]
    assert (
        np.mean([any(reason.startswith("neighbours say otherwise") for reason in reasons) for reasons in found]) > 0.9
    )


def test_labels_that_are_confused_with_the_next_class_are_called_class_dependent():
    points, gold = points_of()
    content = audited(pair(gold, 0.2, 3, seed=1).labels, points)
    assert content.noise.kind == "class-dependent"
    assert content.noise.matrix is not None
    assert content.noise.matrix[0, 1] > 0.1 > content.noise.matrix[0, 2]


def test_labels_that_are_wrong_where_texts_are_hard_are_called_instance_dependent():
    points, gold = points_of(rows=1500, distance=3.0)
    ordered = np.sort(points, 1)
    hard = np.argsort(ordered[:, 2] - ordered[:, 1])[: round(0.2 * len(gold))]  # the least clear fifth
    labels = gold.copy()
    labels[hard] = np.argsort(points, 1)[hard, 1]
    content = audited(labels, points)
    assert content.noise.kind == "instance-dependent"


def test_where_labels_follow_rules_no_model_of_them_decides_and_the_sources_are_described():
    points, votes, _ = by_rules()
    names = [f"keyword_{k}" for k in range(votes.shape[1])]
    labels = hard_labels(majority_vote(votes, 2))
    content = audited(labels, points, ("no", "yes"), votes=votes, source_names=names)
    assert content.noise.kind == "structured by a rule"
    # what the sources are wrong about together is not seen, so more of the interval lies above the rate than below
    assert content.noise.rate - content.noise.low < content.noise.high - content.noise.rate
    weighed = weigh_labels(points, one_hot_rows(labels, 2), votes)
    assert content.noise.rate == estimate_rate(weighed).rate
    assert content.recommendation.method == "truth_inference"
    assert content.abstained == (labels < 0).sum() > 0
    assert [source.name for source in content.sources] == names
    assert content.sources[0].coverage == pytest.approx((votes[:, 0] >= 0).mean())
    assert all(source.accuracy is not None for source in content.sources)
    assert set(content.rows.votes) == set(names)
    known = labels >= 0
    truth = infer_classes(points, labels, votes, 2)[known]
    scores = {
        "near": neighbour_disagreement(nearest_rows(points[known], 20), labels[known], 2),
        "truth": label_improbability(truth, labels[known]),
    }
    expected = wrongness(scores, dict.fromkeys(scores, 1.0), scores["truth"].mean())
    np.testing.assert_allclose(content.rows.wrongness, expected)
    np.testing.assert_allclose(content.rows.suggested_probabilities, truth.max(1))


def test_what_a_training_learned_is_asked_only_where_labels_are_wrong_at_random():
    points, gold = points_of(rows=600)
    shown = {"seen": np.full(600, 4), "disagreements": np.zeros(600), "loss": np.ones(600)}
    shown["margin"] = np.random.default_rng(0).standard_normal(600)
    labels = symmetric(gold, 0.2, 3, seed=1).labels
    untrained, trained = audited(labels, points), audited(labels, points, dynamics=shown)
    weights = untrained.scorers
    assert list(weights) == ["neighbours", "truth", "reweighted"]
    half = weights["reweighted"] / 2
    assert trained.scorers == {**weights, "reweighted": half, "margin": half}
    assert any(f"(weight {half:.2f})" in sentence for sentence in trained.basis)
    unseen = {**shown, "margin": np.full(600, np.nan)}  # audited before the first epoch
    assert audited(labels, points, dynamics=unseen).scorers == weights
    bought = audited(labels, points, probabilities=0.97 * np.eye(3)[gold] + 0.01)
    assert list(bought.scorers) == ["neighbours", "truth", "held_out"]
    by_class = audited(pair(gold, 0.2, 3, seed=1).labels, points, dynamics=shown)
    assert by_class.noise.kind == "class-dependent"
    assert by_class.scorers == {"neighbours": 1, "truth": 1}


def test_neighbours_and_models_of_the_labels_share_a_weight_by_how_often_they_hit_labels_unseen():
    labels = np.array([0, 0, 0, 1, 1, 1])
    near = NearestRows(
        np.array([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [0, 1]]), np.full((6, 2), 0.5)
    )  # the last misses
    believed = np.array([0.9, 0.2, 0.8, 0.7, 0.3, 0.1])  # of the given label: three of six hit
    probabilities = np.where(np.arange(2) == labels[:, None], believed[:, None], 1 - believed[:, None])
    found = Evidence(labels, probabilities, near, probabilities)
    near_odds, model_odds = 6 / 2, 4 / 4
    assert default_weights("symmetric", found) == pytest.approx(
        {
            "neighbours": 2 * near_odds / (near_odds + model_odds),
            "truth": 1,
            "held_out": 2 * model_odds / (near_odds + model_odds),
        }
    )


def test_a_second_regression_to_which_doubted_labels_count_less_finds_more_of_the_wrong_ones():
    points, gold = points_of(rows=600)
    found, again = [], []
    for seed in range(3):
        labels = symmetric(gold, 0.35, 3, seed=seed).labels
        scores = audited(labels, points, scorers=["reweighted"], seed=seed).scores
        found.append(average_precision_score(labels != gold, scores["held_out"]))
        again.append(average_precision_score(labels != gold, scores["reweighted"]))
    assert np.mean(again) > np.mean(found)


def test_scorers_are_chosen_by_name_and_say_what_they_need():
    points, gold = points_of(rows=300)
    labels = symmetric(gold, 0.2, 3, seed=1).labels
    every, part = np.arange(300), np.arange(300) % 4
    votes = np.full((300, 8), -1)  # of two rules a row: one gives the label, one contradicts it; other rows have others
    votes[every, part], votes[every, 4 + part] = labels, gold
    dynamics = {
        "seen": np.full(300, 4),
        "disagreements": 4 * (labels != gold),
        "margin": np.where(labels == gold, 3.0, -3.0),
    }
    found = audited(labels, points, votes=votes, dynamics=dynamics, scorers=["cleanlab", "reweighted"])
    assert found.scores.keys() == SCORERS.keys()
    for name, scores in found.scores.items():
        assert average_precision_score(labels != gold, scores) > 0.9, name
    alone = audited(labels, points, votes=votes, dynamics=dynamics, scorers=["cleanlab"])
    assert (np.argsort(alone.rows.wrongness) == np.argsort(found.scores["cleanlab"])).all()
    assert any(SAID["cleanlab"] in sentence for sentence in found.basis)
    assert audited(labels, points).scores.keys() == {"held_out", "neighbours", "truth"}
    for name, what in (
        ("margin", "dynamics of a training"),
        ("disagreements", "dynamics"),
        ("sources", "votes"),
        ("rule_folds", "votes"),
    ):
        with pytest.raises(ValueError, match=f"the scorer '{name}' needs {what}"):
            audited(labels, points, scorers=[name])
    with pytest.raises(ValueError, match="neighbors.*Did you mean 'neighbours'"):
        audited(labels, points, scorers=["neighbors"])
    for wrong in ([], "truth", ["truth", "truth"]):
        with pytest.raises(ValueError, match="expected a list of one or more of held_out"):
            audited(labels, points, scorers=wrong)


def test_held_out_probabilities_of_your_own_are_taken():
    points, gold = points_of(rows=300)
    labels = symmetric(gold, 0.2, 3, seed=1).labels
    certain = 0.97 * np.eye(3)[gold] + 0.01
    found = audited(labels, points, probabilities=certain, scorers=["held_out"])
    assert average_precision_score(labels != gold, found.rows.wrongness) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"probabilities of shape \(299, 3\): expected \(300, 3\)"):
        audited(labels, points, probabilities=certain[:299])
    with pytest.raises(ValueError, match="probabilities"):
        audited(labels, points, probabilities=2 * certain)


def test_of_people_who_err_at_random_the_one_who_mostly_errs_is_estimated_to_be_worst():
    points, votes, gold = by_people(rows=2400)
    votes[:, 3] = symmetric(gold, 0.6, 3, seed=9).labels
    votes[np.random.default_rng(1).random(votes.shape) < 0.6] = -1  # so that some rows have no vote of the others
    content = audited(hard_labels(majority_vote(votes, 3)), points, votes=votes)
    accuracies = [source.accuracy for source in content.sources]
    assert None not in accuracies
    assert accuracies[3] < min(accuracies[:3]) - 0.1


def test_words_on_which_a_source_errs_are_named():
    draw = np.random.default_rng(0)
    points, gold = points_of(rows=800, classes=2)
    not_seen = draw.random(800) < 0.3
    texts = ["not really" if negated else "plainly so" for negated in not_seen]
    first = np.where(draw.random(800) < 0.5, np.where(not_seen, 1 - gold, gold), -1)  # errs on "not"
    second = np.where(first < 0, gold, -1)  # never beside the first
    votes = np.stack([first, second], 1)
    labels = hard_labels(majority_vote(votes, 2))
    content = audit_labels(texts, labels, ("no", "yes"), points, votes=votes, source_names=["hasty", "careful"], **FEW)
    hasty, careful = content.sources
    assert {pattern.text for pattern in hasty.patterns} <= {"not", "really", "not really"}
    assert hasty.patterns
    assert careful.patterns == []


def test_dynamics_of_a_training_give_reasons_and_losses():
    points, gold = points_of(rows=120)
    seen, wrong = np.full(120, 4), np.zeros(120, dtype=int)
    wrong[:3] = 4, 3, 1
    loss = np.linspace(0, 2, 120)
    content = audited(gold, points, dynamics={"seen": seen, "disagreements": wrong, "loss": loss})
    assert content.rows.reasons[0][0] == "never learned: in 4 epochs"
    assert content.rows.reasons[1][0] == "disagreed in 3 of 4 epochs"
    assert not any("epochs" in reason for reason in content.rows.reasons[2])
    np.testing.assert_allclose(content.rows.losses, loss)
    assert content.loss_name == "mean loss, in nats"


def test_rows_without_a_label_are_left_out_and_ids_are_kept():
    points, gold = points_of(rows=60)
    labels = np.where(np.arange(60) % 4 == 0, -1, gold)
    content = audited(labels, points, ids=[f"r{row}" for row in range(60)])
    lines = list(score_rows(content))
    assert [line["id"] for line in lines] == [f"r{row}" for row in range(60) if row % 4]
    assert [line["label"] for line in lines] == labels[labels >= 0].tolist()
    assert content.abstained == 15


def test_a_class_that_no_row_is_labelled_with_is_left_alone():
    points, gold = points_of(rows=300, classes=4)
    labels = symmetric(gold, 0.2, 4, seed=0).labels
    labels[labels == 1] = -1
    votes = np.stack([labels, np.where(gold == 1, 1, -1), np.full(300, -1)], 1)  # a source votes for it, in vain
    content = audited(labels, points, names=("a", "b", "c", "d"), votes=votes)
    assert content.noise.matrix.shape == (4, 4)
    assert content.noise.matrix[1].tolist() == [0, 1, 0, 0]
    wrong = (labels != gold)[labels >= 0]
    assert average_precision_score(wrong, content.rows.wrongness) > 0.7
    with pytest.raises(ValueError, match="all 75 labels are of class 0: expected two classes"):
        audited(np.where(np.arange(300) % 4, -1, 0), points, names=("a", "b", "c", "d"))


def test_the_same_seed_gives_the_same_audit():
    points, gold = points_of(rows=200)
    labels = symmetric(gold, 0.3, 3, seed=2).labels
    first, second = (list(score_rows(audited(labels, points, seed=3))) for _ in range(2))
    assert first == second


def test_contradiction_counts_votes_by_hand():
    votes = np.array([[0, 1, 1, -1], [-1, -1, -1, -1], [2, 2, 2, 2]])
    assert contradiction(votes, np.array([1, 0, 2])).tolist() == [pytest.approx(1 / 3), 0, 0]


def test_half_of_the_wrongness_is_reached_by_as_many_rows_as_are_taken_for_wrong():
    values = np.random.default_rng(0).random(1000)
    found = wrongness({"a": values}, {"a": 1.0}, rate=0.3)
    assert (found > 0.5).mean() == pytest.approx(0.3, abs=0.002)
    assert (np.argsort(found) == np.argsort(values)).all()


@pytest.mark.parametrize(("rate", "method"), [(0.01, "neighbours"), (0.3, "truth_inference")])
def test_the_recommended_method_is_what_auto_would_choose(rate, method):
    points, gold = points_of(rows=400, distance=3.0)
    labels = symmetric(gold, rate, 3, seed=0).labels
    found = audited(labels, points).recommendation
    auto = AutoMethod()
    rows = Dataset.from_dict({"text": [f"text {row}" for row in range(400)]})
    auto.setup(replace(context(400, 3, labels=labels), encode=lambda: torch.from_numpy(points), dataset=rows))
    auto.begin_epoch(0, lambda: pytest.fail("a survey"))
    assert (found.method, found.noise_kwargs) == auto.choice[:2]
    reasons = [re.sub(r" \(\d+% to \d+%\)", "", reason.lower()) for reason in (found.reason, auto.choice[2])]
    assert reasons[0].startswith(
        reasons[1]
    )  # word features are of float32 there, so the interval may differ by a percent
    assert found.method == method
    check_methods(found.method, found.noise_kwargs)


def test_bad_input_is_refused():
    points, gold = points_of(rows=30)
    with pytest.raises(ValueError, match="4 rows have a label: expected at least 10"):
        audited(np.where(np.arange(30) < 4, gold, -1), points)
    with pytest.raises(ValueError, match="features has 29 rows: expected 30"):
        audited(gold, points[:29])
    with pytest.raises(ValueError, match="votes has 29 rows: expected 30"):
        audited(gold, points, votes=gold[:29, None])
    with pytest.raises(ValueError, match="expected one score or more with a weight"):
        wrongness({"a": np.arange(3.0)}, {"b": 1.0}, 0.1)
    with pytest.raises(ValueError, match="rate=1"):
        wrongness({"a": np.arange(3.0)}, {"a": 1.0}, 1.0)


def test_curves_are_means_by_epoch_of_what_was_logged():
    logs = [
        {"loss": 2.0, "epoch": 0.5},
        {"loss": 1.0, "relabeled_share": 0.2, "epoch": 1.0},
        {"eval_loss": 0.9, "eval_accuracy": 0.7, "eval_samples_per_second": 40.0, "epoch": 1.0},
        {"loss": 0.5, "relabeled_share": 0.4, "epoch": 2.0},
        {"eval_accuracy": 0.8, "eval_samples_per_second": 41.0, "epoch": 2.0},
        {"train_runtime": 3.0, "train_loss": 1.2, "epoch": 2.0},
    ]
    found = {(curve.axis, curve.name): curve.values for curve in learning_curves(logs)}
    assert found.keys() == {
        ("mean loss, in nats", "training"),
        ("mean loss, in nats", "evaluation"),
        ("share", "accuracy"),
        ("share", "rows taught another class"),
    }
    assert found["mean loss, in nats", "training"] == [1.5, 0.5]
    np.testing.assert_array_equal(found["mean loss, in nats", "evaluation"], [0.9, np.nan])
    assert found["share", "accuracy"] == [0.7, 0.8]
    assert learning_curves([]) == []


@pytest.mark.slow
def test_a_training_is_audited_with_what_it_showed_of_each_example(tmp_path):
    encoder, tokenizer = small_encoder(["a good day", "a bad day"], max_length=16)
    for part in (encoder, tokenizer):
        part.save_pretrained(tmp_path / "encoder")
    draw = np.random.default_rng(0)
    gold = draw.integers(0, 2, 60)
    texts = [" ".join(draw.choice(("a good day", "a bad day")[k].split(), 6)) for k in gold]
    labels = np.where(np.arange(60) % 10 == 9, -1, symmetric(gold, 0.2, 2, seed=0).labels)
    rows = Dataset.from_dict({**tokenizer(texts), "labels": labels, "id": [f"r{row}" for row in range(60)]})
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "encoder", num_labels=2)
    trainer = make_trainer(tmp_path / "out", rows, model=model, processing_class=tokenizer)
    with pytest.raises(RuntimeError, match="before train"):
        trainer.audit()
    trainer.train()
    content = trainer.audit(resamples=5, title="days")
    assert content.rows.ids == [f"r{row}" for row in range(60) if row % 10 != 9]
    assert content.rows.labels.tolist() == labels[labels >= 0].tolist()
    assert content.rows.texts[0] == texts[0]
    assert content.loss_name == "mean loss, in nats"
    seen = trainer.example_report()
    np.testing.assert_allclose(content.rows.losses, np.array(seen["loss"][:], dtype=float)[labels >= 0])
    assert write_report(content, tmp_path / "report.html") == 54
    assert {curve.name: len(curve.values) for curve in content.curves}["training"] == 2
    by_margin = trainer.audit(resamples=5, scorers=["margin"]).rows.wrongness
    margin = np.array(seen["margin"][:], dtype=float)[labels >= 0]
    assert (np.argsort(-by_margin, kind="stable") == np.argsort(margin, kind="stable")).all()
    trainer.model.config._name_or_path = ""
    with pytest.raises(ValueError, match="knows no encoder"):
        trainer.audit()
    mine = trainer.audit(np.stack([gold, 1 - gold], 1) + 0.1 * draw.standard_normal((60, 2)), resamples=5)
    assert average_precision_score((labels != gold)[labels >= 0], mine.rows.wrongness) > 0.9


@pytest.mark.slow
def test_the_recipe_writes_a_page_and_a_line_for_each_labelled_row(tmp_path):
    command = ["python", "recipes/audit.py", "--output", tmp_path / "out"]
    done = run_program([*command, "--max_rows", "200", "--resamples", "3", "--gold", "True"])
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out" / "audit.jsonl").read_text().splitlines()]
    assert 150 < len(lines) <= 200
    keys = {"id", "label", "wrongness", "suggested_label", "suggested_probability", "reasons"}
    assert all(set(line) == keys for line in lines)
    assert all(0 <= line["wrongness"] <= 1 and line["label"] in (0, 1) for line in lines)
    assert "average precision" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert "python recipes/audit.py" in page
    assert f"{len(lines):,}" in done.stdout
