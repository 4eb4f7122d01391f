"""A method without a Trainer: one batch, worked by hand."""

from __future__ import annotations

import torch

from hf_noisy import Batch, Context, CrossEntropy, Predictions, Supervision
from hf_noisy.data.label_encoding import one_hot


def context(rows: int, classes: int, *, networks: int = 1, labels=None, epochs: float = 10, criterion=None) -> Context:
    labels = torch.zeros(rows, dtype=torch.int64) if labels is None else torch.as_tensor(labels)
    return Context(
        rows=rows,
        classes=classes,
        networks=networks,
        labels=labels,
        votes=None,
        criterion=criterion or CrossEntropy(),
        epochs=epochs,
        seed=0,
        device=torch.device("cpu"),
    )


def batch(labels, classes: int, *, index=None, epoch: float = 5.0) -> Batch:
    index = torch.arange(len(labels)) if index is None else torch.as_tensor(index)
    return Batch(
        index=index,
        given=one_hot(torch.as_tensor(labels), classes),
        votes=None,
        epoch=epoch,
        progress=0.5,
        key=(0, 0, 0),
        gathered_index=index,
        gather=lambda values: values,
    )


def predictions(*networks) -> Predictions:
    """(rows, classes) probabilities of each network, one view."""
    return Predictions(torch.stack([torch.as_tensor(probs).log().unsqueeze(0) for probs in networks]))


def supervise(method, seen: Predictions, rows: Batch) -> Supervision:
    """What the method makes of the labels as they are."""
    networks = len(seen.clean_log_probs)
    given = Supervision(rows.given.expand(networks, -1, -1), rows.covered.float().expand(networks, -1))
    return given.checked(method.supervise(given, seen, rows), "method")
