"""Inferred classes against the formulas in loops, on made sources whose errors are known, and in a training."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import flat_weights, make_trainer, tiny_model, token_dataset, votes_on

from hf_noisy import AutoMethod, CoTeaching, Neighbours, PseudoLabeling, TruthInference
from hf_noisy.evidence import text_vectors
from hf_noisy.evidence.features.tokens import word_vectors
from hf_noisy.evidence.features.views import side_by_side
from hf_noisy.evidence.inference import infer_truth as truth_module
from hf_noisy.evidence.inference.infer_truth import infer_truth
from hf_noisy.evidence.inference.label_evidence import LabelEvidence, weigh_labels
from hf_noisy.evidence.inference.sources import posterior, source_from_labels, sources_from_votes
from hf_noisy.evidence.rates.interval import estimate_rate
from hf_noisy.methods import auto
from hf_noisy.methods import truth_inference as module
from hf_noisy.models.context import Survey

CENTRES = np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])


def clouds(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in three clouds, and the class of each."""
    draw = np.random.default_rng(seed)
    truth = np.arange(rows) % 3
    return CENTRES[truth] + draw.normal(size=(rows, 3)), truth


def regions(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of which some lie near the border between two classes, and the class of each."""
    vectors = np.random.default_rng(seed).normal(size=(rows, 3))
    return vectors, vectors.argmax(1)


def flipped(truth: np.ndarray, rate: float, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    wrong = draw.random(len(truth)) < rate
    return np.where(wrong, (truth + draw.integers(1, 3, len(truth))) % 3, truth)


def ready(method: TruthInference, labels, classes: int = 3, *, votes=None, trusted=None) -> TruthInference:
    place = context(len(labels), classes, labels=labels)
    votes = None if votes is None else torch.as_tensor(votes)
    method.setup(replace(place, votes=votes, trusted=None if trusted is None else torch.as_tensor(trusted)))
    method.begin_epoch(0, lambda: pytest.fail("a survey"))
    return method


def one_model(**parameters) -> TruthInference:
    return TruthInference(models="one", **parameters)


_WEIGHED: dict[tuple[object, ...], LabelEvidence] = {}


@pytest.fixture(autouse=True)
def weighed_once(monkeypatch):
    """Models of the noise take seconds: they are fitted once to the same labels."""

    def weigh(*tables, **settings) -> LabelEvidence:
        key = (*(None if table is None else table.tobytes() for table in tables), str(settings))
        if key not in _WEIGHED:
            _WEIGHED[key] = weigh_labels(*tables, **settings)
        return _WEIGHED[key]

    monkeypatch.setattr(module, "weigh_labels", weigh)


# ---- the formulas -------------------------------------------------------------------------------------------------


def test_what_a_source_says_is_counted_by_the_classes_as_believed():
    draw = np.random.default_rng(0)
    truth, votes = draw.dirichlet(np.ones(3), 12), draw.integers(-1, 3, 12)
    (source,) = sources_from_votes(votes[:, None], 3)
    assert source.rows.tolist() == np.flatnonzero(votes >= 0).tolist()
    for row, found in zip(source.rows, source.log_likelihood(truth), strict=True):
        for j in range(3):
            cast = [i for i in range(12) if votes[i] >= 0]
            speaks = (sum(truth[i, j] for i in cast) + len(cast) / 12) / (truth[:, j].sum() + 1)
            counts = [sum(truth[i, j] for i in cast if votes[i] == v) + 1 / 3 for v in range(3)]
            assert found[j] == pytest.approx(np.log(speaks) + np.log(counts[votes[row]] / sum(counts)))


def test_a_source_with_few_votes_is_left_out_and_soft_labels_are_a_source_in_shares():
    votes = np.full((9, 2), -1)
    votes[:4, 0], votes[:5, 1] = 0, 1
    assert [source.votes.shape for source in sources_from_votes(votes, 3)] == [(5, 3)]
    soft = np.array([[0.5, 0.5], [0.0, 0.0], [1.0, 0.0]])
    assert source_from_labels(soft).rows.tolist() == [0, 2]
    truth = np.array([[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]])
    hard = [source_from_labels(np.eye(2)[[k, k, k]]).log_likelihood(truth) for k in (0, 1)]
    assert all(np.isfinite(found).all() for found in hard)


def test_the_posterior_is_the_prior_times_what_each_source_says():
    vectors, truth = clouds(60)
    given = np.eye(3)[truth]
    votes = np.stack([flipped(truth, 0.2), np.where(truth == 0, 0, -1)], 1)
    sources = sources_from_votes(votes, 3)
    one = infer_truth(vectors, given, sources, rounds=1).truth
    prior = infer_truth(vectors, given, [], rounds=1).truth
    for row in range(60):
        product = prior[row].copy()
        for source in sources:
            if row in source.rows:
                product *= np.exp(source.log_likelihood(prior)[source.rows.tolist().index(row)])
        assert np.allclose(one[row], product / product.sum(), atol=1e-6)


# ---- what comes out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_labels_that_are_wrong_at_random_are_put_right_and_the_rate_is_found(rate):
    vectors, truth = clouds()
    labels = flipped(truth, rate)
    method = ready(one_model(vectors=vectors), labels)
    found = method.report()["inferred_label"]
    assert (found == truth).mean() > 0.97
    assert float(method.metrics()["estimated_noise_rate"]) == pytest.approx((labels != truth).mean(), abs=0.05)


def test_a_source_that_is_always_wrong_is_believed_the_other_way():
    vectors, truth = clouds()
    votes = np.stack([flipped(truth, 0.3, seed) for seed in (1, 2)] + [(truth + 1) % 3], 1)
    labels = votes[:, 0]
    with_it = ready(one_model(vectors=vectors), labels, votes=votes).report()["inferred_label"]
    assert (with_it == truth).mean() > 0.98


def test_votes_say_more_than_labels_alone():
    vectors, truth = clouds(seed=3)
    vectors = vectors + np.random.default_rng(5).normal(scale=2, size=vectors.shape)
    votes = np.stack([flipped(truth, rate, seed) for seed, rate in enumerate((0.05, 0.6, 0.6))], 1)
    labels = votes[:, 1]
    right = {}
    for name, given in (("votes", votes), ("labels", None)):
        right[name] = (
            ready(one_model(vectors=vectors), labels, votes=given).report()["inferred_label"] == truth
        ).mean()
    assert right["votes"] > right["labels"] + 0.1


def test_rows_without_a_label_are_taught_too_and_trusted_ones_keep_theirs():
    vectors, truth = clouds()
    labels = flipped(truth, 0.2)
    labels[::4] = -100
    trusted = np.zeros(300, dtype=bool)
    trusted[1:31:3] = True
    labels[trusted] = (truth[trusted] + 1) % 3  # whatever the texts say
    method = ready(one_model(vectors=vectors), labels, trusted=trusted)
    rows = [0, 1, 2]
    probs = torch.full((3, 3), 1 / 3)
    taught = supervise(method, predictions(probs), batch(labels[rows], 3, index=rows))
    assert taught.weights.tolist() == [[1, 1, 1]]
    assert taught.targets[0, 1].tolist() == np.eye(3)[labels[1]].tolist()
    assert [int(k) for k in taught.targets[0].argmax(-1)] == [truth[0], labels[1], truth[2]]
    assert bool(taught.trusted.all())


def test_weights_that_were_set_before_stay_and_repeated_rows_get_none():
    vectors, truth = clouds()
    labels = truth.copy()
    labels[0] = -100
    method = ready(one_model(vectors=vectors), labels)
    rows = batch(labels[:3], 3)
    rows = replace(rows, real=torch.tensor([False, True, True]))
    seen = predictions(torch.full((3, 3), 1 / 3))
    before = supervise(method, seen, rows).weights[0].tolist()
    assert before == [0, 1, 1]


def test_a_collapse_is_said_and_the_given_labels_are_taught(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    vectors, truth = clouds()
    one_class = np.eye(3)[[0] * len(truth)]
    monkeypatch.setattr(module, "infer_truth", lambda *args, **kwargs: truth_module.Inference(one_class, one_class))
    method = ready(one_model(vectors=vectors), truth)
    assert (method.report()["inferred_label"] == truth).all()
    assert "class 0 takes 100.0 % of 300 inferred classes and has 33.3 %" in said[0]


@pytest.mark.parametrize("rare", [4, 40])
def test_a_rare_class_that_nothing_speaks_for_keeps_the_rows_that_were_given_it(monkeypatch, rare):
    """4 of 300 rows keep their label; 40 are no accident, and nothing is inferred."""
    said: list[str] = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    vectors, truth = clouds()
    labels = np.where(np.arange(300) < rare, 2, truth % 2)
    of_two = np.eye(3)[np.roll(truth % 2, 1)]
    monkeypatch.setattr(module, "infer_truth", lambda *args, **kwargs: truth_module.Inference(of_two, of_two))
    method = ready(one_model(vectors=vectors), labels)
    found = method.report()["inferred_label"]
    assert (found[:rare] == 2).all()
    assert (found[rare:] == (of_two.argmax(1) if rare == 4 else labels)[rare:]).all()
    expected = (
        "class 2 gets none of 300 inferred classes; the 4 rows" if rare == 4 else "class 2 gets none .* taught instead"
    )
    assert re.search(expected, said[0])
    assert len(said) == 1


def seen(method: TruthInference, probs: np.ndarray, epoch: int = 1) -> TruthInference:
    log_probs = torch.from_numpy(probs).float().log()
    method.begin_epoch(epoch, lambda: Survey(log_probs.unsqueeze(0), torch.zeros(log_probs.shape)))
    return method


def test_before_the_second_epoch_the_encoder_is_heard_once_beside_the_classifier():
    vectors, truth = clouds()
    votes = np.stack([flipped(truth, 0.4, k) for k in range(3)], 1)
    trusted = np.arange(300) < 5
    method = ready(one_model(vectors=vectors), votes[:, 0], votes=votes, trusted=trusted)
    said = np.random.default_rng(3).dirichlet(np.ones(3), 300)
    both = torch.from_numpy(said + method.predicted.values.double().numpy()) / 2
    expected = posterior(both, sources_from_votes(votes, 3))
    expected[:5] = np.eye(3)[votes[:5, 0]]
    first = float(method.rate)
    np.testing.assert_allclose(seen(method, said).truth.values, expected, atol=1e-5)
    assert float(method.rate) == pytest.approx(1 - expected[5:][np.arange(295), votes[5:, 0]].mean(), abs=1e-5) != first
    method.begin_epoch(2, lambda: pytest.fail("a second survey"))


def test_an_encoder_that_knows_better_puts_more_labels_right():
    vectors, truth = clouds()
    labels = flipped(truth, 0.4)
    method = ready(one_model(vectors=vectors + 2 * np.random.default_rng(1).normal(size=vectors.shape)), labels)
    before = (method.truth.values.argmax(-1).numpy() == truth).mean()
    after = (seen(method, 0.7 * np.eye(3)[truth] + 0.1).truth.values.argmax(-1).numpy() == truth).mean()
    assert after > before + 0.03


def test_an_encoder_that_sees_one_class_is_not_heard(monkeypatch):
    warned: list[str] = []
    monkeypatch.setattr(module.logger, "warning", warned.append)
    vectors, truth = clouds()
    method = ready(one_model(vectors=vectors), flipped(truth, 0.3))
    before = method.truth.values.clone()
    probs = np.full((300, 3), 1e-12) + np.array([1.0, 0, 0])
    monkeypatch.setattr(module, "posterior", lambda *args, **kwargs: probs)
    assert torch.equal(seen(method, probs / probs.sum(1, keepdims=True)).truth.values, before)
    assert "The first ones are taught instead" in warned[0]


def test_without_refining_no_survey_is_made_and_half_is_remembered():
    vectors, truth = clouds()
    method = ready(one_model(vectors=vectors, refine=False), flipped(truth, 0.3))
    method.begin_epoch(1, lambda: pytest.fail("a survey"))
    assert method.predicted.values.shape == (0, 3)


def test_it_depends_on_no_order_of_rows():
    vectors, truth = clouds(90)
    labels = flipped(truth, 0.2)
    one = ready(one_model(vectors=vectors), labels).truth.values
    two = ready(one_model(vectors=vectors[::-1].copy()), labels[::-1].copy()).truth.values
    assert torch.allclose(one, two.flip(0), atol=1e-3)


def test_without_sharpening_the_labels_are_believed_more_and_without_sources_only_the_start_reads_them():
    vectors, truth = clouds(90)
    labels = flipped(truth, 0.3)
    found = {
        name: ready(one_model(vectors=vectors, **parameters), labels).report()["inferred_label"]
        for name, parameters in (("all", {}), ("flat", {"sharpen": False}))
    }
    assert (found["flat"] == labels).mean() > (found["all"] == labels).mean()
    start = {"vectors": vectors, "share": 0.4, "sources": None}
    one = ready(one_model(**start), labels)
    coherence = infer_truth(vectors, np.eye(3)[labels], [], share=0.4).truth
    assert np.allclose(one.truth.values.numpy(), coherence, atol=1e-6)
    assert (one.report()["inferred_label"] == truth).mean() > 0.95


# ---- several models -----------------------------------------------------------------------------------------------


@pytest.fixture
def logged(monkeypatch) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {"warning": [], "info": []}
    for level, found in texts.items():
        monkeypatch.setattr(module.logger, level, found.append)
    return texts


def test_several_models_teach_what_was_weighed_and_list_the_models(logged):
    vectors, truth = regions()
    labels = flipped(truth, 0.3)
    labels[:30] = -1
    trusted = np.arange(300) >= 290
    method = ready(TruthInference(vectors=vectors), labels, trusted=trusted)
    given = np.where((labels >= 0)[:, None], np.eye(3)[labels], 0)
    expected = module.weigh_labels(vectors, given, None, class_prior=None, seed=method.context.seed)
    assert np.allclose(method.truth.values[:290], expected.truth[:290], atol=1e-6)
    assert np.array_equal(method.truth.values[290:], given[290:])
    rate = estimate_rate(expected)
    found = {name: float(value) for name, value in method.metrics().items()}
    names = ("estimated_noise_rate", "noise_rate_low", "noise_rate_high")
    assert found == pytest.approx(dict(zip(names, (rate.rate, rate.low, rate.high), strict=True)), abs=1e-6)
    assert logged["info"] == [f"TruthInference: what was compared\n{expected.table()}"]
    assert not logged["warning"]


def test_several_models_read_the_votes_unless_the_labels_are_asked_for(logged):
    vectors, truth = regions()
    votes = np.stack([flipped(truth, 0.3, k) for k in range(3)], 1)
    method = ready(TruthInference(vectors=vectors), votes[:, 0], votes=votes)
    assert method.evidence.by == "sources"
    assert (method.report()["inferred_label"] == truth).mean() > (votes[:, 0] == truth).mean() + 0.1
    few = np.where(np.arange(300) < 6, votes[:, 0], -1)
    assert ready(TruthInference(vectors=vectors, sources="label"), few, votes=votes).evidence.by == "nothing"


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.where(np.arange(300) < 2, np.arange(300), -1), "2 labels of 2 classes are too few to compare"),
        (np.full(300, 1), "300 labels of 1 class are too few to compare"),
    ],
)
def test_what_cannot_be_compared_is_taught_as_it_is_with_one_warning(logged, labels, reason):
    method = ready(TruthInference(vectors=regions()[0]), labels)
    assert logged["warning"] == [f"TruthInference: the labels are taught as they are, since {reason}."]
    assert not logged["info"]
    assert (method.report()["inferred_label"] == labels).all()
    assert method.metrics() == {}


@pytest.mark.parametrize("kind", [TruthInference, AutoMethod])
def test_shares_of_another_number_of_classes_are_refused(kind):
    with pytest.raises(ValueError, match="class_prior has 2 shares: expected 3, one for each class"):
        ready(kind(class_prior=[0.5, 0.5]), np.arange(60) % 3)


def test_known_shares_reach_the_models(monkeypatch):
    asked = []
    weighed = LabelEvidence(np.eye(3)[np.arange(60) % 3], "sources", 0.0, 0.0)
    monkeypatch.setattr(
        module, "weigh_labels", lambda *args, class_prior, **kwargs: asked.append(class_prior) or weighed
    )
    for prior in ("balanced", [0.2, 0.3, 0.5], None):
        ready(TruthInference(vectors=clouds(60)[0], class_prior=prior), np.arange(60) % 3)
    assert np.allclose(asked[0], 1 / 3)
    assert np.allclose(asked[1], [0.2, 0.3, 0.5])
    assert asked[2] is None


# ---- auto ---------------------------------------------------------------------------------------------------------


class Seen(AutoMethod):
    """With vectors of our own in the place of the encoder's."""

    def __init__(self, vectors):
        super().__init__()
        self.own = vectors

    def _encoded(self):
        return self.own

    _words = _encoded


@pytest.fixture
def said(monkeypatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(auto.logger, "warning", texts.append)
    return texts


def test_auto_infers_by_labels_or_votes_and_says_so(said):
    vectors, truth = regions()
    labels = flipped(truth, 0.3)
    labels[:30] = -100
    method = ready(Seen(vectors), labels)
    name, parameters, reason = method.choice
    assert (name, parameters) == ("truth_inference", {"sources": "label", "vectors": "both"})
    assert "come out as wrong" in reason
    assert "30 rows without a label are taught too" in reason
    assert said == [f"auto: truth_inference sources='label' vectors='both', since {reason}"]
    same = TruthInference(vectors=side_by_side(vectors, vectors), sources="label")
    assert torch.equal(method.truth.values, ready(same, labels).truth.values)
    votes = np.stack([flipped(truth, 0.3, seed) for seed in range(3)], 1)
    method = ready(Seen(vectors), votes[:, 0], votes=votes)
    assert method.choice[1]["sources"] == "votes"
    assert torch.equal(
        method.truth.values, ready(TruthInference(vectors=vectors), votes[:, 0], votes=votes).truth.values
    )


def test_auto_believes_labels_that_are_right_and_weighs_them_by_those_of_similar_texts(said):
    vectors, truth = clouds()
    method = ready(Seen(vectors * 3), truth)
    name, parameters, reason = method.choice
    assert (name, parameters) == ("neighbours", {"how": "weight"})
    assert "models of the noise and texts would change 0.0% of 300 labels, too few to pay" in reason
    assert "similar texts agree in their labels" in reason
    assert said == [f"auto: neighbours how='weight', since {reason}"]
    rows = batch(truth[:3], 3)
    taught = supervise(method, predictions(torch.full((3, 3), 1 / 3)), rows)
    assert torch.equal(taught.targets[0], rows.given)
    assert taught.trusted is None or not taught.trusted.any()
    alone = ready(Neighbours(how="weight", vectors=vectors), truth)
    assert torch.equal(method.weighting.kept.values, alone.kept.values)
    assert torch.equal(taught.weights[0], alone.kept.values[:3])
    assert set(method.report()) == {"inferred_label", "inferred_probability", "kept", "label_agreement"}
    assert method.left_labels


def test_auto_teaches_labels_of_which_texts_say_nothing(said):
    vectors, truth = clouds()
    noise = np.random.default_rng(0).normal(size=vectors.shape)
    name, _, reason = ready(Seen(noise), flipped(truth, 0.3)).choice
    assert name == "ce"
    assert "too few to pay" in reason
    assert "labels that are wrong by a rule or a person cannot be told this way" in reason


def test_auto_teaches_the_labels_if_the_inferred_classes_collapse(said, monkeypatch):
    warned: list[str] = []
    monkeypatch.setattr(module.logger, "warning", warned.append)
    one_class = LabelEvidence(np.eye(3)[[0] * 300], "sources", 0.6, 0.6)
    monkeypatch.setattr(module, "weigh_labels", lambda *args, **kwargs: one_class)
    vectors, truth = clouds()
    method = ready(Seen(vectors), truth)
    assert method.choice[0] == "neighbours"
    assert "class 0 takes 100.0 % of 300 inferred classes" in warned[0]
    assert "would change 0.0% of 300 labels" in said[0]


def test_auto_says_once_that_labels_of_one_class_cannot_be_compared(said, monkeypatch):
    warned: list[str] = []
    monkeypatch.setattr(module.logger, "warning", warned.append)
    vectors, _ = clouds()
    method = ready(Seen(vectors), np.zeros(300, dtype=int))
    assert method.choice[0] == "ce"
    assert len(said) == 1
    assert "300 labels cannot be compared: they are too few, or all of one class" in said[0]
    assert not warned
    assert method.metrics() == {}


def test_auto_leaves_few_labels_alone(said):
    labels = np.full(300, -100)
    labels[:40] = np.arange(40) % 3
    method = ready(Seen(np.zeros((300, 3))), labels)
    assert method.choice[0] == "ce"
    assert "40 labels are too few" in said[0]


def test_what_auto_chose_is_known_after_a_resume_and_is_not_refined(said):
    vectors, truth = regions()
    one = ready(Seen(vectors), flipped(truth, 0.3))
    assert one.choice[0] == "truth_inference"
    two = Seen(vectors)
    two.setup(context(300, 3, labels=flipped(truth, 0.3)))
    assert two.choice is None
    two.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
    for epoch in (0, 1):
        two.begin_epoch(epoch, lambda: pytest.fail("a survey"))
    assert two.choice == one.choice
    assert torch.equal(two.truth.values, one.truth.values)
    assert two.predicted.values.shape == (0, 3)


def test_the_weights_of_auto_are_known_after_a_resume(said):
    vectors, truth = clouds()
    one = ready(Seen(vectors * 3), truth)
    two = Seen(vectors * 3)
    two.setup(context(300, 3, labels=truth))
    two.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
    two.begin_epoch(1, lambda: pytest.fail("a survey"))
    assert two.choice == one.choice
    assert torch.equal(two.weighting.kept.values, one.weighting.kept.values)
    assert len(one.weighting.kept.values.unique()) > 100


def model_called(name: str) -> SimpleNamespace:
    return SimpleNamespace(config=SimpleNamespace(_name_or_path=name))


@pytest.mark.parametrize("sources", [1, 3])
def test_an_encoder_that_was_not_loaded_is_not_asked(said, sources):
    """As many votes as `sources`, and the words see the classes; a random encoder would be asked in vain."""
    vectors, truth = regions()

    class Words(Seen):
        def _encoded(self):
            pytest.fail("the encoder is asked")

        def _words(self):
            return self.own

    votes = torch.from_numpy(np.stack([flipped(truth, 0.3, seed) for seed in range(sources)], 1))
    start = replace(context(300, 3, labels=votes[:, 0]), votes=votes if sources > 1 else None, model=model_called(""))
    method, plain = Words(vectors), TruthInference(vectors=vectors)
    for each in (method, plain):
        each.setup(start)
        each.begin_epoch(0, lambda: pytest.fail("a survey"))
    name, parameters, reason = method.choice
    assert (name, parameters["vectors"]) == ("truth_inference", "words")
    assert "the encoder is not pretrained" in reason
    assert torch.equal(method.truth.values, plain.truth.values)


def test_truth_is_inferred_from_words_where_no_encoder_was_loaded():
    vectors, truth = clouds()
    asked: list[str] = []

    class Watched(TruthInference):
        def _encoded(self):
            asked.append("encoder")
            return vectors

        def _words(self):
            asked.append("words")
            return vectors

    for name, expected in (("", ["words"]), ("somewhere", ["encoder", "words"])):
        asked.clear()
        method = Watched(models="one")
        method.setup(replace(context(300, 3, labels=truth), model=model_called(name)))
        method.begin_epoch(0, lambda: pytest.fail("a survey"))
        assert sorted(asked) == expected


def test_auto_by_name(tmp_path, said):
    trainer = make_trainer(tmp_path, rows=60, noise_method="auto")
    trainer.train()
    assert len(said) == 1
    assert said[0].startswith("auto: ")


# ---- in a training ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vectors", "models"), [("encoder", "several"), ("words", "one"), ("both", "several")])
def test_it_trains_on_votes_and_unlabeled_rows(tmp_path, vectors, models):
    dataset = token_dataset(24, [-1 if row % 4 == 3 else row % 3 for row in range(24)])
    dataset = dataset.add_column("weak_labels", votes_on(token_dataset(24)))
    trainer = make_trainer(
        tmp_path, dataset, noise_method="truth_inference", noise_kwargs={"vectors": vectors, "models": models}
    )
    assert np.isfinite(trainer.train().training_loss)
    report = trainer.example_report().to_dict()
    assert set(report["inferred_label"]) <= {0, 1, 2, -1}
    assert any("estimated_noise_rate" in entry for entry in trainer.state.log_history)


def test_words_of_a_text_are_its_tokens_without_padding():
    dataset = token_dataset(24)
    found = word_vectors("test", dataset)
    assert found.shape[0] == 24
    padded = dataset.map(
        lambda row: {"input_ids": [*row["input_ids"], 0, 0], "attention_mask": [*row["attention_mask"], 0, 0]}
    )
    assert np.allclose(word_vectors("test", padded), found)


def test_words_are_those_of_whole_texts_where_every_row_has_one():
    dataset = token_dataset(24)
    texts = [f"{'plain' if row % 2 else 'fancy'} words {row % 3}" for row in range(24)]
    found = word_vectors("test", dataset.add_column("text", texts))
    assert np.allclose(found, text_vectors(texts))
    assert np.allclose(
        word_vectors("test", dataset.add_column("text", [None, *texts[1:]])), word_vectors("test", dataset)
    )
    rows = [{"input_ids": [1, row % 5], "text": text} for row, text in enumerate(texts)]
    assert np.allclose(word_vectors("test", rows), found)


def seen_by(kind, votes=None, **parameters) -> np.ndarray:
    """The vectors that truth is inferred from."""
    dataset = token_dataset(24)
    method = TruthInference(**parameters) if kind is None else TruthInference(vectors=kind, **parameters)
    method.setup(
        replace(
            context(24, 3, labels=dataset["labels"][:]),
            encode=lambda: torch.arange(48.0).view(24, 2) + 1,
            dataset=dataset,
            votes=votes,
        )
    )
    return method._vectors(method.vectors)


def test_labels_alone_are_inferred_from_encoder_and_words_and_votes_of_several_sources_from_the_encoder():
    votes = torch.tensor(votes_on(token_dataset(24)))
    assert np.array_equal(seen_by(None), seen_by("both"))
    assert np.allclose(seen_by("both"), side_by_side(seen_by("encoder"), seen_by("words")))
    assert np.allclose(np.linalg.norm(seen_by("both"), axis=1), np.sqrt(2))
    one = torch.where(torch.arange(3) == 0, votes, -1)
    assert np.array_equal(seen_by(None, one), seen_by("both"))
    for sources in ("votes", "label", None):  # words tell which source spoke, whoever is asked
        models = "one" if sources is None else "several"
        assert np.array_equal(seen_by(None, votes, sources=sources, models=models), seen_by("encoder"))


def test_words_tell_what_an_encoder_does_not_see_and_random_noise_is_found_by_both():
    """Half of the texts of a class differ in a word, the others in a meaning that the encoder sees."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 400)
    labels, told = np.where(draw.random(400) < 0.3, 1 - truth, truth), draw.random(400) < 0.5
    encoded = draw.normal(size=(400, 4)) + np.where(told, 0, 6 * truth - 3)[:, None] * np.eye(4)[0]
    texts = [
        f"{'good' if row else 'bad'} thing" if by_word else "a thing" for row, by_word in zip(truth, told, strict=True)
    ]
    found = {
        name: (
            infer_truth(seen, np.eye(2)[labels], [source_from_labels(np.eye(2)[labels])]).truth.argmax(1) == truth
        ).mean()
        for name, seen in {
            "encoder": encoded,
            "words": text_vectors(texts),
            "both": side_by_side(encoded, text_vectors(texts)),
        }.items()
    }
    assert found["both"] > 0.95
    assert max(found["encoder"], found["words"]) < found["both"] - 0.05


def test_two_networks_learn_one_truth(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[CoTeaching(forget_rate=0.2), TruthInference()])
    assert np.isfinite(trainer.train().training_loss)


def test_the_state_goes_into_another_copy():
    vectors, truth = clouds(60)
    labels = flipped(truth, 0.2)
    one = ready(one_model(vectors=vectors), labels)
    two = one_model(vectors=vectors)
    two.setup(context(60, 3, labels=labels))
    two.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
    two.begin_epoch(0, lambda: pytest.fail("a survey"))  # nothing is inferred again
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    assert torch.equal(seen(two, probs).truth.values, seen(one, probs).truth.values)
    three = one_model(vectors=vectors)
    three.setup(context(60, 3, labels=truth))
    three.load_state_dict({name: value.clone() for name, value in two.state_dict().items()})
    three.begin_epoch(2, lambda: pytest.fail("a second survey"))
    assert str(one.report()) == str(two.report())


@pytest.mark.slow
def test_the_weights_do_not_depend_on_the_labels_that_nobody_believes(tmp_path):
    """The same posteriors from the same vectors: what is given after the start is not read."""
    dataset = token_dataset(24)
    vectors = np.random.default_rng(0).normal(size=(24, 4))
    weights = []
    for _ in range(2):
        trainer = make_trainer(
            tmp_path, dataset, model=tiny_model(dropout=0.0), callbacks=[TruthInference(vectors=vectors)]
        )
        trainer.train()
        weights.append(flat_weights(trainer.model))
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"share": 0}, "share=0: expected a number in (0, 1]"),
        ({"share": 60}, "Did you mean 0.6?"),
        ({"rounds": 0}, "rounds=0"),
        ({"weight_penalty": -1}, "weight_penalty=-1"),
        ({"vectors": "word"}, "Did you mean 'words'?"),
        ({"models": "two"}, "models='two': expected 'several' or 'one'"),
        ({"rounds": 3}, "rounds=3 has no effect with models='several': expected models='one'."),
        ({"refine": True}, "refine=True has no effect with models='several': expected models='one'."),
        ({"sources": None}, "sources=None needs models='one'"),
        ({"models": "one", "class_prior": [0.5, 0.5]}, "has no effect with models='one': expected models='several'."),
        ({"class_prior": "balance"}, "class_prior='balance': expected 'balanced'. Did you mean 'balanced'?"),
        ({"class_prior": [0.5, 0.4]}, "sums to 0.9: expected 1"),
        ({"class_prior": [1.0, 0.0]}, "=0: expected shares above 0. Leave the class out."),
        ({"class_prior": [0.5, float("nan")]}, "expected finite numbers"),
    ],
)
def test_parameters_outside_their_domain_are_refused(arguments, error):
    with pytest.raises(ValueError, match=re.escape(error)):
        TruthInference(**arguments)


def test_what_cannot_be_inferred_from_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match="vectors has 5 rows: expected 20"):
        make_trainer(tmp_path, callbacks=[TruthInference(vectors=np.eye(5))]).train()
    one = token_dataset(20, [0] + [-1] * 19)
    with pytest.raises(ValueError, match="1 of 20 training rows have a label: expected at least 2"):
        make_trainer(tmp_path, one, callbacks=[TruthInference()]).train()
    with pytest.raises(ValueError, match="TruthInference and PseudoLabeling: both are"):
        make_trainer(tmp_path, callbacks=[TruthInference(), PseudoLabeling()])
