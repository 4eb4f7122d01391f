"""What each criterion costs: against scalar loops, limits and bounds, and finite whatever the model says."""

from __future__ import annotations

import math
import pickle
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hf_noisy.methods.parts.losses import (
    ActivePassive,
    Bootstrapping,
    CrossEntropy,
    GeneralizedCrossEntropy,
    LabelSmoothing,
    MeanAbsoluteError,
    SymmetricCrossEntropy,
)
from hf_noisy.models.criterion import Criterion


def reverse_cross_entropy(p: list[float], label: int, log_zero: float = -4.0) -> float:
    return -sum(p[k] * (0.0 if k == label else log_zero) for k in range(len(p)))


def mean_absolute_error(p: list[float], label: int) -> float:
    return sum(abs(float(k == label) - p[k]) for k in range(len(p)))


def normalized_cross_entropy(p: list[float], label: int) -> float:
    return -math.log(p[label]) / sum(-math.log(pk) for pk in p)


def cross_entropy_with(share: float, p: list[float], label: int, rest: list[float]) -> float:
    return -sum((share * (k == label) + (1 - share) * rest[k]) * math.log(p[k]) for k in range(len(p)))


def uniform(p: list[float]) -> list[float]:
    return [1 / len(p)] * len(p)


def predicted(p: list[float]) -> list[float]:
    return [float(k == p.index(max(p))) for k in range(len(p))]


# Each criterion beside its paper's formula, for one example with probabilities p and a class as its label.
FORMULAS = [
    (CrossEntropy(), lambda p, y: -math.log(p[y])),
    (MeanAbsoluteError(), mean_absolute_error),
    (GeneralizedCrossEntropy(), lambda p, y: (1 - p[y] ** 0.7) / 0.7),
    (GeneralizedCrossEntropy(q=0.2), lambda p, y: (1 - p[y] ** 0.2) / 0.2),
    (SymmetricCrossEntropy(), lambda p, y: -0.4 * math.log(p[y]) + reverse_cross_entropy(p, y)),
    (
        SymmetricCrossEntropy(alpha=6.0, beta=0.1, log_zero=-9.2),
        lambda p, y: -6 * math.log(p[y]) + 0.1 * reverse_cross_entropy(p, y, -9.2),
    ),
    (LabelSmoothing(), lambda p, y: cross_entropy_with(0.9, p, y, uniform(p))),
    (LabelSmoothing(epsilon=0.6), lambda p, y: cross_entropy_with(0.4, p, y, uniform(p))),
    (ActivePassive(), lambda p, y: normalized_cross_entropy(p, y) + reverse_cross_entropy(p, y)),
    (ActivePassive(passive="mae"), lambda p, y: normalized_cross_entropy(p, y) + mean_absolute_error(p, y)),
    (
        ActivePassive("rce", alpha=10.0, beta=0.1),
        lambda p, y: 10 * normalized_cross_entropy(p, y) + 0.1 * reverse_cross_entropy(p, y),
    ),
    (Bootstrapping(), lambda p, y: cross_entropy_with(0.95, p, y, p)),
    (Bootstrapping("hard"), lambda p, y: cross_entropy_with(0.8, p, y, predicted(p))),
    (Bootstrapping("soft", beta=0.3), lambda p, y: cross_entropy_with(0.3, p, y, p)),
]
CRITERIA = [criterion for criterion, _ in FORMULAS]
EVERY_CRITERION = pytest.mark.parametrize("criterion", CRITERIA, ids=repr)


def random_log_probs(rows: int = 7, classes: int = 5, *, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(rows)
    return (scale * torch.randn(rows, classes, generator=generator, dtype=torch.float64)).log_softmax(-1)


def random_soft_targets(rows: int = 7, classes: int = 5) -> Tensor:
    """Rows that sum to 1, and one all-zero row."""
    generator = torch.Generator().manual_seed(classes)
    targets = torch.rand(rows, classes, generator=generator, dtype=torch.float64)
    targets[1] = 0
    return targets / targets.sum(-1, keepdim=True).clamp_min(1e-9)


def gradient(criterion: Criterion, logits: Tensor, targets: Tensor) -> Tensor:
    logits = logits.detach().requires_grad_()
    (found,) = torch.autograd.grad(criterion(logits.log_softmax(-1), targets).sum(), logits)
    return found


# ---- against loops -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("criterion", "formula"), FORMULAS, ids=map(repr, CRITERIA))
def test_a_class_as_label_costs_what_the_formula_says(criterion, formula):
    log_probs, labels = random_log_probs(), torch.tensor([0, 4, 2, 2, 1, 3, 0])
    expected = [formula(p, y) for p, y in zip(log_probs.exp().tolist(), labels.tolist(), strict=True)]
    torch.testing.assert_close(criterion(log_probs, labels), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(("criterion", "formula"), FORMULAS, ids=map(repr, CRITERIA))
def test_a_soft_label_costs_the_sum_of_its_shares_times_the_formula(criterion, formula):
    log_probs, targets = random_log_probs(), random_soft_targets()
    rows = zip(log_probs.exp().tolist(), targets.tolist(), strict=True)
    expected = [sum(share * formula(p, k) for k, share in enumerate(shares)) for p, shares in rows]
    torch.testing.assert_close(criterion(log_probs, targets), torch.tensor(expected, dtype=torch.float64))


@EVERY_CRITERION
def test_the_gradient_is_that_of_the_loss(criterion):
    logits = random_log_probs(rows=3).requires_grad_()
    targets = random_soft_targets(rows=3)
    assert torch.autograd.gradcheck(lambda x: criterion(x.log_softmax(-1), targets), logits)
    assert torch.autograd.gradcheck(lambda x: criterion(x.log_softmax(-1), torch.tensor([2, -1, 0])), logits)


def test_soft_bootstrapping_learns_through_the_prediction():
    logits, labels = random_log_probs(), torch.tensor([0, 4, 2, 2, 1, 3, 0])
    detached = 0.5 * gradient(CrossEntropy(), logits, labels)  # what a prediction without gradient would give
    assert (gradient(Bootstrapping("soft", beta=0.5), logits, labels) - detached).abs().max() > 0.05


# ---- limits and bounds -------------------------------------------------------------------------------------------

IS_CROSS_ENTROPY = [
    GeneralizedCrossEntropy(q=1e-9),
    GeneralizedCrossEntropy(q=5e-324),
    LabelSmoothing(epsilon=0),
    SymmetricCrossEntropy(alpha=1, beta=0),
    Bootstrapping("soft", beta=1),
    Bootstrapping("hard", beta=1),
]


@pytest.mark.parametrize("criterion", IS_CROSS_ENTROPY, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_its_limit_it_is_cross_entropy(criterion, dtype):
    log_probs, targets = random_log_probs().to(dtype), random_soft_targets().to(dtype)
    torch.testing.assert_close(criterion(log_probs, targets), CrossEntropy()(log_probs, targets))
    torch.testing.assert_close(gradient(criterion, log_probs, targets), gradient(CrossEntropy(), log_probs, targets))


def test_generalized_cross_entropy_ends_at_half_the_mean_absolute_error():
    log_probs, targets = random_log_probs(), random_soft_targets()
    half = MeanAbsoluteError()(log_probs, targets) / 2
    torch.testing.assert_close(GeneralizedCrossEntropy(q=1)(log_probs, targets), half)


@pytest.mark.parametrize(
    ("criterion", "total"),
    [
        (MeanAbsoluteError(), 2 * 4),
        (GeneralizedCrossEntropy(q=1), 4),
        (SymmetricCrossEntropy(alpha=0), 4 * 4),
        (ActivePassive(beta=0), 1),
        (ActivePassive("rce"), 1 + 4 * 4),
        (ActivePassive("mae"), 1 + 2 * 4),
    ],
    ids=repr,
)
def test_the_losses_of_all_classes_sum_to_a_constant(criterion, total):
    sums = criterion.per_class(random_log_probs()).sum(-1)
    torch.testing.assert_close(sums, torch.full_like(sums, total))


# ---- shapes and dtypes -------------------------------------------------------------------------------------------


@EVERY_CRITERION
def test_a_one_hot_row_costs_what_its_class_costs(criterion):
    log_probs, labels = random_log_probs(), torch.tensor([0, 4, 2, 2, 1, 3, 0])
    one_hot = torch.eye(5, dtype=torch.float64)[labels]
    torch.testing.assert_close(criterion(log_probs, one_hot), criterion(log_probs, labels))


@EVERY_CRITERION
def test_targets_broadcast_against_the_leading_dimensions(criterion):
    log_probs, targets = random_log_probs(rows=6).view(2, 3, 5), random_soft_targets(rows=3)
    views = torch.stack([criterion(view, targets) for view in log_probs])
    torch.testing.assert_close(criterion(log_probs, targets), views)
    labels = torch.tensor([3, -1, 0], dtype=torch.int32)
    torch.testing.assert_close(criterion(log_probs, labels), torch.stack([criterion(v, labels) for v in log_probs]))


def test_fewer_labels_than_rows_are_refused():
    with pytest.raises(RuntimeError):
        CrossEntropy()(random_log_probs(rows=3), torch.tensor([0, 1]))


@EVERY_CRITERION
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_half_precision_is_computed_in_float32_and_the_rest_as_it_comes(criterion, dtype):
    log_probs, targets = random_log_probs().to(dtype), random_soft_targets()
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    losses = criterion(log_probs, targets)
    assert losses.dtype == computed
    assert torch.equal(losses, criterion(log_probs.to(computed), targets))


# ---- never NaN ---------------------------------------------------------------------------------------------------


@st.composite
def logits_of_any_size(draw) -> Tensor:
    """(2 to 4 rows, 2 to 20 classes), up to +-1e4, in any of three dtypes."""
    dtype = draw(st.sampled_from([torch.float16, torch.bfloat16, torch.float32]))
    classes = draw(st.integers(2, 20))
    number = st.one_of(st.sampled_from([-1e4, 0.0, 1e4]), st.floats(-1e4, 1e4, width=32), st.floats(-5, 5, width=32))
    row = st.lists(number, min_size=classes, max_size=classes)
    return torch.tensor(draw(st.lists(row, min_size=2, max_size=4)), dtype=dtype)


def targets_of_every_form(logits: Tensor) -> dict[str, Tensor]:
    rows, classes = logits.shape
    labels = torch.arange(rows) % classes
    return {
        "integer": labels,
        "likeliest": logits.argmax(-1),
        "one-hot": torch.eye(classes)[logits.argmin(-1)],
        "soft": torch.full((rows, classes), 1 / classes),
    }


@given(logits=logits_of_any_size())
@settings(deadline=None, derandomize=True, max_examples=25)
@pytest.mark.slow
def test_whatever_the_logits_loss_and_gradient_are_finite(logits):
    for criterion in CRITERIA:
        for form, targets in targets_of_every_form(logits).items():
            losses = criterion(logits.log_softmax(-1), targets)
            assert losses.isfinite().all(), (criterion, form)
            assert losses.min() >= -1e-6, (criterion, form)
            assert gradient(criterion, logits, targets).isfinite().all(), (criterion, form)


@given(logits=logits_of_any_size())
@settings(deadline=None, derandomize=True, max_examples=25)
@pytest.mark.slow
def test_an_abstained_row_costs_exactly_nothing_and_teaches_nothing(logits):
    rows, classes = logits.shape
    soft = torch.full((rows, classes), 1 / classes)
    soft[0] = 0
    for criterion in CRITERIA:
        for targets in (soft, torch.tensor([-1, *[0] * (rows - 1)]), torch.tensor([-100, *[1] * (rows - 1)])):
            assert criterion(logits.log_softmax(-1), targets)[0] == 0, criterion
            assert not gradient(criterion, logits, targets)[0].any(), criterion


@EVERY_CRITERION
@pytest.mark.parametrize("targets", [torch.tensor([0, 1]), torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])])
def test_a_class_that_the_logits_rule_out_gives_no_nan(criterion, targets):
    logits = torch.tensor([[1.0, 2.0, -torch.inf], [-torch.inf, 2.0, -torch.inf]])
    assert criterion(logits.log_softmax(-1), targets).isfinite().all()
    assert gradient(criterion, logits, targets).isfinite().all()


@EVERY_CRITERION
def test_a_nan_of_the_model_is_not_hidden(criterion):
    assert criterion(torch.full((1, 3), torch.nan), torch.tensor([0])).isnan().all()


# ---- as objects --------------------------------------------------------------------------------------------------

OUT_OF_DOMAIN = [
    (GeneralizedCrossEntropy, {"q": 0}, "q=0: expected a number in (0, 1]. Did you mean 0.7?"),
    (GeneralizedCrossEntropy, {"q": 1.5}, "q=1.5: expected a number in (0, 1]. Did you mean 0.7?"),
    (GeneralizedCrossEntropy, {"q": math.nan}, "q=nan"),
    (SymmetricCrossEntropy, {"alpha": -1}, "alpha=-1: expected a number of at least 0. Did you mean 0.4?"),
    (SymmetricCrossEntropy, {"beta": math.inf}, "beta=inf: expected a number of at least 0. Did you mean 1.0?"),
    (SymmetricCrossEntropy, {"log_zero": 4}, "log_zero=4: expected a number below 0. Did you mean -4.0?"),
    (SymmetricCrossEntropy, {"log_zero": 0}, "log_zero=0"),
    (LabelSmoothing, {"epsilon": 1}, "epsilon=1: expected a number in [0, 1)"),
    (LabelSmoothing, {"epsilon": -0.1}, "epsilon=-0.1"),
    (LabelSmoothing, {"epsilon": math.nan}, "epsilon=nan"),
    (ActivePassive, {"passive": "mea"}, "passive='mea': expected 'rce' or 'mae'. Did you mean 'mae'?"),
    (ActivePassive, {"passive": None}, "passive=None"),
    (ActivePassive, {"alpha": math.nan}, "alpha=nan"),
    (ActivePassive, {"beta": -0.5}, "beta=-0.5"),
    (Bootstrapping, {"kind": "sof"}, "kind='sof': expected 'soft' or 'hard'. Did you mean 'soft'?"),
    (Bootstrapping, {"beta": 95}, "beta=95: expected a number in [0, 1]. Did you mean 0.95?"),
    (Bootstrapping, {"kind": "hard", "beta": -0.1}, "beta=-0.1"),
]
NO_NUMBER = [
    (GeneralizedCrossEntropy, "q"),
    (SymmetricCrossEntropy, "alpha"),
    (SymmetricCrossEntropy, "log_zero"),
    (LabelSmoothing, "epsilon"),
    (ActivePassive, "beta"),
    (Bootstrapping, "beta"),
]


@pytest.mark.parametrize(("build", "parameters", "message"), OUT_OF_DOMAIN, ids=[case[2] for case in OUT_OF_DOMAIN])
def test_a_parameter_out_of_its_domain_is_named_with_its_value(build, parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build(**parameters)


@pytest.mark.parametrize(("build", "name"), NO_NUMBER)
@pytest.mark.parametrize("value", [True, "0.5", [0.5]])
def test_what_is_no_number_is_a_type_error(build, name, value):
    with pytest.raises(TypeError, match=re.escape(f"{name}={value!r}: expected a number")):
        build(**{name: value})


@EVERY_CRITERION
def test_a_criterion_pickles_and_its_repr_builds_it_again(criterion):
    assert pickle.loads(pickle.dumps(criterion)) == criterion
    assert eval(repr(criterion)) == criterion


def test_criteria_differ_by_kind_and_by_parameter():
    assert len(set(CRITERIA)) == len(CRITERIA)
    assert Bootstrapping() == Bootstrapping("soft", beta=0.95)
    assert Bootstrapping("hard") == Bootstrapping("hard", beta=0.8)
    assert GeneralizedCrossEntropy() != GeneralizedCrossEntropy(q=0.6)
