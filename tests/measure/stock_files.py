"""Runs a file that other people wrote for `Trainer`, from where it lies: a notebook, a chapter of a course, or a script.

For `tests/measure/stock_clients.py`. Nothing of such a file is copied here. Code cells of a notebook and `py` blocks of a
chapter are joined. Two lines put our classes in place of `Trainer` and `TrainingArguments`, below the imports of those. Only loading
from the Hub is replaced (by generated texts and a tiny model), metrics, logins and uploads; seeds are set, also for Optuna. A file that
does not run with the installed Transformers even as it is, is changed in a line or two for both classes (`CHANGES`).
"""

from __future__ import annotations

import ast
import json
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

# what older versions allowed: pattern, what is put in its place, and the sentence of the report
CHANGES = [
    (
        r"^from datasets import (.*), load_metric$",
        r"from datasets import \1\nfrom evaluate import load as load_metric",
        "`load_metric` comes from Evaluate",
    ),
    (
        r"^(\s+)tokenizer=((?:self\.)?tokenizer),$",
        r"\1processing_class=\2,",
        "`tokenizer` is called `processing_class`",
    ),
    (r"^(\s+)model_init=model_init\(\),$", r"\1model_init=model_init,", "`model_init` is passed and not called"),
    (r"^\s+overwrite_output_dir=True,\n", "", "`overwrite_output_dir` is left out"),
    (r"^(\s+)warmup_ratio=", r"\1warmup_steps=", "`warmup_ratio` is called `warmup_steps`"),
    (r"^\s+fp16=True,\n", "", "`fp16` is left out on a CPU"),
]
# options that make a script short; {model} and {output} are filled in
OPTIONS = {
    "frod_text_classification.py": "--model_name_or_path {model} --output_dir {output} --num_train_epochs 2 --use_cpu",
    "glue_adamss_asa_example.py": "--model_name_or_path {model} --output_dir {output} --dataset_name sst2 --num_epochs 2 --batch_size 8 "
    "--max_length 16 --adamss_r 8 --adamss_k 4 --use_asa --asa_target_subspaces 2 --asa_init_warmup 0 --asa_final_warmup 2 "
    "--asa_mask_interval 1",
    "sequence_classification_finetune_monteclora.py": "--base_model {model} --output_dir {output} --batch_size 8 --num_epochs 2 "
    "--max_length 16 --n_samples 2",
    "run_fewshot.py": "train-single-dataset --model-id {model} --sample-sizes 6 --num-train-epochs-min 1 --num-train-epochs-max 2 --debug",
}


def source_of(path: Path) -> str:
    """The Python code of a notebook, a chapter or a script."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        return "\n".join("".join(cell["source"]) for cell in cells) + "\n"
    if path.suffix == ".mdx":
        return "\n".join(re.findall(r"^```py\n(.*?)^```$", text, re.M | re.S))
    return text


def changed(source: str) -> tuple[str, list[str]]:
    """The code for the installed versions, and what was changed.

    >>> changed("Trainer(\\n    tokenizer=tokenizer,\\n)\\n")
    ('Trainer(\\n    processing_class=tokenizer,\\n)\\n', ['`tokenizer` is called `processing_class`'])
    """
    said = []
    for pattern, instead, sentence in CHANGES:
        source, count = re.subn(pattern, instead, source, flags=re.M)
        said += [sentence] if count else []
    return source, said


def with_our_classes(source: str) -> str:
    """The code with a line below each import of `Trainer` and of `TrainingArguments`: ours by the same name.

    >>> with_our_classes("from transformers import Trainer, pipeline\\n")
    'from transformers import Trainer, pipeline\\nfrom hf_noisy import NoisyTrainer as Trainer\\n'
    """
    lines = source.splitlines()
    imports = [
        node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom) and node.module == "transformers"
    ]
    for node in reversed(imports):
        named = [each.name for each in node.names if each.name in ("Trainer", "TrainingArguments")]
        lines[node.end_lineno : node.end_lineno] = [f"from hf_noisy import Noisy{name} as {name}" for name in named]
    return "\n".join(lines) + "\n"


def run_file(path: Path, model: Path, output: Path, *, ours: bool, as_it_is: bool, load: Callable[..., Any]) -> None:
    """Run a file as `__main__`, and write the weights after each training to `output`, numbered.

    Args:
        path: the file.
        model: a folder with a tiny model and its tokenizer, loaded in place of any on the Hub.
        output: the folder of the weights.
        ours: whether with our classes.
        as_it_is: whether without `CHANGES`.
        load: in place of `datasets.load_dataset`.
    """
    from transformers import set_seed

    source = source_of(path)
    source = source if as_it_is else changed(source)[0]
    source = with_our_classes(source) if ours else source
    _replace_loading(model, load)
    _keep_weights(output)
    options = OPTIONS.get(path.name, "").replace("{model}", str(model)).replace("{output}", str(output / "own"))
    sys.argv = [str(path), *options.split()]
    sys.path.insert(0, str(path.parent))
    set_seed(0)  # few of these files do it before they make their model
    sys.modules["__main__"] = program = types.ModuleType("__main__")  # by which its classes are pickled
    program.__file__ = str(path)
    exec(compile(source, str(path), "exec"), program.__dict__)


class Metric:
    """In place of the metrics of the Hub: the accuracy, by each name that a program may choose a model by."""

    def compute(self, predictions: Any, references: Any, **others: Any) -> dict[str, float]:
        right = [int(a) == int(b) for a, b in zip(predictions, references, strict=True)]
        return dict.fromkeys(["accuracy", "f1", "matthews_correlation"], sum(right) / len(right))


def _replace_loading(model: Path, load: Callable[..., Any]) -> None:
    import datasets
    import evaluate
    import huggingface_hub
    import optuna
    import transformers

    datasets.load_dataset = load
    evaluate.load = lambda *args, **named: Metric()
    huggingface_hub.notebook_login = lambda *args, **named: None
    for kind in (transformers.AutoTokenizer, transformers.AutoModelForSequenceClassification):
        kind.from_pretrained = _local(kind.from_pretrained, model)
    trainer: Any = transformers.Trainer
    for name in ("init_hf_repo", "push_to_hub", "_push_from_checkpoint"):
        setattr(trainer, name, lambda *args, **named: None)
    stock_study = optuna.create_study

    def seeded(*args: Any, **named: Any) -> Any:
        return stock_study(*args, **{"sampler": optuna.samplers.TPESampler(seed=0), **named})

    optuna.create_study = seeded


def _local(stock: Callable[..., Any], model: Path) -> Callable[..., Any]:
    def from_pretrained(name: Any, *args: Any, **named: Any) -> Any:
        return stock(name if Path(name).is_dir() else str(model), *args, **named)

    return from_pretrained


def _keep_weights(output: Path) -> None:
    """From now on, each training writes the weights that it ends with, whichever of the classes trains."""
    import transformers
    from safetensors.torch import save_file

    trainer: Any = transformers.Trainer
    stock = trainer.train

    def train(self: Any, *args: Any, **named: Any) -> Any:
        found = stock(self, *args, **named)
        number = len(list(output.glob("*.safetensors")))
        model = getattr(self.model, "first", self.model) if hasattr(self.model, "networks") else self.model
        save_file(
            {name: tensor.clone() for name, tensor in model.state_dict().items()}, output / f"{number}.safetensors"
        )
        return found

    trainer.train = train
