"""Runs the tests that Transformers has for its own Trainer, with the stock Trainer and with `NoisyTrainer`.

    python tests/measure/stock_trainer_tests.py path/to/transformers

The path is that of a checkout of Transformers with its `tests/trainer` (the packages on the index have none). Nothing of it is
copied. Its toy models predict a number; here toy models of two classes stand in their place, and language models become
classifiers of texts. The same adapted tests run with both classes, and the script prints how many of those that pass with the
stock Trainer pass with `NoisyTrainer`, and why the others do not. `--output` writes what it found as JSON.

What the adaptation leaves out: tests that fail with the stock Trainer after it, since they compute a squared error themselves,
need a network or a package or a GPU that is not here, or belong to another version than the installed one. The script lists
them too. The checkout needs the packages `parameterized` and `pytest-timeout`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import subprocess
import sys
import tempfile
import types
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

STOCK, OURS = "Trainer", "NoisyTrainer"
_KIND, _RESULTS, _CHECKOUT = "HF_NOISY_TRAINER", "HF_NOISY_RESULTS", "HF_NOISY_CHECKOUT"
_LEFT_OUT = (
    "distributed",
    "fsdp",
    "deepspeed",
    "tpu",
    "seq2seq",
    "data_collator",
    "context_parallel",
    "sequence_parallel",
)


# ---- toys of two classes --------------------------------------------------------------------------------------------


class TwoClassDataset:
    """Numbers, and a class drawn with the odds of a line through them, so that a and b are the weights to be learned."""

    def __init__(self, a: float = 2, b: float = 3, length: int = 64, seed: int = 42, label_names: Any = None) -> None:
        draw = np.random.RandomState(seed)
        self.label_names = ["labels"] if label_names is None else label_names
        self.length = length
        self.x = draw.normal(size=length).astype(np.float32)
        line = a * self.x + b + draw.logistic(size=length)
        self.ys = [(line > 0).astype(np.int64) for _ in self.label_names]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: y[row] for name, y in zip(self.label_names, self.ys, strict=True)} | {"input_x": self.x[row]}


class Agreement:
    """The share of rows whose larger logit is that of the label."""

    def __init__(self, thresh: float = 0.25) -> None:
        self.seen: list[float] = []

    def __call__(self, found: Any, compute_result: bool | None = None) -> dict[str, float] | None:
        predictions, labels = (part[0] if isinstance(part, tuple) else part for part in found)
        predictions, labels = np.asarray(predictions), np.asarray(labels)
        chosen = predictions > 0 if predictions.ndim == labels.ndim else predictions.argmax(-1)
        right = (chosen == labels).astype(np.float32)
        if compute_result is None:
            return {"accuracy": float(right.mean())}
        self.seen.extend(right.tolist())
        if not compute_result:
            return None
        result, self.seen = {"accuracy": float(np.mean(self.seen))}, []
        return result


def _logits(scores: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.zeros_like(scores), scores], -1)


def _outputs(logits: torch.Tensor, labels: torch.Tensor | None, double: bool) -> tuple[torch.Tensor, ...]:
    found = (logits, logits) if double else (logits,)
    return found if labels is None else (nn.functional.cross_entropy(logits, labels), *found)


class TwoClassModule(nn.Module):
    """A line, as a module without a configuration."""

    def __init__(self, a: float = 0, b: float = 0, double_output: bool = False) -> None:
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.tensor(float(value))) for value in (a, b))
        self.double_output, self.config = double_output, None

    def forward(self, input_x: Any, labels: Any = None, **others: Any) -> Any:
        return _outputs(_logits(input_x * self.a + self.b), labels, self.double_output)


class TwoClassDictModule(TwoClassModule):
    """A line whose outputs have names."""

    def forward(self, input_x: Any, labels: Any = None, **others: Any) -> Any:
        found = _outputs(_logits(input_x * self.a + self.b), labels, False)
        return {"output": found[-1]} if labels is None else {"output": found[-1], "loss": found[0]}


class TwoClassModel(transformers.PreTrainedModel):
    """A line, as a model of Transformers."""

    config_class, base_model_prefix = transformers.PreTrainedConfig, "regression"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.a, self.b = (nn.Parameter(torch.tensor(float(value))) for value in (config.a, config.b))
        self.double_output = config.double_output
        self.post_init()

    def scores(self, input_x: torch.Tensor) -> torch.Tensor:
        return input_x * self.a + self.b

    def forward(self, input_x: Any, labels: Any = None, **others: Any) -> Any:
        return _outputs(_logits(self.scores(input_x)), labels, self.double_output)


class RandomTwoClassModel(TwoClassModel):
    """A line with noise from every global generator, so that their state shows in the weights."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.random_torch = config.random_torch

    def scores(self, input_x: torch.Tensor) -> torch.Tensor:
        import random

        drawn = float(torch.randn(1)) if self.random_torch else 0.0
        return super().scores(input_x) + 0.05 * (drawn + np.random.rand() + random.random())


class CheckpointedTwoClassModel(transformers.PreTrainedModel):
    """Layers that can recompute their activations."""

    config_class, base_model_prefix = transformers.PreTrainedConfig, "regression"
    supports_gradient_checkpointing = supports_activation_checkpointing = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(4))
        self.head, self.double_output, self.gradient_checkpointing = nn.Linear(1, 2), config.double_output, False
        self.post_init()

    def forward(self, input_x: Any, labels: Any = None, **others: Any) -> Any:
        states = input_x.unsqueeze(-1)
        for layer in self.layers:
            recompute = self.training and self.gradient_checkpointing
            states = self._gradient_checkpointing_func(layer.__call__, states) if recompute else layer(states)
        return _outputs(self.head(states), labels, self.double_output)


class LabelledTexts:
    """One text, repeated, with labels in turn."""

    def __init__(self, x: Any, length: int = 64) -> None:
        self.x, self.length = x, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_ids": self.x, "labels": row % 2}


def _classifier(name: str) -> Any:
    """Makes a classifier of texts where a test makes a language model."""
    kind = getattr(transformers, name)

    def make(config: Any, *args: Any, **named: Any) -> Any:
        config.pad_token_id = 0
        return kind(config, *args, **named)

    return make


def _text_rows(vocab_size: int, seq_length: int, num_samples: int) -> Any:
    import datasets

    ids = np.random.randint(1, vocab_size, (num_samples, seq_length))
    return datasets.Dataset.from_dict({"input_ids": ids, "labels": ids[:, 0] % 2})


REASONS = {  # why a test that passes with the stock Trainer does not pass with ours
    "test_compare_trainer_and_checkpoint_args_logging": "it resumes with another training set, whose rows the methods do not know",
    "test_logging_inf_nan_filter": "its loss is not finite, which raises an error (`nonfinite_loss`)",
    "test_predict": "two labels a row",
    "test_predict_with_batch_eval_metrics": "two labels a row",
    "test_train_and_eval_dataloaders": "`dataloader_drop_last` leaves no row of an evaluation out",
    "test_training_iterable_dataset": "the training set is a stream, whose rows have no numbers",
}
STAND_INS = {
    "RegressionDataset": TwoClassDataset,
    "RegressionModel": TwoClassModule,
    "RegressionDictModel": TwoClassDictModule,
    "RegressionPreTrainedModel": TwoClassModel,
    "RegressionRandomPreTrainedModel": RandomTwoClassModel,
    "RegressionPreTrainedModelWithGradientCheckpointing": CheckpointedTwoClassModel,
    "AlmostAccuracy": Agreement,
    "AlmostAccuracyBatched": Agreement,
    "RepeatDataset": LabelledTexts,
    "GPT2LMHeadModel": _classifier("GPT2ForSequenceClassification"),
    "LlamaForCausalLM": _classifier("LlamaForSequenceClassification"),
    "create_dummy_dataset_for_text_generation": _text_rows,
}


# ---- the plugin of pytest, in the process that runs the tests -----------------------------------------------------------


def pytest_configure(config: Any) -> None:
    """Import the test modules, put the toys in their place, and ours in place of the stock Trainer."""
    kind, checkout = os.environ.get(_KIND), os.environ.get(_CHECKOUT)
    if kind is None or checkout is None:
        return
    folder = Path(checkout, "tests", "trainer")
    for path in sorted(folder.glob("*.py")):
        _add_missing_names(path)
    if kind == OURS:
        from hf_noisy import NoisyTrainer

        sys.modules["transformers"].Trainer = NoisyTrainer  # not `transformers`: while it was imported it was replaced
    paths = [path for path in [folder / "trainer_test_utils.py", *sorted(folder.glob("test_*.py"))] if path.is_file()]
    for path in paths:
        if not any(word in path.name for word in _LEFT_OUT):
            module = _imported(path)
            if hasattr(module, "Trainer") and module.Trainer.__name__ != kind:
                raise RuntimeError(f"{path.name} runs {module.Trainer}, not {kind}")
            for name, stand_in in STAND_INS.items():
                if hasattr(module, name):
                    setattr(module, name, stand_in)


class _ToTwoClasses(ast.NodeTransformer):
    """Puts cross-entropy where a test computes a mean squared error, and logits where it compares predictions."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        if not isinstance(function, ast.Attribute):
            return node
        squared = function.value
        if (
            function.attr == "mean"
            and isinstance(squared, ast.BinOp)
            and isinstance(squared.op, ast.Pow)
            and isinstance(squared.left, ast.BinOp)
        ):
            return _call("_expected_loss", [squared.left.left, squared.left.right])
        if function.attr == "allclose" and isinstance(function.value, ast.Name) and function.value.id == "np":
            return _call("_same_predictions", node.args)
        return node


def _call(name: str, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=arguments, keywords=[])


def _expected_loss(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    logits = _logits(torch.as_tensor(scores))
    return np.float64(nn.functional.cross_entropy(logits.double(), torch.as_tensor(labels)))


def _same_predictions(found: Any, scores: Any, *rest: Any) -> bool:
    if np.shape(found) != (*np.shape(scores), 2):
        return bool(np.allclose(found, scores, *rest))
    return bool(np.allclose(found, np.stack([np.zeros_like(scores), scores], -1), atol=1e-6))


def _imported(path: Path) -> Any:
    """The test module, adapted, under the name by which pytest finds it."""
    tree = ast.fix_missing_locations(_ToTwoClasses().visit(ast.parse(path.read_text(encoding="utf-8"))))
    package = importlib.import_module("tests.trainer")
    module = types.ModuleType(f"tests.trainer.{path.stem}")
    module.__dict__.update(
        __file__=str(path),
        __package__=package.__name__,
        _expected_loss=_expected_loss,
        _same_predictions=_same_predictions,
    )
    sys.modules[module.__name__] = module
    exec(compile(tree, str(path), "exec"), module.__dict__)
    return module


def _add_missing_names(path: Path) -> None:
    """Let a test module be imported whose Transformers had names that the installed one does not have."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "transformers" and not node.level:
            try:
                module = importlib.import_module(node.module or "")
            except ImportError:
                continue
            for each in node.names:
                if not hasattr(module, each.name):
                    setattr(module, each.name, lambda *args, **named: lambda test: test)


def pytest_runtest_logreport(report: Any) -> None:
    """Write the outcome of each test."""
    if _RESULTS in os.environ and (report.when == "call" or report.outcome != "passed"):
        message = "" if report.outcome == "passed" else str(report.longrepr).strip().splitlines()[-1][:300]
        crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", "") or message
        with open(os.environ[_RESULTS], "a", encoding="utf-8") as file:
            file.write(json.dumps({"test": report.nodeid, "outcome": report.outcome, "why": crash[:300]}) + "\n")


# ---- the script ----------------------------------------------------------------------------------------------------------


def outcomes(checkout: Path, kind: str, chosen: list[str], words: str) -> dict[str, tuple[str, str]]:
    """Outcome and reason of each test, by its name."""
    here = Path(__file__).resolve()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.jsonl")
        results.touch()
        paths = [str(here.parent), str(here.parents[2]), str(checkout), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {
            _KIND: kind,
            _RESULTS: str(results),
            _CHECKOUT: str(checkout),
            "PYTHONPATH": os.pathsep.join(paths),
            "HF_HUB_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        command = [sys.executable, "-m", "pytest", *chosen, "-p", here.stem, "-q", "--timeout", "180", "-W", "ignore"]
        command += ["-p", "no:cacheprovider", "--no-header", "-rN", "--tb=line", *(["-k", words] if words else [])]
        subprocess.run(
            command, cwd=checkout, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
        lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    found: dict[str, tuple[str, str]] = {}
    for line in lines:  # a failure while it is torn down comes after its call
        if found.get(line["test"], ("passed", ""))[0] == "passed":
            found[line["test"]] = (line["outcome"], line["why"])
    return found


def report(found: dict[str, dict[str, tuple[str, str]]]) -> str:
    """A table of the tests by file, with the command and the run in a comment."""
    files: dict[str, Counter[str]] = {}
    for test, (outcome, _) in found[STOCK].items():
        counts = files.setdefault(test.partition("::")[0].rpartition("/")[2], Counter())
        counts[outcome] += 1
        counts["ours"] += outcome == "passed" and found[OURS].get(test, ("missing", ""))[0] == "passed"
    files["all"] = sum(files.values(), Counter())
    lines = [
        "| tests of | pass with `Trainer` | of these, with `NoisyTrainer` | fail with `Trainer` | skipped |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {c['passed']} | {c['ours']} | {c['failed']} | {c['skipped']} |" for name, c in files.items()
    ]
    passed = [test for test, (outcome, _) in found[STOCK].items() if outcome == "passed"]
    failing = [test.rpartition("::")[2] for test in passed if found[OURS].get(test, ("missing", ""))[0] != "passed"]
    reasons = Counter(REASONS.get(name, f"not known: {name}") for name in failing)
    lines += ["", "Why the others do not pass:", ""]
    lines += [f"- {reason} ({count} {'test' if count == 1 else 'tests'})" for reason, count in reasons.items()]
    run = f"Transformers {transformers.__version__}, one process on a CPU."
    return f"<!-- python tests/measure/stock_trainer_tests.py CHECKOUT\n{run} -->\n\n" + "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a checkout of Transformers")
    parser.add_argument("--files", nargs="*", help="of tests/trainer; all that need one process by default")
    parser.add_argument("--words", default="", help="only tests whose names match, as pytest's -k")
    parser.add_argument("--output", type=Path, help="write every outcome as JSON")
    parser.add_argument("--report", type=Path, help="write the table as Markdown")
    given = parser.parse_args()
    folder = given.checkout.resolve() / "tests" / "trainer"
    if not folder.is_dir():
        parser.error(f"{given.checkout}: has no tests/trainer: expected a checkout of Transformers")
    names = given.files or [path.name for path in sorted(folder.glob("test_*.py"))]
    chosen = [f"tests/trainer/{name}" for name in names if not any(word in name for word in _LEFT_OUT)]
    found = {kind: outcomes(given.checkout.resolve(), kind, chosen, given.words) for kind in (STOCK, OURS)}
    if given.output is not None:
        given.output.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if given.report is not None:
        given.report.write_text(report(found), encoding="utf-8")
    passed = [test for test, (outcome, _) in found[STOCK].items() if outcome == "passed"]
    failing = [test for test in passed if found[OURS].get(test, ("missing", ""))[0] != "passed"]
    print(
        f"Transformers {transformers.__version__}, {len(found[STOCK])} tests: {dict(Counter(o for o, _ in found[STOCK].values()))}"
    )
    print(
        f"with the stock Trainer {len(passed)} pass; of these, {len(passed) - len(failing)} pass with NoisyTrainer.\n"
    )
    for test in failing:
        outcome, why = found[OURS].get(test, ("missing", "it did not run"))
        print(f"{outcome}: {test.partition('::')[2]}\n    {why.splitlines()[0] if why else ''}")
    print("\nLeft out, since they do not pass with the stock Trainer after the adaptation:")
    for test, (outcome, why) in found[STOCK].items():
        if outcome == "failed":
            print(f"  {test.partition('::')[2]}: {why.splitlines()[0][:120] if why else ''}")
    return 1 if failing else 0


if __name__ == "__main__":
    raise SystemExit(main())
