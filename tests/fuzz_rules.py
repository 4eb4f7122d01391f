"""What must hold in every forward of a fuzzed training, whatever the methods, their parameters and the data."""

from __future__ import annotations

import torch
from fuzz_rows import Place
from fuzz_steps import Seen, Training
from torch import Tensor

from hf_noisy import NoiseCallback
from hf_noisy.methods.candidate_labels import CandidateLabels
from hf_noisy.methods.consistency import ConsistencyRegularization
from hf_noisy.methods.dividemix import DivideMix
from hf_noisy.methods.gold_loss_correction import GoldLossCorrection
from hf_noisy.methods.jocor import JoCoR
from hf_noisy.methods.loss_correction import BackwardCorrection
from hf_noisy.methods.mentornet import MentorNet
from hf_noisy.methods.parts.loss_split import LossSplit
from hf_noisy.methods.parts.small_loss import SmallLoss
from hf_noisy.methods.pseudo_labeling import PseudoLabeling
from hf_noisy.methods.self_training import SelfTraining
from hf_noisy.methods.selfmix import SelfMix
from hf_noisy.methods.truth_inference import TruthInference

GUESSERS = (
    PseudoLabeling,
    SelfTraining,
    CandidateLabels,
    SelfMix,
    TruthInference,
)  # give a weight to a row that had none
REGULARIZERS = (LossSplit, SelfTraining, ConsistencyRegularization)  # have a penalty on rows of weight 0
RESCALERS = (SmallLoss, DivideMix)  # a mean over those that are kept
WEIGHERS_OF_TRUSTED = (GoldLossCorrection, MentorNet, JoCoR)  # the others leave their weight alone
TOLERANCE = 1e-4


def check_forward(training: Training, place: Place, seen: Seen) -> None:
    signed = False
    for callback, before, after in zip(training.callbacks, seen.before, seen.after, strict=True):
        name = type(callback).__name__
        signed |= isinstance(callback, BackwardCorrection)
        check_targets(name, after.targets, after.weights, signed)
        check_weights(callback, before.weights, after.weights, place)
        check_trusted(callback, before, after, place)
    check_gradient(training, place, seen)
    check_views(seen)


def check_targets(name: str, targets: Tensor, weights: Tensor, signed: bool) -> None:
    """Distributions or rows of zeros; a row that counts is no row of zeros. Backward correction's are signed."""
    assert torch.isfinite(targets).all(), f"{name}: a target is not finite"
    if signed:
        return
    sums = targets.sum(-1)
    assert (targets >= 0).all(), f"{name}: a negative target"
    assert (((sums - 1).abs() < TOLERANCE) | (sums == 0)).all(), f"{name}: a target sums to {sums.tolist()}"
    assert (sums[weights > 0] > 0).all(), f"{name}: a row without a target has a weight"


def check_weights(callback: NoiseCallback, before: Tensor, after: Tensor, place: Place) -> None:
    """Finite, at least 0, bounded; and only a guesser gives one to a row that had none."""
    name = type(callback).__name__
    assert torch.isfinite(after).all(), f"{name}: a weight is not finite"
    assert (after >= 0).all(), f"{name}: a negative weight"
    raised = (before == 0) & (after > 0)
    assert isinstance(callback, GUESSERS) or not raised.any(), f"{name} gives a weight to a row that had none"
    own = callback.weight if isinstance(callback, PseudoLabeling) else 1.0
    most = max(float(before.max()), own) * (len(before[0]) if isinstance(callback, RESCALERS) else 1)
    assert after.max() <= most * (1 + TOLERANCE), f"{name}: a weight of {float(after.max())}, at most {most} expected"
    if isinstance(callback, RESCALERS):
        assert (after.sum(-1) <= most * (1 + TOLERANCE)).all(), f"{name}: the weights are no mean over the kept"


def check_trusted(callback: NoiseCallback, before, after, place: Place) -> None:
    """Clean rows keep label and weight; what was marked as of the true class keeps its target."""
    name = type(callback).__name__
    if before.trusted is None:
        return
    assert after.trusted is not None, f"{name} forgets which targets are trusted"
    if isinstance(callback, PseudoLabeling | SelfTraining | TruthInference):  # whose own guesses are trusted
        marked = torch.zeros_like(before.trusted) if place.batch.trusted is None else place.batch.trusted
        marked = marked.expand_as(before.trusted)
    else:
        marked = before.trusted
    assert torch.equal(after.targets[marked], before.targets[marked]), f"{name} changes a trusted target"
    assert after.trusted[before.trusted].all(), f"{name} takes the trust from a target"
    if place.batch.trusted is not None and not isinstance(callback, WEIGHERS_OF_TRUSTED):
        clean = place.batch.trusted
        assert torch.equal(after.weights[:, clean], before.weights[:, clean]), f"{name} weighs a trusted row"


def check_gradient(training: Training, place: Place, seen: Seen) -> None:
    """The loss is finite; a row without weight has no gradient, unless a method regularises it; nor a repeated one."""
    assert torch.isfinite(seen.total), "the loss is not finite"
    if any(isinstance(callback, LossSplit) for callback in training.callbacks):
        return  # mixes rows with each other
    size = seen.gradient.abs().sum((1, 3))  # (networks, batch)
    if place.batch.real is not None:
        assert (size[:, ~place.batch.real] == 0).all(), "a repeated row has a gradient"
    if any(isinstance(callback, REGULARIZERS) for callback in training.callbacks):
        return
    without = ~place.batch.covered & (seen.after[-1].weights == 0)
    assert (size[without] == 0).all(), "a row without label and weight has a gradient"


def check_views(seen: Seen) -> None:
    """Views are of one shape, hide no whole row, and show no padding."""
    first = seen.views[0]
    shape = first["input_ids"].shape
    for view in seen.views:
        assert view["input_ids"].shape == view["attention_mask"].shape == shape, "views differ in shape"
        assert (view["attention_mask"].sum(-1) > 0).all(), "a view hides a whole row"


def rows_left_alone(place: Place, rows: int) -> Tensor:
    """(rows,) True for those that are not in the batch."""
    alone = torch.ones(rows + 1, dtype=torch.bool)
    alone[place.batch.gathered_index] = False
    return alone[:-1]


def same(left: Tensor, right: Tensor) -> bool:
    """To the bit, where NaN equals NaN."""
    return left.shape == right.shape and left.dtype == right.dtype and torch.equal(_shown(left), _shown(right))


def _shown(values: Tensor) -> Tensor:
    return values.double().nan_to_num(nan=-12345.0)


def near(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and torch.allclose(_shown(left), _shown(right), rtol=1e-3, atol=1e-4)


def check_same(left: dict[str, Tensor], right: dict[str, Tensor], what: str) -> None:
    assert left.keys() == right.keys(), f"{what}: {sorted(left.keys() ^ right.keys())}"
    for name, value in left.items():
        assert same(value, right[name]), f"{what}: {name} is {right[name].tolist()}, not {value.tolist()}"
