"""What test_distributed.py trains, here or on two ranks: `distributed_worker.py FOLDER METHODS FSDP_METHODS` (names with commas)."""

from __future__ import annotations

import contextlib
import functools
import gc
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import transformers
from accelerate import PartialState
from accelerate.utils import DistributedType
from conftest import flat_weights, make_trainer, tiny_model, token_dataset, votes_on
from torch import nn
from transformers import AutoModelForSequenceClassification, TrainerCallback, TrainingArguments

from hf_noisy.common.launching import leave_process_group
from hf_noisy.trainer.state import STATE_NAME

ROWS = 25  # on two ranks with batches of 4 the last batch of one is 1 row and 3 repeated ones, of the other 4 repeated ones
RANKING = "ranks the rows of a forward"
MIXING = "mixes the rows of a forward, and divides by how many of them keep a label"


@dataclass(frozen=True)
class Case:
    """How a method is trained so that it acts from the second epoch on and its views do not depend on who holds a row."""

    kwargs: dict[str, Any] = field(default_factory=dict)
    together: str = ""  # what it decides by all rows of a forward, so that smaller forwards decide otherwise
    when_equal: str = ""  # when the gradient is that of one large batch all the same
    equal_kwargs: dict[str, Any] = field(default_factory=dict)  # beside `kwargs`
    accumulated: int = 2  # batches of a step on each rank, when it is
    steps: int = 4  # of the whole training, two epochs
    logged: str = ""  # what in the memory is a running mean over forwards, however large, and for logs only

    @property
    def resume_at(self) -> int:
        """A step inside the second epoch."""
        return self.steps // 2 + 1


CASES = {
    "backward": Case(
        {"warmup_epochs": 1}, "leaves out classes by the sum over a forward", "one batch a step", accumulated=1
    ),
    "candidate_labels": Case({"warmup": 0.5}),
    "co_teaching": Case({"forget_rate": 0.3, "ramp_epochs": 0}, RANKING, "forget_rate=0", {"forget_rate": 0.0}),
    "co_teaching_plus": Case(
        {"forget_rate": 0.3, "ramp_epochs": 0, "warmup": 0.5},
        f"{RANKING} on which the networks disagree",
        "forget_rate=0, warm-up",
        {"forget_rate": 0.0, "warmup": 1.0},
    ),
    "consistency": Case({"kind": "fixmatch", "threshold": 0.34, "share": 0.999999}),
    "dividemix": Case({"warmup_epochs": 1}, MIXING, "warm-up", {"warmup_epochs": 2}),
    "forward": Case({"matrix": [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]]}),
    "gce_truncated": Case({"warmup": 0.5, "k": 0.3}),
    "glc": Case({"warmup_epochs": 1}, steps=6),  # whose epochs have 12 trusted rows more
    "jocor": Case({"forget_rate": 0.3, "ramp_epochs": 0}, RANKING, "forget_rate=0", {"forget_rate": 0.0}),
    "label_correction": Case({"warmup": 0.5}),
    "mentornet_dd": Case(
        {"example_dropout": 0.0}, "weighs by a percentile of a forward", "one batch a step", accumulated=1
    ),
    "mentornet_pd": Case(
        {"example_dropout": 0.0}, "weighs by a percentile of a forward", "one batch a step", accumulated=1
    ),
    "neighbours": Case({"neighbours": 3}),
    "noise_adaptation": Case({"rate": 0.2}),
    "noise_adaptation_complex": Case({"rate": 0.2}, logged="average"),
    "pseudo_labeling": Case({"threshold": 0.34, "start": 0.5}),
    "rule_masking": Case({"tokens": [[0, 1, 0, 1, 0, 0]] * ROWS, "hide": 1.0}),
    "self_training": Case(
        {"first_stage": 0.5, "confidence": 0.0, "balance": False},
        "contrasts the rows of a forward",
        "contrast=0",
        {"contrast": 0.0},
    ),
    "auto": Case({"min_labels": 2}),
    "truth_inference": Case({"models": "one", "neighbours": 3}),
    "selfmix": Case({"warmup_epochs": 1}, MIXING, "warm-up", {"warmup_epochs": 2}),
}
COMBINED = (
    "neighbours+elr+sce",
    "label_correction+consistency+model_average",
    "pseudo_labeling+noise_adaptation",
    "rule_masking+candidate_labels+gce",
)


def case(method: str) -> Case:
    names = method.split("+")
    if len(names) == 1:
        return CASES.get(method, Case())
    return Case({name: CASES[name].kwargs for name in names if name in CASES})


class Steps(TrainerCallback):
    """Keeps the gradient of each optimizer step, whole."""

    def __init__(self) -> None:
        self.gradients: list[torch.Tensor] = []

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        found = [whole(weight.grad).flatten() for weight in model.parameters() if weight.grad is not None]
        self.gradients.append(torch.cat(found).clone())


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Of a tensor that FSDP has split, all of it."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


@functools.cache
def rows_of(count: int) -> Any:
    """Rows of which every fifth has no label, with votes."""
    dataset = token_dataset(count)
    labels = [-1 if row % 5 == 4 else label for row, label in enumerate(dataset["labels"])]
    return dataset.remove_columns("labels").add_column("labels", labels).add_column("weak_labels", votes_on(dataset))


@functools.cache
def evaluation() -> Any:
    return token_dataset(7, [0, 1, -1, 2, -1, 0, 1], seed=1)


def counted(prediction: Any) -> dict[str, float]:
    """Metrics that a row left out, or counted twice, would change."""
    logits = torch.tensor(prediction.predictions)
    return {"rows": len(logits), "logits": float(logits.abs().sum()), "labels": float(sum(prediction.label_ids))}


def trainer_of(
    folder: Path, method: str, kwargs: dict[str, Any], steps: Steps, dropout: float = 0.0, **arguments: Any
) -> Any:
    defaults: dict[str, Any] = {
        "save_strategy": "no",
        "learning_rate": 0.1,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.1,
        "per_device_eval_batch_size": 2,
    }
    trainer = make_trainer(
        folder,
        rows_of(ROWS),
        **{**defaults, **arguments},
        model=tiny_model(initializer_range=0.1, dropout=dropout),
        noise_method=method,
        noise_kwargs=kwargs,
        eval_dataset=evaluation(),
        compute_metrics=counted,
        callbacks=[steps],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def train(
    folder: Path,
    method: str,
    kwargs: dict[str, Any] | None = None,
    *,
    resume: str | None = None,
    adamw: bool = False,
    **arguments: Any,
) -> dict[str, Any]:
    """Train, by plain steps along the gradient unless `adamw`; what can be compared of it."""
    steps = Steps()
    kwargs = case(method).kwargs if kwargs is None else kwargs
    trainer = trainer_of(folder, method, kwargs, steps, **arguments)
    if not adamw:  # whose steps make much of gradients that are nearly zero
        trainer.optimizer_cls_and_kwargs = (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9})
    trainer.train(resume_from_checkpoint=resume)
    metrics = trainer.evaluate()
    timings = ("runtime", "per_second")
    return {
        "gradients": steps.gradients,
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "weights": torch.cat([whole(weight.detach()).flatten() for weight in trainer.model.parameters()]),
        "memory": {
            f"{place}.{name}": tensor.clone()
            for place, callback in enumerate(trainer.noise.callbacks)
            for name, tensor in callback.state_dict().items()
        },
        "report": str(trainer.example_report().to_dict()),
        "seen": trainer.example_report()["seen"][:],
        "matrix": str(trainer.noise_matrix()),
        "metrics": {name: value for name, value in metrics.items() if not name.endswith(timings)},
        "predictions": trainer.predict(evaluation()).predictions,
    }


def on_two_ranks(folder: Path, method: str, **arguments: Any) -> dict[str, Any]:
    """Trained whole; from its checkpoint inside the second epoch; and so that the gradient is that of one large batch."""
    split = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    the = case(method)
    saving = {"save_strategy": "steps", "save_steps": the.resume_at}
    checkpoint = str(folder / f"checkpoint-{the.resume_at}")
    found = {"whole": train(folder, method, **split, **saving, **arguments)}
    found["resumed"] = train(folder, method, **split, resume=checkpoint, **arguments)
    if PartialState().is_main_process:
        found["saved"] = flat_weights(AutoModelForSequenceClassification.from_pretrained(checkpoint))
    if the.together and not arguments:
        kwargs = {**the.kwargs, **the.equal_kwargs}
        batches = {"per_device_train_batch_size": 8 // the.accumulated, "gradient_accumulation_steps": the.accumulated}
        found["equal"] = train(folder / "equal", method, kwargs, **batches)
    return found


def in_one_process(folder: Path, method: str, *, equal: bool = False) -> dict[str, Any]:
    """The same with batches of 16; `equal`: where the gradient is to be the same."""
    the = case(method)
    kwargs = {**the.kwargs, **the.equal_kwargs} if equal else the.kwargs
    return train(folder, method, kwargs, per_device_train_batch_size=16)


@contextlib.contextmanager
def fsdp_on_cpus() -> Iterator[dict[str, Any]]:
    """Inside, accelerate takes the CPUs of these ranks for accelerators, on which alone it splits weights."""
    prepare, place = PartialState._prepare_backend, PartialState.set_device

    def prepared(self, *args, **kwargs):
        backend, _ = prepare(self, *args, **kwargs)
        return backend, DistributedType.MULTI_GPU

    def set_device(self):
        self.device = torch.device("cpu")

    PartialState._prepare_backend, PartialState.set_device = prepared, set_device
    try:
        yield {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": ["BertLayer"]}}
    finally:
        PartialState._prepare_backend, PartialState.set_device = prepare, place


class Halves(nn.DataParallel):
    """What DataParallel does on two GPUs, one after the other: each copy of the model is given half of the rows."""

    def forward(self, **inputs: Any) -> Any:
        rows = len(inputs["input_ids"])
        starts = range(0, rows, -(-rows // 2))
        said = [self.module(**{name: value[at : at + starts.step] for name, value in inputs.items()}) for at in starts]
        return type(said[0])((name, torch.cat([part[name] for part in said])) for name in said[0])


def on_two_gpus(folder: Path, method: str) -> dict[str, Any] | str:
    """`in_one_process` as if it saw two GPUs, or the words that refuse it."""
    with mock.patch.object(nn, "DataParallel", Halves), mock.patch.object(TrainingArguments, "n_gpu", 2):
        try:
            return train(folder, method, per_device_train_batch_size=8)
        except ValueError as error:
            return str(error)


def refusal(folder: Path, **arguments: Any) -> str:
    """What is said of arguments that are refused; "" if they are not."""
    try:
        make_trainer(folder, token_dataset(8), **arguments).train()
    except ValueError as error:
        return str(error)
    return ""


def with_fsdp(folder: Path, methods: list[str]) -> dict[str, Any]:
    """Of each method what `on_two_ranks` gives, or the words with which it is refused."""
    found: dict[str, Any] = {}
    with fsdp_on_cpus() as split:
        for method in methods:
            try:
                found[method] = on_two_ranks(folder / method, method, **split)
                found[method]["distributed_type"] = str(PartialState().distributed_type)
            except ValueError as error:
                found[method] = str(error)
        found["split model"] = refusal(folder, model=split_model(), **split)
    forget_meshes()
    return found


def forget_meshes() -> None:
    """Empty the caches in which torch keeps what its split tensors lay on, and so the process group."""
    from torch.distributed.tensor import _redistribute, debug

    debug._clear_sharding_prop_cache()
    _redistribute.clear_redistribute_planner_cache()
    gc.unfreeze()
    for found in gc.get_objects():
        if type(found) is functools._lru_cache_wrapper and found.__module__.startswith("torch.distributed"):
            found.cache_clear()


def split_model() -> Any:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    return fully_shard(tiny_model(), mesh=init_device_mesh("cpu", (2,)))


def special(folder: Path) -> dict[str, Any]:
    """AdamW and dropout, resumed with and without what the method remembers."""
    settings = {"per_device_train_batch_size": 4, "adamw": True, "dropout": 0.3, "save_steps": 5}
    saving = {**settings, "save_strategy": "steps"}
    found = {"whole": train(folder, "elr", **saving)}
    checkpoint = folder / "checkpoint-5"
    found["resumed"] = train(folder, "elr", **settings, resume=str(checkpoint))
    if PartialState().is_main_process:
        shutil.copytree(checkpoint, folder / "bare")
        (folder / "bare" / STATE_NAME).unlink()
    PartialState().wait_for_everyone()
    found["forgetful"] = train(folder, "elr", **settings, resume=str(folder / "bare"))
    return found


REFUSED = {
    "even_batches": {"accelerator_config": {"even_batches": False}},
    "split_batches": {"accelerator_config": {"split_batches": True}},
    "dispatch_batches": {"accelerator_config": {"dispatch_batches": True}},
    "auto_find_batch_size": {"auto_find_batch_size": True},
    "batch_rebalance": {"train_sampling_strategy": "batch_rebalance"},
}


def main() -> None:
    folder, methods, split = Path(sys.argv[1]), *(words.split(",") if words else [] for words in sys.argv[2:4])
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # each training collects garbage, and would look through all modules for it
    result: dict[str, Any] = {"methods": {name: on_two_ranks(folder / "two" / name, name) for name in methods}}
    result["special"] = special(folder / "special")
    result["refused"] = {name: refusal(folder, **arguments) for name, arguments in REFUSED.items()}
    result["fsdp"] = with_fsdp(folder / "fsdp", split) if split else {}
    state = PartialState()
    torch.save({**result, "world_size": state.num_processes}, folder / f"rank{state.process_index}.pt")
    leave_process_group()
    left = [name for task in Path("/proc/self/task").glob("*/comm") if "gloo" in (name := task.read_text())]
    assert not left, f"threads outlive the process group: {left}"


if __name__ == "__main__":
    main()
