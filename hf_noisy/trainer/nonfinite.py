"""Handles NaN and infinite predictions and losses: raise an error, or skip and count. They are never remembered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers.utils import logging

from hf_noisy.models.predictions import Predictions

logger = logging.get_logger(__name__)

RAISE, SKIP = "raise", "skip"
_NAMED = 10  # most rows that a message lists


def finite_rows(predictions: Predictions) -> Tensor:
    """(batch,) True where every network and view predicts finite log-probabilities."""
    return predictions.clean_log_probs.isfinite().all(-1).all(1).all(0)


def uniform_where_not_finite(predictions: Predictions, finite: Tensor) -> Predictions:
    """Replace non-finite predictions by uniform ones, so that averages over the batch stay finite.

    Args:
        predictions: of a batch.
        finite: (batch,) False for the rows to replace. Their vectors become zero.
    """

    channelled, vectors = predictions.channelled, predictions.vectors
    return replace(
        predictions,
        clean_log_probs=_even(predictions.clean_log_probs, finite),
        channelled=None if channelled is None else _even(channelled, finite),
        vectors=None if vectors is None else torch.where(finite.unsqueeze(-1), vectors, 0.0),
    )


def _even(log_probs: Tensor, finite: Tensor) -> Tensor:
    uniform = torch.full_like(log_probs, 1 / log_probs.shape[-1]).log()
    return torch.where(finite.unsqueeze(-1), log_probs, uniform)


def checked_log_probs(log_probs: Tensor, mode: str, of: str = "the training set") -> Tensor:
    """(networks, rows, classes) log-probabilities of a pass over rows. In mode "skip", non-finite rows become uniform.

    Raises:
        FloatingPointError: a row is not finite, and `mode` is "raise".
    """
    finite = log_probs.isfinite().all(-1).all(0)  # (rows,)
    if finite.all():
        return log_probs
    if mode == RAISE:
        raise FloatingPointError(f"predictions that are not finite, in a pass between steps: {advice(~finite, of=of)}")
    logger.warning(
        f"Taken as undecided, since the model predicts no finite numbers for them: {rows_text(~finite, of=of)}."
    )
    return _even(log_probs, finite)


def checked_vectors(vectors: Tensor, mode: str) -> Tensor:
    """(rows, width) encoder vectors. In mode "skip", non-finite rows become zero; else raises as `checked_log_probs`."""
    finite = vectors.isfinite().all(-1)
    if finite.all():
        return vectors
    if mode == RAISE:
        raise FloatingPointError(f"encoder vectors that are not finite: {advice(~finite)}")
    logger.warning(f"Taken as zero, since the encoder gives no finite numbers for them: {rows_text(~finite)}.")
    return torch.where(finite.unsqueeze(-1), vectors, 0.0)


def no_gradient(parameters: Iterable[nn.Parameter]) -> Tensor:
    """() zero, with a zero gradient for every parameter. Processes that wait for each other's gradients need one.

    Raises:
        FloatingPointError: a weight itself is not finite. Skipping batches cannot repair that.
    """
    zero = torch.stack([parameter.sum().float() * 0 for parameter in parameters if parameter.requires_grad]).sum()
    if not zero.isfinite():
        raise FloatingPointError(
            "the weights themselves are not finite: expected finite weights. Resume from an earlier checkpoint with a lower "
            "learning_rate, or with bf16 in place of fp16."
        )
    return zero


def rows_text(chosen: Tensor, names: Tensor | None = None, of: str = "the training set") -> str:
    """Lists the rows where `chosen`, (rows,) bool, is True. `names` are the row numbers, by default the positions."""
    places = chosen.nonzero().flatten()
    numbers = (places if names is None else names[places]).tolist()
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"rows {', '.join(map(str, numbers[:_NAMED]))}{more} of {of}"


def advice(chosen: Tensor, names: Tensor | None = None, of: str = "the training set") -> str:
    return (
        f"{rows_text(chosen, names, of)}. Expected finite numbers. Look at these rows, lower learning_rate, or take bf16 in place "
        f'of fp16; NoisyTrainingArguments(nonfinite_loss="{SKIP}") leaves such batches out and counts them.'
    )
