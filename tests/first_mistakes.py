"""Common errors: what people type, and what the package answers.

    python tests/first_mistakes.py

makes each mistake and writes `docs/guides/common_errors.md`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programs import ROOT, run_program

from hf_noisy.corpora.small_encoder import small_encoder

PAGE = ROOT / "docs" / "guides" / "common_errors.md"
BEGIN = """
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_noisy import NoisyTrainer, NoisyTrainingArguments

texts = ["a good day", "a bad day", "good food", "bad food"] * 5
tokenizer = AutoTokenizer.from_pretrained(MODEL)
model = AutoModelForSequenceClassification.from_pretrained(MODEL, num_labels=2)
args = NoisyTrainingArguments("output", max_steps=2)


def rows(labels, column="label"):
    table = Dataset.from_dict({"text": texts, column: labels})
    return table.map(lambda row: tokenizer(row["text"]), batched=True)
"""
FILES = {
    "my.csv": "text,label\na good day,good\na bad day,bad\n",
    "sentiment.csv": "review,sentiment\na good day,good\na bad day,bad\n",
    "repeated.csv": "id,text,label\n1,a good day,good\n1,a bad day,bad\n",
    "config.yaml": "noise_metod: gce\n",
}
HEAD = f"""<!-- written by `python tests/first_mistakes.py` -->
# Common errors

For people whose first call did not do what they expected. Each section shows a call and the answer of the package, with the
fix. Use the search of your browser with a few words of your error. If your file or script is new, start with
[From your CSV](csv.md) or [From a Trainer script](trainer_script.md).

Bad input raises an error before the first step of a training. `tests/tables/bad_inputs.md` lists all inputs that are tested,
each with its message. The Python sections begin with the lines below. `MODEL` is the name of an encoder on the Hub, or a
folder.

```python
{BEGIN.strip()}
```

"""


@dataclass(frozen=True)
class Mistake:
    """A call that is often made, after `BEGIN`, or a command."""

    title: str
    typed: str
    note: str = ""  # a sentence below the answer

    @property
    def is_command(self) -> bool:
        return self.typed.startswith(("hf-noisy ", "python "))


def trains(dataset: str, more: str = "") -> str:
    given = f"model, args, train_dataset={dataset}, processing_class=tokenizer{more}"
    line = f"trainer = NoisyTrainer({given})"  # else split as ruff would have it, which formats the page too
    return f"{line if len(line) <= 120 else f'trainer = NoisyTrainer({chr(10)}    {given}{chr(10)})'}\ntrainer.train()"


MISTAKES = (
    Mistake(
        "Labels are names",
        trains('rows(["good", "bad"] * 10)') + "\nprint(model.config.id2label)",
        "This works. Names become classes in alphabetical order, and the saved model has them.",
    ),
    Mistake("Labels begin at 1", trains("rows([1, 2] * 10)")),
    Mistake("`num_labels` is missing or too small", trains("rows([0, 1, 2, 1] * 5)")),
    Mistake("More class names than the model has classes", trains('rows(["good", "bad", "fair", "bad"] * 5)')),
    Mistake(
        "Some rows have no label",
        trains("rows([0, 1, None, 1] * 5)") + "\nprint(trainer.noise.labels[:4])",
        "This works. -100 marks a row without a label. [Unlabeled rows](unlabeled_rows.md) says which methods use it.",
    ),
    Mistake("The labels are in another column", trains('rows([0, 1] * 10, column="sentiment")')),
    Mistake("Texts are not tokenized", trains('Dataset.from_dict({"text": texts, "label": [0, 1] * 10})')),
    Mistake(
        "`tokenizer=` of Transformers 4",
        "NoisyTrainer(model, args, train_dataset=rows([0, 1] * 10), tokenizer=tokenizer)",
    ),
    Mistake("No tokenizer is passed", "NoisyTrainer(model, args, train_dataset=rows([0, 1] * 10)).train()"),
    Mistake(
        "`noise_method` in `TrainingArguments`",
        'from transformers import TrainingArguments\n\nTrainingArguments("output", noise_method="gce")',
        "Use `NoisyTrainingArguments`. It takes everything that `TrainingArguments` takes.",
    ),
    Mistake("Unknown method", 'NoisyTrainingArguments("output", noise_method="coteaching")'),
    Mistake(
        "Unknown parameter of a method",
        'NoisyTrainingArguments("output", noise_method="co_teaching", noise_kwargs={"rate": 0.2})',
    ),
    Mistake(
        "A parameter outside its domain", 'NoisyTrainingArguments("output", noise_method="gce", noise_kwargs={"q": 7})'
    ),
    Mistake(
        "A method that needs trusted rows",
        'args = NoisyTrainingArguments("output", num_train_epochs=2, noise_method="glc")\n'
        + trains("rows([0, 1] * 10)"),
        "[Use trusted rows](trusted_rows.md) shows how.",
    ),
    Mistake(
        "A method that needs votes",
        'args = NoisyTrainingArguments("output", max_steps=2, noise_method="candidate_labels")\n'
        + trains("rows([0, 1] * 10)"),
        "[Labels of rules and several sources](weak_labels.md) shows how.",
    ),
    Mistake(
        "`example_report()` before the training",
        trains("rows([0, 1] * 10)").replace("trainer.train()", "trainer.example_report()"),
    ),
    Mistake(
        "A checkpoint that does not exist",
        trains("rows([0, 1] * 10)").replace("train()", 'train("output/checkpoint-9")'),
    ),
    Mistake("Unknown command", "hf-noisy trian --data my.csv"),
    Mistake("Unknown option", "hf-noisy train --data my.csv --noise gce"),
    Mistake("Unknown key in a YAML file", "hf-noisy train --config config.yaml"),
    Mistake("A file that does not exist", "hf-noisy train --data your.csv --model MODEL"),
    Mistake("A CSV with other column names", "hf-noisy train --data sentiment.csv --model MODEL"),
    Mistake("Ids that are repeated", "hf-noisy train --data repeated.csv --model MODEL"),
    Mistake(
        "A model that does not exist",
        "hf-noisy train --data my.csv --model my-model",
        "The text in brackets is that of the Hub's client, here without a network.",
    ),
    Mistake("A file with too few rows", "hf-noisy train --data my.csv --model MODEL"),
)


def answer(mistake: Mistake, folder: Path) -> str:
    """What the package answers, without the path of `folder`, which holds MODEL and the files of `FILES`."""
    if mistake.is_command:
        words = [str(folder / "MODEL") if word == "MODEL" else word for word in shlex.split(mistake.typed)]
        done = run_program(words, cwd=folder)
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        told = f"{''.join(last)}\n(exit code {done.returncode})"
    else:
        told = _in_python(mistake.typed, folder)
    return told.replace(f"{folder}/", "").replace(str(folder), "FOLDER").strip()


def _in_python(typed: str, folder: Path) -> str:
    said: list[str] = []
    namespace: dict[str, Any] = {
        "MODEL": str(folder / "MODEL"),
        "print": lambda *words: said.append(" ".join(map(str, words))),
    }
    with contextlib.chdir(folder), _listening(said):
        try:
            exec(compile(BEGIN + typed, "typed", "exec"), namespace)
        except Exception as error:
            said.append(f"{type(error).__name__}: {error}")
    return "\n".join(said) or "nothing: it trains"


@contextlib.contextmanager
def _listening(said: list[str]) -> Iterator[None]:
    """Adds each warning of ours."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("hf_noisy")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def prepare(folder: Path) -> None:
    """Write a small model and the files into `folder`."""
    model, tokenizer = small_encoder(["a good day", "a bad day"], max_length=64)
    model.config.id2label, model.config.label2id = {0: "LABEL_0", 1: "LABEL_1"}, {"LABEL_0": 0, "LABEL_1": 1}
    for part in (model, tokenizer):
        part.save_pretrained(folder / "MODEL")
    for name, text in FILES.items():
        (folder / name).write_text(text)


def section(mistake: Mistake, told: str) -> str:
    """A heading, the call, the answer, and the note."""
    language = "bash" if mistake.is_command else "python"
    lines = [
        line
        for part in told.splitlines()
        for line in textwrap.wrap(part, 100, break_long_words=False, break_on_hyphens=False)
    ]
    return "\n".join(
        [
            f"## {mistake.title}",
            "",
            f"```{language}",
            mistake.typed,
            "```",
            "",
            "```text",
            *lines,
            "```",
            *([""] if mistake.note else []),
            mistake.note,
            *([""] if mistake.note else []),
        ]
    )


def main() -> int:
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        PAGE.write_text(
            HEAD + "\n".join(section(mistake, answer(mistake, folder)) for mistake in MISTAKES), encoding="utf-8"
        )
    print(f"{len(MISTAKES)} mistakes made, wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
