"""The mentor of MentorNet: a small network that weighs examples by their losses, and its two ways of training."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hf_noisy.common.randomness import forked_generators
from hf_noisy.models.context import CleanRows

PERCENTS = 100  # training progress is counted in percent: 0 is the start, 99 the end
_BURN_IN, _LATE = 18, 90  # last percent with all weights 1, first percent of the linear rule
_EPOCH_SIZE = 5  # size of the percent's embedding; this and the next two are those of the released code
_LABEL_SIZE = 2
_HIDDEN = 20
_STEPS, _RATE, _SAMPLE = 600, 0.05, 512  # steps, learning rate, batch size: error on new features below 0.01
Teach = Callable[[], tuple["Features", Tensor, Tensor]]  # -> features, target weights, importance of each


@dataclass(frozen=True)
class Features:
    """Inputs of a mentor, one row per example."""

    loss: Tensor  # (batch,)
    difference: Tensor  # (batch,) loss minus the running percentile of the losses
    label: Tensor  # (batch,) class ids
    percent: Tensor  # (batch,) int64, progress of the training in percent, 0 to 99


class Mentor(nn.Module):
    """Predicts the weight of an example from its loss, its label and the progress of the training.

    A bidirectional LSTM with one unit reads the loss and the difference as a sequence. Its last two outputs, an
    embedding of the label and an embedding of the percent go through 20 tanh units to one logit. The weight is the
    sigmoid of this logit.

    Source: Jiang et al., "MentorNet", ICML 2018, with the sizes of the released code. In that code, the LSTM reads both
    losses in one step, and the percent's embedding is random and not trained. Here, each of the two is a step of the
    sequence, and the embedding consists of five fixed cosines. So what is learned at one percent carries over to nearby
    percents, which matters since a data-driven mentor is trained only a few times during fine-tuning.

    Args:
        classes: number of labels that it distinguishes.

    >>> mentor = Mentor(classes=3)
    >>> two = torch.tensor([0.1, 2.0])
    >>> mentor(Features(two, two - 0.7, torch.tensor([0, 2]), torch.tensor([50, 50]))).shape
    torch.Size([2])
    """

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        self.losses = nn.LSTM(1, 1, batch_first=True, bidirectional=True)
        self.label = nn.Embedding(classes, _LABEL_SIZE)
        turns = torch.arange(1, _EPOCH_SIZE + 1) * (torch.arange(PERCENTS).unsqueeze(-1) + 0.5) / PERCENTS
        self.epoch: Tensor
        self.register_buffer("epoch", torch.cos(math.pi * turns))  # (100, 5), not trained
        self.hidden = nn.Linear(2 + _LABEL_SIZE + _EPOCH_SIZE, _HIDDEN)
        self.output = nn.Linear(_HIDDEN, 1)

    def forward(self, features: Features) -> Tensor:
        """(batch,) logits of the weights, in float32 at any training precision."""
        sequence = torch.stack([features.loss, features.difference], -1).float().unsqueeze(-1)  # (batch, 2, 1)
        with torch.autocast(sequence.device.type, enabled=False):
            _, (last, _) = self.losses(sequence)  # (2 directions, batch, 1)
            inputs = [last.squeeze(-1).T, self.label(features.label), self.epoch[features.percent]]
            return self.output(torch.tanh(self.hidden(torch.cat(inputs, -1)))).squeeze(-1)

    @torch.no_grad()
    def weigh(self, features: Features) -> Tensor:
        """(batch,) weights in [0, 1], without gradient."""
        return self(features).sigmoid()


def predefined_weight(difference: Tensor, percent: Tensor, gamma: float = 1.0) -> Tensor:
    """Weights of the predefined curriculum: first all examples, then those with small losses, then also some others.

    Up to 18 % of the training, every weight is 1. Then self-paced learning follows: the weight is 1 if the loss is not
    above the percentile, else 0. From 90 % on, the weight falls linearly above the percentile:
    clip(1 - difference / gamma, 0, 1). Source: "MentorNet PD" of Jiang et al., with the exact phase boundaries of the
    released code.

    Args:
        difference: (batch,) loss minus percentile.
        percent: (batch,) progress of the training, 0 to 99.
        gamma: loss above the percentile at which the weight reaches 0 in the last phase.

    Returns:
        (batch,) in [0, 1].

    >>> above = torch.tensor([0.25, 0.25, 0.25, -0.5])
    >>> predefined_weight(above, torch.tensor([18, 19, 90, 50]))
    tensor([1.0000, 0.0000, 0.7500, 1.0000])
    """
    self_paced = (difference <= 0).float()
    linear = (1 - difference / gamma).clamp(0, 1)
    later = torch.where(percent >= _LATE, linear, self_paced)
    return torch.where(percent <= _BURN_IN, torch.ones_like(later), later)


def simulated_features(rows: int, generator: torch.Generator) -> Features:
    """Simulated features, drawn as in the released code, all with label 0.

    Losses lie in [0, 10], differences in [-5, 5]. In every second row both are a fifth as large, since losses in
    fine-tuning are that small.
    """
    scale = torch.ones(rows)
    scale[1::2] = 0.2
    loss = 10 * torch.rand(rows, generator=generator) * scale
    difference = (10 * torch.rand(rows, generator=generator) - 5) * scale
    percent = torch.randint(PERCENTS, (rows,), generator=generator)
    return Features(loss, difference, torch.zeros_like(percent), percent)


def teach(
    mentor: Mentor,
    optimizer: torch.optim.Optimizer,
    lesson: Teach,
    steps: int,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> float:
    """Trains `mentor` for `steps` steps of weighted binary cross-entropy on new batches; returns the last loss."""
    last = torch.tensor(torch.nan)
    with torch.enable_grad():
        for _ in range(steps):
            features, weights, counts = lesson()
            last = F.binary_cross_entropy_with_logits(mentor(features), weights, counts)
            optimizer.zero_grad()
            last.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
    optimizer.zero_grad()
    return float(last.detach())


@functools.cache
def _predefined_state(gamma: float) -> dict[str, Tensor]:
    """State dict of a mentor trained on the predefined curriculum. Takes seconds the first time, then is cached."""
    generator = torch.Generator().manual_seed(0)
    with forked_generators():
        torch.manual_seed(0)
        mentor = Mentor()

    def lesson() -> tuple[Features, Tensor, Tensor]:
        features = simulated_features(_SAMPLE, generator)
        return features, predefined_weight(features.difference, features.percent, gamma), torch.ones(_SAMPLE)

    optimizer = torch.optim.Adam(mentor.parameters(), lr=_RATE)
    teach(mentor, optimizer, lesson, _STEPS, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS))
    return mentor.state_dict()


def predefined_mentor(gamma: float = 1.0, classes: int = 1) -> Mentor:
    """A mentor that follows the predefined curriculum and ignores the label.

    The mentor is the same each time, and no random number is drawn from the global generators.

    >>> mentor = predefined_mentor()
    >>> losses = torch.tensor([0.2, 3.0])
    >>> halfway = torch.tensor([50, 50])
    >>> mentor.weigh(Features(losses, losses - 1, torch.tensor([0, 0]), halfway)).round()
    tensor([1., 0.])
    """
    state = dict(_predefined_state(gamma))
    state["label.weight"] = state["label.weight"].expand(classes, -1)
    with forked_generators():
        mentor = Mentor(classes)
    mentor.load_state_dict(state)
    return mentor


@dataclass(frozen=True)
class CleanPairs:
    """Clean rows, each paired with a right or a wrong label."""

    rows: Tensor  # (pairs,) row numbers in the clean set
    labels: Tensor  # (pairs,) class ids
    right: Tensor  # (pairs,) 1 where the label equals the trusted one, else 0

    @property
    def one_sided(self) -> bool:
        """True if there is nothing to learn: no pairs, only right labels, or only wrong labels."""
        return self.right.numel() == 0 or bool((self.right == self.right[0]).all())

    @property
    def counts(self) -> Tensor:
        """(pairs,) weight of each pair. Right and wrong labels have the same total weight, and the mean weight is 1."""
        share = self.right.mean()
        return 0.5 * (self.right / share + (1 - self.right) / (1 - share))


def clean_pairs(clean: CleanRows, generator: torch.Generator) -> CleanPairs:
    """Builds pairs with right and wrong labels from rows whose true label is known.

    A row whose untrusted label is known gives one pair with this label. Any other row gives two pairs: one with its
    trusted label, and one with another class, drawn uniformly. A row without a trusted label gives none.

    Args:
        clean: the rows.
        generator: draws the wrong labels, on the CPU.

    >>> given = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    >>> clean = CleanRows(torch.eye(2), given, survey=lambda: torch.zeros(1, 2, 2))
    >>> pairs = clean_pairs(clean, torch.Generator().manual_seed(0))
    >>> pairs.rows.tolist(), pairs.labels.tolist(), pairs.right.tolist()
    ([0, 1, 1], [1, 1, 0], [0.0, 1.0, 0.0])
    """
    classes = clean.labels.shape[-1]
    trusted, given = clean.labels.argmax(-1), clean.given.argmax(-1)
    usable, known = clean.labels.sum(-1) > 0, clean.given.sum(-1) > 0
    with_label, without = (usable & known).nonzero().flatten(), (usable & ~known).nonzero().flatten()
    shift = torch.randint(1, classes, (len(without),), generator=generator).to(trusted.device)
    rows = torch.cat([with_label, without, without])
    labels = torch.cat([given[with_label], trusted[without], (trusted[without] + shift) % classes])
    return CleanPairs(rows, labels, (labels == trusted[rows]).float())
