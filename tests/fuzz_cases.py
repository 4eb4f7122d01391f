"""What a fuzzed training is made of: methods that go together, their parameters, rows, labels, votes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from hf_noisy import METHODS
from hf_noisy.evidence.matrices.in_training import IN_TRAINING
from hf_noisy.methods.building import check_methods
from hf_noisy.methods.registry import reads_clean

MOST = 5  # methods of a case
Parameters = dict[str, st.SearchStrategy[Any]]


@dataclass(frozen=True)
class Case:
    """One example; whatever is drawn by lot inside it comes from `seed`."""

    methods: dict[str, dict[str, Any]]  # name -> parameters, in fold order
    classes: int = 2
    rows: int = 6
    batch: int = 3
    accumulation: int = 1
    epochs: float = 2.0
    soft: bool = False
    abstaining: float = 0.0  # share of the rows
    sources: int = 0  # that vote; 0 for no votes
    networks: int = 1  # at least; a method may ask for more
    repeats: bool = False  # whether the last batch of an epoch is filled with rows that were seen
    spread: float = 1.0  # standard deviation of the logits: 0 for all alike, 200 for certainties
    seed: int = 0

    @property
    def reads_clean(self) -> bool:
        return reads_clean(self.methods)

    @property
    def noise_method(self) -> str | None:
        return "+".join(self.methods) or None


def fractions(*edges: float) -> st.SearchStrategy[float]:
    """Numbers in (0, 1), and those of its edges that are allowed."""
    inner = st.floats(0, 1, exclude_min=True, exclude_max=True)
    return st.one_of(inner, inner, inner, st.sampled_from(edges)) if edges else inner


def amounts(least: float = 0.0) -> st.SearchStrategy[float]:
    return st.floats(least, 100, exclude_min=least > 0)


WHOLE = st.integers(1, 3)
SMALL_LOSS: Parameters = {"ramp_epochs": st.none() | st.floats(0, 4)}
SPLIT: Parameters = {
    "warmup_epochs": WHOLE,
    "clean_threshold": fractions(0.0),
    "temperature": st.floats(1e-3, 10),
    "alpha": st.floats(1e-3, 10),
}
MENTOR: Parameters = {
    "loss_percentile": fractions(),
    "ema_decay": fractions(0.0),
    "gamma": amounts(1e-3),
    "example_dropout": st.sampled_from([0.0, 0.3, 1.0]) | st.just([[0.5, 0.25], [0.0, 0.75]]),
}


def _matrix(values: list[float], classes: int) -> list[list[float]]:
    """Rows that sum to 1, their diagonals at least half."""
    table = np.array(values).reshape(classes, classes) + 1e-3
    table = 0.5 * np.eye(classes) + 0.5 * table / table.sum(1, keepdims=True)
    return (table / table.sum(1, keepdims=True)).tolist()


def _matrices(classes: int) -> st.SearchStrategy[Any]:
    entries = st.lists(st.floats(0, 1), min_size=classes**2, max_size=classes**2)
    return entries.map(lambda values: _matrix(values, classes))


def _corrections(classes: int) -> Parameters:
    return {"matrix": st.sampled_from(IN_TRAINING) | _matrices(classes), "warmup_epochs": st.none() | WHOLE}


def _adaptation(classes: int) -> Parameters:
    return {
        "warmup_epochs": st.none() | WHOLE,
        "channel_learning_rate": st.floats(1e-6, 10),
        "regularizer": st.sampled_from(["none", "trace", "volume"]),
        "regularizer_weight": st.none() | st.floats(0, 10),
    }


def _rates(classes: int) -> Parameters:
    single = fractions(0.0)
    rates = st.sampled_from(["auto", *IN_TRAINING]) | single | st.lists(single, min_size=classes, max_size=classes)
    return SMALL_LOSS | {"forget_rate": rates}


def _above_chance(classes: int) -> st.SearchStrategy[float]:
    return st.floats(1 / classes, 1, exclude_min=True)


PARAMETERS: dict[str, Callable[[int], Parameters]] = {  # by the number of classes
    "ce": lambda k: {},
    "mae": lambda k: {},
    "gce": lambda k: {"q": fractions(1.0)},
    "gce_truncated": lambda k: {
        "q": fractions(1.0),
        "k": fractions(0.0),
        "warmup": fractions(0.0, 1.0),
        "every": fractions(1.0),
    },
    "sce": lambda k: {"alpha": amounts(), "beta": amounts(), "log_zero": st.floats(-100, -1e-3)},
    "label_smoothing": lambda k: {"epsilon": fractions(0.0)},
    "uniform_mixture": lambda k: {"noise_rate": fractions(0.0)},
    "nce_rce": lambda k: {"alpha": amounts(), "beta": amounts()},
    "nce_mae": lambda k: {"alpha": amounts(), "beta": amounts()},
    "bootstrap_soft": lambda k: {"beta": st.none() | fractions(0.0, 1.0)},
    "bootstrap_hard": lambda k: {"beta": st.none() | fractions(0.0, 1.0)},
    "co_teaching": _rates,
    "co_teaching_plus": lambda k: _rates(k) | {"warmup": fractions(0.0, 1.0)},
    "jocor": lambda k: _rates(k) | {"co_lambda": fractions(0.0)},
    "mentornet_pd": lambda k: MENTOR,
    "mentornet_dd": lambda k: MENTOR,
    "dividemix": lambda k: (
        SPLIT | {"lambda_u": amounts(), "hidden_share": fractions(0.0), "trained_views": st.sampled_from([1, 2])}
    ),
    "selfmix": lambda k: SPLIT | {"lambda_p": amounts(), "lambda_r": amounts()},
    "elr": lambda k: {"beta": fractions(0.0), "lam": amounts()},
    "noise_adaptation": lambda k: _adaptation(k) | {"rate": st.none() | fractions(0.0)},
    "noise_adaptation_complex": lambda k: _adaptation(k) | {"matrix": st.none() | _matrices(k)},
    "forward": _corrections,
    "backward": lambda k: (
        _corrections(k) | {"max_condition": st.sampled_from([1e4, 1e6]), "nonnegative": st.booleans()}
    ),
    "glc": lambda k: {
        "matrix_from": st.sampled_from(["model", "given"]),
        "warmup_epochs": st.none() | WHOLE,
        "clean_epochs": st.integers(0, 2),
    },
    "pseudo_labeling": lambda k: {
        "threshold": _above_chance(k),
        "schedule": st.sampled_from(["fixed", "per_class", "annealed"]),
        "targets": st.sampled_from(["hard", "soft"]),
        "doubt": st.sampled_from(["model", None, "label_model"]),
        "doubt_below": st.none() | fractions(1.0),
        "refresh": st.sampled_from(["epoch", "average"]),
        "momentum": fractions(0.0),
        "start": fractions(0.0),
        "balance": st.booleans(),
        "weight": amounts(),
    },
    "self_training": lambda k: {
        "first_stage": fractions(),
        "early_stopping": st.booleans(),
        "refresh_epochs": WHOLE,
        "confidence": fractions(0.0),
        "contrast": amounts(),
        "gamma": amounts(),
        "lam": amounts(),
        "balance": st.booleans(),
    },
    "label_correction": lambda k: {
        "kind": st.sampled_from(["soft", "hard"]),
        "momentum": st.none() | fractions(0.0),
        "warmup": fractions(0.0, 1.0),
        "disagreements": WHOLE,
    },
    "consistency": lambda k: {
        "kind": st.sampled_from(["rdrop", "fixmatch"]),
        "weight": amounts(),
        "threshold": _above_chance(k),
        "augmentation": st.sampled_from(["auto", "none", "word_dropout"]),
        "share": fractions(),
        "balance": st.booleans(),
    },
    "candidate_labels": lambda k: {
        "start": st.sampled_from(["votes", "uniform"]),
        "prior": st.floats(0, 10),
        "warmup": fractions(0.0, 1.0),
    },
    "model_average": lambda k: {"decay": fractions(0.0), "warmup": st.booleans()},
    "neighbours": lambda k: {
        "score": st.sampled_from(["cut_statistic", "votes"]),
        "neighbours": st.integers(1, 8),
        "share": fractions(1.0),
        "by_class": st.none() | st.booleans(),
        "how": st.sampled_from(["keep", "weight"]),
    },
    "auto": lambda k: {"min_labels": st.integers(2, 60), "class_prior": st.sampled_from([None, "balanced"])},
    "truth_inference": lambda k: {
        "models": st.sampled_from(["several", "one"]),
        "class_prior": st.sampled_from([None, "balanced"]),
        "share": fractions(1.0),
        "neighbours": st.integers(1, 8),
        "rounds": st.integers(1, 3),
        "weight_penalty": amounts(),
        "sharpen": st.booleans(),
        "refine": st.booleans(),
        "sources": st.sampled_from(["votes", "label", None]),
    },
    "rule_masking": lambda k: {
        "hide": fractions(0.0, 1.0),
        "precision": fractions(1.0),
        "min_count": WHOLE,
        "folds": st.sampled_from([None, "weight", "correct"]),
        "correction": fractions(0.0, 1.0),
    },
}


def goes_with(found: dict[str, dict[str, Any]]) -> bool:
    """Whether these methods go together: none takes a role of another."""
    try:
        check_methods("+".join(found), found)
    except ValueError:
        return False
    return True


@functools.cache
def pair_goes(first: str, second: str) -> bool:
    return first != second and goes_with({first: {}, second: {}})


def _that_are_used(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Without those that `truth_inference` refuses because they belong to its other `models`."""
    if name != "truth_inference":
        return parameters
    if parameters.get("models") == "one":
        return {key: value for key, value in parameters.items() if key != "class_prior"}
    used = ("models", "class_prior", "sources")
    return {key: value for key, value in parameters.items() if key in used and (key != "sources" or value is not None)}


@st.composite
def method_lists(draw: st.DrawFn, classes: int, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One method or more in a random order, each with some parameters set, each going with those before it."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(draw(st.integers(1, MOST))):
        fitting = [name for name in sorted(names) if all(pair_goes(name, one) for one in found)]
        if not fitting:
            break
        name = draw(st.sampled_from(fitting))
        known = PARAMETERS[name](classes)
        some, every = st.fixed_dictionaries({}, optional=known), st.fixed_dictionaries(known)
        tried = found | {name: _that_are_used(name, draw(some | every))}
        if goes_with(tried):  # with its parameters it may take another role
            found = tried
    return found


@st.composite
def cases(draw: st.DrawFn, names: Sequence[str] = tuple(METHODS), *, most_rows: int = 60) -> Case:
    """Cases of these methods, up to `most_rows` rows, 12 batches an epoch and 12 classes."""
    classes = draw(st.sampled_from([2, 3, 4]) | st.integers(2, 12))
    rows = draw(st.integers(most_rows // 2, most_rows) | st.integers(2, most_rows))
    methods = draw(method_lists(classes, names))
    needs_votes = any(METHODS[name].reads_votes for name in methods)
    return Case(
        methods=methods,
        classes=classes,
        rows=rows,
        batch=draw(st.integers(-(-rows // 12), 16)),
        accumulation=draw(st.integers(1, 3)),
        epochs=draw(st.sampled_from([3.0, 2.0, 4.0, 2.5, 1.0, 0.5])),
        soft=draw(st.booleans()),
        abstaining=draw(st.sampled_from([0.0, 0.3, 0.9])),
        sources=draw(st.integers(int(needs_votes), 4)),
        networks=draw(st.sampled_from([1, 2])),
        repeats=draw(st.booleans()),
        spread=draw(st.sampled_from([1.0, 5.0, 0.0, 200.0])),
        seed=draw(st.integers(0, 10_000)),
    )
