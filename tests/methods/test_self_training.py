"""Self-training against the paper's formulas, in loops; that its regularisers have gradients and its filter filters."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import flat_weights, make_trainer, tiny_model, token_dataset
from transformers import TrainerCallback

from hf_noisy import CoTeaching, Predictions, Supervision, Survey
from hf_noisy.evidence.inference.sharpening import frequency_normalised
from hf_noisy.methods import self_training as module
from hf_noisy.methods.pseudo_labeling import PseudoLabeling
from hf_noisy.methods.self_training import SelfTraining, certainty, contrastive, kl_from_uniform


def random_probs(rows: int, classes: int, seed: int = 0, sharpness: float = 2.0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.softmax(sharpness * torch.randn(rows, classes, generator=draw), -1)


def ready(labels, classes: int = 2, *, networks: int = 1, epochs: float = 9, **parameters) -> SelfTraining:
    method = SelfTraining(**parameters)
    method.setup(context(len(labels), classes, labels=labels, networks=networks, epochs=epochs))
    return method


def look(method: SelfTraining, *networks, epoch: int = 3) -> None:
    log_probs = torch.stack([torch.as_tensor(probs, dtype=torch.float32).log() for probs in networks])
    method.begin_epoch(epoch, lambda: Survey(log_probs, torch.zeros(log_probs.shape[1:])))


def seen(logits: torch.Tensor, vectors: torch.Tensor) -> Predictions:
    """One network, one view."""
    return Predictions(logits.log_softmax(-1)[None, None], vectors=vectors[None, None])


@pytest.fixture
def said(monkeypatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(module.logger, "warning", texts.append)
    return texts


# ---- the formulas -------------------------------------------------------------------------------------------------


def test_soft_targets_are_squared_over_frequency():
    probs = random_probs(7, 4)
    frequency = [sum(probs[i, j] for i in range(7)) for j in range(4)]
    for i, found in enumerate(frequency_normalised(probs)):
        squared = [probs[i, j] ** 2 / frequency[j] for j in range(4)]
        assert np.allclose(found, [value / sum(squared) for value in squared], atol=1e-6)


def test_a_class_that_is_predicted_for_all_counts_less():
    probs = torch.tensor([[0.6, 0.4]] * 9 + [[0.52, 0.48]])
    assert frequency_normalised(probs).argmax(-1).tolist() == [0] * 9 + [1]


def test_certain_probabilities_give_finite_targets():
    targets = frequency_normalised(torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    assert targets.tolist() == [[1, 0, 0], [1, 0, 0]]
    assert certainty(targets).tolist() == [1, 1]


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_the_weight_is_one_minus_entropy_over_log_classes_and_not_over_log_rows(classes):
    targets = random_probs(64, classes)
    for found, y in zip(certainty(targets), targets, strict=True):
        entropy = -sum(p * math.log(p) for p in y.tolist())
        assert float(found) == pytest.approx(1 - entropy / math.log(classes), abs=1e-5)
    assert certainty(torch.full((1, classes), 1 / classes)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("classes", "sharpness"), [(2, 0.5), (3, 0.7), (20, 2.5)])
def test_with_any_number_of_classes_some_rows_are_filtered(classes, sharpness):
    """With the log of the batch size in the place of log K, as in the paper's code, more would stay, or all."""
    targets = frequency_normalised(random_probs(64, classes, sharpness=sharpness))
    kept = certainty(targets) >= 0.6
    by_batch_size = 1 - torch.special.entr(targets).sum(-1) / math.log(64) >= 0.6
    assert 0 < kept.sum() < by_batch_size.sum()
    assert classes > 2 or by_batch_size.all()


def naive_contrastive(vectors, classes, chosen, gamma):
    found = []
    for i in range(len(vectors)):
        losses = []
        for j in range(len(vectors)):
            if i != j and chosen[i] and chosen[j]:
                d = sum((a - b) ** 2 for a, b in zip(vectors[i], vectors[j], strict=True)) / len(vectors[i])
                losses.append(d**2 if classes[i] == classes[j] else max(0.0, gamma - d) ** 2)
        found.append(sum(losses) / len(losses) if losses else 0.0)
    return found


def test_the_contrastive_regulariser_is_the_mean_over_pairs():
    draw = np.random.default_rng(0)
    vectors, classes = draw.normal(size=(6, 5)) * 0.6, draw.integers(0, 2, 6)
    chosen = np.array([True, True, False, True, True, True])
    found = contrastive(torch.from_numpy(vectors), torch.from_numpy(classes), torch.from_numpy(chosen), 1.0)
    expected = naive_contrastive(vectors, classes, chosen, 1.0)
    assert np.allclose(found, expected)
    assert expected[2] == 0
    assert min(np.delete(expected, 2)) > 0


def test_one_chosen_row_has_no_pair_and_no_row_none():
    vectors, classes = torch.ones(3, 2), torch.tensor([0, 1, 0])
    for chosen in (torch.tensor([False, True, False]), torch.zeros(3, dtype=torch.bool)):
        assert contrastive(vectors, classes, chosen, 1.0).tolist() == [0, 0, 0]
    assert contrastive(vectors[:1], classes[:1], torch.tensor([True]), 1.0).tolist() == [0]


@pytest.mark.parametrize(("classes", "joined"), [([0, 0], True), ([0, 1], False)])
def test_descent_on_the_contrastive_regulariser_joins_equal_classes_and_parts_others(classes, joined):
    vectors = torch.tensor([[0.0, 0.0], [0.6, 0.0]], requires_grad=True)
    contrastive(vectors, torch.tensor(classes), torch.tensor([True] * 2), 1.0).sum().backward()
    stepped = (vectors - 0.05 * vectors.grad).detach()
    assert ((stepped[0] - stepped[1]).norm() < 0.6) == joined
    assert (vectors.grad[:, 0] != 0).all()


def test_equal_vectors_have_a_finite_gradient():
    vectors = torch.zeros(3, 2, requires_grad=True)
    contrastive(vectors, torch.tensor([0, 0, 1]), torch.tensor([True] * 3), 1.0).sum().backward()
    assert torch.isfinite(vectors.grad).all()


def test_the_confidence_regulariser_is_the_divergence_of_the_uniform_distribution():
    probs = random_probs(5, 3)
    expected = [sum((1 / 3) * math.log((1 / 3) / p) for p in row) for row in probs.tolist()]
    assert np.allclose(kl_from_uniform(probs.log()), expected, atol=1e-6)
    assert kl_from_uniform(torch.full((4,), 0.25).log()).item() == pytest.approx(0, abs=1e-6)


# ---- one step -----------------------------------------------------------------------------------------------------


SURE, UNSURE, OTHER = [0.95, 0.05], [0.55, 0.45], [0.1, 0.9]


def test_every_sure_row_is_taught_the_teachers_target_labelled_or_not_and_the_rest_nothing():
    probs, labels = [SURE, UNSURE, OTHER, SURE], [1, 0, -1, -1]
    method = ready(labels)
    look(method, probs)
    found = supervise(method, predictions([UNSURE] * 4), batch(labels, 2))
    expected = frequency_normalised(torch.tensor(probs))
    assert torch.allclose(found.targets[0], expected)
    assert torch.allclose(found.weights[0], certainty(expected) * torch.tensor([1.0, 0, 1, 1]))
    assert found.weights[0, 1] == 0
    assert found.trusted.all()
    assert method.report()["pseudo_label"].tolist() == [0, -1, 1, 0]
    assert np.allclose(method.report()["confidence"], certainty(expected), atol=1e-5)
    assert method.metrics()["confident_share"] == 0.75


def test_the_loss_of_a_step_is_the_papers():
    """mean w KL(y || f) + R1 + lambda R2 and its gradient, with everything written out."""
    probs, labels = random_probs(6, 3, sharpness=3).double(), [0, 1, 2, -1, 0, 1]
    method = ready(labels, 3, confidence=0.4, contrast=0.7, gamma=1.5, lam=0.2)
    look(method, probs)
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    vectors = (torch.randn(6, 4, generator=draw, dtype=torch.float64) * 0.7).requires_grad_()
    rows = batch(labels, 3)
    now = seen(logits, vectors)
    given = supervise(method, now.detached(), rows)
    from hf_noisy import CrossEntropy

    found = (given.losses(CrossEntropy(), now) * given.weights).sum() + method.penalty(now, given, rows).sum()
    found.backward()
    total = found.item()
    gradients = logits.grad.clone(), vectors.grad.clone()
    logits.grad = vectors.grad = None

    y = probs**2 / probs.sum(0)
    y = y / y.sum(-1, keepdim=True)
    w = 1 + (y * y.log()).sum(-1) / math.log(3)
    sure = [i for i in range(6) if w[i] >= 0.4]
    assert 2 < len(sure) < 6
    f = logits.softmax(-1)
    loss = sum(w[i] * (y[i] * (y[i] / f[i]).log()).sum() for i in sure)
    for i in sure:
        for j in sure:
            if i != j:
                d = (vectors[i] - vectors[j]).square().mean()
                pair = d**2 if y[i].argmax() == y[j].argmax() else (1.5 - d).clamp_min(0) ** 2
                loss = loss + 0.7 * pair / (len(sure) - 1)
        loss = loss + 0.2 * ((1 / 3) * ((1 / 3) / f[i]).log()).sum()
    loss.backward()
    of_targets = sum(w[i] * (y[i] * y[i].log()).sum() for i in sure)  # by which KL and cross-entropy differ
    assert total == pytest.approx((loss - of_targets).item(), rel=1e-4)
    assert torch.allclose(gradients[0], logits.grad, atol=1e-4)
    assert torch.allclose(gradients[1], vectors.grad, atol=1e-4)
    assert gradients[1].abs().max() > 1e-3


def test_the_first_stage_teaches_the_given_labels():
    method = ready([1, -1], first_stage=1 / 3)
    for epoch in range(3):
        method.begin_epoch(epoch, lambda: pytest.fail("a pass"))
    rows, now = batch([1, -1], 2), predictions([SURE, SURE])
    given = supervise(method, now, rows)
    assert given.weights.tolist() == [[1, 0]]
    assert given.targets[0, 0].tolist() == [0, 1]
    assert method.penalty(now, given, rows) is None
    assert method.report()["pseudo_label"].tolist() == [-1, -1]
    assert np.isnan(method.report()["confidence"]).all()


@pytest.mark.parametrize(
    ("epochs", "share", "every", "looks"),
    [(9, 1 / 3, 1, [3, 4, 5, 6, 7, 8]), (3, 1 / 3, 1, [1, 2]), (30, 0.1, 10, [3, 13, 23]), (4, 0.01, 2, [1, 3])],
)
def test_the_teacher_looks_every_so_many_epochs(epochs, share, every, looks):
    method = ready([0, 1], epochs=epochs, first_stage=share, refresh_epochs=every)
    found = []
    for epoch in range(epochs):
        method.begin_epoch(epoch, lambda e=epoch: found.append(e) or Survey(torch.zeros(1, 2, 2), torch.zeros(2, 2)))
    assert found == looks


def test_between_two_looks_the_teacher_does_not_move():
    method = ready([0, 1], refresh_epochs=2)
    look(method, [SURE, OTHER])
    before = method.targets.state()
    look(method, [OTHER, SURE], epoch=4)
    assert torch.equal(method.targets.values, before)
    look(method, [OTHER, SURE], epoch=5)
    assert not torch.equal(method.targets.values, before)


def test_if_no_row_is_sure_the_labels_are_taught_and_that_is_said_once_with_numbers(said):
    method = ready([1, -1])
    for epoch in (3, 4):
        look(method, [UNSURE, [0.45, 0.55]], epoch=epoch)
    rows, now = batch([1, -1], 2), predictions([SURE, SURE])
    given = supervise(method, now, rows)
    assert given.weights.tolist() == [[1, 0]]
    assert given.targets[0, 0].tolist() == [0, 1]
    assert method.penalty(now, given, rows) is None
    assert len(said) == 1
    assert "before epoch 3 0 of 2 rows are as sure as confidence=0.6; the highest weight is 0.0" in said[0]
    look(method, [SURE, OTHER], epoch=5)
    assert supervise(method, now, rows).weights[0].tolist() != [1, 0]


def test_a_few_sure_rows_do_not_let_the_labels_of_all_others_go(said):
    """One batch of them would have to teach everything."""
    rows, now = batch([1, 0], 2), predictions([SURE, SURE])
    for sure, waits in ((3, True), (4, False)):
        method = ready([0, 1] * 20)
        look(method, [SURE, OTHER] * (sure // 2) + [SURE] * (sure % 2) + [UNSURE] * (40 - sure))
        assert method.teaching != waits
        assert (supervise(method, now, rows).targets[0, 0].tolist() == [0, 1]) == waits
    assert len(said) == 1
    assert "3 of 40 rows are as sure as confidence=0.6" in said[0]


def swallowed(**parameters) -> tuple[SelfTraining, list]:
    labels = [0] * 20 + [1] * 20
    method = ready(labels, confidence=0.1, **parameters)
    sure = np.random.default_rng(0).uniform(0.001, 0.02, 40)
    sure[0] = 0.97  # so that class 1 is predicted more than never
    look(method, np.stack([1 - sure, sure], -1))
    return method, labels


def test_where_a_class_swallows_the_others_the_labels_are_taught_until_that_is_over():
    """On trec the model knows one class only after an epoch; taught nothing but that class it never finds the others."""
    method, labels = swallowed()
    rows, now = batch(labels, 2), predictions([UNSURE] * 40)
    found = supervise(method, now, rows)
    assert torch.equal(found.targets[0], rows.given)
    assert found.weights.tolist() == [[1] * 40]
    assert method.penalty(now, found, rows) is None
    assert set(method.report()["pseudo_label"]) == {-1}
    look(method, [SURE, OTHER] * 20, epoch=4)
    assert torch.equal(supervise(method, now, rows).targets[0], method.targets.values)


def test_balance_can_be_switched_off():
    method, labels = swallowed(balance=False)
    assert method.teaching
    assert supervise(method, predictions([UNSURE] * 40), batch(labels, 2)).targets[0, :, 0].sum() > 35


def test_trusted_rows_keep_label_and_weight_and_stand_outside_the_regularisers():
    method = ready([1, 1, 1])
    look(method, [SURE, OTHER, SURE])
    rows = replace(batch([1, 1, 1], 2), trusted=torch.tensor([True, False, False]))
    logits, vectors = torch.zeros(3, 2), torch.tensor([[0.1, 0.2], [0.3, 0.1], [0.2, 0.5]], requires_grad=True)
    now = seen(logits, vectors)
    base = Supervision(rows.given.expand(1, -1, -1), torch.full((1, 3), 0.5), trusted=rows.trusted.expand(1, -1))
    found = method.supervise(base, now.detached(), rows)
    assert found.targets[0, 0].tolist() == [0, 1]
    assert found.weights[0, 0] == 0.5
    penalty = method.penalty(now, found, rows)
    assert penalty[0] == 0
    penalty.sum().backward()
    assert (vectors.grad[0] == 0).all()
    assert (vectors.grad[1:] != 0).any()


def test_a_row_that_a_sampler_repeats_is_neither_taught_nor_paired():
    method = ready([0, 1])
    look(method, [SURE, OTHER])
    rows = replace(batch([0, 1], 2), real=torch.tensor([True, False]))
    now = seen(torch.zeros(2, 2), torch.zeros(2, 3))
    found = supervise(method, now, rows)
    assert (found.weights[0] > 0).tolist() == [True, False]
    assert method.penalty(now, found, rows).tolist()[1] == 0
    assert method.penalty(now, found, rows).tolist()[0] == pytest.approx(0)  # no partner; equal logits


def test_rows_that_a_later_method_drops_are_not_regularised():
    method = ready([0, 1, 0])
    look(method, [SURE, OTHER, SURE])
    rows, now = batch([0, 1, 0], 2), seen(torch.zeros(3, 2), torch.zeros(3, 3))
    found = supervise(method, now, rows).weighted(torch.tensor([1.0, 0.0, 1.0]))
    assert method.penalty(now, found, rows).tolist() == pytest.approx([0, 0, 0])  # the pair across classes is gone


def test_two_networks_have_one_teacher_and_regularisers_of_their_own():
    one, two = torch.tensor([[0.99, 0.01], [0.2, 0.8]]), torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    method = ready([0, 1], networks=2, lam=0.3, contrast=0.5)
    look(method, one, two)
    assert torch.allclose(method.targets.values, frequency_normalised((one + two) / 2))
    draw = torch.Generator().manual_seed(0)
    logits, vectors = torch.randn(2, 1, 2, 2, generator=draw), torch.randn(2, 1, 2, 3, generator=draw)
    now, rows = Predictions(logits.log_softmax(-1), vectors=vectors), batch([0, 1], 2)
    found = supervise(method, now, rows)
    assert torch.equal(found.targets[0], found.targets[1])
    each = []
    for n in range(2):
        distance = (vectors[n, 0, 0] - vectors[n, 0, 1]).square().mean()
        apart = (1 - distance).clamp_min(0) ** 2
        each.append(0.5 * apart + 0.3 * kl_from_uniform(logits[n, 0].log_softmax(-1)))
    assert torch.allclose(method.penalty(now, found, rows), sum(each))


def test_the_mean_over_views_is_regularised():
    method = ready([0, 1], contrast=1.0, lam=0.0)
    look(method, [SURE, OTHER])
    vectors = torch.tensor([[[[0.0], [0.5]], [[0.0], [0.1]]]])  # two views
    now = Predictions(torch.zeros(1, 2, 2, 2).log_softmax(-1), vectors=vectors)
    rows = batch([0, 1], 2)
    expected = (0.75**2 + 0.99**2) / 2
    assert method.penalty(now, supervise(method, now, rows), rows).tolist() == pytest.approx([expected] * 2)


def test_a_class_that_swallows_the_pseudo_labels_is_named_with_numbers(said):
    method, _ = swallowed()
    assert "before epoch 3 class 0 takes 97.5 % of 40 pseudo-labels and has 50.0 % of the labelled rows" in said[0]
    assert float(method.metrics()["pseudo_label_collapses"]) == 1


# ---- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"first_stage": 0}, ValueError, "first_stage=0: expected a number in (0, 1)"),
        ({"first_stage": 1.0}, ValueError, "first_stage=1.0"),
        ({"first_stage": 33}, ValueError, "Did you mean 0.33"),
        ({"refresh_epochs": 0}, ValueError, "refresh_epochs=0: expected a whole number of epochs"),
        ({"refresh_epochs": 0.5}, ValueError, "refresh_epochs=0.5"),
        ({"confidence": 1.0}, ValueError, "confidence=1.0"),
        ({"confidence": "sure"}, TypeError, "confidence='sure'"),
        ({"contrast": -1}, ValueError, "contrast=-1"),
        ({"gamma": -1}, ValueError, "gamma=-1"),
        ({"lam": -0.1}, ValueError, "lam=-0.1"),
        ({"balance": 1}, TypeError, "balance=1: expected True or False"),
    ],
)
def test_parameters_outside_their_domain_are_refused(parameters, error, message):
    with pytest.raises(error) as raised:
        SelfTraining(**parameters)
    assert message in str(raised.value)


def test_a_training_too_short_for_the_second_stage_says_so(said):
    ready([0, 1], epochs=1)
    assert "first_stage=0.333333 of 1 epochs leaves none for the second stage" in said[0]


def test_it_goes_neither_with_a_noise_channel_nor_with_another_guesser(tmp_path):
    with pytest.raises(ValueError, match="guesser of missing labels"):
        make_trainer(tmp_path, callbacks=[SelfTraining(), PseudoLabeling()])
    with pytest.raises(ValueError, match="noise channel"):
        make_trainer(tmp_path, noise_method="noise_adaptation", callbacks=[SelfTraining()])


# ---- the first stage ------------------------------------------------------------------------------------------------


def visit(method: SelfTraining, epoch: int, classes: list[int], survey=None) -> None:
    """An epoch in which the model sees row i as classes[i]."""
    method.begin_epoch(epoch, survey or (lambda: pytest.fail("a look in the first stage")))
    probs = torch.tensor([[0.9, 0.1], [0.1, 0.9]])[classes]
    supervise(method, predictions(probs), batch([0] * len(classes), 2, epoch=epoch))


def test_the_first_stage_ends_where_more_predictions_change_than_before():
    method = ready([0, 1, 0, 1], epochs=12, first_stage=0.5)
    for epoch, found in enumerate(([0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 0, 1], [1, 0, 0, 1])):  # changes 3, 1, 2
        visit(method, epoch, found)
        assert method.in_first_stage
    look(method, [SURE, OTHER, SURE, OTHER], epoch=4)
    assert method.changes[1:] == [0.75, 0.25, 0.5]
    assert method.teaching
    assert method.metrics()["first_stage_epochs"] == 4


def test_without_early_stopping_or_without_a_rise_the_first_stage_takes_its_share():
    for changes, parameters in (([0, 1, 0, 1, 0, 1], {"early_stopping": False}), ([0] * 6, {})):
        method = ready([0, 1], epochs=12, first_stage=0.5, **parameters)
        for epoch, found in enumerate(changes):
            visit(method, epoch, [found, 0 if epoch < 3 else found])
        assert method.in_first_stage
        look(method, [SURE, OTHER], epoch=6)
        assert method.metrics()["first_stage_epochs"] == 6


# ---- in a training ------------------------------------------------------------------------------------------------


class StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = control.should_save = state.global_step == self.step


def train(folder, *, stop_at=None, resume=None, extra=(), epochs=4, **parameters):
    method = SelfTraining(**{"confidence": 0.05, "balance": False, **parameters})
    dataset = token_dataset(24, [-1 if row % 3 == 2 else row % 3 for row in range(24)])
    trainer = make_trainer(
        folder,
        dataset,
        model=tiny_model(dropout=0.3),
        num_train_epochs=epochs,
        callbacks=[method, *extra, *([StopAt(stop_at)] if stop_at else [])],
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer, method


@pytest.mark.slow
@pytest.mark.parametrize("step", [9, 15, 18], ids=["in the first stage", "between two looks", "before a look"])
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(tmp_path, step):
    whole, expected = train(tmp_path / "whole", first_stage=0.5)
    assert expected.teaching
    train(tmp_path / "broken", stop_at=step, first_stage=0.5)
    checkpoint = str(tmp_path / "broken" / f"checkpoint-{step}")
    resumed, found = train(tmp_path / "broken", resume=checkpoint, first_stage=0.5)
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    assert str(expected.report()) == str(found.report())
    assert torch.equal(expected.facts, found.facts)


@pytest.mark.slow
def test_without_its_state_a_resumed_run_differs(tmp_path, monkeypatch):
    whole, _ = train(tmp_path / "whole", refresh_epochs=3)
    train(tmp_path / "broken", stop_at=15, refresh_epochs=3)
    monkeypatch.setattr(SelfTraining, "load_state_dict", lambda self, state: None)
    resumed, _ = train(tmp_path / "broken", resume=str(tmp_path / "broken" / "checkpoint-15"), refresh_epochs=3)
    assert not torch.equal(flat_weights(whole.model), flat_weights(resumed.model))


def test_the_state_goes_into_another_copy():
    one, two = ready([0, 1]), ready([0, 1])
    look(one, [SURE, OTHER])
    two.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
    assert str(one.report()) == str(two.report())
    assert two.teaching


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [{"contrast": 0.0}, {"lam": 0.0}], ids=["R1", "R2"])
def test_each_regulariser_changes_what_is_learned(tmp_path, parameters):
    with_it, _ = train(tmp_path / "with")
    without, _ = train(tmp_path / "without", **parameters)
    assert not torch.equal(flat_weights(with_it.model), flat_weights(without.model))


@pytest.mark.slow
def test_the_second_stage_reads_no_label(tmp_path):
    """Two trainings that differ in labels only after the first stage end alike; in the first stage they would not."""

    class Swapped(SelfTraining):
        def supervise(self, supervision, predictions, batch):
            swapped = replace(supervision, targets=supervision.targets.flip(-1))
            return super().supervise(swapped if batch.epoch >= self.since else supervision, predictions, batch)

    weights = {}
    for name, since in (("never", 99), ("second", 2), ("first", 0)):
        method = Swapped(confidence=0.0, first_stage=0.5, balance=False)
        method.since = since
        trainer = make_trainer(tmp_path / name, token_dataset(24), num_train_epochs=4, callbacks=[method])
        trainer.train()
        assert method.teaching
        weights[name] = flat_weights(trainer.model)
    assert torch.equal(weights["never"], weights["second"])
    assert not torch.equal(weights["never"], weights["first"])


def test_two_networks_that_teach_each_other(tmp_path):
    trainer, method = train(tmp_path, extra=[CoTeaching(forget_rate=0.2)])
    assert method.teaching
    assert np.isfinite(trainer.state.log_history[-1]["train_loss"])


@pytest.mark.parametrize("classes", [2, 20])
def test_the_default_trains_with_few_and_many_classes_and_soft_labels(tmp_path, classes):
    soft = np.random.default_rng(0).dirichlet(np.ones(classes), size=24).astype(np.float32)
    soft[::4] = 0
    dataset = token_dataset(24, soft.tolist(), classes=classes)
    trainer = make_trainer(tmp_path, dataset, model=tiny_model(classes), callbacks=[SelfTraining()])
    assert np.isfinite(trainer.train().training_loss)


def test_batches_of_one_row_and_bfloat16(tmp_path):
    method = SelfTraining(confidence=0.0)
    trainer = make_trainer(tmp_path, rows=5, per_device_train_batch_size=1, bf16=True, callbacks=[method])
    assert np.isfinite(trainer.train().training_loss)
    assert method.teaching
    assert torch.isfinite(flat_weights(trainer.model)).all()


def test_what_is_remembered_pickles(tmp_path):
    _, method = train(tmp_path)
    assert str(pickle.loads(pickle.dumps(method)).report()) == str(method.report())
