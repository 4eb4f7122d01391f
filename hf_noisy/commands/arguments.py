"""What a command may be asked, without torch: `--help` is to answer at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SOURCE = "A folder in the WRENCH layout, a CSV or JSONL file, or a dataset on the Hub. None: reviews, embedded."


@dataclass
class ColumnArguments:
    """Where plain files and datasets keep what."""

    text_column: str = field(default="text", metadata={"help": "For plain files and datasets."})
    label_column: str | None = field(
        default=None, metadata={"help": "The column of labels that are not trusted (else labels, label or label_ids)."}
    )
    votes_columns: list[str] | None = field(default=None, metadata={"help": "Or one column a source."})
    gold_column: str | None = field(default=None, metadata={"help": "True labels, for measuring only."})

    @property
    def columns(self) -> dict[str, Any]:
        """As `load_corpus` takes them."""
        return {name: getattr(self, name) for name in ("text_column", "label_column", "votes_columns", "gold_column")}


@dataclass
class RecipeArguments(ColumnArguments):
    """What to train on."""

    dataset: str | None = field(default=None, metadata={"help": SOURCE, "aliases": ["--data"]})
    model_name_or_path: str | None = field(
        default=None,
        metadata={"help": "A pretrained encoder. None: a small one, trained from scratch.", "aliases": ["--model"]},
    )
    max_length: int = field(default=128, metadata={"help": "Tokens of a text; the rest is cut."})
    max_train_rows: int | None = field(default=None, metadata={"help": "Train on a random part of this size."})
    max_test_rows: int | None = field(
        default=None, metadata={"help": "Measure on a random part of this size, the same for every seed."}
    )
    seeds: list[int] | None = field(default=None, metadata={"help": "Run all of it for each; the first one is saved."})

    @property
    def most(self) -> dict[str, int | None]:
        """The largest splits, as `split_corpus` takes them."""
        return {"max_train_rows": self.max_train_rows, "max_test_rows": self.max_test_rows}


@dataclass
class LabelArguments(ColumnArguments):
    """Whose labels to look at, and how; nothing is trained but light heads."""

    data: str | None = field(default=None, metadata={"help": SOURCE, "aliases": ["--dataset"]})
    model: str | None = field(
        default=None,
        metadata={"help": "A pretrained encoder. None: a bag of words.", "aliases": ["--model_name_or_path"]},
    )
    max_rows: int | None = field(
        default=None, metadata={"help": "Look at a random part of this size.", "aliases": ["--max_train_rows"]}
    )
    max_length: int = field(default=64, metadata={"help": "Tokens of a text; the rest is cut."})
    folds: int = field(default=5, metadata={"help": "Of the rows, for out-of-fold probabilities."})
    seed: int = field(default=0, metadata={"help": "Of ties, of the part of the rows, of folds and resamples."})


@dataclass
class AuditArguments(LabelArguments):
    """What is shown of them."""

    output: str = field(default="audit", metadata={"help": "The folder of report.html and audit.jsonl."})
    gold: bool = field(default=False, metadata={"help": "Read gold labels, to print how well wrong ones were found."})
    worst: int = field(default=2000, metadata={"help": "Rows in the table of the page, the most suspect ones."})
    resamples: int = field(default=100, metadata={"help": "Of the rows, for the interval of the rate."})
    scorers: list[str] | None = field(
        default=None, metadata={"help": "Of hf_noisy.audit.SCORERS, weighed alike. None: chosen by what is found."}
    )


@dataclass
class EstimateArguments(LabelArguments):
    """By what, and where it goes."""

    output: str = field(default="noise.json", metadata={"help": "Where rates and matrices go."})
    figure: str | None = field(default=None, metadata={"help": "A PNG of all matrices; needs matplotlib."})
    gold: bool = field(default=False, metadata={"help": "Read gold labels, to show the true rate and matrix."})
    resamples: int = field(default=100, metadata={"help": "Of the rows, for the intervals."})
    estimators: list[str] | None = field(default=None, metadata={"help": "Names; by default all that can run."})


@dataclass
class BenchmarkArguments(ColumnArguments):
    """What to compare, and on what budget."""

    data: list[str] | None = field(
        default=None,
        metadata={"help": "Folders, files or names of corpora. None: reviews, embedded.", "aliases": ["--dataset"]},
    )
    model: str | None = field(
        default=None,
        metadata={
            "help": "A pretrained encoder. None: a small one from scratch.",
            "aliases": ["--model_name_or_path"],
        },
    )
    methods: list[str] | None = field(
        default=None,
        metadata={"help": 'As "gce" or "gce:q=0.5". None: all that read no gold label.', "aliases": ["--method"]},
    )
    seeds: list[int] = field(default_factory=lambda: [0, 1], metadata={"help": "Of each corpus."})
    output: str = field(default="results.jsonl", metadata={"help": "A line a run; what it holds is not run again."})
    report: str | None = field(default=None, metadata={"help": "Write tables here and figures beside it."})
    epochs: int = field(default=3, metadata={"help": "Of each training.", "aliases": ["--num_train_epochs"]})
    max_train_rows: int | None = field(default=None, metadata={"help": "Train on a random part of this size."})
    max_test_rows: int | None = field(
        default=None, metadata={"help": "Measure on a random part of this size, the same for all."}
    )
    max_length: int = field(default=128, metadata={"help": "Tokens of a text."})
    batch_size: int = field(
        default=32, metadata={"help": "Rows of a step.", "aliases": ["--per_device_train_batch_size"]}
    )
    learning_rate: list[float] = field(default_factory=lambda: [1e-4], metadata={"help": "A grid, the same for all."})
    noise: str | None = field(
        default=None, metadata={"help": "Gold labels made wrong instead of the given ones, as in symmetric:0.2."}
    )
    bf16: bool = field(default=False, metadata={"help": "Under bfloat16 autocast."})
    processes: int = field(default=1, metadata={"help": "Runs at once."})
    speed: bool = field(default=False, metadata={"help": "Measure the cost of a step instead."})
    speed_rounds: int = field(default=40, metadata={"help": "Steps of each side, in turns."})
