"""Labels by a language model, which says how sure it is: a small classifier that withstood its mistakes.

    accelerate launch recipes/llm_labels.py

writes short news of five topics (`hf_noisy.corpora.topics`) and trains on labels that a rule gives in place of a language model
(`hf_noisy.corpora.topic_labels.simulated_answers`: it counts words and is surer than it should be; no language model was asked). A model is
asked in three wordings; each is a source that votes where its confidence reaches --confidence, and abstains elsewhere. The table is
that of recipes/sentiment.py. It needs no download and ends within 3 minutes on two cores.

A model of your own, through the pipelines of Transformers, on any corpus, whose own labels are not looked at but for gold:

    accelerate launch recipes/llm_labels.py --dataset PATH_OR_NAME --labeler PATH_OR_NAME --task zero-shot-classification
    accelerate launch recipes/llm_labels.py --dataset PATH_OR_NAME --labeler PATH_OR_NAME --task text-generation --samples 5

What was answered is kept in --answers, a JSONL file, and not asked again; so let one process ask, and several train. Such a file
may come from anywhere:

    accelerate launch recipes/llm_labels.py --dataset PATH_OR_NAME --answers answers.jsonl
    {"text": "The coach left.", "by": "any name", "answers": [{"label": "sport", "confidence": 0.9}]}

Where a corpus holds the votes of a language model already, one a wording in `weak_labels`, they are taken as they were recorded:

    accelerate launch recipes/llm_labels.py --dataset PATH_OR_NAME
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from accelerate import PartialState
from datasets import Dataset, List, Value

from hf_noisy import Corpus
from hf_noisy.common.checks import check_choice, check_fraction
from hf_noisy.common.script import run_script
from hf_noisy.corpora.embedded import TOPIC_ROWS
from hf_noisy.corpora.topic_labels import WORDINGS, simulated_answers
from hf_noisy.corpora.topics import CLASS_NAMES, generate_topics
from hf_noisy.data.splits import check_most, part_for_test, part_for_training
from hf_noisy.models.pretrained import check_pretrained
from hf_noisy.recipe import Recipe, RecipeArguments, RecipeTrainingArguments, setting
from hf_noisy.recipe.base import say
from hf_noisy.weak.language_model import TASKS, Answer, Answers, ask, votes_of_answers

RULE = "a rule, no language model"  # who answered, in the file


@dataclass
class LabelerArguments(RecipeArguments):
    """What to train on, and what labels it."""

    labeler: str | None = field(default=None, metadata={"help": "A local language model, or a name on the Hub."})
    task: str = field(default=TASKS[0], metadata={"help": f"What the labeler does: {' or '.join(TASKS)}."})
    wordings: list[str] | None = field(
        default=None, metadata={"help": "With {} for the class; or with {text} and {classes} for text-generation."}
    )
    samples: int = field(default=5, metadata={"help": "Answers to draw in each wording, for text-generation."})
    confidence: float = field(default=0.5, metadata={"help": "A wording votes where its answer is as sure as this."})
    answers: str | None = field(
        default=None, metadata={"help": "A JSONL file of answers, read and added to. None: in output_dir."}
    )

    def __post_init__(self) -> None:
        check_choice("task", self.task, TASKS)
        check_fraction("confidence", self.confidence, "[0, 1]")

    @property
    def recorded(self) -> bool:
        """Whether the votes that the corpus came with are those of the language model."""
        return self.dataset is not None and self.labeler is None and self.answers is None


@dataclass
class LabelerTrainingArguments(RecipeTrainingArguments):
    """Defaults for the embedded news; --help_all lists every field."""

    output_dir: str = setting("output_dir", "output/llm_labels", "--output")


class LanguageModelLabels(Recipe):
    """The texts of a corpus, or of the embedded news, with the votes of a language model."""

    arguments = LabelerArguments
    training_arguments = LabelerTrainingArguments

    def embedded(self, seed: int) -> Corpus:
        """Texts without votes."""
        splits = {name: generate_topics(rows, 10 * seed + k) for k, (name, rows) in enumerate(TOPIC_ROWS.items())}
        return Corpus("topics", CLASS_NAMES, **splits)

    def corpus(self, seed: int) -> Corpus:
        """The votes of the corpus give way to those of the model, on no more rows than are needed."""
        check_most(**self.given.most)
        check_pretrained("labeler", self.given.labeler)
        corpus = super().corpus(seed)
        if self.given.recorded:
            say(f"{corpus.name}: no --labeler and no --answers, so its own votes are taken as recorded")
            return corpus
        corpus = replace(corpus, train=part_for_training(corpus.train, self.given.max_train_rows, seed))
        if corpus.test is not None:
            corpus = replace(corpus, test=part_for_test(corpus.test, self.given.max_test_rows))
        labelled = {
            name: self.labelled(rows, corpus.class_names, seed)
            for name in ("train", "valid", "test")
            if (rows := getattr(corpus, name)) is not None
        }
        return replace(corpus, **labelled)

    def source_names(self) -> list[str] | None:
        if self.given.wordings:
            return list(self.given.wordings)
        return (
            list(WORDINGS) if self.given.dataset is None and not self.given.labeler and not self.given.answers else None
        )

    def labelled(self, rows: Dataset, class_names: tuple[str, ...], seed: int) -> Dataset:
        """`rows` with a vote for each wording in `weak_labels`."""
        texts = rows["text"][:]
        by = self.given.labeler or (None if self.given.answers else RULE)
        with PartialState().main_process_first():  # the others read what the first one was told
            answers = Answers(self.given.answers or Path(self.args.output_dir, "answers.jsonl"), by)
            missing = answers.missing(texts) if by is not None else []
            if missing:
                say(f"{by} labels {len(missing)} texts")
                answers.add(missing, self.ask(missing, class_names, seed))
        votes = votes_of_answers(answers.of(texts), class_names, self.given.confidence)
        if "weak_labels" in rows.column_names:
            rows = rows.remove_columns("weak_labels")
        return rows.add_column("weak_labels", list(votes.astype(np.int16)), feature=List(Value("int16")))

    def ask(self, texts: list[str], class_names: tuple[str, ...], seed: int) -> list[list[Answer]]:
        """The model, or the rule that stands in for one."""
        if self.given.labeler is not None:
            return ask(
                self.given.labeler,
                texts,
                class_names,
                task=self.given.task,
                wordings=self.given.wordings,
                samples=self.given.samples,
                seed=seed,
            )
        said = [[simulated_answers(text, wording) for wording in range(len(WORDINGS))] for text in texts]
        return [[Answer(class_names[p.argmax()], float(p.max())) for p in row] for row in said]


if __name__ == "__main__":
    sys.exit(run_script(__file__, lambda: LanguageModelLabels.main(description=__doc__)))
