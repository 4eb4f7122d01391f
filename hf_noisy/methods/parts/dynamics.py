"""Records the training dynamics of each example. Always on, so that any training can be audited afterwards."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from hf_noisy.data.label_encoding import has_label
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

_SEEN, _LOSS, _MARGIN, _DISAGREEMENTS, _PROBS = range(5)  # columns of the table; the rest are the probabilities


class ExampleDynamics(NoiseCallback):
    """Records each example's mean loss, mean margin, mean prediction and number of disagreements, and changes nothing.

    The margin is the logit of the given class minus the largest other logit. Its mean over epochs is the area under the
    margin of Pleiss et al. (NeurIPS 2020). All values come from the training forward, so with dropout. They use the
    mean over networks and the first view. The memory needed is 4 x (classes + 5) bytes a row.

    `report` returns for each row: `seen` (number of visits in training), `loss` and `margin` (NaN where abstained or
    never seen), `disagreements` (visits in which the predicted class was not the label; 0 where abstained),
    `prediction` and `probability` (class and probability of the mean prediction; -1 and NaN where never seen), and
    `skipped` (how often its batch was left out because the loss was not finite).
    """

    logged = MappingProxyType(
        {
            "skipped_batches": 'number of batches left out so far because their loss was not finite (`nonfinite_loss="skip"`)'
        }
    )

    def setup(self, context: Context) -> None:
        self.covered = has_label(context.labels).cpu()  # (rows,)
        self.sums = Memory(context.rows, (_PROBS + context.classes,), device=context.device)
        self.skipped = Memory(context.rows, dtype=torch.int32, device=context.device)
        self.skipped_batches = torch.zeros((), dtype=torch.int64, device=context.device)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        probs = predictions.probs
        log_probs = probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
        label = batch.given.argmax(-1, keepdim=True)
        margin = log_probs.gather(-1, label).squeeze(-1) - log_probs.scatter(-1, label, -torch.inf).amax(-1)
        disagrees = log_probs.argmax(-1) != label.squeeze(-1)
        facts = [
            torch.ones_like(margin),
            -(batch.given * log_probs).sum(-1),
            margin * batch.covered,
            (disagrees & batch.covered).to(margin.dtype),
        ]
        self.sums.write(batch, self.sums.read(batch.index) + torch.cat([torch.stack(facts, -1), probs], -1))
        return supervision

    def count_skipped(self, batch: Batch, skipped: Tensor) -> None:
        """Counts the rows of `batch` as left out where `skipped`, a scalar bool tensor, is True."""
        each = skipped.int().expand_as(batch.index)
        self.skipped.write(batch, self.skipped.read(batch.index) + each)
        self.skipped_batches += batch.gather(each[:1]).sum()

    def metrics(self) -> dict[str, Tensor | float]:
        return {"skipped_batches": float(self.skipped_batches)} if self.skipped_batches else {}

    def report(self) -> dict[str, np.ndarray]:
        sums = self.sums.values.cpu()
        seen = sums[:, _SEEN]
        means = sums / seen.unsqueeze(-1)  # NaN where never seen
        probability, prediction = means[:, _PROBS:].max(-1)
        return {
            "seen": seen.int().numpy(),
            "loss": means[:, _LOSS].masked_fill(~self.covered, torch.nan).numpy(),
            "margin": means[:, _MARGIN].masked_fill(~self.covered, torch.nan).numpy(),
            "disagreements": sums[:, _DISAGREEMENTS].int().numpy(),
            "prediction": prediction.masked_fill(seen == 0, -1).numpy(),
            "probability": probability.numpy(),
            "skipped": self.skipped.values.cpu().numpy(),
        }

    def state_dict(self) -> dict[str, Tensor]:
        return {"sums": self.sums.state(), "skipped": self.skipped.state(), "skipped_batches": self.skipped_batches}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.sums.load(state["sums"])
        self.skipped.load(state["skipped"])
        self.skipped_batches.copy_(state["skipped_batches"])
