"""The options of the commands and their groups. This module does not import torch, so that `--help` is fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_SOURCE = "A CSV, JSONL, JSON or Parquet file, a folder in the WRENCH layout or with a file per split, or a dataset on the Hub."
_REVIEWS = "Without it: generated reviews with the votes of labeling functions."
_GENERATED = "Without it: generated texts with simulated labels."
_SCRATCH = "Without it: a small BERT that is trained from scratch."
_WORDS = "Without it: word features."
_TRAIN_SUBSET = "Train on a random subset of this many rows. Without it: all rows."
_TOKENS = "Maximum number of tokens of a text. Longer texts are truncated."

GROUPS = {  # title in `--help` -> options, in the order in which they are printed
    "Data": (
        *("dataset", "data", "text_column", "text_pair_column", "label_column", "votes_columns", "gold_column"),
        *("max_rows", "max_train_rows", "max_test_rows"),
    ),
    "Model": ("model_name_or_path", "model", "max_length", "frozen"),
    "Method": (
        *("noise_method", "noise_kwargs", "methods", "noise", "imbalance", "split_classes", "nonfinite_loss"),
        *("scorers", "estimators", "folds", "resamples"),
    ),
    "Training": (
        *("num_train_epochs", "epochs", "per_device_train_batch_size", "batch_size", "learning_rate", "warmup_steps"),
        "bf16",
    ),
    "Run": ("seed", "seeds", "processes", "use_cpu", "dataloader_pin_memory"),
    "Evaluation": ("gold", "baselines"),
    "Cost of a step": ("speed", "speed_rounds"),
    "Output": (
        *("output_dir", "output", "report", "vectors", "figure", "worst"),
        *("save_strategy", "save_all_networks", "logging_steps", "report_to"),
    ),
}


def described(text: str, *aliases: str, metavar: str | None = None) -> dict[str, Any]:
    """Return the metadata of a dataclass field that is an option of a command.

    Args:
        text: what the option does, in whole sentences.
        aliases: further names, such as "--model".
        metavar: what stands for the value in the help; None for N (a whole number) or X (a number).
    """
    return {"help": text, "aliases": list(aliases), **({} if metavar is None else {"metavar": metavar})}


@dataclass
class ColumnArguments:
    """The columns of plain files and datasets, and an option that all commands have."""

    text_column: str = field(default="text", metadata=described("Column with the texts.", metavar="COLUMN"))
    text_pair_column: str | None = field(
        default=None,
        metadata=described(
            "Column with the second texts, if a row has two: premise and hypothesis, question and answer. Without it: one text a "
            "row.",
            metavar="COLUMN",
        ),
    )
    label_column: str | None = field(
        default=None,
        metadata=described(
            "Column with the untrusted labels. An empty cell is a row without a label. Without it: the first of labels, label, "
            "label_ids.",
            metavar="COLUMN",
        ),
    )
    votes_columns: list[str] | None = field(
        default=None,
        metadata=described(
            "Columns with the labels of several sources, one column per source, instead of --label_column. An empty cell "
            "abstains.",
            metavar="COLUMN",
        ),
    )
    gold_column: str | None = field(
        default=None,
        metadata=described(
            "Column with true labels, where there are any. They measure the results. In train, methods that need true labels, such as glc, read those of validation rows.",
            metavar="COLUMN",
        ),
    )
    quiet: bool = field(
        default=False, metadata=described("Print results, warnings and errors only: no progress bars and no notes.")
    )

    @property
    def source_names(self) -> list[str] | None:
        """The names of the sources of labels, or None if no option names them."""
        return self.votes_columns or ([self.label_column] if self.label_column else None)

    @property
    def columns(self) -> dict[str, Any]:
        """The columns as arguments of `load_corpus`."""
        names = ("text_column", "text_pair_column", "label_column", "votes_columns", "gold_column")
        return {name: getattr(self, name) for name in names}


@dataclass
class RecipeArguments(ColumnArguments):
    """The data, the encoder and the seeds of a recipe."""

    dataset: str | None = field(default=None, metadata=described(f"{_SOURCE} {_GENERATED}", "--data", metavar="SOURCE"))
    model_name_or_path: str | None = field(
        default=None,
        metadata=described(
            f"Pretrained encoder: a folder, or a name on the Hub. {_SCRATCH}", "--model", metavar="MODEL"
        ),
    )
    max_length: int = field(default=128, metadata=described(_TOKENS))
    max_train_rows: int | None = field(default=None, metadata=described(_TRAIN_SUBSET))
    max_test_rows: int | None = field(
        default=None,
        metadata=described(
            "Test on a random subset of this many rows, the same for every seed. Without it: all test rows."
        ),
    )
    baselines: bool = field(
        default=True,
        metadata=described(
            "Also train with plain cross-entropy on the given labels, and on true ones if there are any, to compare."
        ),
    )
    seeds: list[int] | None = field(
        default=None,
        metadata=described(
            "Run once per seed and average the results. The first model goes to --output_dir, the others to its subfolders "
            "seed-N. Without it: --seed."
        ),
    )

    @property
    def most(self) -> dict[str, int | None]:
        """The maximum sizes of splits as arguments of `split_corpus`."""
        return {"max_train_rows": self.max_train_rows, "max_test_rows": self.max_test_rows}


@dataclass
class LabelArguments(ColumnArguments):
    """The labels to examine, and the encoder for their texts. Only light classifier heads are trained."""

    data: str | None = field(default=None, metadata=described(f"{_SOURCE} {_REVIEWS}", "--dataset", metavar="SOURCE"))
    model: str | None = field(
        default=None,
        metadata=described(
            f"Pretrained encoder, which is not trained: a folder, or a name on the Hub. {_WORDS}",
            "--model_name_or_path",
            metavar="MODEL",
        ),
    )
    max_rows: int | None = field(
        default=None,
        metadata=described("Examine a random subset of this many rows. Without it: all rows.", "--max_train_rows"),
    )
    max_length: int = field(default=64, metadata=described(_TOKENS))
    folds: int = field(
        default=5, metadata=described("Number of folds: each label is predicted by a classifier that did not see it.")
    )
    seed: int = field(
        default=0, metadata=described("Seed of the subset, the folds, the resamples, and of ties between sources.")
    )


@dataclass
class AuditArguments(LabelArguments):
    """The options of `hf-noisy audit`."""

    output: str = field(
        default="audit", metadata=described("Folder for report.html and audit.jsonl.", metavar="FOLDER")
    )
    gold: bool = field(
        default=False,
        metadata=described("Also print how well the wrong labels were found, by the labels in --gold_column."),
    )
    worst: int = field(
        default=2000,
        metadata=described("Number of rows in report.html, the most suspect ones. audit.jsonl has all rows."),
    )
    resamples: int = field(
        default=100, metadata=described("Bootstrap resamples of the rows, for the interval of the noise rate.")
    )
    scorers: list[str] | None = field(
        default=None,
        metadata=described(
            "Scores to average: held_out, reweighted, neighbours, truth, sources, rule_folds, cleanlab. (margin and "
            "disagreements need a training: trainer.audit.) Without it: chosen from the data.",
            metavar="NAME",
        ),
    )


@dataclass
class EstimateArguments(LabelArguments):
    """The options of `hf-noisy estimate`."""

    output: str = field(
        default="noise.json", metadata=described("JSON file for the rates and matrices.", metavar="FILE")
    )
    figure: str | None = field(
        default=None, metadata=described("PNG file for a figure of all matrices. Needs matplotlib.", metavar="FILE")
    )
    gold: bool = field(
        default=False,
        metadata=described("Also print the true rate, and draw the true matrix, by the labels in --gold_column."),
    )
    resamples: int = field(default=100, metadata=described("Bootstrap resamples of the rows, for the intervals."))
    estimators: list[str] | None = field(
        default=None,
        metadata=described(
            "Estimators to run: anchor_points, confident_joint, dual_t, volminnet, t_revision, expectation_maximization, "
            "neighbours, dawid_skene, label_model, truth_inference. Without it: all that can run on the data.",
            metavar="NAME",
        ),
    )


@dataclass
class BenchmarkArguments(ColumnArguments):
    """The options of `hf-noisy benchmark`."""

    data: list[str] | None = field(
        default=None,
        metadata=described(
            f"One or more corpora with true labels. Each: {_SOURCE[0].lower()}{_SOURCE[1:]} {_REVIEWS}",
            "--dataset",
            metavar="SOURCE",
        ),
    )
    model: str | None = field(
        default=None,
        metadata=described(
            f"Pretrained encoder: a folder, or a name on the Hub. {_SCRATCH}", "--model_name_or_path", metavar="MODEL"
        ),
    )
    methods: list[str] | None = field(
        default=None,
        metadata=described(
            "Methods to compare, with parameters after a colon: gce, gce:q=0.5, co_teaching+gce. Without it: all that need no "
            "rows with true labels.",
            "--method",
            metavar="METHOD",
        ),
    )
    baselines: list[str] | None = field(
        default=None,
        metadata=described(
            "Baselines to run beside the methods: majority_vote, label_model, ce, gold, clean_valid, cleanlab. ce always runs. "
            "Without it: all.",
            metavar="NAME",
        ),
    )
    seeds: list[int] = field(
        default_factory=lambda: [0, 1], metadata=described("Seeds. Each method runs once per corpus and seed.")
    )
    output: str = field(
        default="results.jsonl",
        metadata=described("JSONL file of results, one line per run. Runs that it holds are skipped.", metavar="FILE"),
    )
    report: str | None = field(
        default=None,
        metadata=described(
            "Write tables to this markdown file and figures beside it. Needs matplotlib. Without --data nothing is run, and "
            "the report is on --output.",
            metavar="FILE",
        ),
    )
    frozen: bool = field(
        default=False,
        metadata=described(
            "Encode each text once, and train only a linear head on the vectors: seconds a run. Without --model the vectors "
            "are word features. Methods that hide words of a text are left out."
        ),
    )
    vectors: str | None = field(
        default=None,
        metadata=described(
            "With --frozen: folder in which the vectors are kept for other calls. Without it: OUTPUT with the ending .vectors.",
            metavar="FOLDER",
        ),
    )
    epochs: int | None = field(
        default=None,
        metadata=described("Epochs of each training. Without it: 3, or 10 with --frozen.", "--num_train_epochs"),
    )
    max_train_rows: int | None = field(default=None, metadata=described(_TRAIN_SUBSET))
    max_test_rows: int | None = field(
        default=None,
        metadata=described(
            "Test on a random subset of this many rows, the same in all runs. Without it: all test rows."
        ),
    )
    max_length: int = field(default=128, metadata=described(_TOKENS))
    batch_size: int = field(default=32, metadata=described("Rows per step.", "--per_device_train_batch_size"))
    learning_rate: list[float] | None = field(
        default=None,
        metadata=described(
            "Peak learning rate. Of several, each method uses the best one by noisy validation labels. Without it: 1e-4, or "
            "3e-3 with --frozen."
        ),
    )
    noise: str | None = field(
        default=None,
        metadata=described(
            "Train on true labels with injected noise instead of the given labels: symmetric:0.2, pair:0.4, "
            "instance_dependent:0.3, weak_model:0.3, commonest:0.3, or asymmetric:FILE with a matrix in JSON. The number is the "
            "share of wrong labels; for commonest, among the labels of all other classes. symmetric:0 gives true labels.",
            metavar="NOISE",
        ),
    )
    imbalance: float | None = field(
        default=None,
        metadata=described(
            "Leave out rows of all splits, so that the class counts fall geometrically, the commonest to the rarest class as X "
            "to 1. Needs true labels. Without it: the classes as they are."
        ),
    )
    split_classes: int | None = field(
        default=None,
        metadata=described(
            "Split each class into N by k-means on the vectors of its training rows, for a corpus of many classes. Needs --frozen "
            "and --noise. Without it: the classes as they are."
        ),
    )
    bf16: bool = field(default=False, metadata=described("Train in bfloat16 mixed precision."))
    processes: int = field(
        default=1,
        metadata=described("Number of runs at the same time. Each gets an equal share of the processor cores."),
    )
    speed: bool = field(
        default=False, metadata=described("Only measure the cost of a training step of each method. Needs no data.")
    )
    speed_rounds: int = field(
        default=40,
        metadata=described("Measured steps per method. Steps of the method and of the stock Trainer alternate."),
    )
