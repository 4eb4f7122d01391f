"""Several estimators at once, the sign of structured noise, what a frozen encoder gives, pictures, and the recipe."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from voters import by_people, by_rules

from hf_noisy.benchmark import Settings
from hf_noisy.benchmark.data import prepare
from hf_noisy.benchmark.settings import Run
from hf_noisy.commands import audit
from hf_noisy.commands.arguments import AuditArguments
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.noise import symmetric
from hf_noisy.evidence import (
    ESTIMATORS,
    KINDS,
    draw_matrices,
    estimate_noise,
    mean_vectors,
    out_of_fold_probabilities,
    text_vectors,
)
from hf_noisy.evidence.rates.kinds import evenness
from hf_noisy.evidence.rates.noise_report import CAUTION
from hf_noisy.evidence.rates.structure import (
    family_rates,
    implied_accuracy,
    share_from_sources,
    vote_auroc,
    vote_consistency,
)
from hf_noisy.weak.majority import hard_labels, majority_vote

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "measure"))  # what its scripts import
FEW = {"resamples": 5}
KEYS = {"rate", "low", "high", "level", "reason", "kind", "evidence", "structured", "estimators"}


def loaded(folder: str, name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def reported(points, votes, **more):
    classes = int(votes.max()) + 1
    labels = hard_labels(majority_vote(votes, classes))
    probs = out_of_fold_probabilities(points, labels, classes)
    return estimate_noise(labels, probs=probs, features=points, votes=votes, **{**FEW, **more}), labels


# --- the report ---


@pytest.mark.parametrize("seed", [0, 1])
def test_random_errors_of_people_raise_no_suspicion_and_every_family_finds_them(seed):
    points, votes, gold = by_people(seed=seed)
    report, labels = reported(points, votes)
    true = (labels != gold)[labels >= 0].mean()
    assert report.kind == "symmetric"
    assert not report.structured
    assert f"kind: symmetric: {CAUTION['symmetric']}" in str(report)
    assert report.interval[0] <= true <= report.interval[1]
    rates = family_rates({name: estimate.rate for name, estimate in report.estimates.items()})
    assert set(rates) == {"classifiers", "neighbours", "votes"}
    assert list(rates.values()) == pytest.approx([true] * 3, abs=0.08)


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_wrong_by_a_rule_are_suspected_though_estimators_find_few(seed):
    points, votes, gold = by_rules(seed=seed)
    report, labels = reported(points, votes, estimators=["confident_joint", "volminnet", "expectation_maximization"])
    true = (labels != gold)[labels >= 0].mean()
    assert report.range[1] < 0.7 * true
    assert report.structured
    assert any("self-consistent" in sentence for sentence in report.evidence)
    assert CAUTION["structured by a rule"] in str(report)


def test_votes_that_say_more_than_classifiers_are_a_sign_of_rules_and_neighbours_are_none():
    points, votes, _ = by_rules()
    doubtful = np.full((len(votes), 2), 0.5)  # a label model that believes nothing
    labels = hard_labels(majority_vote(votes, 2))
    given = {"probs": out_of_fold_probabilities(points, labels, 2), "features": points, **FEW}
    report = estimate_noise(labels, label_model=doubtful, **given)
    assert report.structured
    assert "Estimators disagree: by their medians, votes say 0.50 and classifiers" in report.evidence[1]
    alone = estimate_noise(labels, **given)
    assert not alone.structured  # though neighbours find more than classifiers
    people, cast, _ = by_people()
    random, _ = reported(people, cast, label_model=np.full((len(cast), 3), 1 / 3))
    assert random.kind == "symmetric"  # whatever the label model says


def test_sources_that_vote_where_the_text_says_so_are_a_sign_of_rules_and_people_are_none():
    points, votes, gold = by_rules()
    said = "whether one votes is told from the text with an AUROC of 1.00"
    report, _ = reported(points, votes)
    assert report.structured
    assert any(said in sentence for sentence in report.evidence)
    given = {"probs": out_of_fold_probabilities(points, gold, 2), "features": points, "votes": votes, **FEW}
    assert not any(
        "AUROC" in sentence for sentence in estimate_noise(gold, **given).evidence
    )  # labels of another origin
    blind = np.random.default_rng(0).dirichlet(np.ones(2), len(votes))  # a model that sees nothing
    unseen = estimate_noise(hard_labels(majority_vote(votes, 2)), **{**given, "probs": blind})
    assert unseen.structured
    assert "wrong labels look random" in unseen.evidence[0]
    right = np.where(votes >= 0, gold[:, None], -1)  # rules that never err
    assert estimate_noise(gold, **{**given, "votes": right}, inferred=np.eye(2)[gold]).kind == "undecided"
    alone = np.where(votes[:, :1] >= 0, gold[:, None], -1)  # one source, whose votes the labels are whatever it is
    assert not any("AUROC" in said for said in estimate_noise(alone[:, 0], **{**given, "votes": alone}).evidence)
    handed_out = np.where(np.random.default_rng(0).random(votes.shape) < 0.3, gold[:, None], -1)
    assert vote_auroc(points, votes) > 0.99
    assert vote_auroc(points, handed_out) == pytest.approx(0.5, abs=0.06)
    assert vote_auroc(points, np.zeros_like(votes)) is None  # nobody abstains
    assert vote_auroc(points, np.where(np.arange(len(votes))[:, None] < 19, votes, -1)) is None  # too few votes


def test_labels_follow_votes_where_a_source_of_the_row_says_the_same():
    votes = np.array([[0, 1], [0, -1], [-1, -1]])
    assert share_from_sources(np.array([1, 0, 1]), votes) == 1
    assert share_from_sources(np.array([-1, 1, 1]), votes) == 0
    assert share_from_sources(np.array([0, 0, 0]), np.full((3, 2), -1)) == 0


def test_right_labels_of_texts_that_are_hard_to_tell_may_all_be_right():
    points, _, gold = by_people(900)
    overlapping = points + 1.5 * np.random.default_rng(0).standard_normal(points.shape)
    probs = out_of_fold_probabilities(overlapping, gold, 3)
    report = estimate_noise(gold, probs=probs, features=overlapping, inferred=probs, **FEW)
    assert report.rate > 0.03
    assert report.kind == "instance-dependent"
    assert report.interval[0] == 0


def test_without_probabilities_no_kind_is_told():
    _, votes, gold = by_people(300)
    report = estimate_noise(gold, votes=votes, **FEW)
    assert report.kind == "undecided"
    assert report.misses is None


def test_the_rate_is_by_inferred_classes_where_there_are_any():
    points, _, gold = by_people(400)
    labels = symmetric(gold, 0.25, 3).labels
    report = estimate_noise(
        labels, probs=out_of_fold_probabilities(points, labels, 3), features=points, inferred=np.eye(3)[gold], **FEW
    )
    assert report.rate == pytest.approx((labels != gold).mean())
    low, high = report.interval
    assert low < report.rate < high
    with pytest.raises(ValueError, match="inferred of shape"):
        estimate_noise(labels, features=points, inferred=np.eye(2)[np.minimum(gold, 1)][:-1])


def test_few_confusions_of_many_classes_are_compared_by_draws():
    draw = np.random.default_rng(0)
    found = draw.integers(0, 8, 400)
    even = np.where(draw.random(400) < 0.2, (found + draw.integers(1, 8, 400)) % 8, found)
    next_class = np.where(draw.random(400) < 0.2, (found + 1) % 8, found)
    assert evenness(found, even, 8) > 0.05  # 80 mistakes of 56 kinds: too few of each for the chi-squared distribution
    assert evenness(found, next_class, 8) < 0.01
    assert evenness(found, found, 8) is None


def test_noise_of_one_source_raises_no_suspicion():
    points, _, gold = by_people()
    labels = symmetric(gold, 0.2, 3).labels
    report = estimate_noise(labels, probs=out_of_fold_probabilities(points, labels, 3), features=points, **FEW)
    assert report.kind == "symmetric"
    assert set(report.estimates) == set(ESTIMATORS) - {"dawid_skene", "label_model", "truth_inference"}


def test_the_json_is_plain_and_complete():
    points, votes, _ = by_people(400)
    report, _ = reported(points, votes, estimators=["anchor_points", "dawid_skene"])
    read = json.loads(json.dumps(report.to_json()))
    assert set(read) == KEYS
    assert read["low"] <= read["rate"] <= read["high"]
    assert list(read["estimators"]) == ["anchor_points", "dawid_skene"]
    for name, values in read["estimators"].items():
        assert set(values) == {"rate", "low", "high", "matrix"}
        assert values["rate"] == report.estimates[name].rate
        assert np.array(values["matrix"]).shape == (3, 3)
    rates = [values["rate"] for values in read["estimators"].values()]
    assert report.range == (min(rates), max(rates))
    assert report.rate == pytest.approx(np.median(rates))
    assert f"taken for wrong: {report.rate:.3f} ({report.interval[0]:.3f} to {report.interval[1]:.3f})" in str(report)


def test_bad_requests_are_named():
    points, votes, gold = by_people(300)
    probs = np.full((300, 3), 1 / 3)
    with pytest.raises(ValueError, match="'anchor_point': unknown. Did you mean 'anchor_points'?"):
        estimate_noise(gold, probs=probs, estimators=["anchor_point"])
    with pytest.raises(ValueError, match="'neighbours' needs features"):
        estimate_noise(gold, probs=probs, estimators=["neighbours"])
    with pytest.raises(ValueError, match="nothing to go by"):
        estimate_noise(gold)
    with pytest.raises(ValueError, match="votes has 299 rows"):
        estimate_noise(gold, probs=probs, votes=votes[:-1])
    with pytest.raises(ValueError, match="label_model of shape"):
        estimate_noise(gold, probs=probs, label_model=probs[:, :2])
    with pytest.raises(ValueError, match="class 2 is absent"):
        estimate_noise(np.minimum(gold, 1), probs=probs)
    with pytest.raises(ValueError, match="features has 299 rows"):
        estimate_noise(gold, probs=probs, features=points[:-1])


def test_in_sample_probabilities_are_warned_of_once():
    _, _, gold = by_people(300)
    with pytest.warns(UserWarning, match="look in-sample") as warned:
        estimate_noise(gold, probs=0.9 * np.eye(3)[gold] + 0.1 / 3, estimators=["anchor_points", "dual_t"], **FEW)
    assert len(warned) == 1


# --- votes against predictions ---


def test_agreement_and_prediction_are_counted_by_row():
    votes = np.array([[0, 0, -1], [0, 1, -1], [1, -1, -1], [0, 0, 1]] * 50)
    found = vote_consistency(votes, np.array([0, 0, 1, 0] * 50), 2)
    assert found.agreement == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert found.predicted == pytest.approx((1 + 1 / 2 + 1 + 2 / 3) / 4)
    assert found.implied_accuracy == 0.5  # they agree less than by chance
    assert found.excess == pytest.approx(found.predicted - 0.5)
    assert vote_consistency(votes[:36], np.zeros(36, dtype=int), 2) is None  # too few pairs


@pytest.mark.parametrize("classes", [2, 4, 20])
def test_the_implied_accuracy_is_that_of_independent_sources(classes):
    for accuracy in (0.6, 0.9, 1.0):
        agreement = accuracy**2 + (1 - accuracy) ** 2 / (classes - 1)
        assert implied_accuracy(agreement, classes) == pytest.approx(accuracy)


# --- a frozen encoder ---


def test_texts_are_cut_to_what_the_encoder_can_read():
    model, tokenizer = small_encoder(["a good day"], max_length=8)
    long = "a good day " * 20
    found = mean_vectors(model.base_model, tokenizer, [long, "a good day"], max_length=128)
    assert np.allclose(found[0], mean_vectors(model.base_model, tokenizer, [long], max_length=8)[0], atol=1e-6)


def test_mean_vectors_are_those_of_each_text_alone_in_order():
    texts = ["a nice film", "bad", "the food was good but the service was slow", "good film"]
    model, tokenizer = small_encoder(texts, ("negative", "positive"), seed=0, max_length=16)
    encoder = model.base_model.train()
    found = mean_vectors(encoder, tokenizer, texts, batch_size=3, max_length=16)
    assert encoder.training
    encoder.eval()
    for text, vector in zip(texts, found, strict=True):
        with torch.no_grad():
            states = encoder(**tokenizer([text], return_tensors="pt")).last_hidden_state[0]
        assert vector == pytest.approx(states.mean(0).numpy(), abs=1e-5)
    with pytest.raises(ValueError, match="0 texts"):
        mean_vectors(encoder, tokenizer, [])


def test_out_of_fold_probabilities_know_nothing_of_the_rows_own_label():
    draw = np.random.default_rng(0)
    features, labels = (
        draw.standard_normal((200, 300)),
        draw.integers(0, 2, 200),
    )  # as many columns as to learn by heart
    probs = out_of_fold_probabilities(features, labels, 2)
    assert (probs.argmax(1) == labels).mean() < 0.65
    assert probs.sum(1) == pytest.approx(1)
    points, _, gold = by_people(300)
    assert (out_of_fold_probabilities(points, gold, 3).argmax(1) == gold).mean() > 0.95


def test_a_class_that_a_fold_never_saw_and_a_row_without_a_label():
    points, _, gold = by_people(300)
    labels = gold.copy()
    labels[labels == 2] = 0
    labels[5], labels[6] = 2, -1  # one row of class 2
    probs = out_of_fold_probabilities(points, labels, 3)
    assert probs[5, 2] == pytest.approx(1e-6, rel=0.01)
    assert probs[6].sum() == pytest.approx(1)
    assert (probs > 0).all()
    again, other = (out_of_fold_probabilities(points, labels, 3, seed=seed) for seed in (0, 1))
    assert np.array_equal(probs, again)
    assert not np.array_equal(probs, other)
    with pytest.raises(ValueError, match="folds=1"):
        out_of_fold_probabilities(points, labels, 3, folds=1)
    with pytest.raises(ValueError, match="label 2"):
        out_of_fold_probabilities(points, labels, 2)


# --- pictures, recipe, example ---


def test_a_heat_map_shows_class_names_numbers_and_the_true_matrix_first(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    draw_matrices({"dual_t": [[0.75, 0.25], [0.5, 0.5]]}, ("ham", "spam"), tmp_path / "n.png", true=np.eye(2))
    panels = [axes for axes in drawn[0].axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["true", "dual_t"]
    assert [label.get_text() for label in panels[1].get_xticklabels()] == ["ham", "spam"]
    assert [text.get_text() for text in panels[1].texts] == ["0.75", "0.25", "0.50", "0.50"]
    draw_matrices({"many": np.eye(11)}, [f"c{k}" for k in range(11)], tmp_path / "n.png")
    assert not drawn[1].axes[0].texts


def test_a_heat_map_is_a_png_and_bad_matrices_are_refused(tmp_path):
    draw_matrices({"a": np.eye(2)}, ("ham", "spam"), tmp_path / "n.png")
    assert (tmp_path / "n.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="matrix of 2 classes: expected 3"):
        draw_matrices({"a": np.eye(2)}, ("x", "y", "z"), tmp_path / "n.png")
    with pytest.raises(ValueError, match="empty"):
        draw_matrices({}, ("x", "y"), tmp_path / "n.png")


@pytest.mark.slow
def test_the_recipe_runs_on_the_embedded_corpus(tmp_path, monkeypatch, capsys):
    recipe = loaded("recipes", "estimate_noise")
    output, figure = tmp_path / "noise.json", tmp_path / "noise.png"
    words = f"--output {output} --figure {figure} --max_rows 250 --resamples 10 --gold True".split()
    monkeypatch.setattr(sys, "argv", ["estimate_noise.py", *words])
    recipe.main()
    shown, found = capsys.readouterr().out, json.loads(output.read_text())
    assert set(found) == {*KEYS, "classes", "rows", "true_rate"}
    assert set(found["estimators"]) == set(ESTIMATORS)
    for values in found["estimators"].values():
        assert set(values) == {"rate", "low", "high", "matrix"}
        assert 0 <= values["low"] <= values["rate"] <= values["high"] <= 1
    assert found["classes"] == ["negative", "positive"]
    assert 200 < found["rows"] <= 250
    assert 0.1 < found["true_rate"] < 0.5
    assert found["structured"] == (found["kind"] == "structured by a rule")
    assert "| confident_joint |" in shown
    assert f"kind: {found['kind']}" in shown
    assert figure.read_bytes().startswith(b"\x89PNG")
    audit.run(AuditArguments(output=str(tmp_path / "audit"), max_rows=250, resamples=10), "audit")
    low, rate, high = (f"{found[name]:.1%}" for name in ("low", "rate", "high"))
    assert f"taken for wrong: {rate} (80% interval {low} to {high}), {found['kind']}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_file_with_one_label_and_without_gold(tmp_path, monkeypatch):
    recipe = loaded("recipes", "estimate_noise")
    lines = [f"{word} thing {k},{label}" for k in range(60) for word, label in (("nice", "good"), ("poor", "bad"))]
    lines = [line.replace("good", "bad") if k % 7 == 0 else line for k, line in enumerate(lines)]
    csv, output = tmp_path / "labels.csv", tmp_path / "noise.json"
    csv.write_text("text,stars\n" + "\n".join(lines) + "\n")
    words = f"--data {csv} --label_column stars --output {output} --resamples 5 --estimators dual_t anchor_points"
    monkeypatch.setattr(sys, "argv", ["estimate_noise.py", *words.split()])
    recipe.main()
    found = json.loads(output.read_text())
    assert set(found) == {*KEYS, "classes", "rows"}
    assert list(found["estimators"]) == ["dual_t", "anchor_points"]


@pytest.mark.slow
def test_the_example_measures_every_estimator():
    example = loaded("tests/measure", "known_matrices")
    matrix = example.random_dominant(4, 0)
    assert matrix.sum(1) == pytest.approx(1)
    assert (matrix.argmax(1) == np.arange(4)).all()
    found = example.measure("symmetric 0.2", 2, 600, 0, example.DISTANCE)
    assert set(found["errors"]) == set(example.ESTIMATORS)
    assert min(found["errors"].values()) < 0.03
    assert found["apart"] < 0.1
    assert not found["structured"]


@pytest.mark.slow
def test_the_example_of_kinds_says_how_often_the_interval_held(monkeypatch):
    example = loaded("tests/measure", "kinds_of_noise")
    run, settings = Run("reviews", "ce", 0), Settings(max_train_rows=200, max_test_rows=1, noise="symmetric:0.3")
    rows = prepare(run, settings, {}).train
    vectors = text_vectors(rows.dataset["text"][:])
    report = example.estimated(rows, rows.labels, None, vectors, 2, resamples=3, seed=0)
    assert report.kind in KINDS
    found = [
        {"wrong": 0.3, "rate": 0.25, "low": 0.1, "high": 0.4, "kind": "symmetric"},
        {"wrong": 0.3, "rate": 0.35, "low": 0.32, "high": 0.5, "kind": "undecided"},
    ]
    assert example.cell(found) == "30 %: 30 [21, 45], contained 1 of 2; symmetric 1, undecided 1"
