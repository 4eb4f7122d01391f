"""MentorNet (Jiang et al., ICML 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_fraction, nearest
from hf_noisy.common.randomness import keyed_generator
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.mentor import PERCENTS, CleanPairs, Features, clean_pairs, predefined_mentor, teach
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)

CURRICULA = ("predefined", "data_driven")
Dropout = float | Sequence[Sequence[float]]
_DROPOUT = ((0.5, 0.17), (0.05, 0.83))  # from the authors' commands for the predefined curriculum
_STEPS, _RATE = 200, 0.01  # of each training of a data-driven mentor
_ADAM = "adam."


class MentorNet(NoiseCallback):
    """Weights each example by the output of a small network, the mentor, given its loss, label and training progress.

    The mentor's inputs are the loss, its difference from the running p-percentile of losses, the label, and the
    percentage of the training done (`hf_noisy.methods.parts.mentor.Mentor`). It is trained separately from the model,
    with its own optimizer. Its weights multiply those of other methods and carry no gradient.

    - "predefined" needs no clean labels. Before the first step, the mentor is trained on simulated losses to follow
      `hf_noisy.methods.parts.mentor.predefined_weight`: all examples up to 18 % of the training, then those with a loss
      below the percentile, from 90 % on also those slightly above it. This takes seconds, once per process. The label
      input is always 0, as in the released code.
    - "data_driven" starts from that mentor. Before each epoch from the second on, it is trained to predict which labels
      are correct, on the rows of `clean_dataset`, whose losses are computed without dropout. A row whose untrusted
      label is known (column `given`) contributes that one. Any other row contributes its trusted label as correct and a
      random other one as wrong.

    Source: Jiang et al., "MentorNet: Learning Data-Driven Curriculum for Very Deep Neural Networks on Corrupted
    Labels", ICML 2018. Percentile, decay and dropout are those of the authors' code and commands, except for the last 5
    % of the training, in which the code's default drops every example. There, the running percentile starts at 0; here
    it starts at that of the first batch. There, a data-driven mentor is trained once, on another training's losses.

    Args:
        curriculum: "predefined" or "data_driven".
        loss_percentile: p, in (0, 1): the share of losses that count as small; about the share of correct labels.
        ema_decay: decay of the running percentile, in [0, 1).
        gamma: above 0: the difference from the percentile at which the weight reaches 0 at the end of the training.
        example_dropout: probability of setting a weight to 0, drawn for each example separately: a rate in [0, 1], or
            (rate, share of the training) one after the other, the shares summing to 1.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, "data_driven" without a
            `clean_dataset`.

    The percentile is that of each forward's losses, so gradient accumulation gives other weights than one large batch
    would. No further pass, except one over the clean rows before each epoch with "data_driven"; 4 bytes per row. Works
    with several networks, by the mean of their losses. Prefer "predefined" if the share of correct labels is roughly
    known, and "data_driven" if some labels were checked. Weights are rarely exactly 0, except for dropped examples.

    >>> MentorNet(loss_percentile=0.8).curriculum
    'predefined'
    """

    roles = ("mentor",)
    logged = MappingProxyType(
        {
            "mentor_percentile": "running percentile of the losses, which the mentor compares each loss with",
            "mentor_weight": "mean weight by the mentor in the last forward",
            "mentor_loss": "loss of the mentor on the clean rows at its last update (`mentornet_dd`)",
        }
    )

    def __init__(
        self,
        curriculum: str = "predefined",
        loss_percentile: float = 0.7,
        ema_decay: float = 0.5,
        gamma: float = 1.0,
        example_dropout: Dropout = _DROPOUT,
    ) -> None:
        if curriculum not in CURRICULA:
            raise ValueError(
                f"curriculum={curriculum!r}: expected {' or '.join(map(repr, CURRICULA))}. "
                f"{nearest(str(curriculum), CURRICULA)}"
            )
        self.curriculum = curriculum
        self.needs_clean = curriculum == "data_driven"
        self.loss_percentile = check_fraction("loss_percentile", loss_percentile, "(0, 1)")
        self.ema_decay = check_fraction("ema_decay", ema_decay, "[0, 1)")
        self.gamma = _checked_gamma(gamma)
        self.example_dropout = _checked_dropout(example_dropout)

    # ---- setup and start of each epoch --------------------------------------------------------------------------

    def setup(self, context: Context) -> None:
        data_driven = self.curriculum == "data_driven"
        if data_driven and context.clean is None:
            raise ValueError(
                "MentorNet(curriculum='data_driven') learns from rows with trusted labels and there are none: "
                "clean_dataset=None. Pass NoisyTrainer(clean_dataset=...), or use curriculum='predefined'."
            )
        self.context: Context | None = context
        self.percentile = torch.tensor(torch.nan, device=context.device)  # running percentile of losses; NaN at first
        self.mean_weight = torch.tensor(torch.nan, device=context.device)  # of the last step
        self.mentor_loss = torch.tensor(torch.nan)
        self.weights = Memory(context.rows, fill=torch.nan, device=context.device)
        self.mentor = predefined_mentor(self.gamma, context.classes if data_driven else 1).to(context.device)
        self.optimizer = torch.optim.Adam(self.mentor.parameters(), lr=_RATE)
        self.learns = data_driven and not self._pairs(0).one_sided
        if data_driven and not self.learns:
            logger.warning(
                "MentorNet: clean_dataset shows no right label beside a wrong one, so there is nothing to learn; the "
                "predefined curriculum stays. Give it more rows, or leave out the column 'given'."
            )

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if not self.learns or epoch == 0:
            return
        context = self._context
        assert context.clean is not None
        pairs = self._pairs(epoch)
        targets = F.one_hot(pairs.labels, context.classes).float()
        losses = context.criterion(context.clean.survey()[:, pairs.rows], targets).mean(0)
        differences = (losses - self.percentile).nan_to_num()
        first, last = _percents(epoch, context.epochs)
        draws = keyed_generator(context.seed, epoch, "percents of the mentor")

        def sample_pairs() -> tuple[Features, Tensor, Tensor]:
            """Returns the pairs, each at a random position within the coming epoch."""
            percent = torch.randint(first, last + 1, (len(losses),), generator=draws).to(losses.device)
            return Features(losses, differences, pairs.labels, percent), pairs.right, pairs.counts

        self.mentor_loss.fill_(teach(self.mentor, self.optimizer, sample_pairs, _STEPS))

    def _pairs(self, epoch: int) -> CleanPairs:
        clean = self._context.clean
        assert clean is not None
        return clean_pairs(clean, keyed_generator(self._context.seed, epoch, "wrong labels for the mentor"))

    @property
    def _context(self) -> Context:
        if self.context is None:
            raise RuntimeError("MentorNet was unpickled: it can be inspected but not trained. Create a new one.")
        return self.context

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "context": None}  # its `survey` function does not pickle

    # ---- each step ----------------------------------------------------------------------------------------------

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        criterion = self._context.criterion
        losses = criterion(predictions.clean_log_probs, supervision.targets.unsqueeze(1)).mean((0, 1))  # (batch,)
        taught = (supervision.weights > 0).any(0)
        self._update_percentile(torch.where(taught, losses, torch.nan), batch)
        weights = self.mentor.weigh(self._features(losses, batch)) * self._kept(batch)
        self.weights.write(batch, torch.where(taught, weights, torch.nan))
        self.mean_weight = (
            self.weights.read(batch.gathered_index).masked_fill(self._repeated(batch), torch.nan).nanmean()
        )
        return supervision.weighted(weights)

    def _update_percentile(self, losses: Tensor, batch: Batch) -> None:
        """Updates the running percentile with the step's losses, NaN for rows that are not trained on."""
        gathered = batch.gather(losses).masked_fill(self._repeated(batch), torch.nan)
        found = gathered.nanquantile(self.loss_percentile)
        updated = self.ema_decay * self.percentile + (1 - self.ema_decay) * found
        self.percentile = torch.where(
            self.percentile.isnan(), found, torch.where(found.isnan(), self.percentile, updated)
        )

    def _features(self, losses: Tensor, batch: Batch) -> Features:
        difference = (losses - self.percentile).nan_to_num()  # no percentile: no row has weight, but 0 x NaN is NaN
        label = batch.given.argmax(-1) if self.curriculum == "data_driven" else torch.zeros_like(batch.index)
        percent = min(int(PERCENTS * batch.progress), PERCENTS - 1)
        return Features(losses, difference, label, torch.full_like(batch.index, percent))

    def _kept(self, batch: Batch) -> Tensor:
        """(batch,) False for examples dropped in this step; one draw per row of all processes, each uses its own."""
        draws = torch.rand(
            len(batch.gathered_index), generator=batch.generator("example dropout"), device=batch.index.device
        )
        mine = (batch.gathered_index == batch.index.unsqueeze(-1)).int().argmax(-1)
        return draws[mine] >= self._dropout_rate(batch.progress)

    def _dropout_rate(self, progress: float) -> float:
        end = 0.0
        for rate, share in self.example_dropout:
            end += share
            if progress < end:
                return rate
        return self.example_dropout[-1][0]

    def _repeated(self, batch: Batch) -> Tensor:
        """(batch of all processes,) True where a sampler repeats a row."""
        return batch.gathered_index >= self._context.rows

    # ---- logging and checkpoints --------------------------------------------------------------------------------

    def metrics(self) -> dict[str, Tensor | float]:
        logs: dict[str, Tensor | float] = {"mentor_percentile": self.percentile, "mentor_weight": self.mean_weight}
        logs |= {"mentor_loss": self.mentor_loss} if self.curriculum == "data_driven" else {}
        return {name: value for name, value in logs.items() if not math.isnan(value)}  # NaN: not known yet

    def state_dict(self) -> dict[str, Tensor]:
        state = {
            "percentile": self.percentile,
            "mentor_loss": self.mentor_loss,
            "weights": self.weights.state(),
        }
        state |= {f"mentor.{name}": value for name, value in self.mentor.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"{_ADAM}{number}.{name}": value for name, value in moments.items()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.percentile.copy_(state["percentile"])
        self.mentor_loss.copy_(state["mentor_loss"])
        self.weights.load(state["weights"])
        self.mentor.load_state_dict({name: state[f"mentor.{name}"] for name in self.mentor.state_dict()})
        moments: dict[int, dict[str, Tensor]] = {}
        for key in (key for key in state if key.startswith(_ADAM)):
            number, name = key.removeprefix(_ADAM).split(".")
            moments.setdefault(int(number), {})[name] = state[key].clone()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _percents(epoch: int, epochs: float) -> tuple[int, int]:
    """Returns the first and last percent of the training that lie in epoch `epoch` of `epochs`.

    >>> _percents(0, 3.0), _percents(1, 3.0), _percents(2, 2.5), _percents(150, 200.0)
    ((0, 33), (33, 66), (80, 99), (75, 75))
    """
    first = min(int(PERCENTS * epoch / epochs), PERCENTS - 1)
    last = math.ceil(PERCENTS * (epoch + 1) / epochs) - 1
    return first, max(first, min(last, PERCENTS - 1))


def _checked_gamma(gamma: float) -> float:
    if isinstance(gamma, bool) or not isinstance(gamma, Real):
        raise TypeError(f"gamma={gamma!r}: expected a number above 0, got {type(gamma).__name__}.")
    if not 0 < gamma < math.inf:
        raise ValueError(f"gamma={gamma!r}: expected a number above 0. Did you mean 1.0?")
    return float(gamma)


def _checked_dropout(example_dropout: Dropout) -> tuple[tuple[float, float], ...]:
    """Returns (rate, share of the training) pairs, one after the other."""
    if not isinstance(example_dropout, Sequence):
        return ((check_fraction("example_dropout", example_dropout, "[0, 1]"), 1.0),)
    problem = f"example_dropout={example_dropout!r}: expected a rate, or pairs (rate, share of the training)"
    if any(not isinstance(pair, Sequence) or len(pair) != 2 or isinstance(pair, str) for pair in example_dropout):
        raise ValueError(f"{problem}, as in ((0.5, 0.17), (0.05, 0.83)).")
    schedule = tuple(
        (
            check_fraction(f"example_dropout[{k}]", rate, "[0, 1]"),
            check_fraction(f"example_dropout[{k}]", share, "[0, 1]"),
        )
        for k, (rate, share) in enumerate(example_dropout)
    )
    total = sum(share for _, share in schedule)
    if abs(total - 1) > 1e-6:
        raise ValueError(f"{problem} whose shares sum to 1, not to {total:g}.")
    return schedule
