"""The curriculum by neighbours: both scores against naive loops, who is kept, and one look at the encoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import flat_weights, make_trainer, tiny_model, token_dataset
from sklearn.metrics import pairwise_distances
from transformers import TrainerCallback

from hf_noisy import CoTeaching
from hf_noisy.evidence.features.neighbours import label_agreement, nearest_rows, rank_in_group, top_share_by_group
from hf_noisy.methods import neighbours as module
from hf_noisy.methods.neighbours import Neighbours


def naive(vectors, labels, k, score):
    """Row by row, neighbour by neighbour, as the paper writes it."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = pairwise_distances(units)
    share = labels.mean(0)
    found = []
    for row in range(len(units)):
        nearest = [other for other in np.argsort(distances[row]) if other != row][:k]
        w = np.array([1 / (1 + distances[row, other]) for other in nearest])
        same = np.array([labels[row] @ labels[other] for other in nearest])
        p = labels[row] @ share
        if score == "votes":
            found.append((w * same).sum() / w.sum())
        else:
            found.append(-((w * (1 - same)).sum() - (1 - p) * w.sum()) / np.sqrt(p * (1 - p) * (w**2).sum()))
    return np.array(found)


def clusters(wrong=(), rows=20):
    """Two far groups of texts, the first half of class 0; the labels of `wrong` are flipped."""
    generator = np.random.default_rng(0)
    half = np.arange(rows) >= rows // 2
    vectors = generator.normal(0, 0.3, (rows, 4)) + np.where(half[:, None], [-3, 1, 0, 0], [3, 1, 0, 0])
    labels = half.astype(int)
    labels[list(wrong)] = 1 - labels[list(wrong)]
    return vectors, labels


def ready(method, labels, classes=2, **changes):
    method.setup(replace(context(len(labels), classes, labels=labels), **changes))
    method.begin_epoch(0, survey=None)
    return method


@pytest.mark.parametrize("score", ["cut_statistic", "votes"])
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_a_score_is_that_of_a_naive_loop(score, soft):
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(30, 5))
    labels = generator.dirichlet(np.ones(3), 30) if soft else np.eye(3)[generator.integers(0, 3, 30)]
    assert np.allclose(label_agreement(nearest_rows(vectors, 7), labels, score), naive(vectors, labels, 7, score))


def test_the_length_of_a_vector_does_not_count_and_no_row_is_its_own_neighbour():
    vectors, labels = clusters(wrong=[3])
    long = vectors * np.linspace(1, 100, 20)[:, None]
    found = label_agreement(nearest_rows(long, 4), np.eye(2)[labels], "votes")
    assert np.allclose(found, label_agreement(nearest_rows(vectors, 4), np.eye(2)[labels], "votes"))
    assert found[3] == 0  # with itself among them it would have a vote of its own
    twins = np.repeat(vectors[:10], 2, 0)  # each text twice, with both labels
    assert (label_agreement(nearest_rows(twins, 1), np.eye(2)[[0, 1] * 10], "votes") == 0).all()


@pytest.mark.parametrize("score", ["cut_statistic", "votes"])
def test_the_examples_whose_neighbours_say_otherwise_are_left_out(score):
    vectors, labels = clusters(wrong=[2, 13])
    method = ready(Neighbours(score, neighbours=4, share=0.9, vectors=vectors), labels)
    assert np.flatnonzero(~method.report()["kept"]).tolist() == [2, 13]
    supervision = supervise(method, predictions([[0.5, 0.5]] * 3), batch(labels[[13, 0, 2]], 2, index=[13, 0, 2]))
    assert supervision.weights.tolist() == [[0, 1, 0]]
    right = clusters()[1]
    assert ready(Neighbours(score, neighbours=4, share=0.9, vectors=vectors), right).report()["kept"][[2, 13]].any()


def test_the_share_is_that_of_each_class_so_that_none_vanishes():
    vectors, labels = clusters()
    labels[4] = 2  # alone among others: the least coherent row of all
    by_class = ready(Neighbours(neighbours=4, share=0.5, by_class=True, vectors=vectors), labels, 3).report()["kept"]
    assert [int(by_class[labels == k].sum()) for k in range(3)] == [round(9 / 2), 5, 1]
    among_all = ready(Neighbours(neighbours=4, share=0.5, by_class=False, vectors=vectors), labels, 3).report()["kept"]
    assert among_all.sum() == 10
    assert not among_all[4]


def test_votes_are_compared_within_a_class_and_the_cut_statistic_among_all_unless_told_otherwise():
    assert (Neighbours().by_class, Neighbours("votes").by_class) == (False, True)
    assert (Neighbours(by_class=True).by_class, Neighbours("votes", by_class=False).by_class) == (True, False)


def test_a_weight_is_the_share_of_rows_that_are_no_more_coherent():
    vectors, labels = clusters(wrong=[2, 13])
    method = ready(Neighbours(neighbours=4, how="weight", by_class=True, vectors=vectors), labels)
    report = method.report()
    for row in range(20):
        mine = report["label_agreement"][labels == labels[row]]
        assert report["kept"][row] == pytest.approx((mine <= report["label_agreement"][row]).mean())
    assert report["kept"].max() == 1
    assert report["kept"][[2, 13]] == pytest.approx([1 / 10, 1 / 10])


def test_ties_are_broken_by_lot_and_not_by_row_number():
    kept = top_share_by_group(np.zeros(40), np.zeros(40, dtype=int), 0.5, seed=0)
    assert kept.sum() == 20
    assert 0 < kept[:20].sum() < 20
    assert not np.array_equal(kept, top_share_by_group(np.zeros(40), np.zeros(40, dtype=int), 0.5, seed=1))
    assert (rank_in_group(np.zeros(4), np.zeros(4, dtype=int)) == 1).all()


def test_where_all_labels_are_alike_nothing_is_told_apart_and_nothing_breaks():
    vectors, _ = clusters()
    method = ready(Neighbours(neighbours=4, share=0.5, vectors=vectors), np.zeros(20, dtype=int))
    assert (method.report()["label_agreement"] == 0).all()
    assert method.report()["kept"].sum() == 10


def test_a_row_without_a_label_is_nobodys_neighbour_and_keeps_the_weight_that_another_method_gives_it():
    vectors, labels = clusters(wrong=[2])
    abstained = np.concatenate([labels, [-100] * 4])
    near = np.concatenate([vectors, vectors[[2]] + np.zeros((4, 1))])  # as near to row 2 as can be
    method = ready(Neighbours(neighbours=4, share=0.9, vectors=near), abstained)
    alone = ready(Neighbours(neighbours=4, share=0.9, vectors=vectors), labels)
    assert np.allclose(method.report()["label_agreement"][:20], alone.report()["label_agreement"], atol=1e-6)
    assert np.isnan(method.report()["label_agreement"][20:]).all()
    assert not method.report()["kept"][20:].any()
    rows = batch([-1, 0], 2, index=[20, 0])
    given = supervise(method, predictions([[0.5, 0.5]] * 2), rows)
    guessed = method.supervise(replace(given, weights=torch.ones(1, 2)), predictions([[0.5, 0.5]] * 2), rows)
    assert given.weights.tolist() == [[0, 1]]
    assert guessed.weights.tolist() == [[1, 1]]


def test_a_trusted_row_keeps_its_weight_and_speaks_of_its_neighbours():
    vectors, labels = clusters(wrong=[2, 13])
    trusted = torch.zeros(20, dtype=torch.bool)
    trusted[[2, 5]] = True
    method = ready(Neighbours(neighbours=4, share=0.9, vectors=vectors), labels, trusted=trusted)
    report = method.report()
    assert report["kept"][[2, 5]].all()
    assert not report["kept"][13]
    assert np.allclose(report["label_agreement"], naive(vectors, np.eye(2)[labels], 4, "cut_statistic"), atol=1e-5)
    assert (~report["kept"][labels == 0]).sum() == 9 - round(0.9 * 9)  # of the ten of class 0 one is trusted


@pytest.mark.parametrize(("labelled", "compared"), [(5, 4), (1, 0)])
def test_few_labels_are_compared_with_all_others_and_that_is_said(monkeypatch, labelled, compared):
    said = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    vectors, labels = clusters()
    labels[labelled:] = -100
    method = ready(Neighbours(vectors=vectors), labels)
    assert len(said) == 1
    assert f"{labelled} rows have a label" in said[0]
    assert f"the other {compared}." in said[0]
    assert method.report()["kept"].any()


@pytest.mark.slow
def test_the_encoder_is_looked_at_once_before_training_and_never_again(tmp_path):
    class Looks(TrainerCallback):
        def __init__(self):
            self.seen = []

        def on_train_begin(self, args, state, control, **kwargs):
            trainer.encode = self.counted
            trainer._noise.context = replace(trainer._noise.context, encode=self.counted)
            method.context = trainer._noise.context

        def counted(self):
            self.seen.append(flat_weights(trainer.model))
            return type(trainer).encode(trainer)

    looks, method = Looks(), Neighbours(neighbours=3)
    model = tiny_model()
    before = flat_weights(model).clone()
    trainer = make_trainer(tmp_path, model=model, num_train_epochs=3, callbacks=[looks, method])
    expected = naive(trainer.encode().numpy(), np.eye(3)[np.asarray(trainer.noise.labels)], 3, "cut_statistic")
    trainer.train()
    assert len(looks.seen) == 1
    assert torch.equal(looks.seen[0], before)
    assert np.allclose(method.report()["label_agreement"], expected, atol=1e-3)
    assert trainer.example_report()["kept"][:] == method.report()["kept"].tolist()


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = control.should_save = state.global_step == self.step


def run(folder, *more, resume=None):
    model = tiny_model(dropout=0.3)
    trainer = make_trainer(folder, model=model, num_train_epochs=3, callbacks=[Neighbours(neighbours=3), *more])
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("step", [7, 10], ids=["in the middle of an epoch", "at its end"])
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(tmp_path, step):
    whole = run(tmp_path / "whole")
    run(tmp_path / "broken", StopAt(step))
    resumed = run(tmp_path / "broken", resume=str(tmp_path / "broken" / f"checkpoint-{step}"))
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    assert str(whole.example_report().to_dict()) == str(resumed.example_report().to_dict())


def test_what_was_chosen_is_taken_back_from_a_checkpoint_and_not_sought_again():
    vectors, labels = clusters(wrong=[2, 13])
    method = ready(Neighbours(neighbours=4, share=0.9, vectors=vectors), labels)
    fresh = Neighbours(neighbours=4, share=0.9, vectors=-vectors[::-1])  # would choose otherwise
    fresh.setup(context(20, 2, labels=labels))
    assert fresh.report()["kept"].all()
    fresh.load_state_dict(method.state_dict())
    fresh.begin_epoch(1, survey=None)
    for name, column in method.report().items():
        assert np.array_equal(column, fresh.report()[name])


@pytest.mark.parametrize("settings", [{"rows": 3, "per_device_train_batch_size": 1}, {"rows": 20}])
@pytest.mark.parametrize("how", ["keep", "weight"])
def test_it_trains_with_two_networks_and_on_three_rows(tmp_path, settings, how):
    trainer = make_trainer(tmp_path, callbacks=[CoTeaching(forget_rate=0.2), Neighbours(how=how)], **settings)
    assert np.isfinite(trainer.train().training_loss)


def test_the_share_that_is_kept_is_the_share_that_is_taught(tmp_path):
    trainer = make_trainer(tmp_path, rows=40, callbacks=[Neighbours(neighbours=3, share=0.5, by_class=False)])
    trainer.train()
    logged = [entry["kept_share"] for entry in trainer.state.log_history if "kept_share" in entry]
    assert logged[-1] == pytest.approx(0.5)


def test_soft_labels_and_rows_without_one_train(tmp_path):
    soft = np.random.default_rng(0).dirichlet(np.ones(3), size=12).astype(np.float32)
    soft[::4] = 0
    method = Neighbours(neighbours=3)
    trainer = make_trainer(tmp_path, token_dataset(12, soft.tolist()), callbacks=[method])
    assert np.isfinite(trainer.train().training_loss)
    assert np.isnan(method.report()["label_agreement"]).tolist() == [row % 4 == 0 for row in range(12)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "vote"}, "Did you mean 'votes'"),
        ({"how": "drop"}, "how='drop'"),
        ({"neighbours": 0}, "neighbours=0"),
        ({"neighbours": 2.5}, "neighbours=2.5"),
        ({"share": 60}, "Did you mean 0.6"),
        ({"share": 0.0}, "share=0.0"),
        ({"vectors": [[1.0, np.nan]]}, "vectors.0. holds NaN"),
        ({"vectors": [1.0, 2.0]}, "vectors of shape"),
    ],
)
def test_parameters_outside_their_domain_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Neighbours(**arguments)
    with pytest.raises(TypeError, match="by_class='yes'"):
        Neighbours(by_class="yes")


def test_vectors_of_other_rows_are_refused_before_the_first_step(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[Neighbours(vectors=np.eye(5))])
    with pytest.raises(ValueError, match="vectors has 5 rows: expected 20"):
        trainer.train()
