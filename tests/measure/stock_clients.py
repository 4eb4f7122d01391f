"""Runs the scripts that people have for `Trainer`, with `Trainer` and with `NoisyTrainer` by changing two lines.

    python tests/measure/stock_clients.py path/to/transformers --output recipes/results/stock_clients.jsonl \
        --files path/to/text_classification.ipynb path/to/3.mdx path/to/frod_text_classification.py

The path is that of a checkout of Transformers; its `run_glue.py`, `run_classification.py` and `run_xnli.py` are run from there, and
nothing of it is copied. Programs of the other kinds (a first fine-tuning, adapters, few examples with a frozen encoder, an Optuna
study) are below, in the words that tutorials use for them. In each, two lines after the imports put our two classes in place of
`Trainer` and `TrainingArguments`. Only loading of data and metrics from the Hub is replaced: by generated texts, and by accuracy.
Of `--files`, notebooks, chapters and scripts of others (`tests/measure/stock_files.py`), a line also says what older versions allowed
and had to be changed for both classes.

Each program runs without a method and with one batch a step. A line says whether the saved weights are equal to the bit.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from reporting import Line, Results, add_output
from stock_files import changed, run_file, source_of

from hf_noisy.benchmark.cells import markdown_table

TWO_LINES = (
    "from hf_noisy import NoisyTrainer as Trainer\nfrom hf_noisy import NoisyTrainingArguments as TrainingArguments\n"
)
STOCK, OURS = "Trainer", "NoisyTrainer"
_WORDS = {"good": ["fine", "lovely", "bright"], "bad": ["dull", "broken", "slow"]}
_SHORT = "--do_train --do_eval --max_seq_length 16 --per_device_train_batch_size 8 --num_train_epochs 2 --report_to none --use_cpu"
SCRIPTS = {
    "run_glue.py, a task": f"run_glue.py --task_name sst2 {_SHORT} --do_predict",
    "run_glue.py, a pair of texts": f"run_glue.py --task_name mrpc {_SHORT}",
    "run_glue.py, files": f"run_glue.py --train_file {{data}}/train.csv --validation_file {{data}}/valid.csv {_SHORT}",
    "run_classification.py, files": "run_classification.py --train_file {data}/train.csv --validation_file {data}/valid.csv "
    f"--text_column_names text --label_column_name label --metric_name accuracy --shuffle_train_dataset {_SHORT}",
    "run_xnli.py": f"run_xnli.py --language en --train_language en --ignore_mismatched_sizes True {_SHORT} --do_predict",
}
PROGRAMS = {
    "a first fine-tuning, as in courses": """
import numpy as np
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments
{two_lines}
rows = load_dataset("glue", "mrpc")
tokenizer = AutoTokenizer.from_pretrained({model!r})
tokens = rows.map(lambda batch: tokenizer(batch["sentence1"], batch["sentence2"], truncation=True), batched=True)
model = AutoModelForSequenceClassification.from_pretrained({model!r}, num_labels=2)
args = TrainingArguments({output!r}, eval_strategy="epoch", num_train_epochs=2, report_to="none", use_cpu=True)
trainer = Trainer(
    model, args, train_dataset=tokens["train"], eval_dataset=tokens["validation"],
    data_collator=DataCollatorWithPadding(tokenizer=tokenizer), processing_class=tokenizer,
    compute_metrics=lambda found: {{"accuracy": float((np.argmax(found[0], -1) == found[1]).mean())}},
)
trainer.train()
trainer.predict(tokens["validation"])
trainer.save_model()
""",
    "a notebook, with the best model at the end": """
import numpy as np
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments
{two_lines}
rows = load_dataset("glue", "sst2")
tokenizer = AutoTokenizer.from_pretrained({model!r}, use_fast=True)
encoded = rows.map(lambda batch: tokenizer(batch["sentence"], truncation=True), batched=True)
model = AutoModelForSequenceClassification.from_pretrained({model!r}, num_labels=2)
args = TrainingArguments(
    {output!r}, eval_strategy="epoch", save_strategy="epoch", learning_rate=2e-3, num_train_epochs=2, weight_decay=0.01,
    load_best_model_at_end=True, metric_for_best_model="accuracy", report_to="none", use_cpu=True,
)
metrics = lambda found: {{"accuracy": float((np.argmax(found.predictions, axis=1) == found.label_ids).mean())}}
trainer = Trainer(
    model, args, train_dataset=encoded["train"], eval_dataset=encoded["validation"], processing_class=tokenizer,
    compute_metrics=metrics,
)
trainer.train()
trainer.evaluate()
trainer.save_model()
""",
    "adapters (PEFT), sequence classification": """
import torch
from datasets import load_dataset
from peft import LoraConfig, TaskType, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments
{two_lines}
rows = load_dataset("glue", "mrpc")
tokenizer = AutoTokenizer.from_pretrained({model!r})
tokens = rows.map(
    lambda batch: tokenizer(batch["sentence1"], batch["sentence2"], truncation=True), batched=True,
    remove_columns=["idx", "sentence1", "sentence2"],
).rename_column("label", "labels")
torch.manual_seed(0)
model = AutoModelForSequenceClassification.from_pretrained({model!r}, return_dict=True)
model = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=8, lora_alpha=16, lora_dropout=0.1, target_modules=["query"]))
args = TrainingArguments({output!r}, learning_rate=3e-3, num_train_epochs=2, report_to="none", use_cpu=True)
trainer = Trainer(
    model, args, train_dataset=tokens["train"], eval_dataset=tokens["validation"],
    data_collator=lambda rows: tokenizer.pad(rows, padding="longest", return_tensors="pt"),
)
trainer.train()
trainer.evaluate()
trainer.save_model()
""",
    "few examples, a head on a frozen encoder": """
from datasets import load_dataset
from torch import nn
from transformers import AutoModel, AutoTokenizer, Trainer, TrainingArguments
{two_lines}
class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = AutoModel.from_pretrained({model!r}).requires_grad_(False)
        self.head = nn.Linear(self.body.config.hidden_size, 2)

    def forward(self, input_ids, attention_mask, labels=None):
        states, mask = self.body(input_ids=input_ids, attention_mask=attention_mask)[0], attention_mask.unsqueeze(-1)
        logits = self.head((states * mask).sum(1) / mask.sum(1))
        return {{"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}} if labels is not None else {{"logits": logits}}

rows = load_dataset("glue", "sst2")["train"].shuffle(seed=1).select(range(16))
tokenizer = AutoTokenizer.from_pretrained({model!r})
tokens = rows.map(lambda batch: tokenizer(batch["sentence"], truncation=True), batched=True)
import torch
torch.manual_seed(0)
args = TrainingArguments({output!r}, learning_rate=1e-2, num_train_epochs=4, report_to="none", use_cpu=True)
trainer = Trainer(Head(), args, train_dataset=tokens, processing_class=tokenizer)
trainer.train()
trainer.save_model()
""",
    "an Optuna study": """
from datasets import load_dataset
import optuna
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments
{two_lines}
rows = load_dataset("glue", "sst2")
tokenizer = AutoTokenizer.from_pretrained({model!r})
encoded = rows.map(lambda batch: tokenizer(batch["sentence"], truncation=True), batched=True)
args = TrainingArguments({output!r}, eval_strategy="epoch", num_train_epochs=1, report_to="none", use_cpu=True)
trainer = Trainer(
    args=args, train_dataset=encoded["train"], eval_dataset=encoded["validation"], processing_class=tokenizer,
    model_init=lambda trial: AutoModelForSequenceClassification.from_pretrained({model!r}, num_labels=2),
)
best = trainer.hyperparameter_search(
    hp_space=lambda trial: {{"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)}}, n_trials=3,
    direction="minimize", backend="optuna", sampler=optuna.samplers.RandomSampler(seed=0),
)
for name, value in best.hyperparameters.items():
    setattr(trainer.args, name, value)
trainer.train()
trainer.save_model()
""",
}


# ---- the process that runs one program ------------------------------------------------------------------------------------


def texts(rows: int, seed: int) -> dict[str, list[Any]]:
    """Short texts and their classes, generated."""
    draw = random.Random(seed)
    labels = [row % 2 for row in range(rows)]
    words = [_WORDS["good" if label else "bad"] for label in labels]
    made = [f"the {draw.choice(of)} film was {draw.choice(of)} number {draw.randint(1, 9)}" for of in words]
    return {"text": made, "label": labels}


def generated(name: str, config: str) -> Any:
    """Data sets in the columns of the named ones of the Hub."""
    import datasets

    def split(rows: int, seed: int) -> Any:
        made = texts(rows, seed)
        columns: dict[str, Any] = {"label": made["label"], "idx": list(range(rows))}
        if name.startswith("SetFit/"):
            return datasets.Dataset.from_dict(
                made | {"label_text": [["bad", "good"][label] for label in made["label"]]}
            )
        if config in ("sst2", "cola"):
            columns["sentence"] = made["text"]
        elif config == "mrpc":
            columns |= {"sentence1": made["text"], "sentence2": made["text"][::-1]}
        else:
            columns |= {"premise": made["text"], "hypothesis": made["text"][::-1]}
            columns["label"] = [row % 3 for row in range(rows)]
        names = ["a", "b"] if config in ("sst2", "cola", "mrpc") else ["entailment", "neutral", "contradiction"]
        return datasets.Dataset.from_dict(columns).cast_column("label", datasets.ClassLabel(names=names))

    return datasets.DatasetDict(train=split(48, 1), validation=split(16, 2), test=split(16, 3))


class Accuracy:
    """In place of a metric of the Hub."""

    def compute(self, predictions: Any, references: Any, **others: Any) -> dict[str, float]:
        right = [int(a) == int(b) for a, b in zip(predictions, references, strict=True)]
        return {"accuracy": sum(right) / len(right)}


def loading() -> Any:
    """In place of `datasets.load_dataset`."""
    import datasets

    stock_load = datasets.load_dataset

    def load(name: str, config: str | None = None, *args: Any, split: str | None = None, **named: Any) -> Any:
        if name in ("csv", "json"):
            return stock_load(name, config, *args, split=split, **named)
        made = generated(name, str(config))
        return made if split is None else made[split]

    return load


def run(path: Path, kind: str, arguments: list[str]) -> None:
    """Run a program as `__main__`, with our two classes after its imports if `kind` is ours."""
    import datasets
    import evaluate

    datasets.load_dataset = loading()
    evaluate.load = lambda *args, **named: Accuracy()
    source = path.read_text(encoding="utf-8")
    if kind == OURS and TWO_LINES not in source:
        marker = "\nfrom transformers.utils import check_min_version\n"
        assert source.count(marker) == 1, f"{path.name}: its imports have changed"
        source = source.replace(marker, f"\n{TWO_LINES.rstrip()}{marker}")
    sys.argv = [str(path), *arguments]
    exec(compile(source, str(path), "exec"), {"__name__": "__main__", "__file__": str(path)})


# ---- all programs -----------------------------------------------------------------------------------------------------------


def prepare(folder: Path) -> Path:
    """Write data files, and a tiny model with its tokenizer. Returns the folder of the model."""
    import csv

    from hf_noisy.corpora.small_encoder import small_encoder

    for name, rows, seed in (("train", 48, 1), ("valid", 16, 2)):
        made = texts(rows, seed)
        with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([("text", "label"), *zip(made["text"], made["label"], strict=True)])
    model, tokenizer = small_encoder(texts(48, 1)["text"])
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def _place(name: str) -> str:
    """The name of the folder of a program."""
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def weights(folder: Path) -> dict[str, Any]:
    """The saved tensors of a run, by name."""
    from safetensors.torch import load_file

    found = [path for name in ("model.safetensors", "adapter_model.safetensors") if (path := folder / name).is_file()]
    return load_file(found[0]) if found else {}


def compare(path: Path, arguments: list[str], folder: Path, place: str) -> Line:
    """Run a program with both classes. Returns whether both ended well, and whether the weights are equal."""
    saved, ended = {}, {}
    for kind in (STOCK, OURS):
        output = folder / f"{place}-{kind}"
        filled = [word.replace("{output}", str(output)) for word in arguments]
        chosen = path if path.suffix == ".py" else path / f"{kind}.py"
        command = [
            sys.executable,
            "-W",
            "ignore",
            str(Path(__file__).resolve()),
            "--run",
            str(chosen),
            "--kind",
            kind,
            "--",
            *filled,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        ended[kind] = _ended(done)
        saved[kind] = weights(output)
    stock, ours = saved[STOCK], saved[OURS]
    return {"stock": ended[STOCK], "ours": ended[OURS], "equal": bool(stock) and _equal(stock, ours)}


def _equal(stock: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    import torch

    return stock.keys() == ours.keys() and all(torch.equal(stock[key], ours[key]) for key in stock)


def _ended(done: subprocess.CompletedProcess[str]) -> str:
    """ "ends", or the last line of the error."""
    lines = done.stderr.strip().splitlines() or ["no message"]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]  # a progress bar may be below it
    return "ends" if done.returncode == 0 else (errors or lines)[-1][:200]


def compare_file(path: Path, model: Path, folder: Path) -> Line:
    """Run a file of others with both classes. It is changed for both only if it fails with the stock class as it is."""
    from safetensors.torch import load_file

    def ran(kind: str, *options: str) -> tuple[str, list[dict[str, Any]]]:
        output = folder / _place(f"{path.name}-{kind}-{'-'.join(options)}")
        output.mkdir()
        script = [sys.executable, "-W", "ignore", str(Path(__file__).resolve()), "--run", str(path), "--kind", kind]
        words = [*script, "--model", str(model), "--output", str(output), *options]
        ended = _ended(subprocess.run(words, capture_output=True, text=True, check=False, cwd=output))
        return ended, [load_file(output / f"{k}.safetensors") for k in range(len(list(output.glob("*.safetensors"))))]

    options, said = ["--as_it_is"], []
    stock, of_stock = first = ran(STOCK, *options)
    if stock != "ends":
        options, said = [], changed(source_of(path))[1]
        stock, of_stock = ran(STOCK)
    ours, of_ours = ran(OURS, *options)
    same = sum(map(_equal, of_stock, of_ours))
    equal = bool(of_stock) and same == len(of_stock) == len(of_ours)
    more = {"trainings": len(of_stock), "equal trainings": same, "as it is": first[0], "changed": said}
    return {"stock": stock, "ours": ours, "equal": equal, **more}


def table(lines: Iterable[Line]) -> str:
    """A row per program."""
    head = ["program", "with `Trainer`", "with `NoisyTrainer`", "weights equal to the bit", "changed for both"]
    return markdown_table(
        head,
        [
            [
                line["program"],
                line["stock"],
                line["ours"],
                _said_of_weights(line),
                "; ".join(line.get("changed", [])) or "nothing",
            ]
            for line in lines
        ],
    )


def _said_of_weights(line: Line) -> str:
    trainings = line.get("trainings", 1)
    if trainings > 1:
        return f"in {line['equal trainings']} of {trainings} trainings"
    return "yes" if line["equal"] else "no"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "checkout", type=Path, nargs="?", help="a checkout of Transformers; without one its scripts are left out"
    )
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="notebooks, chapters and scripts of others")
    parser.add_argument("--only", default="", help="only programs whose names hold this")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kind", choices=[STOCK, OURS], help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--as_it_is", action="store_true", help=argparse.SUPPRESS)
    add_output(parser)
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    given = parser.parse_args(words[:split])
    if given.model is not None:
        ours = given.kind == OURS
        run_file(given.run, given.model, given.output, ours=ours, as_it_is=given.as_it_is, load=loading())
        return 0
    if given.run is not None:
        run(given.run, given.kind, words[split + 1 :])
        return 0
    results = Results(given.output)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        model = prepare(folder)
        jobs: list[tuple[str, Path, list[str]]] = []
        if given.checkout is not None:
            scripts = given.checkout.resolve() / "examples" / "pytorch" / "text-classification"
            for name, command in SCRIPTS.items():
                words = command.replace("{data}", str(folder)).split()
                fixed = ["--model_name_or_path", str(model), "--output_dir", "{output}"]
                jobs.append((name, scripts / words[0], [*words[1:], *fixed]))
        for name, program in PROGRAMS.items():
            place = folder / _place(name)
            place.mkdir()
            for kind in (STOCK, OURS):
                lines_of_ours = TWO_LINES if kind == OURS else ""
                source = program.format(
                    two_lines=lines_of_ours, model=str(model), output=str(folder / f"{_place(name)}-{kind}")
                )
                (place / f"{kind}.py").write_text(source, encoding="utf-8")
            jobs.append((name, place, []))
        for name, path, arguments in jobs:
            if given.only in name:
                line = results.once({"program": name}, partial(compare, path, arguments, folder, _place(name)))
                print(f"{name}: {line['stock']}, {line['ours']}, equal: {line['equal']}", flush=True)
        for path in given.files:
            if given.only in path.name:
                line = results.once({"program": path.name}, partial(compare_file, path.resolve(), model, folder))
                print(f"{path.name}: {line}", flush=True)
    print(table(results.lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
