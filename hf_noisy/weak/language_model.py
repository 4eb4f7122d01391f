"""Labels from a language model: prompts in several wordings, stored answers, and votes from confident answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_noisy.common.checks import check_choice, check_fraction, check_whole, nearest
from hf_noisy.common.progress import progress_bar
from hf_noisy.common.randomness import forked_generators

TASKS = ("zero-shot-classification", "text-generation")
HYPOTHESES = ("This text is about {}.", "The topic of this text is {}.", "This text belongs to {}.")
QUESTIONS = (
    "Text: {text}\nWhat is it about? One of: {classes}.\nAnswer:",
    "Which of these fits the text best: {classes}?\nText: {text}\nAnswer:",
    "{text}\n\nThe label of this text, out of {classes}, is",
)


@dataclass(frozen=True)
class Answer:
    """The answer of a model about one text in one wording."""

    label: str | None  # a class name; None if the answer names no class
    confidence: float  # in [0, 1]: the model's probability, or the share of sampled answers that name the label


def ask(
    model: str,
    texts: Sequence[str],
    class_names: Sequence[str],
    *,
    task: str = TASKS[0],
    wordings: Sequence[str] | None = None,
    samples: int = 5,
    batch_size: int = 16,
    seed: int = 0,
) -> list[list[Answer]]:
    """Asks a language model for the class of each text and its confidence, once per wording.

    Args:
        model: folder, or name on the Hub. Its answers never leave this process.
        texts: texts to label.
        class_names: classes that the model may answer. Use descriptive names.
        task: "zero-shot-classification" needs a classifier trained on entailment; the confidence is its probability.
            "text-generation" samples `samples` short answers; the label is the class that most of them begin with, and
            the confidence is the share of these answers.
        wordings: prompts, each of which is one source of votes; by default three. Each contains {} for the class, or
            for "text-generation" {text} and {classes}.
        samples: number of answers per wording, for "text-generation".
        batch_size: number of texts per batch.
        seed: seed of the sampling. The global random states are restored afterwards.

    Returns:
        For each text a list with one answer per wording.

    Raises:
        ValueError: an unknown task, a wording without its placeholders, or fewer than one sample.
    """
    check_choice("task", task, TASKS)
    check_whole("samples", samples)
    wordings = list(wordings or (HYPOTHESES if task == TASKS[0] else QUESTIONS))
    slots = ("{}",) if task == TASKS[0] else ("{text}", "{classes}")
    for wording in wordings:
        for slot in slots:
            if slot not in wording:
                raise ValueError(f"wording {wording!r}: expected {' and '.join(slots)} in it for {task}.")
    from transformers import pipeline, set_seed

    with forked_generators():
        set_seed(seed)
        pipe: Any = pipeline(task, model=model)  # type: ignore[call-overload]
        if task == TASKS[0]:
            by_wording = [_zero_shot_answers(pipe, texts, class_names, wording, batch_size) for wording in wordings]
        else:
            by_wording = [
                _sampled_answers(pipe, texts, class_names, wording, batch_size, samples) for wording in wordings
            ]
    return [list(answers) for answers in zip(*by_wording, strict=True)]


def named_class(answer: str, class_names: Sequence[str]) -> str | None:
    """Returns the class name that an answer begins with, ignoring case, or None.

    If one name is a prefix of another, the longest match is returned.

    >>> named_class(" Sport, I think.", ["sport", "sport news", "health"]), named_class("Hm.", ["sport", "health"])
    ('sport', None)
    """
    said = answer.strip().strip("\"'*`-:. ").lower()
    found = [name for name in class_names if said.startswith(name.lower())]
    return max(found, key=len) if found else None


def votes_of_answers(
    answers: Sequence[Sequence[Answer]], class_names: Sequence[str], confidence: float = 0.5
) -> np.ndarray:
    """Converts answers to votes: each wording votes for its answer if that is confident enough, and abstains otherwise.

    Args:
        answers: (rows, wordings).
        class_names: names in the order of the class ids.
        confidence: minimum confidence of an answer, from 0 to 1.

    Returns:
        Votes (rows, wordings), -1 abstains.

    Raises:
        ValueError: an answer that is not a class (the message names its row), rows of different lengths, or a
            confidence outside [0, 1].

    >>> rows = [[Answer("b", 0.9), Answer("a", 0.3)], [Answer(None, 0.0), Answer("a", 0.5)]]
    >>> votes_of_answers(rows, ["a", "b"])
    array([[ 1, -1],
           [-1,  0]])
    """
    check_fraction("confidence", confidence, "[0, 1]")
    lengths = {len(row) for row in answers}
    if len(lengths) > 1:
        raise ValueError(f"rows have {sorted(lengths)} answers: expected one a wording in every row.")
    known = {name: number for number, name in enumerate(class_names)}
    for number, row in enumerate(answers):
        for answer in row:
            if answer.label is not None and answer.label not in known:
                raise ValueError(f"row {number}: {answer.label!r} is no class. {nearest(answer.label, known)}")
    votes = [
        [known[a.label] if a.label is not None and a.confidence >= confidence else -1 for a in row] for row in answers
    ]
    return np.array(votes, dtype=np.int64).reshape(len(answers), max(lengths, default=0))


class Answers:
    """A JSONL file of answers, so that the model is asked about each text only once.

    Each line is `{"text": ..., "by": ..., "answers": [{"label": ..., "confidence": ...}, ...]}`, with one answer per
    wording. Any program may write the file, for example a client of a paid API.
    """

    def __init__(self, path: str | Path, by: str | None = None) -> None:
        """Reads the file if it exists.

        Args:
            path: path of the file; it need not exist yet.
            by: name of the model whose answers are used; None for all answers.

        Raises:
            ValueError: a line that is not such an object; the message names its number.
        """
        self.path, self.by = Path(path), by
        self._known: dict[str, list[Answer]] = {}
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                answers = [Answer(answer["label"], float(answer["confidence"])) for answer in row["answers"]]
                if by is None or row.get("by") == by:
                    self._known[row["text"]] = answers
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(
                    f"{self.path}, line {number}: {line[:60]!r}: expected "
                    '{"text": ..., "by": ..., "answers": [{"label": ..., "confidence": ...}, ...]}.'
                ) from error

    def missing(self, texts: Iterable[str]) -> list[str]:
        """Returns the texts that have no answer yet, each text once."""
        return [text for text in dict.fromkeys(texts) if text not in self._known]

    def of(self, texts: Iterable[str]) -> list[list[Answer]]:
        """Returns the answers about the texts, in the order of the texts.

        Raises:
            ValueError: a text has no answer (it is `missing`).
        """
        texts = list(texts)
        missing = self.missing(texts)
        if missing:
            raise ValueError(
                f"{self.path}: no answer about {len(missing)} of {len(texts)} texts, first {missing[0][:60]!r}. Name the "
                "model to ask, or a file that holds them."
            )
        return [self._known[text] for text in texts]

    def add(self, texts: Sequence[str], answers: Sequence[Sequence[Answer]]) -> None:
        """Stores the answers about the texts and appends them to the file at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            for text, said in zip(texts, answers, strict=True):
                self._known[text] = list(said)
                entries = [{"label": answer.label, "confidence": round(answer.confidence, 4)} for answer in said]
                file.write(json.dumps({"text": text, "by": self.by, "answers": entries}, ensure_ascii=False) + "\n")


def _zero_shot_answers(
    pipe: Any, texts: Sequence[str], class_names: Sequence[str], wording: str, batch_size: int
) -> list[Answer]:
    found = pipe(
        (text for text in texts),  # a generator, so that answers come one by one
        candidate_labels=list(class_names),
        hypothesis_template=wording,
        batch_size=batch_size,
    )
    bar = progress_bar("Asking the model", found, total=len(texts), unit="text")
    return [Answer(row["labels"][0], float(row["scores"][0])) for row in bar]


def _sampled_answers(
    pipe: Any, texts: Sequence[str], class_names: Sequence[str], wording: str, batch_size: int, samples: int
) -> list[Answer]:
    if pipe.tokenizer.pad_token_id is None:
        pipe.tokenizer.pad_token = pipe.tokenizer.eos_token
    pipe.tokenizer.padding_side = "left"
    classes = ", ".join(class_names)
    prompts: list[Any] = [wording.replace("{classes}", classes).replace("{text}", text) for text in texts]
    if pipe.tokenizer.chat_template:
        prompts = [[{"role": "user", "content": prompt}] for prompt in prompts]
    found = pipe(
        (prompt for prompt in prompts),  # a generator, so that answers come one by one
        do_sample=True,
        num_return_sequences=samples,
        max_new_tokens=12,
        return_full_text=False,
        batch_size=batch_size,
    )
    bar = progress_bar("Asking the model", found, total=len(prompts), unit="text")
    return [_most_common_class([_answer_text(one) for one in row], class_names) for row in bar]


def _answer_text(generated: Mapping[str, Any]) -> str:
    text = generated["generated_text"]
    return text if isinstance(text, str) else text[-1]["content"]  # in a chat, the last message


def _most_common_class(said: Sequence[str], class_names: Sequence[str]) -> Answer:
    """Returns the class that most answers name, with its share of all answers as the confidence."""
    named = Counter(name for answer in said if (name := named_class(answer, class_names)) is not None)
    if not named:
        return Answer(None, 0.0)
    (label, count), *_ = named.most_common(1)
    return Answer(label, count / len(said))
