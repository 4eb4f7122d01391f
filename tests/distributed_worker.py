"""What test_distributed.py starts on two ranks: `distributed_worker.py FOLDER gradient|train|every ROWS METHOD [ACCELERATOR_CONFIG]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from conftest import flat_weights, gradient, make_trainer, token_dataset
from test_contract import StopAt

from hf_noisy import METHODS
from hf_noisy.launching import leave_process_group

PARAMETERS = {
    "noise_adaptation": {"rate": 0.2},
    "gce_truncated": {"warmup": 0.5, "k": 0.3},
    "co_teaching": {"forget_rate": 0.3, "ramp_epochs": 0},
}


def train(folder: Path, rows: int, method: str, *, resume: bool, accelerator_config: dict | None) -> dict:
    """Train and, with `resume`, go on from a checkpoint inside the first epoch."""
    settings = {
        "noise_method": method,
        "noise_kwargs": PARAMETERS.get(method),
        "eval_dataset": token_dataset(7, [0, 1, -1, 2, -1, 0, 1], seed=1),
        "accelerator_config": accelerator_config,
    }
    checkpoint = None
    if resume:
        make_trainer(folder, token_dataset(rows), **settings, callbacks=[StopAt(1)]).train()
        checkpoint = str(folder / "checkpoint-1")
    trainer = make_trainer(folder, token_dataset(rows), **settings)
    trainer.train(resume_from_checkpoint=checkpoint)
    return {
        "weights": flat_weights(trainer.model),
        "matrix": str(trainer.noise_matrix()),
        "report": str(trainer.example_report().to_dict()),
        "seen": trainer.example_report()["seen"][:],
        "survey_rows": len(trainer.survey().probs),
        "eval_loss": trainer.evaluate()["eval_loss"],
        "evaluated_rows": len(trainer.predict(trainer.eval_dataset).predictions),
    }


def main() -> None:
    folder, task, rows, method = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(1)
    if task == "gradient":
        result = {
            "gradient": gradient(
                folder,
                token_dataset(rows),
                gradient_accumulation_steps=2,
                noise_method=method,
                noise_kwargs=PARAMETERS.get(method),
            )
        }
    elif task == "every":  # one start for all methods: it costs more than all of their trainings
        result = {
            name: [
                train(folder / name / kind, rows, name, resume=kind == "resumed", accelerator_config=None)
                for kind in ("whole", "resumed")
            ]
            for name in sorted(METHODS)
        }
    else:
        config = json.loads(sys.argv[5]) if len(sys.argv) > 5 else None
        result = train(folder, rows, method, resume=False, accelerator_config=config)
    state = PartialState()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({**result, "world_size": state.num_processes}, folder / f"rank{state.process_index}.pt")
    leave_process_group()
    left = [name for task in Path("/proc/self/task").glob("*/comm") if "gloo" in (name := task.read_text())]
    assert not left, f"threads outlive the process group: {left}"


if __name__ == "__main__":
    main()
