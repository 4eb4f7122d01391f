"""Train on few weakly labeled texts and a small set of clean rows, and measure the gain from the clean rows.

    accelerate launch recipes/low_resource.py

The recipe generates 1,000 short news of five topics (`hf_noisy.corpora.topics`) and labels them by lists of names. This
distant supervision labels half of the rows and is wrong on 40 % of these. A method gets 100 rows with true labels as
`clean_dataset=`. The table is that of recipes/sentiment.py with two more rows: training on the clean rows alone, in as
many steps, and training on the clean rows together with the weak labels. The recipe needs no download and ends within
3 minutes on two cores.

Clean rows alone can be better than the method. With `--seeds 7`, test accuracy is 0.537 on the distant labels, 0.558
with `glc`, and 0.885 on the 100 clean rows alone, which cover most of the content of these short news. With
`--clean_rows 25` it is 0.537, 0.397 and 0.338: a matrix estimated from 25 rows is too inaccurate. So read the last two
rows of the table first.

Other methods, fewer clean rows, and other data whose validation rows have true labels:

    accelerate launch recipes/low_resource.py --noise_method mentornet_dd --clean_rows 50
    accelerate launch recipes/low_resource.py --dataset PATH_OR_NAME --model_name_or_path PATH_OR_NAME --seeds 0 1 2
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_noisy import Corpus, hold_out
from hf_noisy.common.checks import check_whole
from hf_noisy.common.script import run_script
from hf_noisy.corpora.embedded import embedded_topics
from hf_noisy.corpora.topic_labels import distant_labels
from hf_noisy.data.pairs import text_columns
from hf_noisy.methods.registry import reads_clean, split_names
from hf_noisy.recipe import Data, Recipe, RecipeArguments, RecipeTrainingArguments, Table, setting
from hf_noisy.recipe.base import baseline

EMBEDDED_ROWS = 1000
ALONE = "cross-entropy on clean rows"
TOGETHER = "cross-entropy on weak labels and clean rows"


@dataclass
class LowResourceArguments(RecipeArguments):
    """The data to train on, and the number of clean rows."""

    clean_rows: int = field(
        default=100, metadata={"help": "Number of validation rows with true labels that the method gets."}
    )

    def __post_init__(self) -> None:
        check_whole("clean_rows", self.clean_rows)


@dataclass
class LowResourceTrainingArguments(RecipeTrainingArguments):
    """Training arguments with defaults for the embedded news; --help_all lists every field."""

    output_dir: str = setting("output_dir", "output/low_resource", "--output")
    noise_method: str = setting("noise_method", "glc", "--method")  # estimates the matrix from clean rows
    # more epochs, since there are only a third of the rows of recipes/topics.py
    num_train_epochs: float = setting("num_train_epochs", 16, "--epochs")


class LowResource(Recipe):
    """Trains on weak labels and some clean rows, of a corpus or of the embedded news with distant labels."""

    arguments = LowResourceArguments
    training_arguments = LowResourceTrainingArguments

    def embedded(self, seed: int) -> Corpus:
        return embedded_topics(
            distant_labels(),
            seed,
            train_rows=EMBEDDED_ROWS,
            **self.given.most,
        )

    def source_names(self) -> list[str] | None:
        return None if self.given.dataset else [source.name for source in distant_labels()]

    @property
    def robust(self) -> str:
        with_clean = reads_clean(split_names(self.args.noise_method))
        return f"{self.args.noise_method} on weak labels" + " and clean rows" * with_clean

    def data(self, seed: int) -> tuple[Data, Table]:
        """Keep `clean_rows` of the clean rows, and remove these from the validation rows that choose a checkpoint."""
        data, table = super().data(seed)
        if not len(data.clean):
            raise ValueError(
                "no validation row has a gold label: expected some. Name a gold_column, or another corpus."
            )
        clean = data.clean
        if self.given.clean_rows < len(clean):
            clean = hold_out(clean, self.given.clean_rows / len(clean), seed)[1]
        others = np.flatnonzero(~np.isin(data.valid["id"][:], clean["id"][:]))
        return replace(data, clean=clean, valid=data.valid.select(others) if len(others) else data.valid), table

    def trainings(
        self, args: RecipeTrainingArguments, data: Data
    ) -> Mapping[str, tuple[RecipeTrainingArguments, Dataset]]:
        passes = args.num_train_epochs * len(data.weak) / len(data.clean)  # the same number of steps as on weak labels
        columns = [*text_columns(data.weak.column_names), "labels", "weak_labels"]
        together = concatenate_datasets([part.select_columns(columns) for part in (data.weak, data.clean)])
        return {
            **super().trainings(args, data),
            ALONE: (replace(baseline(args, "ce-clean"), num_train_epochs=passes), data.clean),
            TOGETHER: (baseline(args, "ce-together"), together),
        }


if __name__ == "__main__":
    sys.exit(run_script(__file__, lambda: LowResource.main(description=__doc__)))
