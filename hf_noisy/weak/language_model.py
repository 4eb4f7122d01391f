"""Labels by a language model: ask it in several wordings, keep what it answered, and let it vote where it was sure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_noisy.common.checks import check_choice, check_fraction, check_whole, nearest
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
    """What a model said of a text in one wording."""

    label: str | None  # a class name; None where it named no class
    confidence: float  # 0 to 1: the model's probability, or the share of its answers that named the label


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
    """Lets a language model say of each example which class it is of, and how sure it is, once in each wording.

    Args:
        model: a folder, or a name on the Hub. What it answers never leaves this process.
        texts: what to label.
        class_names: what it may answer; names that say what is meant.
        task: "zero-shot-classification" needs a classifier that was trained on entailment, and takes its probability for
            the confidence. "text-generation" draws `samples` short answers, takes the class that most of them begin
            with, and their share for the confidence.
        wordings: a source of votes each; by default three. With {} for the class, or for "text-generation" with {text} and
            {classes}.
        samples: of each wording, for "text-generation".
        batch_size: texts at once.
        seed: of the draws. The global random numbers are as they were afterwards.

    Returns:
        for each text as many answers as there are wordings.

    Raises:
        ValueError: an unknown task, a wording without its braces, or fewer than one sample.
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
        asked: Any = pipeline(task, model=model)  # type: ignore[call-overload]
        if task == TASKS[0]:
            by_wording = [_entailed(asked, texts, class_names, wording, batch_size) for wording in wordings]
        else:
            by_wording = [_generated(asked, texts, class_names, wording, batch_size, samples) for wording in wordings]
    return [list(answers) for answers in zip(*by_wording, strict=True)]


def named_class(answer: str, class_names: Sequence[str]) -> str | None:
    """The class that an answer begins with, whatever its case; the longest where one name begins another.

    >>> named_class(" Sport, I think.", ["sport", "sport news", "health"]), named_class("Hm.", ["sport", "health"])
    ('sport', None)
    """
    said = answer.strip().strip("\"'*`-:. ").lower()
    found = [name for name in class_names if said.startswith(name.lower())]
    return max(found, key=len) if found else None


def votes_of_answers(
    answers: Sequence[Sequence[Answer]], class_names: Sequence[str], confidence: float = 0.5
) -> np.ndarray:
    """Each wording votes for its answer where that was sure enough, and abstains elsewhere.

    Args:
        answers: (rows, wordings).
        class_names: in the order of the classes.
        confidence: what an answer must reach, from 0 to 1.

    Returns:
        votes (rows, wordings), -1 abstains.

    Raises:
        ValueError: an answer that is no class, named with its row; rows of different lengths; a confidence outside [0, 1].

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
    """A JSONL file of answers, so that no text is asked about twice.

    A line is `{"text": ..., "by": ..., "answers": [{"label": ..., "confidence": ...}, ...]}`, an answer a wording. It may come
    from anywhere: another program, an interface that is paid by the request.
    """

    def __init__(self, path: str | Path, by: str | None = None) -> None:
        """Read what is there.

        Args:
            path: need not exist yet.
            by: count only what this one answered; None counts all.

        Raises:
            ValueError: a line that is no such object, named with its number.
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
        """What has not been asked about, each text once."""
        return [text for text in dict.fromkeys(texts) if text not in self._known]

    def of(self, texts: Iterable[str]) -> list[list[Answer]]:
        """The answers about texts, in their order.

        Raises:
            ValueError: one of them is `missing`.
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
        """Keep the answers about texts, and write them at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            for text, said in zip(texts, answers, strict=True):
                self._known[text] = list(said)
                told = [{"label": answer.label, "confidence": round(answer.confidence, 4)} for answer in said]
                file.write(json.dumps({"text": text, "by": self.by, "answers": told}, ensure_ascii=False) + "\n")


def _entailed(
    asked: Any, texts: Sequence[str], class_names: Sequence[str], wording: str, batch_size: int
) -> list[Answer]:
    found = asked(list(texts), candidate_labels=list(class_names), hypothesis_template=wording, batch_size=batch_size)
    return [Answer(row["labels"][0], float(row["scores"][0])) for row in found]


def _generated(
    asked: Any, texts: Sequence[str], class_names: Sequence[str], wording: str, batch_size: int, samples: int
) -> list[Answer]:
    if asked.tokenizer.pad_token_id is None:
        asked.tokenizer.pad_token = asked.tokenizer.eos_token
    asked.tokenizer.padding_side = "left"
    classes = ", ".join(class_names)
    prompts: list[Any] = [wording.replace("{classes}", classes).replace("{text}", text) for text in texts]
    if asked.tokenizer.chat_template:
        prompts = [[{"role": "user", "content": prompt}] for prompt in prompts]
    found = asked(
        prompts,
        do_sample=True,
        num_return_sequences=samples,
        max_new_tokens=12,
        return_full_text=False,
        batch_size=batch_size,
    )
    return [_commonest([_said(one) for one in row], class_names) for row in found]


def _said(generated: Mapping[str, Any]) -> str:
    text = generated["generated_text"]
    return text if isinstance(text, str) else text[-1]["content"]  # of a chat, the last message


def _commonest(said: Sequence[str], class_names: Sequence[str]) -> Answer:
    """The class that most answers name, and their share of all."""
    named = Counter(name for answer in said if (name := named_class(answer, class_names)) is not None)
    if not named:
        return Answer(None, 0.0)
    (label, count), *_ = named.most_common(1)
    return Answer(label, count / len(said))
