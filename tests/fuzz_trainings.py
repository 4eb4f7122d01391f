"""The slow layer of the fuzzing: `NoisyTrainer` on a tiny model for a few steps."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import datasets
import numpy as np
import torch
from conftest import StopAt, flat_weights, make_trainer, same, tiny_model
from fuzz_cases import Case, cases
from fuzz_rows import make_rows
from fuzz_steps import REFUSED
from hypothesis import reject
from hypothesis import strategies as st
from transformers import TrainerCallback

from hf_noisy import METHODS, NoiseCallback, NoisyStopping, NoisyTrainer
from hf_noisy.methods.building import build_methods
from hf_noisy.methods.loss_correction import BackwardCorrection
from hf_noisy.methods.rule_masking import RuleMasking

RANKS = {  # what a batch teaches depends on which rows are in it, or where
    "backward": "leaves out what is negative in a forward",
    "co_teaching": "ranks in a batch",
    "co_teaching_plus": "ranks in a batch",
    "jocor": "ranks in a batch",
    "mentornet_pd": "takes a percentile of a batch",
    "mentornet_dd": "takes a percentile of a batch",
    "dividemix": "mixes rows of a batch",
    "selfmix": "mixes rows of a batch",
    "self_training": "compares rows of a batch",
}


@dataclass(frozen=True)
class TrainerCase:
    """A case, and what only a Trainer knows of."""

    case: Case
    by_length: bool = False
    abstain: Any = -1  # how a hard label abstains: -1, -100 or None
    as_list: bool = False  # whether the rows are a list and no `datasets.Dataset`
    stop: float = 0.5  # where the training is broken off, as a share of its steps
    watched: bool = False  # whether `NoisyStopping` looks on
    optimizer: dict[str, Any] = field(default_factory=lambda: {"optim": "sgd", "max_grad_norm": 0.0})


class Watch(TrainerCallback):
    """Keeps the gradient of each optimizer step, 0 where a weight has none."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any, **kwargs: Any) -> None:
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
        self.steps.append(torch.cat([gradient.flatten() for gradient in gradients]))


class Several(NoiseCallback):
    """Asks for a number of networks."""

    def __init__(self, count: int) -> None:
        self.num_networks = count


@st.composite
def trainer_cases(draw: st.DrawFn, names: Sequence[str] = tuple(METHODS)) -> TrainerCase:
    case = draw(cases(names, most_rows=14).filter(lambda case: case.batch > 1 or case.rows < 7))
    return TrainerCase(
        case,
        by_length=draw(st.booleans()),
        abstain=draw(st.sampled_from([-1, -100, None])),
        as_list=draw(st.booleans()),
        stop=draw(st.floats(0, 1)),
        watched=draw(st.booleans()),
    )


def check_training(trial: TrainerCase) -> None:
    """It ends with finite numbers; broken off and resumed it ends alike; and so does one of another accumulation."""
    said = io.StringIO()  # the Trainer prints what it logs
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        whole = trained(trial, f"{folder}/whole")
        check_finite(whole)
        check_resume(trial, whole, folder)
        if exact_under_accumulation(trial):
            check_accumulation(trial, folder)


def check_finite(trainer: NoisyTrainer) -> None:
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses, "nothing was logged"
    assert np.isfinite(losses).all(), f"losses {losses}"
    assert torch.isfinite(flat_weights(trainer.model)).all(), "a weight is not finite"
    assert len(trainer.example_report()) == len(trainer.noise.labels)


def check_resume(trial: TrainerCase, whole: NoisyTrainer, folder: str) -> None:
    if whole.state.max_steps == 1:
        return  # there is nothing left to resume
    step = max(1, min(whole.state.max_steps - 1, round(trial.stop * whole.state.max_steps)))
    trained(trial, f"{folder}/broken", callbacks=[StopAt(step)])
    resumed = trained(trial, f"{folder}/broken", resume=f"{folder}/broken/checkpoint-{step}")
    assert resumed.state.global_step == whole.state.global_step
    assert same(whole, resumed), f"resumed at step {step}, it ends otherwise"


def exact_under_accumulation(trial: TrainerCase) -> bool:
    """Whether no method looks at a batch as a whole, or draws by the place of a row in it."""
    built = build_methods(trial.case.noise_method, trial.case.methods)
    draws = any(isinstance(part, RuleMasking) and part.hide > 0 for part in built)
    draws |= any(getattr(part, "augmentation", "none") != "none" for part in built)
    signed = any(isinstance(part, BackwardCorrection) and part.nonnegative for part in built)
    ranks = set(trial.case.methods) & RANKS.keys() - {"backward"}
    return not (draws or signed or ranks)


def check_accumulation(trial: TrainerCase, folder: str) -> None:
    """2 x 4 rows accumulated have the gradient of 8, in every step."""
    steps = []
    for name, size, accumulation in (("one", 8, 1), ("two", 4, 2)):
        watch = Watch()
        trained(
            trial,
            f"{folder}/{name}",
            callbacks=[watch],
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            learning_rate=1e-3,
            dropout=0.0,
        )
        steps.append(torch.stack(watch.steps))
    assert steps[0].shape == steps[1].shape
    apart = (steps[0] - steps[1]).norm() / steps[0].norm().clamp_min(1e-4)
    assert apart < 1e-4, f"gradients of 2 x 4 and 1 x 8 rows are {float(apart):.1e} apart"


def trained(trial: TrainerCase, folder: str, resume: str | None = None, **more: Any) -> NoisyTrainer:
    case, callbacks = trial.case, [Several(trial.case.networks), *more.pop("callbacks", [])]
    callbacks += [NoisyStopping("label_wave", patience=None)] if trial.watched else []
    dropout = more.pop("dropout", 0.2)
    settings: dict[str, Any] = {
        "per_device_train_batch_size": case.batch,
        "gradient_accumulation_steps": case.accumulation,
        "num_train_epochs": case.epochs,
        "noise_method": case.noise_method,
        "noise_kwargs": case.methods,
        "train_sampling_strategy": "group_by_length" if trial.by_length else "random",
        "seed": case.seed,
        **trial.optimizer,
    }
    try:
        trainer = make_trainer(
            folder,
            rows_of(trial),
            model=tiny_model(case.classes, dropout=dropout, seed=case.seed),
            clean_dataset=clean_rows_of(case) if case.reads_clean else None,
            data_collator=padded,
            callbacks=callbacks,
            **{**settings, **more},
        )
        trainer.train(resume_from_checkpoint=resume)
    except ValueError as error:
        if not any(text in str(error) for text in REFUSED):
            raise
        reject()
    return trainer


def rows_of(trial: TrainerCase) -> Any:
    """The training set: tokens of different lengths, labels and votes."""
    case, rows = trial.case, make_rows(trial.case)
    if case.soft:
        labels = rows.labels.tolist()
    else:
        labels = [trial.abstain if label < 0 else label for label in rows.labels.tolist()]
    columns = {"input_ids": shortened(rows.ids, rows.mask), "labels": labels}
    if rows.votes is not None:
        columns["weak_labels"] = rows.votes.tolist()
    dataset = datasets.Dataset.from_dict(columns)
    return list(dataset) if trial.as_list else dataset


def clean_rows_of(case: Case) -> datasets.Dataset:
    rows = make_rows(case)
    ids = np.random.default_rng(case.seed).integers(1, 40, (len(rows.clean), 3))
    return datasets.Dataset.from_dict(
        {"input_ids": ids.tolist(), "labels": rows.clean.tolist(), "given": rows.given.tolist()}
    )


def shortened(ids: np.ndarray, mask: np.ndarray) -> list[list[int]]:
    return [row[: int(own.sum())].tolist() for row, own in zip(ids, mask, strict=True)]


def padded(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch: token rows brought to one length, the rest as it is."""
    longest = max(len(row["input_ids"]) for row in rows)
    batch = {
        "input_ids": torch.tensor([[*row["input_ids"], *[0] * (longest - len(row["input_ids"]))] for row in rows]),
        "attention_mask": torch.tensor([[int(k < len(row["input_ids"])) for k in range(longest)] for row in rows]),
    }
    others = set(rows[0]) & {"labels", "hf_noisy_row"}
    return batch | {name: torch.tensor([row[name] for row in rows]) for name in others}
