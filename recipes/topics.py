"""Train a classifier of news topics on labels of careless readers or of lists of names, robust to their wrong labels.

    accelerate launch recipes/topics.py

The recipe generates short news of five topics (`hf_noisy.corpora.topics`) and labels them by three simulated readers
(`hf_noisy.corpora.topic_labels`). The readers are rules, not people. Their majority is wrong on 30 % of the rows, for
reasons that depend on the text. The recipe prints the same table as recipes/sentiment.py. It needs no download and ends
within 3 minutes on two cores.

`--labels distant` replaces the readers by lists of the names of firms, theatres, clinics, institutes and clubs. This
distant supervision labels half of the rows and is wrong on 40 % of these. The recipe also runs on other data:

    accelerate launch recipes/topics.py --labels distant
    accelerate launch recipes/topics.py --dataset my.csv --model_name_or_path PATH_OR_NAME --seeds 0 1 2
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from snorkel.labeling import LabelingFunction

from hf_noisy import Corpus
from hf_noisy.common.checks import check_choice
from hf_noisy.common.script import run_script
from hf_noisy.corpora.embedded import embedded_topics
from hf_noisy.corpora.topic_labels import distant_labels, readers
from hf_noisy.recipe import Recipe, RecipeArguments, RecipeTrainingArguments, setting

SOURCES: dict[str, Callable[[], list[LabelingFunction]]] = {"readers": readers, "distant": distant_labels}


@dataclass
class TopicsArguments(RecipeArguments):
    """The data to train on, and the sources of its labels."""

    labels: str = field(
        default="readers", metadata={"help": "Labels of the generated news: readers or distant.", "metavar": "KIND"}
    )

    def __post_init__(self) -> None:
        check_choice("labels", self.labels, list(SOURCES))


@dataclass
class TopicsTrainingArguments(RecipeTrainingArguments):
    """Training arguments with defaults for the embedded news; --help_all lists every field."""

    output_dir: str = setting("output_dir", "output/topics", "--output")


class Topics(Recipe):
    """Trains on news with the labels of readers or of lists of names, or on a given corpus."""

    arguments = TopicsArguments
    training_arguments = TopicsTrainingArguments

    def embedded(self, seed: int) -> Corpus:
        return embedded_topics(
            SOURCES[self.given.labels](),
            seed,
            **self.given.most,
        )

    def source_names(self) -> list[str] | None:
        return None if self.given.dataset else [source.name for source in SOURCES[self.given.labels]()]


if __name__ == "__main__":
    sys.exit(run_script(__file__, lambda: Topics.main(description=__doc__)))
