"""The table of logged names: `python -m hf_noisy.methods.logged_names > docs/reference/logged_names.md`."""

from __future__ import annotations

import re
from collections.abc import Mapping

import hf_noisy.methods
from hf_noisy.methods.parts.base import NoiseCallback

ALWAYS = {
    "loss": "the training loss with all that methods change and add; mean over the examples since the last log",
    "grad_norm": "norm of the gradient before clipping, with several networks over all of them",
    "learning_rate": "of the first parameter group",
    "epoch": "epochs so far, a fraction within one",
}
_EVALUATION = {
    "eval_loss": "plain cross-entropy, mean over the examples with a label",
    "eval_label_accuracy": "of these, those whose label is predicted, whether it is right or not",
    "eval_accuracy": "the same by `compute_metrics=hf_noisy.compute_metrics`",
    "eval_f1": "mean of the F1 of all classes that occur, by `compute_metrics=hf_noisy.compute_metrics`",
    "eval_runtime": "seconds",
    "eval_samples_per_second": "examples a second",
    "eval_steps_per_second": "batches a second",
    "eval_stopping_score": "the score by which `NoisyStopping` decides; in `state.log_history` only",
    "eval_prediction_changes": "`prediction_changes` at this evaluation, with `NoisyStopping`; in `state.log_history` only",
}
_END = {
    "train_loss": "mean of `loss` over the training, or since it was resumed",
    "train_runtime": "seconds",
    "train_samples_per_second": "examples a second",
    "train_steps_per_second": "optimizer steps a second",
    "total_flos": "floating-point operations, as Transformers estimates them",
}


def declared() -> dict[str, dict[str, list[str]]]:
    """Maps each logged name to its descriptions, and each of these to the callback classes that log it."""
    found: dict[str, dict[str, list[str]]] = {}
    for class_name in hf_noisy.methods.__all__:
        for name, meaning in getattr(hf_noisy.methods, class_name).logged.items():
            found.setdefault(name, {}).setdefault(meaning, []).append(class_name)
    return found


def is_known(name: str) -> bool:
    """Returns whether the table contains `name`; a trailing capital K in the table stands for a class id.

    >>> is_known("weight_class_12"), is_known("eval_loss"), is_known("weight")
    (True, True, False)
    """
    return re.sub(r"_\d+$", "_K", name) in {*ALWAYS, *_EVALUATION, *_END, *declared()}


def meanings(callback: NoiseCallback, name: str) -> str | None:
    """Returns the description that `callback` declares for a logged name, or None."""
    return callback.logged.get(re.sub(r"_\d+$", "_K", name))


def markdown() -> str:
    """Returns the table as a page of Markdown."""
    rows = [
        f"| `{name}` | {meaning} | {', '.join(f'`{logger}`' for logger in loggers)} |"
        for name, found in sorted(declared().items())
        for meaning, loggers in found.items()
    ]
    return "\n".join(
        [
            "<!-- written by `python -m hf_noisy.methods.logged_names` -->",
            "# Logged names",
            "",
            "For people who read the log of a training. This page lists every name that `NoisyTrainer` logs into",
            "`trainer.state.log_history` and to the trackers of `report_to`.",
            "",
            "In a tracker, names of training begin with `train/`, and names of an evaluation with `eval/` instead of `eval_`.",
            "With several evaluation sets, the name of the set follows `eval_`, as in `eval_clean_loss`.",
            "",
            "## With each training loss",
            "",
            *_table(ALWAYS),
            "",
            "Methods log more. `ExampleDynamics` logs in every training, `SupervisionRecord` whenever a method is used. Pictures",
            "are logged at the end of each epoch, to TensorBoard, Weights & Biases and trackio. They need matplotlib",
            "(`pip install hf_noisy[benchmark]`).",
            "",
            "| name | what it is | logged by |",
            "|---|---|---|",
            *rows,
            "",
            "## At an evaluation",
            "",
            *_table(_EVALUATION),
            "",
            "## At the end",
            "",
            *_table(_END),
        ]
    )


def _table(meanings: Mapping[str, str]) -> list[str]:
    return ["| name | what it is |", "|---|---|", *(f"| `{name}` | {meaning} |" for name, meaning in meanings.items())]


if __name__ == "__main__":
    print(markdown())
