"""Several classes, labels by people in a hurry or by lists of names: a classifier that withstood them.

    accelerate launch recipes/topics.py

writes short news of five topics (`hf_noisy.corpora.topics`), lets three simulated readers label them (`hf_noisy.corpora.topic_labels`: rules, not
people; wrong on 30 % of the rows by majority, for reasons that a text shows), and prints the table of recipes/sentiment.py.
It needs no download and ends within 3 minutes on two cores. The same with lists of the names of firms, theatres, clinics,
institutes and clubs in place of the readers (distant supervision: half of the rows, wrong on 40 % of these), and any corpus:

    accelerate launch recipes/topics.py --labels distant
    accelerate launch recipes/topics.py --dataset PATH_OR_NAME --model_name_or_path PATH_OR_NAME --seeds 0 1 2
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
    """What to train on, and who labels it."""

    labels: str = field(default="readers", metadata={"help": "Of the embedded news: 'readers' or 'distant'."})

    def __post_init__(self) -> None:
        check_choice("labels", self.labels, list(SOURCES))


@dataclass
class TopicsTrainingArguments(RecipeTrainingArguments):
    """Defaults for the embedded news; --help_all lists every field."""

    output_dir: str = setting("output_dir", "output/topics", "--output")


class Topics(Recipe):
    """News with the labels of readers or lists, unless a corpus is named."""

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
