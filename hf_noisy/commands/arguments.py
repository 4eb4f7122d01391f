"""The options of the commands. This module does not import torch, so that `--help` is fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SOURCE = "A folder in the WRENCH layout, a CSV or JSONL file, or a dataset on the Hub. None: the embedded reviews."


@dataclass
class ColumnArguments:
    """The columns of plain files and datasets."""

    text_column: str = field(default="text", metadata={"help": "The column of texts."})
    label_column: str | None = field(
        default=None, metadata={"help": "The column of untrusted labels. None: the first of labels, label, label_ids."}
    )
    votes_columns: list[str] | None = field(
        default=None, metadata={"help": "Instead of label_column: columns of untrusted labels, one per source."}
    )
    gold_column: str | None = field(default=None, metadata={"help": "The column of true labels."})

    @property
    def columns(self) -> dict[str, Any]:
        """The columns as arguments of `load_corpus`."""
        return {name: getattr(self, name) for name in ("text_column", "label_column", "votes_columns", "gold_column")}


@dataclass
class RecipeArguments(ColumnArguments):
    """The data, the encoder and the seeds of a recipe."""

    dataset: str | None = field(default=None, metadata={"help": SOURCE, "aliases": ["--data"]})
    model_name_or_path: str | None = field(
        default=None,
        metadata={"help": "A pretrained encoder. None: a small one, trained from scratch.", "aliases": ["--model"]},
    )
    max_length: int = field(default=128, metadata={"help": "Texts are truncated to this number of tokens."})
    max_train_rows: int | None = field(default=None, metadata={"help": "Train on a random subset of this size."})
    max_test_rows: int | None = field(
        default=None, metadata={"help": "Test on a random subset of this size, the same for every seed."}
    )
    seeds: list[int] | None = field(
        default=None, metadata={"help": "Run once per seed. Models after the first go to subfolders seed-N."}
    )

    @property
    def most(self) -> dict[str, int | None]:
        """The maximum sizes of splits as arguments of `split_corpus`."""
        return {"max_train_rows": self.max_train_rows, "max_test_rows": self.max_test_rows}


@dataclass
class LabelArguments(ColumnArguments):
    """The labels to examine, and the encoder for their texts. Only light classifier heads are trained."""

    data: str | None = field(default=None, metadata={"help": SOURCE, "aliases": ["--dataset"]})
    model: str | None = field(
        default=None,
        metadata={"help": "A pretrained encoder. None: a bag of words.", "aliases": ["--model_name_or_path"]},
    )
    max_rows: int | None = field(
        default=None, metadata={"help": "Examine a random subset of this size.", "aliases": ["--max_train_rows"]}
    )
    max_length: int = field(default=64, metadata={"help": "Texts are truncated to this number of tokens."})
    folds: int = field(default=5, metadata={"help": "The number of folds for out-of-fold probabilities."})
    seed: int = field(default=0, metadata={"help": "The seed of tie-breaking, subset, folds and resamples."})


@dataclass
class AuditArguments(LabelArguments):
    """The options of `hf-noisy audit`."""

    output: str = field(default="audit", metadata={"help": "The folder for report.html and audit.jsonl."})
    gold: bool = field(default=False, metadata={"help": "Read gold labels, to print how well wrong labels were found."})
    worst: int = field(default=2000, metadata={"help": "The number of rows with the highest wrongness on the page."})
    resamples: int = field(default=100, metadata={"help": "Bootstrap resamples for the interval of the noise rate."})
    scorers: list[str] | None = field(
        default=None,
        metadata={"help": "Names in hf_noisy.audit.SCORERS, with equal weights. None: chosen from the data."},
    )


@dataclass
class EstimateArguments(LabelArguments):
    """The options of `hf-noisy estimate`."""

    output: str = field(default="noise.json", metadata={"help": "The JSON file for rates and matrices."})
    figure: str | None = field(default=None, metadata={"help": "A PNG file for all matrices; needs matplotlib."})
    gold: bool = field(default=False, metadata={"help": "Read gold labels, to show the true rate and matrix."})
    resamples: int = field(default=100, metadata={"help": "Bootstrap resamples for the intervals."})
    estimators: list[str] | None = field(
        default=None, metadata={"help": "Names of estimators. None: all that can run on the data."}
    )


@dataclass
class BenchmarkArguments(ColumnArguments):
    """The options of `hf-noisy benchmark`."""

    data: list[str] | None = field(
        default=None,
        metadata={"help": "Folders, files or names of corpora. None: the embedded reviews.", "aliases": ["--dataset"]},
    )
    model: str | None = field(
        default=None,
        metadata={
            "help": "A pretrained encoder. None: a small one, trained from scratch.",
            "aliases": ["--model_name_or_path"],
        },
    )
    methods: list[str] | None = field(
        default=None,
        metadata={"help": 'As "gce" or "gce:q=0.5". None: all that need no gold labels.', "aliases": ["--method"]},
    )
    seeds: list[int] = field(default_factory=lambda: [0, 1], metadata={"help": "The seeds for each corpus."})
    output: str = field(
        default="results.jsonl", metadata={"help": "A JSONL file, one line per run. Runs that it holds are skipped."}
    )
    report: str | None = field(default=None, metadata={"help": "Write tables to this file and figures next to it."})
    epochs: int = field(default=3, metadata={"help": "Epochs of each training.", "aliases": ["--num_train_epochs"]})
    max_train_rows: int | None = field(default=None, metadata={"help": "Train on a random subset of this size."})
    max_test_rows: int | None = field(
        default=None, metadata={"help": "Test on a random subset of this size, the same in all runs."}
    )
    max_length: int = field(default=128, metadata={"help": "Texts are truncated to this number of tokens."})
    batch_size: int = field(
        default=32, metadata={"help": "Rows per step.", "aliases": ["--per_device_train_batch_size"]}
    )
    learning_rate: list[float] = field(
        default_factory=lambda: [1e-4], metadata={"help": "A grid of learning rates, the same for all methods."}
    )
    noise: str | None = field(
        default=None, metadata={"help": "Replace the given labels by gold labels with this noise, as symmetric:0.2."}
    )
    bf16: bool = field(default=False, metadata={"help": "Train under bfloat16 autocast."})
    processes: int = field(default=1, metadata={"help": "The number of parallel runs."})
    speed: bool = field(default=False, metadata={"help": "Only measure the cost of a training step."})
    speed_rounds: int = field(default=40, metadata={"help": "Measured steps per method, in turn with the Trainer's."})
