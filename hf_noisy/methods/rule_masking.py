"""Rule masking: hides the words that trigger a source's vote, so that the model learns from the other words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_choice, check_fraction, check_whole
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.evidence.features.tokens import second_segment, token_ids
from hf_noisy.evidence.rules.associations import associated_tokens
from hf_noisy.evidence.rules.folds import rule_held_out_probabilities
from hf_noisy.methods.parts.base import LABEL_TARGETS, NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.networks import Networks
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)

_ROLE = "masker of rule words"


class RuleMasking(NoiseCallback):
    """Hides, at random, the words for which a rule labelled an example; optionally scores its label by the other rules.

    A rule's wrong labels cannot be recognised from text and label alone. The rule itself can: the model would learn it
    first, mistakes included. In each training step, the rule words of a row are hidden with probability `hide`, all of
    them or none: a half-hidden rule ("check" without "out") can still be recognised. So the model must also predict the
    label from the rest of the text. Evaluation and surveys use whole texts, and so does a forward before the step
    (`peek`).

    The words of a rule are given by `tokens` (from `hf_noisy.evidence.rules.words.rule_token_mask`, which blanks out
    each word and runs the labeling functions again). Otherwise they are the tokens that are associated with each
    source's votes in the training set (`hf_noisy.evidence.rules.associations.associated_tokens`). The first and last
    token of a row are never hidden, nor is what separates two texts. If all others would be, none is. Where a row has
    two texts, the same word in the other text is another token.

    `folds` adds a score of each label, before the first step, by a logistic regression on the frozen encoder's vectors.
    It is trained without any row that shares a voting rule with the scored row
    (`hf_noisy.evidence.rules.folds.rule_held_out_probabilities`). With p its probabilities:

    - "weight" multiplies the row's weight by p(label) / max p (for a soft label, the mean of p over it);
    - "correct" changes its target to (1 - `correction`) target + `correction` p.

    Rows without a score stay as they are, and so do trusted rows and those whose target an earlier method marks as the
    true class (pseudo-labels).

    Source: ours. Hiding words follows Dong et al., "Debiasing Made State-of-the-art: Revisiting the Simple Seed-based
    Weak Supervision for Text Classification" (SimSeed), EMNLP 2023. They delete the seed words for a first classifier,
    and train a second one on whole texts with its confident pseudo-labels. Here there is one classifier, and the words
    are hidden in some epochs only, because the classifier needs them at inference.

    Args:
        tokens: for each training row, a 0 or 1 per token, as the row is tokenized; votes are then needed for `folds`
            only.
        hide: probability in [0, 1] that a row's rule words are hidden in an epoch.
        how: "attention" hides them like padding; "mask_token" replaces them by the tokenizer's mask token.
        precision: in (0, 1]: a token is associated with a vote if at least this share of the rows with the token have
            it.
        min_count: minimum number of rows with a token, at least 1; a rarer token is associated with no vote.
        folds: None, "weight" or "correct".
        correction: in [0, 1], weight of p in "correct".

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, no votes, tokens that do not fit
            the rows, no `input_ids`, a tokenizer without a mask token where one is needed, or a model without attention
            mask.

    Costs nothing per step; `folds` costs one pass over the training set and up to 36 logistic regressions of 5,000 rows
    at most. Intended for labels of keyword rules: a person's label has no rule, and the tokens associated with it are
    the words of the topic. The benefit depends on the texts: in short ones, the rule's words may be the only evidence
    of the class. Scores by held-out rules are less accurate than scores by random folds, but random folds reproduce the
    mistakes of the rules; test the scores on your own rows first. With several networks, all see the same words hidden.
    "correct" does not combine with another method that sets targets.

    `report` adds `rule_tokens` (number of tokens of a row that can be hidden) and, with folds, `rule_judgement` (p of
    the given label, NaN for a row without a score).

    >>> RuleMasking(hide=0.5).how
    'attention'
    """

    roles: tuple[str, ...] = (_ROLE,)
    needs_tokens = True

    def __init__(
        self,
        tokens: Sequence[Sequence[int]] | None = None,
        hide: float = 0.5,
        how: str = "attention",
        precision: float = 0.9,
        min_count: int = 5,
        folds: str | None = None,
        correction: float = 0.5,
    ) -> None:
        check_choice("how", how, ("attention", "mask_token"))
        if folds is not None:
            check_choice("folds", folds, ("weight", "correct"))
        self.hide = check_fraction("hide", hide, "[0, 1]")
        self.precision = check_fraction("precision", precision, "(0, 1]")
        self.correction = check_fraction("correction", correction, "[0, 1]")
        if not isinstance(tokens, Sequence | np.ndarray | None):
            raise TypeError(f"tokens={tokens!r}: expected a row of 0 and 1 for each example, as rule_token_mask gives.")
        self.tokens = None if tokens is None else [_checked_row(row, marks) for row, marks in enumerate(tokens)]
        self.how, self.min_count, self.folds = how, check_whole("min_count", min_count), folds
        self.needs_votes = self.tokens is None or folds is not None
        if folds == "correct":
            self.roles = (_ROLE, LABEL_TARGETS)

    def may_encode(self, model: Any) -> bool:
        return self.folds is not None

    def setup(self, context: Context) -> None:
        self.context = context
        if context.votes is None and self.needs_votes:
            raise ValueError(
                "RuleMasking: the training set has no votes. Add a column weak_labels of them with "
                "hf_noisy.apply_labeling_functions, or pass tokens=... and no folds."
            )
        self.mask_token: int | None = getattr(context.tokenizer, "mask_token_id", None)
        if self.how == "mask_token" and self.mask_token is None:
            raise ValueError(
                'how="mask_token": the trainer has no tokenizer with a mask token. Pass one as processing_class, or use '
                'how="attention".'
            )
        if self.how == "attention" and not _reads_attention_mask(context.model):
            raise ValueError(
                'how="attention": the model takes no attention_mask, so nothing can be hidden that way. Use how="mask_token".'
            )
        marks = self._rule_tokens(context)
        marks = [_maskable(row, fixed) for row, fixed in zip(marks, self._separators(context), strict=True)]
        self.rule = padded(marks).to(context.device)  # (rows, tokens) True for a real token of a rule
        self.judged = torch.zeros(1, dtype=torch.bool)
        classes = context.classes if self.folds is not None else 0
        self.judgement = Memory(context.rows, (classes,), fill=torch.nan, device=context.device)

    def _separators(self, context: Context) -> list[np.ndarray]:
        """For each row, which of its real tokens separate two texts; none where a row has one text."""
        ids, real = token_ids("RuleMasking", context.dataset)
        separators: list[int] = []
        if _second_texts(context) is not None:
            found = (getattr(context.tokenizer, f"{name}_token_id", None) for name in ("sep", "eos"))
            separators = [number for number in found if number is not None]
        return [np.isin(row[mask], separators) for row, mask in zip(ids, real, strict=True)]

    def _rule_tokens(self, context: Context) -> list[np.ndarray]:
        """For each row, which of its real tokens belong to a rule."""
        ids, real = token_ids("RuleMasking", context.dataset)
        if self.tokens is not None:
            return _aligned(self.tokens, real, context.trusted)
        assert context.votes is not None  # checked in `setup`
        second, distance = _second_texts(context), 1 + max(int(row.max(initial=0)) for row in ids)
        if second is not None:  # other numbers for the tokens of the second text
            ids = [row + distance * later for row, later in zip(ids, second, strict=True)]
        kept = [row[mask] for row, mask in zip(ids, real, strict=True)]
        votes = context.votes.cpu().numpy()
        # the last rows, which have no votes
        clean = 0 if context.trusted is None else int(context.trusted.sum())
        own = len(kept) - clean
        found = associated_tokens(kept[:own], votes[:own], precision=self.precision, min_count=self.min_count)
        if self.hide > 0 and not any(row.any() for row in found):
            logger.warning(
                f"RuleMasking: no token of {own} rows is associated with a vote of {votes.shape[1]} sources (min_count="
                f"{self.min_count}, precision={self.precision:g}): nothing is hidden. Pass tokens of rule_token_mask."
            )
        return [*found, *(np.zeros(len(row), dtype=bool) for row in kept[own:])]

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if self.folds is None or bool(self.judged):
            return
        self.judged.fill_(True)
        context = self.context
        assert context.encode is not None  # set by the trainer
        assert context.votes is not None  # checked in `setup`
        vectors, votes = context.encode().cpu().numpy(), context.votes.cpu().numpy()
        found = rule_held_out_probabilities(vectors, context.labels.cpu().numpy(), votes, context.classes, context.seed)
        self.judgement.values.copy_(torch.from_numpy(found))
        if np.isnan(found).all():
            logger.warning(
                f"RuleMasking: folds={self.folds!r}, but no row can be judged: for each, too few labelled rows remain "
                "without its rules."
            )

    def views(self, inputs: dict[str, Any], batch: Batch) -> list[dict[str, Any]]:
        if self.hide == 0 or batch.peeking:
            return [inputs]
        ids = inputs["input_ids"]
        mask = inputs.get("attention_mask")
        mask = torch.ones_like(ids) if mask is None else mask
        # positions from the first token, not counts: another method may have hidden some tokens
        first = (mask > 0).int().argmax(-1, keepdim=True)
        drawn = torch.rand(len(ids), generator=batch.generator("rule masking"), device=ids.device) < self.hide
        place = (torch.arange(ids.shape[1], device=ids.device) - first).clamp(0, self.rule.shape[1] - 1)
        hidden = self.rule[batch.index].gather(1, place)  # padding reads the first token or past the end: never hidden
        hidden = hidden & drawn.unsqueeze(-1)
        if self.how == "attention":
            return [{**inputs, "attention_mask": mask.masked_fill(hidden, 0)}]
        return [{**inputs, "input_ids": ids.masked_fill(hidden, self.mask_token or 0)}]

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if self.folds is None:
            return supervision
        judgement = self.judgement.read(batch.index)  # (batch, classes)
        moved = (~judgement[:, 0].isnan()).expand_as(supervision.weights)
        for kept in (batch.trusted, supervision.trusted):
            moved = moved if kept is None else moved & ~kept
        if self.folds == "weight":
            agreement = (judgement * batch.given).sum(-1) / judgement.amax(-1)
            return supervision.weighted(torch.where(moved, agreement, 1.0))
        targets = (1 - self.correction) * supervision.targets + self.correction * judgement
        return replace(supervision, targets=torch.where(moved.unsqueeze(-1), targets, supervision.targets))

    def report(self) -> dict[str, np.ndarray]:
        found = {"rule_tokens": self.rule.sum(-1).cpu().numpy()}
        if self.folds is not None:
            given = one_hot(self.context.labels.to(self.rule.device), self.context.classes)
            found["rule_judgement"] = (self.judgement.values * given).sum(-1).cpu().numpy()
        return found

    def state_dict(self) -> dict[str, Tensor]:
        return {} if self.folds is None else {"judgement": self.judgement.state(), "judged": self.judged}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        if self.folds is not None:
            self.judgement.load(state["judgement"])
            self.judged.copy_(state["judged"])


def _reads_attention_mask(model: Any) -> bool:
    """Returns False only for a model whose forward names `input_ids`, no `attention_mask`, and does not take any name.

    Forwards of Transformers take any name, and do not read it.
    """
    network = model.first if isinstance(model, Networks) else model
    names = inspect.signature(network.forward).parameters if network is not None else {}
    own = not type(network).__module__.startswith("transformers.")
    takes_any = own and any(each.kind is each.VAR_KEYWORD for each in names.values())
    return takes_any or "attention_mask" in names or "input_ids" not in names


def padded(rows: Sequence[np.ndarray]) -> Tensor:
    """(rows, longest) bool, False where a row has no token.

    >>> padded([np.array([True]), np.array([False, True])])
    tensor([[ True, False],
            [False,  True]])
    """
    table = torch.zeros(len(rows), max(1, *map(len, rows)), dtype=torch.bool)
    for row, marks in enumerate(rows):
        table[row, : len(marks)] = torch.from_numpy(marks)
    return table


def _second_texts(context: Context) -> list[np.ndarray] | None:
    """For each row, which tokens belong to its second text; None if rows have one text."""
    return second_segment(context.dataset, getattr(context.tokenizer, "sep_token_id", None))


def _maskable(marks: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """`marks` without the first, the last and the `fixed` tokens of the row; no token if all others are marked."""
    others = np.zeros(len(marks), dtype=bool)
    others[1:-1] = ~fixed[1:-1]
    inner = marks & others
    return inner if not inner[others].all() else np.zeros_like(inner)


def _checked_row(row: int, marks: Sequence[int]) -> np.ndarray:
    found = np.asarray(marks)
    if found.ndim != 1 or not np.isin(found, (0, 1)).all():
        raise ValueError(f"tokens[{row}]: expected a 0 or 1 for each token, as rule_token_mask gives, got {marks!r}.")
    return found.astype(bool)


def _aligned(tokens: list[np.ndarray], real: list[np.ndarray], trusted: Tensor | None) -> list[np.ndarray]:
    """Marks of the real tokens of each row; clean rows that are trained on may have none."""
    clean = 0 if trusted is None else int(trusted.sum())
    if len(tokens) == len(real) - clean:
        tokens = [*tokens, *(np.zeros(len(mask), dtype=bool) for mask in real[len(tokens) :])]
    if len(tokens) != len(real):
        raise ValueError(f"tokens has {len(tokens)} rows: expected {len(real)}, one a training row in row order.")
    found = []
    for row, (marks, mask) in enumerate(zip(tokens, real, strict=True)):
        if len(marks) not in (len(mask), mask.sum()):
            raise ValueError(
                f"tokens[{row}] has {len(marks)} numbers: expected {mask.sum()}, one a token of the row. Give rule_token_mask "
                "the tokenizer and max_length that the training set was tokenized with."
            )
        found.append(marks[mask] if len(marks) == len(mask) else marks)
    return found
