"""Consistency of two views: R-Drop (Liang et al., NeurIPS 2021) and FixMatch (Sohn et al., NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from hf_noisy.common.checks import check_choice, check_flag, check_fraction, check_not_negative
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.methods.parts.augmentation import Vocabulary, token_masking, word_dropout
from hf_noisy.methods.parts.base import SECOND_VIEW, NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.selection import symmetric_kl
from hf_noisy.methods.parts.thresholds import balanced_counts, collapse
from hf_noisy.models.batch import Batch
from hf_noisy.models.configuration import config_of
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)

KINDS = ("rdrop", "fixmatch")
AUGMENTATIONS = ("auto", "none", "word_dropout", "token_masking")


class ConsistencyRegularization(NoiseCallback):
    """Adds a loss that makes the predictions for two views of each example agree, with or without a label.

    - "rdrop": two dropout views with predictions p and q. Both are trained on the label, and `weight` (KL(p || q) +
      KL(q || p)) / 4 is added. This is half of the paper's loss, CE(p) + CE(q) + alpha (KL(p || q) + KL(q || p)) / 2,
      because a criterion here is a mean over views: `weight` is the paper's alpha.
    - "fixmatch": a weak view, with dropout only, and a strong view of the augmented text. The weak view is trained on
      the label. Where the weak view gives a class a probability of `threshold` or more, `weight` times the
      cross-entropy of the strong view against that class is added. The pseudo-label carries no gradient.

    Source: Liang et al., "R-Drop: Regularized Dropout for Neural Networks", NeurIPS 2021; Sohn et al., "FixMatch:
    Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020. R-Drop uses rows with a label
    only; here all rows are used. FixMatch takes a mean over unlabeled rows, seven times as many as labeled ones, and
    its weak view is a shifted image. Here every row of the batch counts in both terms, and the strong view is one of
    those below.

    Args:
        kind: "rdrop" or "fixmatch".
        weight: weight of the added term, at least 0. The paper's alpha of R-Drop is 0.1 to 1 for text classification;
            its counterpart in FixMatch is 1.
        threshold: for "fixmatch", in (1/K, 1] with K classes: below 1/K every prediction would pass.
        augmentation: of the second view: "none" (dropout only), "word_dropout" (whole words hidden from attention),
            "token_masking" (tokens replaced by the mask token), or "auto": "none" for R-Drop, "word_dropout" for
            FixMatch. Word boundaries are read from the tokenizer, `NoisyTrainer(processing_class=...)`; without one,
            every token is a word. In scripts without spaces, a byte-level or SentencePiece vocabulary treats a whole
            sentence as one word: use "token_masking".
        share: share of the words or tokens that the augmentation changes, in (0, 1).
        balance: for "fixmatch", whether to reduce the weight of the pseudo-labels of a class that takes over. Before
            each epoch, the last confident pseudo-labels give the number that each class may have
            (`hf_noisy.methods.parts.thresholds.balanced_counts`). Those of a class are weighted by the allowed share.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, a threshold of 1/K or less, and
            "token_masking" without a mask token; in the first step, "word_dropout" without an `attention_mask`.

    Costs two views in one forward, so twice the time per step; no memory except two bytes per row and network for
    FixMatch. Prefer "rdrop" if a model memorises a small set, and "fixmatch" if many rows have no label. With several
    networks, each is made consistent with itself. The term compares predictions of the true class, before a noise
    channel; the loss of the labels passes the channel as usual. The term also applies to rows of weight 0. If one class
    takes most pseudo-labels of FixMatch, or a class gets none (`hf_noisy.methods.parts.thresholds.collapse`), a warning
    gives the numbers once, and each time is counted. Works with any criterion and any method that sets targets. Does
    not combine with another method that makes views.

    Logs `consistency`, the mean of the added term in the last forward, and for FixMatch `sure_share`, the share of rows
    whose weak view reaches `threshold`, and `pseudo_label_collapses`.

    >>> ConsistencyRegularization("fixmatch").augmentation
    'word_dropout'
    """

    roles = (SECOND_VIEW,)
    logged = MappingProxyType(
        {
            "consistency": "mean consistency loss of the last forward",
            "sure_share": 'share of its examples whose weak view is confident enough to be the target of the strong one (`kind="fixmatch"`)',
            "pseudo_label_collapses": "number of updates so far in which one class took nearly all pseudo-labels, or a class got none",
        }
    )

    def __init__(
        self,
        kind: str = "rdrop",
        weight: float = 1.0,
        threshold: float = 0.95,
        augmentation: str = "auto",
        share: float = 0.15,
        balance: bool = True,
    ) -> None:
        check_choice("kind", kind, KINDS)
        check_choice("augmentation", augmentation, AUGMENTATIONS)
        self.kind, self.weight = kind, check_not_negative("weight", weight)
        self.threshold = check_fraction("threshold", threshold, "(0, 1]")
        automatic = "none" if kind == "rdrop" else "word_dropout"
        self.augmentation = automatic if augmentation == "auto" else augmentation
        self.needs_tokens = self.augmentation != "none"
        self.share = check_fraction("share", share, "(0, 1)")
        self.balance = check_flag("balance", balance)

    def setup(self, context: Context) -> None:
        if self.kind == "fixmatch" and self.threshold <= 1 / context.classes:
            raise ValueError(
                f"threshold={self.threshold:g}: expected a number in (1/{context.classes}, 1]: with {context.classes} "
                f"classes the likeliest one always has 1/{context.classes} or more, so every guess would pass. Use 0.95."
            )
        self.vocabulary: Vocabulary | None = None
        if self.augmentation != "none" and isinstance(context.tokenizer, PreTrainedTokenizerBase):
            self.vocabulary = Vocabulary.of(context.tokenizer, context.device)
        if self.augmentation == "token_masking" and (self.vocabulary is None or self.vocabulary.mask_id is None):
            found = "no tokenizer" if self.vocabulary is None else f"{type(context.tokenizer).__name__} has none"
            raise ValueError(
                f"augmentation='token_masking': expected a tokenizer with a mask token, got {found}. Pass "
                "NoisyTrainer(processing_class=tokenizer), or use augmentation='word_dropout'."
            )
        if self.augmentation == "none" and context.model is not None and not _has_dropout(context.model):
            logger.warning(
                "ConsistencyRegularization: the model has no dropout and augmentation='none', so both views are equal and "
                "nothing is gained. Load the model with dropout, or use augmentation='word_dropout'."
            )
        self.facts = torch.full((2,), torch.nan, device=context.device)  # last forward: term, confident share
        if self.kind == "rdrop":
            return
        self.labelled = one_hot(context.labels, context.classes).sum(0).cpu().numpy()
        self.guesses = Memory(
            context.rows, (context.networks,), dtype=torch.int16, fill=-1, device=context.device
        )  # -1: not confident, or not visited yet
        self.class_weights = torch.ones(context.networks, context.classes, device=context.device)
        self.collapses = torch.zeros(())
        self.warned = False

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if self.kind == "rdrop":
            return
        classes = len(self.labelled)
        for network, guesses in enumerate(self.guesses.values.T.long()):
            counts = torch.bincount(guesses[guesses >= 0], minlength=classes).cpu().numpy()
            problem = collapse(counts, self.labelled)
            if problem is not None:
                self._warn(epoch, problem)
            if self.balance and self.labelled.sum() > 0:
                kept = balanced_counts(counts, self.labelled) / np.maximum(counts, 1)
                self.class_weights[network] = torch.from_numpy(np.where(counts > 0, kept, 1.0))

    def _warn(self, epoch: int, problem: str) -> None:
        self.collapses += 1
        if not self.warned:
            fix = "balance weighs them down" if self.balance else "set balance=True to keep classes in check"
            logger.warning(
                f"ConsistencyRegularization: before epoch {epoch} {problem}; {fix}. Counted in pseudo_label_collapses. "
                "(said once)"
            )
        self.warned = True

    def views(self, inputs: dict[str, Any], batch: Batch) -> list[dict[str, Any]]:
        if batch.peeking:
            return [inputs]
        return [inputs, self._augmented(inputs, batch)]

    def _augmented(self, inputs: dict[str, Any], batch: Batch) -> dict[str, Any]:
        if self.augmentation == "none":
            return inputs
        draws = batch.generator("second view")
        if self.augmentation == "word_dropout":
            return word_dropout(inputs, self.share, draws, self.vocabulary)
        assert self.vocabulary is not None  # checked in `setup`
        return token_masking(inputs, self.share, draws, self.vocabulary)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if self.kind == "rdrop":
            return supervision
        confidence, guess = predictions.clean_log_probs[:, 0].detach().exp().max(-1)  # (networks, batch)
        self.guesses.write(batch, torch.where(confidence >= self.threshold, guess, -1).T)
        return replace(supervision, trained_views=1)

    def penalty(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor:
        first, second = predictions.clean_log_probs[:, 0], predictions.clean_log_probs[:, 1]
        if self.kind == "rdrop":
            added = symmetric_kl(first, second) / 4  # (networks, batch)
        else:
            confidence, guess = first.detach().exp().max(-1, keepdim=True)
            sure = confidence >= self.threshold
            weights = self.class_weights.gather(-1, guess.squeeze(-1))  # (networks, batch)
            added = -(second.gather(-1, guess) * sure).squeeze(-1) * weights
            self.facts[1] = sure.float().mean()
        self.facts[0] = added.detach().mean()
        return self.weight * added.sum(0)

    def metrics(self) -> dict[str, Tensor | float]:
        logs: dict[str, Tensor | float] = {"consistency": self.facts[0]}
        if self.kind == "fixmatch":
            logs |= {"sure_share": self.facts[1], "pseudo_label_collapses": self.collapses}
        return logs

    def state_dict(self) -> dict[str, Tensor]:
        if self.kind == "rdrop":
            return {}
        return {
            "guesses": self.guesses.state(),
            "class_weights": self.class_weights,
            "collapses": self.collapses,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        if self.kind == "rdrop":
            return
        self.guesses.load(state["guesses"])
        self.class_weights.copy_(state["class_weights"])
        self.collapses.copy_(state["collapses"])


def _has_dropout(model: nn.Module) -> bool:
    """Returns whether the model uses dropout in training: by a layer, or by its config."""
    layers = (module.p for module in model.modules() if isinstance(module, nn.Dropout))
    config: Any = config_of(model)
    settings = (value for name, value in vars(config).items() if "drop" in name and isinstance(value, float))
    return any(rate > 0 for rate in (*layers, *settings))
