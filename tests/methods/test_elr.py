"""Early-learning regularisation against the paper's formula, and its memory by example."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise

from hf_noisy import EarlyLearningRegularization, Predictions


def test_the_target_follows_predictions_and_the_penalty_is_the_papers():
    method = EarlyLearningRegularization(beta=0.7, lam=3.0)
    method.setup(context(3, 2))
    rows = batch([0, 1], 2, index=[2, 0])
    target = np.zeros((2, 2))
    for probs in ([[0.8, 0.2], [0.6, 0.4]], [[0.9, 0.1], [0.3, 0.7]]):
        seen = predictions(probs)
        supervision = supervise(method, seen, rows)
        target = 0.7 * target + 0.3 * np.array(probs)
        expected = 3 * np.log(1 - (target * np.array(probs)).sum(-1))
        assert np.allclose(method.penalty(seen, supervision, rows).numpy(), expected, atol=1e-5)
    assert np.allclose(method.targets.values[[2, 0], 0].numpy(), target, atol=1e-5)
    assert (method.targets.values[1] == 0).all()  # by example, not by position in the batch


def test_weights_and_targets_of_the_supervision_stay():
    method = EarlyLearningRegularization()
    method.setup(context(2, 2))
    supervision = supervise(method, predictions([[0.8, 0.2], [0.6, 0.4]]), batch([0, 1], 2))
    assert supervision.weights.tolist() == [[1, 1]]
    assert supervision.targets.tolist() == [[[1, 0], [0, 1]]]


def test_the_penalty_draws_a_prediction_towards_its_target_and_the_target_has_no_gradient():
    method = EarlyLearningRegularization()
    method.setup(context(1, 2))
    method.targets.values.copy_(torch.tensor([[[0.9, 0.1]]]))
    logits = torch.zeros(1, 1, 1, 2, requires_grad=True)
    seen, rows = Predictions(logits.log_softmax(-1)), batch([1], 2)
    method.penalty(seen, supervise(method, Predictions(seen.clean_log_probs.detach()), rows), rows).sum().backward()
    assert logits.grad[0, 0, 0, 0] < 0 < logits.grad[0, 0, 0, 1]  # descent raises class 0, though the label is 1
    assert not method.targets.values.requires_grad


def test_certain_predictions_stay_finite_and_a_row_without_a_label_is_left_alone():
    method = EarlyLearningRegularization(beta=0.0)
    method.setup(context(2, 2))
    seen, rows = Predictions(torch.tensor([[[[0.0, -200.0], [0.0, -200.0]]]])), batch([0, -1], 2)
    penalty = method.penalty(seen, supervise(method, seen, rows), rows)
    assert torch.isfinite(penalty).all()
    assert penalty[0] < -10
    assert penalty[1] == 0


def test_each_network_has_a_target_of_its_own():
    method = EarlyLearningRegularization(beta=0.0)
    method.setup(context(1, 2, networks=2))
    supervise(method, predictions([[0.8, 0.2]], [[0.1, 0.9]]), batch([0], 2))
    assert torch.allclose(method.targets.values[0], torch.tensor([[0.8, 0.2], [0.1, 0.9]]))


@pytest.mark.parametrize(
    ("arguments", "message"), [({"beta": 1.0}, "beta=1.0"), ({"beta": 70}, "Did you mean 0.7"), ({"lam": -1}, "lam=-1")]
)
def test_parameters_outside_their_domain_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        EarlyLearningRegularization(**arguments)
