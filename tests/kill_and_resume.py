"""Kills trainings where it hurts and resumes them: what comes out must be what an unbroken training gives, to the bit.

    python tests/kill_and_resume.py --kills 200 --methods all --seed 0

Each training is a process of its own, killed with SIGKILL at a random point: after a step, inside a step, inside the pass
that a method makes before an epoch, or at a random place of saving, with a file half written or an old checkpoint half removed.
It is resumed from the last whole checkpoint, if there is one. Compared are weights, optimizer, scheduler, what the methods remember, and everything that was
logged but timings and the final mean loss. `--drop_memory True` is the control: the methods' state is removed from the
checkpoint first, and trainings must differ. Exit status 1 if any differs (with the control: if none does).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from conftest import make_trainer, tiny_model
from transformers import TrainerCallback, TrainerState
from transformers import trainer as trainer_module
from transformers.utils import logging

from hf_noisy import METHODS, NoisyTrainer
from hf_noisy.trainer.checkpoints import incomplete_reason, last_whole_checkpoint
from hf_noisy.trainer.state import STATE_NAME
from hf_noisy.trainer.survey import RowPass

KINDS = ("after a step", "inside a step", "inside a pass", "while saving")
EPOCHS, SAVE_STEPS, KEPT = 3, 2, 3
# what writes a checkpoint, in that order, and whose it is: None the trainer's
STAGES: dict[str, tuple[Any, str] | None] = {
    "_save": None,
    "_save_optimizer_and_scheduler": None,
    "_save_rng_state": None,
    "trainer_state": (TrainerState, "save_to_json"),
    "rotation": (trainer_module, "rotate_checkpoints"),
}
UNTIMED = {"train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss", "total_flos"}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DiesAfterStep(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            die()


def after_calls(function: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """`function`, which kills the process in its `calls`-th call, half done as far as files go."""
    left = [calls]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        result = function(*args, **kwargs)
        if left[0] == 0:
            die()
        return result

    return wrapped


def dies_while_saving(trainer: NoisyTrainer, saves: int, place: int) -> str:
    """Kill it in its `saves`-th checkpoint, at one of the places where it writes; returns which.

    If `place` is odd, the last file that was written is cut in half, or the oldest checkpoint is removed by half.
    """
    stage, half = list(STAGES)[place // 2], bool(place % 2)
    holder, name = STAGES[stage] or (trainer, stage)
    function, left = getattr(holder, name), [saves]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        place = Path(next(value for value in (*args, *kwargs.values()) if isinstance(value, str)))
        folder = place if place.suffix != ".json" else place.parent
        if name != "rotate_checkpoints" and "checkpoint-" not in str(folder):
            return function(*args, **kwargs)
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        left[0] -= 1
        if left[0] == 0 and name == "rotate_checkpoints":
            half_removed(folder) if half else None
            die()
        result = function(*args, **kwargs)
        if left[0] == 0:
            written = [p for p in folder.rglob("*") if p.is_file() and before.get(p) != p.stat().st_mtime_ns]
            if half and written:
                last = max(written, key=lambda path: path.stat().st_mtime_ns)
                last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
            die()
        return result

    setattr(holder, name, wrapped)
    return f"while saving, {'half ' * half}{name}"


def half_removed(folder: Path) -> None:
    """Of the checkpoint that rotation removes, if any, every other file is gone."""
    oldest, *kept = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    for path in sorted(oldest.iterdir())[::2] if len(kept) >= KEPT else ():
        path.unlink() if path.is_file() else None


def arm(trainer: NoisyTrainer, kind: str, draw: random.Random, steps: int) -> str:
    """Make the training die at a random point; returns what was chosen: the kind of place, ": ", and which of them."""
    if kind == "inside a pass":
        passes = RowPass.__call__
        batch, left = draw.randrange(0, 3), [draw.randrange(1, 2 * EPOCHS)]

        def look(self: RowPass, batches: Any, rows: int, see: Callable[..., Any]) -> Any:
            left[0] -= 1
            return passes(self, batches, rows, after_calls(see, batch + 1) if left[0] == 0 else see)

        RowPass.__call__ = look  # type: ignore[method-assign]
        return f"{kind}: {left[0]}, batch {batch}"
    if kind == "while saving":
        saves, place = draw.randrange(1, steps // SAVE_STEPS + 1), draw.randrange(2 * len(STAGES))
        return f"{dies_while_saving(trainer, saves, place)}: {saves}"
    step = draw.randrange(1, steps)
    if kind == "after a step":
        trainer.add_callback(DiesAfterStep(step))
    else:
        trainer.compute_loss = after_calls(trainer.compute_loss, step)  # type: ignore[method-assign]
    return f"{kind}: {step}"


def make(folder: Path, method: str) -> NoisyTrainer:
    """20 rows in batches of 4, dropout, a checkpoint every other step; only the last three are kept."""
    return make_trainer(
        folder,
        model=tiny_model(dropout=0.3),
        noise_method=method,
        num_train_epochs=EPOCHS,
        save_strategy="steps",
        save_steps=SAVE_STEPS,
        save_total_limit=KEPT,
        gold_column=None,
    )


def outcome(trainer: NoisyTrainer) -> dict[str, str]:
    """A short name for each part of what training left."""
    memory = {
        f"{n}.{name}": tensor
        for n, callback in enumerate(trainer.noise.callbacks)
        for name, tensor in callback.state_dict().items()
    }
    optimizer = trainer.optimizer.state_dict()
    tensors = {f"{k}.{name}": value for k, slot in optimizer["state"].items() for name, value in slot.items()}
    logs = [{k: v for k, v in entry.items() if k not in UNTIMED} for entry in trainer.state.log_history]
    return {
        "weights": digest(trainer.model.state_dict()),
        "optimizer": digest(tensors),
        "schedule": str([group["lr"] for group in optimizer["param_groups"]]),
        "memory": digest(memory),
        "report": hashlib.sha256(str(trainer.example_report().to_dict()).encode()).hexdigest(),
        "logs": json.dumps(logs, sort_keys=True),
    }


def digest(tensors: dict[str, Any]) -> str:
    hashed = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        table = torch.as_tensor(value).detach().cpu().contiguous()
        hashed.update(f"{name} {table.dtype} {tuple(table.shape)}".encode())
        hashed.update(table.reshape(-1).view(torch.uint8).numpy().tobytes() if table.numel() else b"")
    return hashed.hexdigest()


@contextlib.contextmanager
def silent(log: Path) -> Iterator[None]:
    """Inside, what the process prints goes to `log`."""
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        yield


def in_child(log: Path, task: Callable[[], None]) -> int:
    """Run `task` in a process of its own; returns how that ended."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            torch.set_num_threads(1)
            logging.set_verbosity_error()
            with silent(log):
                task()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1]


def train_whole(folder: Path, method: str) -> None:
    trainer = make(folder, method)
    trainer.train()
    (folder / "outcome.json").write_text(json.dumps(outcome(trainer) | {"steps": str(trainer.state.max_steps)}))


def train_killed(folder: Path, method: str, kind: str, key: str, steps: int) -> None:
    trainer = make(folder, method)
    (folder / "plan.txt").write_text(arm(trainer, kind, random.Random(key), steps))
    trainer.train()


def resume(folder: Path, method: str, drop_memory: bool) -> None:
    whole = [path for path in folder.glob("checkpoint-*") if incomplete_reason(path) is None]
    found = last_whole_checkpoint(folder) if whole else None  # killed before the first one: start afresh
    if found is not None and drop_memory:
        Path(found, STATE_NAME).unlink()
    trainer = make(folder, method)
    trainer.train(resume_from_checkpoint=True if found is not None else None)
    (folder / "outcome.json").write_text(json.dumps(outcome(trainer) | {"from": str(found)}))


def kill_and_resume(
    root: Path, method: str, number: int, seed: int, expected: dict[str, str], drop_memory: bool
) -> tuple[str, list[str]]:
    """One kill and one resume; returns where it was killed and which parts differ."""
    kind, key = KINDS[number % len(KINDS)], f"{seed} {number} {method}"
    folder = root / f"{number}"
    folder.mkdir()
    log = folder / "log.txt"
    steps = int(expected["steps"])
    ended = in_child(log, lambda: train_killed(folder, method, kind, key, steps))
    if not os.WIFSIGNALED(ended):  # no pass, or not so many: kill it after a step instead
        if os.WEXITSTATUS(ended):
            raise RuntimeError(f"{method}: the training failed before it was killed:\n{log.read_text()[-2000:]}")
        kind = "after a step"
        for path in folder.glob("checkpoint-*"):
            for file in sorted(path.rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            path.rmdir()
        in_child(log, lambda: train_killed(folder, method, kind, key, steps))
    if in_child(log, lambda: resume(folder, method, drop_memory)):
        raise RuntimeError(f"{method}, killed {kind}: the resumed training failed:\n{log.read_text()[-2000:]}")
    found = json.loads((folder / "outcome.json").read_text())
    parts = [name for name in expected if name != "steps" and expected[name] != found[name]]
    return f"{(folder / 'plan.txt').read_text()}, from {Path(found['from']).name}", parts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--methods", nargs="+", default=["all"], help="names, or all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drop_memory", type=lambda text: text.lower() == "true", default=False)
    settings = parser.parse_args()
    methods = sorted(METHODS) if settings.methods == ["all"] else settings.methods
    began, where, differing = time.perf_counter(), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        whole = {}
        for number in range(settings.kills):
            method = methods[number // len(KINDS) % len(methods)]  # each method meets each kind of kill
            if method not in whole:
                place = Path(folder, f"whole-{method}")
                place.mkdir()
                if in_child(place / "log.txt", lambda place=place, method=method: train_whole(place, method)):  # type: ignore[misc]
                    raise RuntimeError(f"{method}: does not train:\n{(place / 'log.txt').read_text()[-2000:]}")
                whole[method] = json.loads((place / "outcome.json").read_text())
            killed, parts = kill_and_resume(
                Path(folder), method, number, settings.seed, whole[method], settings.drop_memory
            )
            where[killed.split(":")[0]] += 1
            differing += bool(parts)
            if parts:
                print(f"{method}, killed {killed}: {', '.join(parts)} differ", flush=True)
    print(f"{len(set(whole))} methods, {', '.join(f'{n} {kind}' for kind, n in sorted(where.items()))}")
    print(f"{time.perf_counter() - began:.0f} s")
    print(f"{settings.kills} kills, {settings.kills - differing} identical, {differing} different")
    return int(differing == 0 if settings.drop_memory else differing > 0)


if __name__ == "__main__":
    sys.exit(main())
