"""The settings that all rows of a table share, and the description of one run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_noisy.common.checks import nearest
from hf_noisy.data.noise_spec import check_spec
from hf_noisy.methods.building import check_methods
from hf_noisy.methods.registry import METHODS, reads_clean, reads_unlabeled, split_names

FIXED = ("majority_vote", "label_model", "ce", "gold", "clean_valid", "cleanlab")  # rows of every table
READS_GOLD = ("gold", "clean_valid")  # rows that use gold labels of training or validation rows
FOLDS = 5  # for cleanlab's out-of-fold probabilities; cleanlab's default
MEASURED_RULES = ("accuracy", "label_wave", "both")  # stopping rules whose epoch each run records
FINE_TUNING = (3, (1e-4,))  # epochs and learning rates without others
_NEWER = ("frozen", "imbalance", "split_classes")  # settings that older lines lack
FROZEN = (10, (3e-3,))  # of a linear head; it is then as accurate as a logistic regression with the best penalty


@dataclass(frozen=True)
class Settings:
    """The training budget, the same for every method.

    Args:
        model: name or folder of a pretrained encoder; None trains a small encoder from scratch.
        epochs: epochs of each training; the model is evaluated after each of them. None is 3, or 10 if `frozen`.
        max_length: maximum number of tokens of a text; longer texts are truncated.
        batch_size: rows per step.
        learning_rates: a grid; each method uses the rate that is best for it on noisy validation labels. None is 1e-4,
            or 3e-3 if `frozen`.
        max_train_rows: train on a random subset of this size; None uses all rows.
        max_test_rows: evaluate on a random subset of this size, the same in all runs; None uses all rows.
        noise: noise to inject into gold labels, in place of the given labels, as in "symmetric:0.2"
            (`hf_noisy.data.noise_spec.inject`).
        bf16: train and evaluate under bfloat16 autocast.
        frozen: encode each text once and train only a linear head on the vectors. Without `model` these are word
            features.
        imbalance: leave out rows of all splits, so that the class counts fall geometrically, the commonest to the
            rarest class as this number to 1 (`hf_noisy.benchmark.derived.with_imbalance`).
        split_classes: split each class into this many by k-means on the vectors of its training rows, with `frozen` and
            `noise` only (`hf_noisy.benchmark.derived.with_split_classes`).

    Raises:
        ValueError: a number outside its domain, an unknown noise, or `split_classes` without `frozen` or `noise`.
    """

    model: str | None = None
    epochs: int = None  # type: ignore[assignment]  # set in `__post_init__`
    max_length: int = 128
    batch_size: int = 32
    learning_rates: tuple[float, ...] = None  # type: ignore[assignment]  # set in `__post_init__`
    max_train_rows: int | None = None
    max_test_rows: int | None = None
    noise: str | None = None
    bf16: bool = False
    frozen: bool = False
    imbalance: float | None = None
    split_classes: int | None = None

    def __post_init__(self) -> None:
        epochs, rates = FROZEN if self.frozen else FINE_TUNING
        object.__setattr__(self, "epochs", epochs if self.epochs is None else self.epochs)
        object.__setattr__(self, "learning_rates", rates if self.learning_rates is None else self.learning_rates)
        for name in ("epochs", "max_length", "batch_size", "max_train_rows", "max_test_rows"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{name}={value!r}: expected a whole number of at least 1.")
        if not self.learning_rates or not all(0 < rate < math.inf for rate in self.learning_rates):
            raise ValueError(f"learning_rates={self.learning_rates}: expected one or more numbers above 0.")
        if self.noise is not None:
            check_spec(self.noise)
        self._check_derived()

    def _check_derived(self) -> None:
        if self.imbalance is not None:
            if not 1 < self.imbalance < math.inf:
                raise ValueError(f"imbalance={self.imbalance!r}: expected a number above 1, such as 10 for 10 : 1.")
            object.__setattr__(self, "imbalance", float(self.imbalance))
        if self.split_classes is None:
            return
        if not isinstance(self.split_classes, int) or self.split_classes < 2:
            raise ValueError(f"split_classes={self.split_classes!r}: expected a whole number of at least 2.")
        if not self.frozen:
            raise ValueError(f"split_classes={self.split_classes} splits by stored vectors: set frozen as well.")
        if self.noise is None:
            raise ValueError(
                f"split_classes={self.split_classes}: the given labels name the classes of before. Set noise as well, such as "
                "symmetric:0.2."
            )

    def record(self) -> dict[str, Any]:
        """Returns the settings as in each line of results. A model folder becomes the last two parts of its path.

        `frozen`, `imbalance` and `split_classes` are there only if they are set, since older lines lack them.
        """
        model = self.model
        if model is not None and Path(model).is_dir():
            model = "/".join(Path(model).resolve().parts[-2:])
        found = {name: value for name, value in asdict(self).items() if name not in _NEWER or value}
        return json.loads(json.dumps({**found, "model": model}))


@dataclass(frozen=True)
class Run:
    """One line of results: a method on one corpus with one seed."""

    source: str  # folder, file or name of the corpus
    method: str
    seed: int
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """Name of the corpus; for a folder or file, the last part of its path."""
        return dataset_name(self.source)

    @property
    def reads_gold(self) -> bool:
        """Whether the run learns from gold labels of training or validation rows."""
        return self.method in READS_GOLD or self.reads_clean

    @property
    def reads_clean(self) -> bool:
        """Whether the run gets the validation rows with their gold labels as `clean_dataset`."""
        return reads_clean(self.method.split("+"))

    @property
    def reads_unlabeled(self) -> bool:
        """Whether the run also gets the training rows on which every source abstains."""
        return reads_unlabeled(self.method.split("+"))

    @property
    def keeps_last(self) -> bool:
        """Whether the last epoch is chosen, regardless of the accuracy on given labels of validation rows."""
        return any(name in METHODS and METHODS[name].keeps_last for name in self.method.split("+"))

    @property
    def weight(self) -> int:
        """Approximate cost, in trainings of `ce`."""
        return {"majority_vote": 0, "label_model": 0, "cleanlab": FOLDS}.get(self.method, 1)

    def __str__(self) -> str:
        given = "".join(f" {key}={value}" for key, value in self.params.items())
        return f"{self.dataset} {self.method}{given} seed {self.seed}"


def dataset_name(source: str) -> str:
    """Returns the name of a corpus in the results.

    >>> dataset_name("corpora/youtube/"), dataset_name("comments.csv"), dataset_name("owner/name")
    ('youtube', 'comments', 'name')
    """
    path = Path(source)
    return path.stem if path.suffix in (".csv", ".json", ".jsonl", ".parquet") else path.name


def parse_method(spec: str) -> tuple[str, dict[str, Any]]:
    """Parses `"gce:q=0.5"` into the method and all its parameters, with defaults for those that are not given.

    >>> parse_method("gce:q=0.5"), parse_method("ce")
    (('gce', {'q': 0.5}), ('ce', {}))

    Raises:
        ValueError: an unknown method or parameter (with the nearest name), or one outside its domain.
    """
    method, _, given = spec.partition(":")
    if method in FIXED and given:
        raise ValueError(f"{spec!r}: {method} takes no parameters.")
    if method in FIXED:
        return method, {}
    unknown = [name for name in method.split("+") if name.strip() not in METHODS]
    if unknown:
        raise ValueError(f"unknown method {unknown[0]!r}. {nearest(unknown[0], dict.fromkeys([*METHODS, *FIXED]))}")
    kwargs = dict(_parameter(spec, pair) for pair in given.split(",") if pair)
    check_methods(method, kwargs)
    names = split_names(method)
    defaults = {key: value for name in names for key, value in METHODS[name].parameters.items()}
    return method, json.loads(json.dumps({**defaults, **kwargs}))


def _parameter(spec: str, pair: str) -> tuple[str, Any]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise ValueError(f"{spec!r}: {pair!r} is no parameter: expected name=value, as in 'gce:q=0.5'.")
    try:
        return key.strip(), json.loads(value)
    except json.JSONDecodeError:
        return key.strip(), value.strip()


def plan(
    sources: Sequence[str], methods: Sequence[str], seeds: Sequence[int], baselines: Sequence[str] = FIXED
) -> list[Run]:
    """Returns all runs in the order in which they start: seed by seed, corpus by corpus, cross-entropy first.

    Raises:
        ValueError: no seed or corpus, a repeated one, a seed below 0, or an unknown method or baseline.
    """
    for name in baselines:
        if name not in FIXED:
            raise ValueError(f"unknown baseline {name!r}. {nearest(name, dict.fromkeys(FIXED))}")
    names = [dataset_name(source) for source in sources]
    for what, values in (("seeds", list(seeds)), ("corpora", names)):
        if not values:
            raise ValueError(f"{what}: expected at least one.")
        if len(set(values)) < len(values):
            raise ValueError(f"{what}: {', '.join(map(str, values))}: expected each once.")
    if min(seeds) < 0:
        raise ValueError(f"seeds: {min(seeds)}: expected whole numbers of at least 0.")
    variants = [parse_method(spec) for spec in ("ce", *baselines, *methods)]
    distinct = {json.dumps(variant): variant for variant in variants}
    return [
        Run(source, method, seed, params)
        for seed in seeds
        for source in sources
        for method, params in distinct.values()
    ]
