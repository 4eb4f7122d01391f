"""Candidate labels against PRODEN's formula, and what is left alone."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import StopAt, flat_weights, make_trainer, tiny_model, token_dataset

from hf_noisy import CoTeaching, NoiseCallback, Predictions, Supervision
from hf_noisy.methods.candidate_labels import CandidateLabels, restricted
from hf_noisy.methods.label_correction import LabelCorrection

VOTES = [[0, 0, 1], [1, 2, -1], [2, 2, 2], [-1, -1, -1], [0, 1, -1]]
LABELS = [0, 1, 2, 0, -1]  # the last one abstains: a tie
COUNTS = np.array([[2, 1, 0], [0, 1, 1], [0, 0, 3], [0, 0, 0], [1, 1, 0]])
PROBS = np.array([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.25, 0.5, 0.25]])


def ready(*, votes=VOTES, networks: int = 1, epochs: float = 6, trusted=None, **arguments) -> CandidateLabels:
    method = CandidateLabels(**arguments)
    labels = torch.tensor(LABELS[: len(votes)])
    where = replace(context(len(votes), 3, labels=labels, networks=networks, epochs=epochs), trusted=trusted)
    method.setup(replace(where, votes=torch.tensor(votes, dtype=torch.int16)))
    return method


def seen_in(epoch: float):
    return batch(LABELS, 3, epoch=epoch)


def taught(method, probs=PROBS, *, epoch: float) -> np.ndarray:
    return supervise(method, predictions(np.array(probs)), seen_in(epoch)).targets[0].numpy()


def by_hand(probs: np.ndarray, prior: float) -> np.ndarray:
    """A row at a time; rows without a vote keep their label."""
    targets = np.zeros_like(probs)
    for row, counts in enumerate(COUNTS):
        if not counts.any():
            targets[row, LABELS[row]] = 1
            continue
        for k, count in enumerate(counts):
            targets[row, k] = count**prior * probs[row, k] if count else 0
        targets[row] /= targets[row].sum()
    return targets


# ---- the targets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["votes", "uniform"])
def test_the_start_shares_a_row_among_its_candidates(start):
    expected = by_hand(np.full((5, 3), 1 / 3), prior=1.0 if start == "votes" else 0.0)
    assert np.allclose(taught(ready(start=start), epoch=0), expected, atol=1e-6)


@pytest.mark.parametrize("prior", [0.0, 0.5, 1.0])
def test_after_the_warm_up_the_last_forwards_prediction_is_restricted_to_the_candidates(prior):
    method = ready(prior=prior, warmup=1 / 3)  # two of six epochs
    start = taught(ready(), epoch=0)
    assert np.allclose(taught(method, PROBS[::-1], epoch=0.5), start)  # too early: not remembered
    assert np.allclose(taught(method, PROBS, epoch=1.5), start)
    assert np.allclose(taught(method, PROBS[:, ::-1], epoch=2.5), by_hand(PROBS, prior), atol=1e-6)
    assert np.allclose(taught(method, PROBS, epoch=3.5), by_hand(PROBS[:, ::-1], prior), atol=1e-6)


def test_without_a_warm_up_the_second_epoch_is_the_first_to_differ_as_in_the_paper():
    method = ready(start="uniform", prior=0.0, warmup=0.0)
    assert np.allclose(taught(method, epoch=0), by_hand(np.full((5, 3), 1 / 3), 0.0), atol=1e-6)
    assert np.allclose(taught(method, epoch=1), by_hand(PROBS, 0.0), atol=1e-6)


def test_one_candidate_is_a_plain_label_whatever_the_model_says():
    method = ready(warmup=0.0)
    for epoch in range(3):
        assert taught(method, epoch=epoch)[2].tolist() == [0, 0, 1]


def test_candidates_that_the_model_rules_out_stay_candidates():
    """The released code multiplies probabilities, and a candidate rounded to 0 never comes back."""
    method = ready(start="uniform", prior=0.0, warmup=0.0)
    certain = torch.tensor([[0.0, -300.0, -300.0]] * 5).expand(1, 1, 5, 3)
    supervise(method, Predictions(certain), seen_in(0))
    found = taught(method, PROBS, epoch=1)
    assert np.isfinite(found).all()
    assert found[1].tolist() == [0, 0.5, 0.5]  # both are equally unlikely
    assert np.allclose(taught(method, epoch=2), by_hand(PROBS, 0.0), atol=1e-6)


def test_a_row_without_votes_is_restricted_to_all_classes():
    found = restricted(torch.tensor([0.5, 0.3, 0.2]).log(), torch.zeros(3, dtype=torch.int16), 1.0)
    assert torch.allclose(found, torch.tensor([0.5, 0.3, 0.2]))


def test_a_tie_that_abstains_is_taught_its_candidates_and_a_row_without_a_vote_keeps_what_it_has():
    labels = [0, 1, 2, -1, -1]  # the fourth has neither label nor vote
    method, rows = ready(), batch(labels, 3, epoch=0.0)
    supervision = supervise(method, predictions(PROBS), rows)
    assert supervision.weights.tolist() == [[1, 1, 1, 0, 1]]
    assert supervision.targets[0, 3].tolist() == [0, 0, 0]
    assert supervision.targets[0, 4].tolist() == [0.5, 0.5, 0]


def test_weights_that_another_method_chose_stay():
    method, rows = ready(), seen_in(0)
    given = Supervision(rows.given.unsqueeze(0), torch.tensor([[0.0, 0.3, 2.0, 0.0, 0.0]]))
    found = method.supervise(given, predictions(PROBS), rows)
    assert torch.equal(found.weights, torch.tensor([[0.0, 0.3, 2.0, 0.0, 1.0]]))


def test_a_row_that_a_sampler_repeats_gets_no_weight():
    rows = replace(seen_in(0), real=torch.tensor([True, True, True, True, False]))
    assert supervise(ready(), predictions(PROBS), rows).weights[0, 4] == 0


def test_each_network_has_its_own_target():
    method = ready(networks=2, warmup=0.0)
    supervise(method, predictions(PROBS, PROBS[:, ::-1].copy()), seen_in(0))
    found = supervise(method, predictions(PROBS, PROBS), seen_in(1)).targets.numpy()
    assert np.allclose(found[0], by_hand(PROBS, 1.0), atol=1e-6)
    assert np.allclose(found[1], by_hand(PROBS[:, ::-1], 1.0), atol=1e-6)
    assert method.report()["candidate_label"].shape == (5, 2)


def test_only_the_first_view_counts():
    method = ready(warmup=0.0)
    views = torch.tensor(np.stack([PROBS, PROBS[:, ::-1]])).float().log().unsqueeze(0)
    supervise(method, Predictions(views), seen_in(0))
    assert np.allclose(taught(method, epoch=1), by_hand(PROBS, 1.0), atol=1e-6)


def test_trusted_rows_and_pseudo_labels_from_before_stay():
    trusted = torch.tensor([True, False, False, False, False])
    method = ready(trusted=trusted)
    rows = replace(seen_in(0), trusted=trusted)
    given = Supervision(rows.given.unsqueeze(0), rows.covered.float().unsqueeze(0), trusted=trusted.unsqueeze(0))
    pseudo = given.trusting(torch.tensor([False] * 4 + [True]))
    pseudo = replace(pseudo, targets=pseudo.targets.clone(), weights=pseudo.weights.clone())
    pseudo.targets[0, 4], pseudo.weights[0, 4] = torch.tensor([0.0, 0.0, 1.0]), 0.7
    found = method.supervise(pseudo, predictions(PROBS), rows)
    assert found.targets[0, 0].tolist() == [1, 0, 0]
    assert found.targets[0, 4].tolist() == [0, 0, 1]
    assert float(found.weights[0, 4]) == pytest.approx(0.7)
    assert found.targets[0, 1].tolist() == [0, 0.5, 0.5]  # the others are candidates all the same


# ---- what is logged and kept ---------------------------------------------------------------------------------------


def test_metrics_and_report_are_of_the_rows_with_votes():
    method = ready(warmup=0.0)
    taught(method, epoch=0)
    logs = method.metrics()
    assert float(logs["candidates"]) == pytest.approx((2 + 2 + 1 + 2) / 4)
    assert float(logs["ambiguous_share"]) == pytest.approx(3 / 4)
    assert float(logs["candidate_certainty"]) == pytest.approx(by_hand(PROBS, 1.0)[[0, 1, 4]].max(-1).mean())
    assert method.report()["candidate_label"].tolist() == [1, 2, 2, -1, 1]


def test_the_state_goes_on_where_it_stopped():
    method, fresh = ready(warmup=0.0), ready(warmup=0.0)
    taught(method, epoch=0)
    assert not np.allclose(taught(ready(warmup=0.0), epoch=1), taught(method, epoch=1))
    taught(method, epoch=0)
    fresh.load_state_dict(pickle.loads(pickle.dumps(method)).state_dict())
    assert np.array_equal(taught(fresh, epoch=1), taught(method, epoch=1))


def train(folder, *callbacks, resume=None, **arguments):
    votes = np.random.default_rng(0).integers(-1, 3, (16, 3)).tolist()
    dataset = token_dataset(16).add_column("weak_labels", votes)
    trainer = make_trainer(
        folder, dataset, model=tiny_model(dropout=0.3), callbacks=callbacks, num_train_epochs=3, **arguments
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.mark.slow
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(tmp_path):
    whole = train(tmp_path / "whole", CandidateLabels())
    train(tmp_path / "broken", CandidateLabels(), StopAt(6))
    resumed = train(tmp_path / "broken", CandidateLabels(), resume=str(tmp_path / "broken" / "checkpoint-6"))
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    plain = train(tmp_path / "plain")
    assert not torch.equal(flat_weights(whole.model), flat_weights(plain.model))


def test_it_combines_with_co_teaching(tmp_path):
    trainer = train(tmp_path, CandidateLabels(), CoTeaching(forget_rate=0.3))
    assert torch.isfinite(flat_weights(trainer.model)).all()
    assert np.asarray(trainer.example_report()["candidate_label"][:]).shape == (16, 2)


@pytest.mark.parametrize("order", [["before", "after"], ["after", "before"]], ids=["pseudo-labels last", "first"])
def test_pseudo_labels_of_unlabeled_rows_win_over_candidates_and_others_keep_them(order):
    """What PseudoLabeling does: it takes the weight of rows that it finds unlabeled, and gives some of them a class."""

    class Pseudo(NoiseCallback):
        def supervise(self, supervision, predictions, batch):
            taken = torch.tensor([False, True, False, False, False])
            targets = torch.where(taken.unsqueeze(-1), torch.tensor([1.0, 0.0, 0.0]), supervision.targets)
            weights = supervision.weights * torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0])  # the first row is doubted
            return replace(supervision, targets=targets, weights=weights).trusting(taken)

    rows = seen_in(0)
    supervision = Supervision(rows.given.unsqueeze(0), rows.covered.float().unsqueeze(0))
    for callback in [ready(), Pseudo()] if order[0] == "before" else [Pseudo(), ready()]:
        supervision = callback.supervise(supervision, predictions(PROBS), rows)
    assert supervision.targets[0, 1].tolist() == [1, 0, 0]
    assert supervision.targets[0, 4].tolist() == [0.5, 0.5, 0]
    assert supervision.weights.tolist() == [[0, 1, 1, 1, 1]]


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"start": "vote"}, "Did you mean 'votes'"), ({"prior": -1}, "prior=-1"), ({"warmup": 30}, "Did you mean 0.3")],
)
def test_parameters_outside_their_domain_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CandidateLabels(**arguments)


def test_a_training_set_without_votes_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match="Expected a column weak_labels, one vote a source"):
        make_trainer(tmp_path, callbacks=[CandidateLabels()]).train()
    silent = token_dataset(6).add_column("weak_labels", [[-1, -1]] * 6)
    with pytest.raises(ValueError, match="all 2 sources abstain on all 6 rows .* expected at least one vote"):
        make_trainer(tmp_path, silent, callbacks=[CandidateLabels()]).train()


def test_candidates_that_are_all_plain_labels_are_warned_about(monkeypatch):
    from hf_noisy.methods import candidate_labels as module

    said = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    method = ready(votes=[[0, 0, -1], [1, 1, 1], [2, -1, -1], [-1, -1, -1], [0, -1, 0]])
    assert "no row has votes for two classes" in said[0]
    assert "candidate_certainty" not in method.metrics()
    ready()
    assert len(said) == 1


def test_another_author_of_targets_and_a_noise_channel_are_refused(tmp_path):
    dataset = token_dataset(8).add_column("weak_labels", [[0, 1]] * 8)
    with pytest.raises(ValueError, match="author of the targets"):
        make_trainer(tmp_path, dataset, callbacks=[CandidateLabels(), LabelCorrection()])
    with pytest.raises(ValueError, match="noise channel"):
        make_trainer(tmp_path, dataset, noise_method="noise_adaptation", callbacks=[CandidateLabels()])
