"""Train a small classifier on labels and confidences of a language model, robust to its wrong labels.

    accelerate launch recipes/llm_labels.py

The recipe generates short news of five topics (`hf_noisy.corpora.topics`) and trains on labels of a rule that stands in
for a language model (`hf_noisy.corpora.topic_labels.simulated_answers`). The rule counts words; no
language model is run. A model labels each text with three wordings of the prompt. Each wording is a source: it votes if
its confidence is at least --confidence, and abstains otherwise. The recipe prints the same table as
recipes/sentiment.py. It needs no download and ends within 3 minutes on two cores.

With --labeler a language model labels the texts, by a pipeline of Transformers. Any corpus will do. Of the corpus's own
labels only true labels are used, to measure:

    accelerate launch recipes/llm_labels.py --dataset PATH_OR_NAME --labeler PATH_OR_NAME --task zero-shot-classification
    accelerate launch recipes/llm_labels.py --dataset PATH_OR_NAME --labeler PATH_OR_NAME --task text-generation --samples 5

Answers are stored in --answers, a JSONL file, and are not computed again. So one process can label the texts, and
several processes train. The file may also come from another program. This command reads it, and a line of it follows:

    accelerate launch recipes/llm_labels.py --dataset PATH_OR_NAME --answers answers.jsonl
    {"text": "The coach left.", "by": "any name", "answers": [{"label": "sport", "confidence": 0.9}]}

Where a row has two texts (`--text_pair_column`), the model is asked about both, joined by an empty line.

If a corpus already holds the votes of a language model in `weak_labels`, one per wording, these are used:

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
from hf_noisy.commands.arguments import described
from hf_noisy.common.checks import check_choice, check_fraction
from hf_noisy.common.script import run_script
from hf_noisy.corpora.embedded import TOPIC_ROWS
from hf_noisy.corpora.topic_labels import WORDINGS, simulated_answers
from hf_noisy.corpora.topics import CLASS_NAMES, generate_topics
from hf_noisy.data.pairs import texts_of
from hf_noisy.data.splits import check_most, test_subset, training_subset
from hf_noisy.models.pretrained import check_pretrained
from hf_noisy.recipe import Recipe, RecipeArguments, RecipeTrainingArguments, setting
from hf_noisy.recipe.base import say
from hf_noisy.weak.language_model import TASKS, Answer, Answers, ask, votes_of_answers

RULE = "a rule, no language model"  # the value of "by" in the file of answers


@dataclass
class LabelerArguments(RecipeArguments):
    """The data to train on, and the language model that labels it."""

    labeler: str | None = field(
        default=None,
        metadata=described(
            "Language model that labels the texts: a folder, or a name on the Hub. Without it: --answers, or the votes of "
            "the corpus.",
            metavar="MODEL",
        ),
    )
    task: str = field(
        default=TASKS[0], metadata=described(f"Pipeline of the labeler: {' or '.join(TASKS)}.", metavar="TASK")
    )
    wordings: list[str] | None = field(
        default=None,
        metadata=described(
            "Prompts, one source of votes each. Each holds {} for the class, or for text-generation {text} and {classes}. "
            "Without it: three prompts.",
            metavar="PROMPT",
        ),
    )
    samples: int = field(default=5, metadata=described("Answers to sample per wording, for text-generation."))
    confidence: float = field(
        default=0.5, metadata=described("Least confidence with which a wording votes, from 0 to 1.")
    )
    answers: str | None = field(
        default=None,
        metadata=described(
            "JSONL file of answers. Texts that it holds are not asked again; new answers are appended. Without it: "
            "answers.jsonl in --output_dir.",
            metavar="FILE",
        ),
    )

    def __post_init__(self) -> None:
        check_choice("task", self.task, TASKS)
        check_fraction("confidence", self.confidence, "[0, 1]")

    @property
    def recorded(self) -> bool:
        """Whether the votes in the corpus are used as those of the language model."""
        return self.dataset is not None and self.labeler is None and self.answers is None


@dataclass
class LabelerTrainingArguments(RecipeTrainingArguments):
    """Training arguments with defaults for the embedded news; --help_all lists every field."""

    output_dir: str = setting("output_dir", "output/llm_labels", "--output")


class LanguageModelLabels(Recipe):
    """Trains on a corpus, or on the embedded news, with the votes of a language model."""

    arguments = LabelerArguments
    training_arguments = LabelerTrainingArguments

    def embedded(self, seed: int) -> Corpus:
        """Return news without votes."""
        splits = {name: generate_topics(rows, 10 * seed + k) for k, (name, rows) in enumerate(TOPIC_ROWS.items())}
        return Corpus("topics", CLASS_NAMES, **splits)

    def corpus(self, seed: int) -> Corpus:
        """Return the corpus with its votes replaced by those of the model, restricted to the rows that are needed."""
        check_most(**self.given.most)
        check_pretrained("labeler", self.given.labeler)
        corpus = super().corpus(seed)
        if self.given.recorded:
            say(f"{corpus.name}: no --labeler and no --answers, so its own votes are taken as recorded")
            return corpus
        corpus = replace(corpus, train=training_subset(corpus.train, self.given.max_train_rows, seed))
        if corpus.test is not None:
            corpus = replace(corpus, test=test_subset(corpus.test, self.given.max_test_rows))
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
        """Return `rows` with one vote per wording in `weak_labels`."""
        texts = [text if isinstance(text, str) else "\n\n".join(text) for text in texts_of(rows)]
        by = self.given.labeler or (None if self.given.answers else RULE)
        with PartialState().main_process_first():  # the others read the answers that it stored
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
        """Return the answers of the model, or of the rule that replaces one."""
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
        simulated = [[simulated_answers(text, wording) for wording in range(len(WORDINGS))] for text in texts]
        return [[Answer(class_names[p.argmax()], float(p.max())) for p in row] for row in simulated]


if __name__ == "__main__":
    sys.exit(run_script(__file__, lambda: LanguageModelLabels.main(description=__doc__)))
