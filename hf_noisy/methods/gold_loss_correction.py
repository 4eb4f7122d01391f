"""Gold loss correction (Hendrycks et al., NeurIPS 2018)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_choice, check_whole
from hf_noisy.evidence.matrices.matrices import row_shares
from hf_noisy.methods.parts.label_channel import LabelChannel
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import CleanRows, Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)


class GoldLossCorrection(LabelChannel):
    """Estimates from rows with trusted labels how each class is labelled, and trains on the others through that matrix.

    After a warm-up on the given labels, row i of the matrix is the classifier's mean prediction for the trusted rows of
    class i. From then on, predictions pass through the matrix before they are compared with given labels. Trusted rows
    are trained on as well, without the matrix.

    Source: Hendrycks et al., "Using Trusted Data to Train Deep Networks on Labels Corrupted by Severe Noise", NeurIPS
    2018. The paper trains a second network from scratch; here one training continues.

    Args:
        matrix_from: "model", as in the paper; or "given": the share of the trusted rows of class i that were labelled
            j, from the column `given` of `clean_dataset`, which needs no warm-up.
        warmup_epochs: whole epochs on the given labels; None is a third of the training, 0 with "given".
        clean_epochs: number of whole epochs at the start, on trusted rows only, repeated; the warm-up follows. A
            classifier that was trained on them predicts their true labels too well, so the matrix is then too close to
            the identity unless it is from "given".

    Raises:
        ValueError: a parameter outside its domain; before the first step, no `clean_dataset`, or one without `given`
            where it is needed.

    The trusted rows follow the training set, also in `trainer.example_report()`, whose column `trusted` marks them. The
    labels of a class without a trusted row are assumed to be correct, with a warning.

    >>> GoldLossCorrection().matrix_from
    'model'
    """

    trains_on_clean = True
    needs_clean = True

    def __init__(
        self,
        matrix_from: Literal["model", "given"] = "model",
        warmup_epochs: int | None = None,
        clean_epochs: int = 0,
    ) -> None:
        check_choice("matrix_from", matrix_from, ("model", "given"))
        self.matrix_from, self.clean_epochs = matrix_from, check_whole("clean_epochs", clean_epochs, 0, of=" of epochs")
        self.known = matrix_from == "given"
        super().__init__(warmup_epochs)

    def setup(self, context: Context) -> None:
        super().setup(context)
        clean = context.clean
        if clean is None:
            raise ValueError(
                "GoldLossCorrection needs rows with trusted labels: expected NoisyTrainer(clean_dataset=...), tokenized "
                "rows with true `labels`. Without any, use ForwardCorrection."
            )
        if self.matrix_from == "given" and not bool((clean.given.sum(-1) > 0).any()):
            raise ValueError(
                "matrix_from='given': no row of clean_dataset has an untrusted label. Expected a column `given`; or use "
                "matrix_from='model'."
            )
        self.clean: CleanRows | None = clean

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "clean": None}  # its `survey` function does not pickle

    def matrices(self, survey: Callable[[], Survey]) -> Tensor:
        if self.clean is None:
            raise RuntimeError(
                "GoldLossCorrection was unpickled: it can be inspected but not trained. Create a new one."
            )
        matrices = trusted_confusions(self.clean, self.matrix_from).expand(self.networks, -1, -1)
        absent = (self.clean.labels.sum(0) == 0).nonzero().flatten().tolist()
        if absent:
            logger.warning(f"GoldLossCorrection: no trusted row of class {absent}: their labels are taken to be right.")
        return matrices

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if batch.trusted is None or not self.clean_epochs <= batch.epoch < self.start:
            return supervision
        return supervision.weighted(~batch.trusted)  # the warm-up uses given labels only


def trusted_confusions(clean: CleanRows, matrix_from: Literal["model", "given"]) -> Tensor:
    """Averages the predictions or the given labels of the trusted rows of each class.

    Returns:
        (networks, classes, classes) of predictions, (1, classes, classes) of given labels.
    """
    labelled = clean.survey().exp() if matrix_from == "model" else clean.given.unsqueeze(0)  # (networks, rows, classes)
    counts = torch.einsum("ri,nrj->nij", clean.labels, labelled.to(clean.labels.dtype))
    return torch.stack([torch.from_numpy(row_shares(one.double().cpu().numpy())).float() for one in counts])
