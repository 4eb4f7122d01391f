"""Consistency of two views against the papers' formulas, its views, and the methods that it goes with."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import batch, context, supervise
from conftest import StopAt, flat_weights, gradient, make_trainer, relative_difference, tiny_model, token_dataset
from test_augmentation import tokenizer_of

from hf_noisy import CoTeaching, CrossEntropy, GeneralizedCrossEntropy, NoiseCallback, Predictions, Supervision
from hf_noisy.methods.candidate_labels import CandidateLabels
from hf_noisy.methods.consistency import ConsistencyRegularization
from hf_noisy.methods.parts.thresholds import balanced_counts


def two_views(*networks) -> Predictions:
    """(views, rows, classes) probabilities of each network."""
    return Predictions(torch.tensor(networks).log())


ANY_GUESS = 0.3334  # of three classes; an untrained model is not sure of any
VIEWS = [[[0.8, 0.2], [0.96, 0.04], [0.3, 0.7]], [[0.6, 0.4], [0.5, 0.5], [0.3, 0.7]]]


def test_rdrop_is_half_of_the_papers_loss():
    """CE(p) + CE(q) + alpha (KL(p || q) + KL(q || p)) / 2."""
    method = ConsistencyRegularization("rdrop", weight=5.0)
    method.setup(context(3, 2))
    rows, seen = batch([0, 1, -1], 2), two_views(VIEWS)
    supervision = supervise(method, seen, rows)
    found = supervision.losses(CrossEntropy(), seen)[0] * supervision.weights[0]
    found = found + method.penalty(seen, supervision, rows)
    for row, label in enumerate((0, 1, None)):
        p, q = (np.array(view[row]) for view in VIEWS)
        labels = 0.0 if label is None else -np.log(p[label]) - np.log(q[label])
        divergence = (p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()
        assert float(found[row]) == pytest.approx((labels + 5 * divergence / 2) / 2, abs=1e-5)
    assert float(method.metrics()["consistency"]) == pytest.approx(
        float(method.penalty(seen, supervision, rows).mean()) / 5
    )


def test_fixmatch_teaches_the_label_to_the_weak_view_and_the_sure_guess_to_the_strong_one():
    method = ConsistencyRegularization("fixmatch", weight=2.0, threshold=0.8)
    method.setup(context(3, 2))
    rows, seen = batch([1, -1, 0], 2), two_views(VIEWS)
    supervision = supervise(method, seen, rows)
    losses = supervision.losses(CrossEntropy(), seen)[0] * supervision.weights[0]
    assert np.allclose(losses.numpy(), [-np.log(0.2), 0, -np.log(0.3)], atol=1e-5)
    found = method.penalty(seen, supervision, rows)  # at least 0.8: the first against class 0, though its label is 1
    assert np.allclose(found.numpy(), [-2 * np.log(0.6), -2 * np.log(0.5), 0], atol=1e-5)
    assert float(method.metrics()["sure_share"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("balance", [True, False])
def test_a_class_that_swallows_the_guesses_of_fixmatch_is_told_with_numbers_and_weighed_down(monkeypatch, balance):
    from hf_noisy.methods import consistency as module

    said = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    rows, labels = 200, [0] * 10 + [1] * 10 + [-1] * 180
    method = ConsistencyRegularization("fixmatch", threshold=0.8, balance=balance)
    method.setup(context(rows, 2, labels=labels))
    seen = two_views([[[0.9, 0.1]] * rows, [[0.6, 0.4]] * rows])  # all of them for class 0
    every = batch(labels, 2)

    def added():
        return method.penalty(seen, supervise(method, seen, every), every)

    assert torch.allclose(added(), torch.full((rows,), -np.log(0.6), dtype=torch.float32))
    method.begin_epoch(1, lambda: pytest.fail("a survey"))
    assert len(said) == 1
    assert "class 0 takes 100.0 % of 200 pseudo-labels and has 50.0 % of the labelled rows" in said[0]
    assert ("set balance=True" in said[0]) is not balance
    assert float(method.metrics()["pseudo_label_collapses"]) == 1
    share = balanced_counts(np.array([200, 0]), np.array([10.0, 10.0]))[0] / 200 if balance else 1
    assert share < 0.2 or not balance
    assert torch.allclose(added(), torch.full((rows,), -share * np.log(0.6), dtype=torch.float32))
    method.begin_epoch(2, lambda: pytest.fail("a survey"))
    assert len(said) == 1  # once
    again = ConsistencyRegularization("fixmatch", threshold=0.8, balance=balance)
    again.setup(context(rows, 2, labels=labels))
    again.load_state_dict(method.state_dict())
    assert float(again.metrics()["pseudo_label_collapses"]) == 2
    assert torch.equal(again.class_weights, method.class_weights)


def test_guesses_of_fixmatch_that_are_in_balance_count_in_full_and_without_labels_all_do():
    for labels in ([0, 1] * 20, [-1] * 40):
        method = ConsistencyRegularization("fixmatch", threshold=0.8)
        method.setup(context(40, 2, labels=labels))
        seen = two_views([[[0.9, 0.1], [0.1, 0.9]] * 20, [[0.6, 0.4]] * 40])
        supervise(method, seen, batch(labels, 2))
        method.begin_epoch(1, lambda: pytest.fail("a survey"))
        assert (method.class_weights == 1).all()
        assert float(method.metrics()["pseudo_label_collapses"]) == 0


def penalty_gradient(method: ConsistencyRegularization) -> torch.Tensor:
    """(views, rows, classes) of the logits."""
    method.setup(context(3, 2))
    logits = torch.tensor([VIEWS]).log().requires_grad_()
    seen, rows = Predictions(logits.log_softmax(-1)), batch([1, -1, 0], 2)
    method.penalty(seen, supervise(method, seen.detached(), rows), rows).sum().backward()
    assert not method.metrics()["consistency"].requires_grad
    return logits.grad[0]


def test_the_guess_has_no_gradient_and_both_views_of_rdrop_have():
    weak, strong = penalty_gradient(ConsistencyRegularization("fixmatch", threshold=0.8))
    assert (weak == 0).all()
    assert (strong[:2, 0] < 0).all()  # descent raises the guess
    assert (strong[2] == 0).all()
    p, q = penalty_gradient(ConsistencyRegularization("rdrop"))
    assert (p[:2, 0] > 0).all()  # they are drawn towards each other
    assert (q[:2, 0] < 0).all()
    assert torch.allclose(p[2], torch.zeros(2), atol=1e-6)


@pytest.mark.parametrize("kind", ["rdrop", "fixmatch"])
def test_each_network_agrees_with_itself(kind):
    other = [[[0.5, 0.5]] * 3, [[0.9, 0.1]] * 3]
    rows = batch([0, 1, -1], 2)

    def cost(*networks):
        method = ConsistencyRegularization(kind, threshold=0.7)
        method.setup(context(3, 2, networks=len(networks)))
        seen = two_views(*networks)
        return method.penalty(seen, supervise(method, seen, rows), rows)

    assert torch.allclose(cost(VIEWS, other), cost(VIEWS) + cost(other))


def test_the_penalty_compares_true_classes_and_labels_pass_the_channel():
    method = ConsistencyRegularization("fixmatch", threshold=0.8)
    method.setup(context(1, 2))
    clean, noisy = torch.tensor([[[[0.9, 0.1]], [[0.6, 0.4]]]]), torch.tensor([[[[0.7, 0.3]], [[0.2, 0.8]]]])
    seen, rows = Predictions(clean.log(), channelled=noisy.log()), batch([0], 2)
    supervision = supervise(method, seen, rows)
    assert float(supervision.losses(CrossEntropy(), seen)) == pytest.approx(-np.log(0.7), abs=1e-5)
    assert float(method.penalty(seen, supervision, rows)) == pytest.approx(-np.log(0.6), abs=1e-5)
    believed = supervision.trusting(torch.tensor([True]))  # a pseudo-label
    assert float(believed.losses(CrossEntropy(), seen)) == pytest.approx(-np.log(0.9), abs=1e-5)


# ---- views ---------------------------------------------------------------------------------------------------------


def inputs_of(rows: int = 3, tokens: int = 12) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 15, (rows, tokens), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize(
    ("augmentation", "changed"),
    [("none", None), ("word_dropout", "attention_mask"), ("token_masking", "input_ids")],
)
def test_only_the_second_view_is_augmented_and_a_peek_sees_one_view(augmentation, changed):
    method = ConsistencyRegularization(augmentation=augmentation, share=0.5)
    tokenizer = tokenizer_of([f"w{k}" for k in range(10)])
    method.setup(replace(context(3, 2), tokenizer=tokenizer))
    inputs, rows = inputs_of(), batch([0, 1, -1], 2)
    weak, strong = method.views(inputs, rows)
    assert weak is inputs
    assert [name for name in inputs if not torch.equal(weak[name], strong[name])] == ([changed] if changed else [])
    assert method.views(inputs, replace(rows, peeking=True)) == [inputs]
    other = method.views(inputs, replace(rows, key=(0, 1, 0)))[1]  # of the next step
    assert changed is None or not torch.equal(other[changed], strong[changed])


def test_the_default_augmentation_follows_the_kind():
    assert ConsistencyRegularization("rdrop").augmentation == "none"
    assert ConsistencyRegularization("fixmatch").augmentation == "word_dropout"
    assert ConsistencyRegularization("fixmatch", augmentation="none").augmentation == "none"


def test_views_that_cannot_differ_are_warned_about(monkeypatch):
    from hf_noisy.methods import consistency as module

    said = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    ConsistencyRegularization().setup(replace(context(3, 2), model=tiny_model(dropout=0.1)))
    ConsistencyRegularization("fixmatch").setup(replace(context(3, 2), model=tiny_model()))
    assert not said
    ConsistencyRegularization().setup(replace(context(3, 2), model=tiny_model()))
    assert "no dropout" in said[0]


# ---- in training ---------------------------------------------------------------------------------------------------


def test_without_dropout_and_weight_the_step_is_the_plain_one(tmp_path):
    dataset = token_dataset(8)
    plain = gradient(tmp_path / "plain", dataset, per_device_train_batch_size=8)
    for kind in ("rdrop", "fixmatch"):
        silent = ConsistencyRegularization(kind, weight=0.0, augmentation="none")
        found = gradient(tmp_path / kind, dataset, per_device_train_batch_size=8, callbacks=[silent])
        assert relative_difference(found, plain) < 1e-5


@pytest.mark.parametrize("kind", ["rdrop", "fixmatch"])
def test_a_step_on_rows_without_a_label_learns_from_their_views(tmp_path, kind):
    """One labelled row in another batch; the others are learned from by agreement alone."""

    class Watch(NoiseCallback):
        def penalty(self, predictions, supervision, batch):
            labels = (supervision.weights * supervision.losses(CrossEntropy(), predictions)).sum()
            self.only_agreement = float(labels.detach()) == 0
            return None

    watch, method = Watch(), ConsistencyRegularization(kind, threshold=ANY_GUESS)
    trainer = make_trainer(
        tmp_path,
        token_dataset(4, [-1, -1, -1, 0]),
        model=tiny_model(dropout=0.3),
        callbacks=[method, watch],
        per_device_train_batch_size=1,
        num_train_epochs=1,
        optim="sgd",
    )
    moved = []

    class Weights(NoiseCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            self.before = flat_weights(trainer.model).clone()

        def on_step_end(self, args, state, control, **kwargs):
            moved.append((watch.only_agreement, not torch.equal(self.before, flat_weights(trainer.model))))

    trainer.add_callback(Weights())
    trainer.train()
    assert sorted(moved) == [(False, True), (True, True), (True, True), (True, True)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rdrop", "fixmatch"])
def test_a_resumed_run_draws_the_views_of_the_unbroken_run(tmp_path, kind):
    def train(folder, *more, resume=None):
        method = ConsistencyRegularization(kind, threshold=ANY_GUESS, augmentation="word_dropout", share=0.5)
        trainer = make_trainer(
            folder, model=tiny_model(dropout=0.3), callbacks=[method, *more], num_train_epochs=2, rows=12
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = train(tmp_path / "whole")
    train(tmp_path / "broken", StopAt(4))
    resumed = train(tmp_path / "broken", resume=str(tmp_path / "broken" / "checkpoint-4"))
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    pickle.loads(pickle.dumps(resumed.noise.callbacks))
    assert {"consistency"} <= resumed.state.log_history[-2].keys()


@pytest.mark.parametrize("kind", ["rdrop", "fixmatch"])
@pytest.mark.parametrize(
    "others", [[CoTeaching(forget_rate=0.3)], [CandidateLabels()]], ids=["co-teaching", "candidates"]
)
def test_it_combines_with_choosers_and_authors_of_targets(tmp_path, kind, others):
    votes = np.random.default_rng(0).integers(-1, 3, (12, 3)).tolist()
    dataset = token_dataset(12, [-1] * 4 + [0, 1, 2, 0] * 2).add_column("weak_labels", votes)
    method = ConsistencyRegularization(kind, threshold=ANY_GUESS)
    trainer = make_trainer(
        tmp_path,
        dataset,
        model=tiny_model(dropout=0.2),
        callbacks=[*others, method],
        criterion=GeneralizedCrossEntropy(),
    )
    assert np.isfinite(trainer.train().training_loss)
    assert torch.isfinite(flat_weights(trainer.model)).all()
    assert any(entry.get("consistency", 0) > 0 for entry in trainer.state.log_history)


def test_a_pseudo_label_before_or_after_it_in_the_list_is_taught_to_the_weak_view():
    class Guess(NoiseCallback):
        def supervise(self, supervision, predictions, batch):
            guess = torch.tensor([0.0, 1.0]).expand_as(supervision.targets)
            rows = ~batch.covered
            targets = torch.where(rows.unsqueeze(-1), guess, supervision.targets)
            return replace(supervision, targets=targets, weights=supervision.weights + rows).trusting(rows)

    method = ConsistencyRegularization("fixmatch", threshold=0.8)
    method.setup(context(3, 2))
    rows, seen = batch([1, -1, 0], 2), two_views(VIEWS)
    for order in ([method, Guess()], [Guess(), method]):
        supervision = Supervision(rows.given.expand(1, -1, -1), rows.covered.float().expand(1, -1))
        for callback in order:
            supervision = callback.supervise(supervision, seen, rows)
        losses = supervision.losses(CrossEntropy(), seen)[0] * supervision.weights[0]
        assert np.allclose(losses.numpy(), [-np.log(0.2), -np.log(0.04), -np.log(0.3)], atol=1e-5)


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "rdorp"}, "Did you mean 'rdrop'"),
        ({"weight": -1}, "weight=-1"),
        ({"threshold": 0}, "threshold=0"),
        ({"threshold": 95}, "Did you mean 0.95"),
        ({"share": 1.0}, "share=1.0"),
        ({"augmentation": "dropout"}, "augmentation='dropout'"),
    ],
)
def test_parameters_outside_their_domain_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConsistencyRegularization(**arguments)


def test_a_threshold_that_every_guess_passes_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match=r"threshold=0.33.*expected a number in \(1/3, 1\].*every guess would pass"):
        make_trainer(tmp_path, callbacks=[ConsistencyRegularization("fixmatch", threshold=0.33)]).train()
    ConsistencyRegularization("rdrop", threshold=0.3).setup(context(3, 3))  # which has no guesses
    with pytest.raises(ValueError, match=r"\(1/2, 1\]"):
        ConsistencyRegularization("fixmatch", threshold=0.5).setup(context(3, 2))
    ConsistencyRegularization("fixmatch", threshold=1.0).setup(context(3, 2))


def test_masking_without_a_mask_token_is_refused_before_the_first_step(tmp_path):
    method = ConsistencyRegularization(augmentation="token_masking")
    with pytest.raises(ValueError, match="got no tokenizer. Pass NoisyTrainer.processing_class"):
        make_trainer(tmp_path, callbacks=[method]).train()
    unmasked = tokenizer_of(["a"], pad_token="[PAD]", unk_token="[UNK]")
    with pytest.raises(ValueError, match="expected a tokenizer with a mask token, got .* has none"):
        method.setup(replace(context(3, 2), tokenizer=unmasked))


def test_another_method_that_makes_views_is_refused(tmp_path):
    with pytest.raises(ValueError, match="maker of second views"):
        make_trainer(tmp_path, noise_method="selfmix", callbacks=[ConsistencyRegularization()])
