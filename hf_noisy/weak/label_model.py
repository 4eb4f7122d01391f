"""Class probabilities by Snorkel's `LabelModel`, which weighs each source by its estimated accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hf_noisy.common.checks import check_whole
from hf_noisy.weak.votes import check_votes, covered

if TYPE_CHECKING:
    from snorkel.labeling.model import LabelModel

Result = TypeVar("Result")


def label_model_probabilities(
    votes: np.ndarray,
    num_classes: int,
    *,
    on: np.ndarray | None = None,
    seed: int = 0,
    epochs: int = 100,
    learning_rate: float = 0.01,
) -> np.ndarray:
    """Fits Snorkel's `LabelModel` to the votes and returns class probabilities.

    The model estimates the accuracy of each source from how often the sources agree, and weights the votes by it.
    Prefer it to `majority_vote` if many sources of unequal quality overlap. It is not always better: compare the two on
    a few rows with gold labels. More epochs fit the agreements, not the truth: on the training rows of `youtube` 85.5%
    of its labels are correct after 100 epochs and 74.7% after 500; on `trec` 50.8% and 41.6%. The class prior is
    uniform.

    The global random states of torch, numpy and Python are restored afterwards. Under `torch.distributed` every process
    must call this function: the first process fits the model and sends its result to the others.

    Args:
        votes: (rows, sources), -1 abstains; at least three sources.
        num_classes: number of classes.
        on: votes of the same sources to compute probabilities for; None for `votes`. The model is always fitted to
            `votes`.
        seed: seed of the model's initial parameters.
        epochs: number of gradient steps on the agreements (Snorkel's default).
        learning_rate: learning rate of these steps (Snorkel's default).

    Returns:
        Soft labels, float32 (rows, classes). A row on which every source abstains is all zero; Snorkel would return the
        prior.

    Raises:
        ValueError: fewer than three sources, a vote outside the classes, fewer than one epoch, or a fit that diverges.

    Source: Ratner et al., "Training Complex Models with Multi-Task Weak Supervision", AAAI 2019.
    """
    votes = check_votes(votes, num_classes)
    check_whole("epochs", epochs, of=" of epochs")
    if votes.shape[1] < 3:
        raise ValueError(
            f"votes has {votes.shape[1]} sources: the label model infers accuracies from agreements of 3 or more. "
            "Use majority_vote for fewer."
        )
    wanted = votes if on is None else check_votes(on, num_classes)
    if wanted.shape[1] != votes.shape[1]:
        raise ValueError(f"on has {wanted.shape[1]} sources, votes {votes.shape[1]}: expected the same ones.")
    has_vote = covered(wanted)
    probabilities = np.zeros((len(wanted), num_classes), dtype=np.float32)
    if has_vote.any():
        probabilities[has_vote] = _on_the_first_rank(
            lambda: _posterior(_fit_label_model(votes, num_classes, seed, epochs, learning_rate), wanted[has_vote])
        )
    return probabilities


def _fit_label_model(votes: np.ndarray, num_classes: int, seed: int, epochs: int, learning_rate: float) -> LabelModel:
    from hf_noisy.common.randomness import forked_generators  # late, as torch below: who reads votes needs neither

    with forked_generators():
        from snorkel.labeling.model import LabelModel  # imported here: the import draws from numpy's global generator

        model = LabelModel(cardinality=num_classes, verbose=False)
        try:
            model.fit(votes, seed=seed, n_epochs=epochs, lr=learning_rate, progress_bar=False)
        except Exception as error:  # Snorkel raises a plain Exception if the loss is NaN
            raise ValueError(
                f"the label model could not be fitted at learning_rate={learning_rate}: {error} "
                "Pass a smaller learning_rate, or use majority_vote."
            ) from error
    return model


def _posterior(model: LabelModel, votes: np.ndarray) -> np.ndarray:
    # Sums logarithms. Snorkel multiplies probabilities, which underflow to 0 / 0 with a few hundred sources.
    log_conditionals = np.log(model.get_conditional_probs()[:, 1:])  # (sources, votes, classes)
    log_joint = np.zeros((len(votes), model.cardinality))
    for source, table in enumerate(log_conditionals):
        voted = votes[:, source] >= 0
        log_joint[voted] += table[votes[voted, source]]
    joint = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return (joint / joint.sum(axis=1, keepdims=True)).astype(np.float32)


def _on_the_first_rank(compute: Callable[[], Result]) -> Result:
    import torch

    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return compute()
    outcome: list[Any] = [None]
    if distributed.get_rank() == 0:
        try:
            outcome = [compute()]
        except Exception as error:  # sent to the other ranks, which would otherwise wait forever
            outcome = [error]
    distributed.broadcast_object_list(outcome, src=0)
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]
