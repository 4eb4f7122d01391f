"""Adapters, activation checkpointing, compilation and 16 bits: what each method does under them.

`python tests/trainer/test_precision.py --table` asks every method and writes `tests/tables/precision.md`; pytest asks a few.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import tempfile
import warnings
from contextlib import contextmanager, nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where pytest finds conftest; for the script

import pytest
import torch
from conftest import Gradients, StopAt, flat_weights, make_trainer, relative_difference, tiny_model, token_dataset
from safetensors.torch import load_file
from transformers import TrainerCallback, TrainingArguments

from hf_noisy import METHODS
from hf_noisy.models.adapters import is_adapted

TABLE = Path(__file__).resolve().parents[1] / "tables" / "precision.md"
COMMAND = "python tests/trainer/test_precision.py --table"
CHECKPOINTING = (  # the older name warns where there is a newer one
    "activation_checkpointing"
    if "activation_checkpointing" in {field.name for field in dataclasses.fields(TrainingArguments)}
    else "gradient_checkpointing"
)
STEPS = 12
AT_WORK = {  # what a method needs to be past its warm-up in a run of 3 epochs of 4 steps
    "co_teaching": {"forget_rate": 0.3, "ramp_epochs": 0.5},
    "co_teaching_plus": {"forget_rate": 0.3, "ramp_epochs": 0.5},
    "jocor": {"forget_rate": 0.3, "ramp_epochs": 0.5},
    "gce_truncated": {"k": 0.3},
    "neighbours": {"neighbours": 3},
    "pseudo_labeling": {"threshold": 0.34},
    "rule_masking": {"min_count": 1, "precision": 0.5},
    "self_training": {"confidence": 0.001},
    "selfmix": {"warmup_epochs": 1},
    "truth_inference": {"models": "one", "neighbours": 3},
    "auto": {"min_labels": 2},
}
SAMPLE = ["ce", "co_teaching", "dividemix", "noise_adaptation_complex"]  # alone, peers, mixed inputs, a channel
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # the compiler hides it
A_FEW = pytest.mark.parametrize("method", SAMPLE)


def lora_model(*, dropout: float = 0.1, seed: int = 0, base=None, **config):
    """The tiny BERT with a LoRA adapter of rank 2 in its attention."""
    from peft import LoraConfig, get_peft_model

    base = tiny_model(dropout=dropout, seed=seed) if base is None else base
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT reads a property that Transformers is to rename
        return get_peft_model(base, LoraConfig(**{"task_type": "SEQ_CLS", "r": 2, "lora_dropout": dropout, **config}))


def train(folder, method, *, resume=None, model=None, callbacks=(), **arguments):
    """16 rows in batches of 4, 3 epochs, with dropout unless the model has none."""
    trainer = make_trainer(
        folder,
        token_dataset(16),
        model=tiny_model(dropout=0.3) if model is None else model,
        noise_method=method,
        noise_kwargs=AT_WORK.get(method),
        num_train_epochs=3,
        logging_steps=100,
        callbacks=list(callbacks),
        **arguments,
    )
    trainer.train(resume_from_checkpoint=resume)
    assert trainer.state.global_step >= STEPS or any(isinstance(callback, StopAt) for callback in callbacks)
    return trainer


# ---- one function a column: what a cell says, or an AssertionError --------------------------------------------------


def lora(folder, method) -> str:
    """Adapters learn, the base does not, and a run that is resumed in its middle is the unbroken one to the bit."""
    whole = train(folder / "whole", method, model=lora_model())
    train(folder / "broken", method, model=lora_model(), callbacks=[StopAt(7)])
    resumed = train(folder / "broken", method, model=lora_model(), resume=str(folder / "broken" / "checkpoint-7"))
    learned = {name: weight for name, weight in whole.model.named_parameters() if weight.requires_grad}
    start = dict(lora_model().named_parameters())
    for network in whole.noise.networks:
        assert is_adapted(network)
        for name, weight in network.named_parameters():
            assert weight.requires_grad or torch.equal(weight, start[name])
            assert not weight.requires_grad or not torch.equal(weight, start[name]), name
    again = dict(resumed.model.named_parameters())
    assert all(torch.equal(weight, again[name]) for name, weight in learned.items())
    count = len(whole.noise.networks)
    return "runs, resumes to the bit" + (f"; 1 base, {count} adapters" if count > 1 else "")


def checkpointing(folder, method) -> str:
    """The gradients of every step, with dropout, are those of a run that keeps its activations."""
    found, calls = {}, {}
    for kept in (True, False):
        watch, count = Gradients(), Recomputed()
        train(
            folder / str(kept),
            method,
            optim="sgd",
            callbacks=[watch, count],
            **({} if kept else {CHECKPOINTING: True}),
        )
        found[kept], calls[kept] = watch.steps, count.calls
    assert calls[False] > calls[True]  # layers ran again
    worst = max(relative_difference(b, a) for a, b in zip(found[True], found[False], strict=True))
    assert worst <= 1e-6
    return f"runs, {_size(worst)}"


class Recomputed(TrainerCallback):
    """Counts the forwards of what is inside the first network's first layer."""

    calls = 0

    def on_train_begin(self, args, state, control, model, **kwargs):
        inside = next(module for name, module in model.named_modules() if name.endswith("intermediate.dense"))
        inside.register_forward_hook(self._count)

    def _count(self, *_):
        self.calls += 1


def compiled(folder, method, backend: str = "eager") -> str:
    """Weights after training are those of the uncompiled run; steps that read or change what is inside are not compiled."""
    # inductor draws other masks and rounds otherwise, which Adam's first steps blow up where a gradient is nearly 0
    dropout, optim = (0.3, "adamw_torch") if backend == "eager" else (0.0, "sgd")
    settings = {"torch_compile": True, "torch_compile_backend": backend}
    plain = train(folder / "plain", method, model=tiny_model(dropout=dropout), optim=optim)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    with uncompiled_steps() as steps:
        other = train(
            folder / "compiled",
            method,
            model=tiny_model(dropout=dropout),
            callbacks=[steps],
            optim=optim,
            **settings,
        )
    assert type(other.model_wrapped).__name__ == "OptimizedModule"
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert (graphs > 0) == (steps.uncompiled < other.state.global_step)
    worst = float((flat_weights(other.model) - flat_weights(plain.model)).abs().max())
    assert worst <= (1e-6 if backend == "eager" else 1e-5), worst
    left = f"; {steps.uncompiled} of {other.state.global_step} steps uncompiled" if steps.uncompiled else ""
    return f"runs, {_size(worst)}{left}"


class Uncompiled(TrainerCallback):
    """Counts the steps in which a forward was kept from the compiler."""

    uncompiled, now = 0, False

    def on_step_end(self, *args, **kwargs):
        self.uncompiled, self.now = self.uncompiled + self.now, False


@contextmanager
def uncompiled_steps():
    steps, real = Uncompiled(), torch.compiler.set_stance

    def noted(stance):
        steps.now = True
        return real(stance)

    torch.compiler.set_stance = noted
    try:
        yield steps
    finally:
        torch.compiler.set_stance = real


def half(folder, method) -> str:
    """The gradient of the first step is near that of 32 bits, and what is kept of examples and weights has 32 bits."""
    watch, found = {name: Gradients() for name in ("float32", "bf16")}, {}
    for name, arguments in (("float32", {}), ("bf16", {"bf16": True})):
        found[name] = train(folder / name, method, model=tiny_model(), callbacks=[watch[name]], **arguments)
    for callback in found["bf16"].noise.callbacks:
        for key, value in callback.state_dict().items():
            assert value.dtype not in (torch.bfloat16, torch.float16), key
    sums = found["bf16"]._noise.methods.dynamics.sums.values  # its last columns are probabilities, summed over epochs
    assert (sums[:, -3:].sum(-1) / sums[:, 0] - 1).abs().max() < 1e-5  # 16 bits would miss by 1e-3
    assert found["bf16"].model.dtype == torch.float32
    assert torch.isfinite(flat_weights(found["bf16"].model)).all()
    assert all(torch.isfinite(gradient).all() for gradient in watch["bf16"].steps)
    apart = relative_difference(watch["bf16"].steps[0], watch["float32"].steps[0])
    assert 0 < apart < 0.1
    return f"runs, {apart:.1%} apart"


def half16(folder, method) -> str:
    with pytest.raises(ValueError, match="fp16=True") as refusal:
        train(folder, method, fp16=True)
    return f"refused: {refusal.value}"


COLUMNS = {
    "LoRA": lora,
    "activation checkpointing": checkpointing,
    "`torch_compile`": compiled,
    "bf16": half,
    "fp16 on a CPU": half16,
}


def _size(difference: float) -> str:
    return "no difference" if difference == 0 else f"difference {difference:.0e}"


def _kind(cell: str) -> str:
    """A cell without what is measured."""
    return re.sub(r"no difference|difference \S+|[\d.]+% apart", "", cell)


# ---- the table ------------------------------------------------------------------------------------------------------


def stored() -> dict[str, list[str]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0].strip("`"): row[1:] for row in cells if row[0].startswith("`")} | {"": cells[0][1:]}


def write_table(methods: list[str]) -> None:
    rows = []
    for method in methods:
        with tempfile.TemporaryDirectory() as folder:
            cells = [ask(Path(folder, str(number)), method) for number, ask in enumerate(COLUMNS.values())]
        rows.append(f"| `{method}` | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    heads = ["method", *COLUMNS]
    head = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    foot = ["", "By the default backend, `inductor`, without dropout and with plain SGD:", ""]
    for method in SAMPLE:
        with tempfile.TemporaryDirectory() as folder:
            foot.append(f"- `{method}`: {compiled(Path(folder), method, 'inductor')}")
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join([*INTRODUCTION, *head, *rows, *foot, ""]), encoding="utf-8")


INTRODUCTION = [
    f"Written by `{COMMAND}`. 16 rows, 12 steps, a tiny BERT, on a CPU.",
    "",
    "- LoRA: the base does not change, and weights after a resume at step 7 are those of the unbroken run.",
    "- activation checkpointing (`gradient_checkpointing` of older versions): the largest relative difference of a step's",
    "  gradient, with dropout.",
    "- `torch_compile`: the largest difference of a weight after training, with dropout, backend `eager`: what the compiler",
    "  sees of the model, without what it makes of it. A forward whose inside is read or changed is not compiled.",
    "- bf16: the relative difference of the first step's gradient; what is remembered of examples has 32 bits.",
    "",
]


def test_the_stored_table_has_a_row_for_each_method():
    table = stored()
    assert TABLE.read_text(encoding="utf-8").startswith("\n".join(INTRODUCTION))
    assert table.pop("") == list(COLUMNS)
    assert list(table) == sorted(METHODS)
    for method, cells in table.items():
        assert len(cells) == len(COLUMNS)
        assert all(cell.startswith(("runs, ", "refused: ")) for cell in cells), method


def agrees(method: str, column: str, cell: str) -> bool:
    return _kind(cell) == _kind(stored()[method][list(COLUMNS).index(column)])


@A_FEW
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.slow
def test_a_few_methods_do_what_the_table_says(tmp_path, method, column):
    cell = COLUMNS[column](tmp_path, method)
    assert agrees(method, column, cell), cell


# ---- what could go wrong --------------------------------------------------------------------------------------------


def test_a_compiled_forward_would_keep_the_mixing_that_it_was_compiled_with(tmp_path, monkeypatch):
    """The negative control of the column: without the way around the compiler the weights are others."""
    plain = train(tmp_path / "plain", "dividemix")
    torch._dynamo.reset()
    monkeypatch.setattr(torch.compiler, "set_stance", lambda stance: nullcontext())
    wrong = train(tmp_path / "wrong", "dividemix", torch_compile=True, torch_compile_backend="eager")
    assert (flat_weights(wrong.model) - flat_weights(plain.model)).abs().max() > 1e-4


def test_a_compiled_run_resumes_from_weights_under_their_own_names(tmp_path):
    compiled = {"torch_compile": True, "torch_compile_backend": "eager"}
    whole = train(tmp_path / "whole", "co_teaching")
    train(tmp_path / "cut", "co_teaching", callbacks=[StopAt(7)], **compiled)
    checkpoint = tmp_path / "cut" / "checkpoint-7"
    for place in (checkpoint, checkpoint / "network-1"):
        assert load_file(place / "model.safetensors").keys() == tiny_model().state_dict().keys()
    resumed = train(tmp_path / "cut", "co_teaching", resume=str(checkpoint), **compiled)
    assert torch.equal(flat_weights(resumed.model), flat_weights(whole.model))


def test_sixteen_bits_that_a_cpu_would_not_train_in_are_refused_before_the_first_step(tmp_path):
    steps = []

    class Watch(TrainerCallback):
        def on_step_begin(self, *args, **kwargs):
            steps.append(1)

    with pytest.raises(ValueError, match="fp16=True: on a CPU the Trainer trains in 32 bits"):
        train(tmp_path, "ce", fp16=True, callbacks=[Watch()])
    assert not steps


def test_weights_of_sixteen_bits_are_summed_up_in_thirty_two(tmp_path):
    trainer = train(tmp_path, "noise_adaptation", model=tiny_model().to(torch.bfloat16))
    assert trainer.model.dtype == torch.bfloat16
    assert {value.dtype for callback in trainer.noise.callbacks for value in callback.state_dict().values()} <= {
        torch.float32,
        torch.float64,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.bool,
    }
    assert torch.isfinite(flat_weights(trainer.model)).all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", required=True, help="ask every method, and write the table")
    parser.parse_args()
    torch.set_num_threads(1)
    write_table(sorted(METHODS))


if __name__ == "__main__":
    main()
