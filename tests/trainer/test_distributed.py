"""Two processes on one machine (gloo) do what one does; `python tests/trainer/test_distributed.py` asks every method and writes the table."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where pytest finds conftest; for the script

import pytest
import torch
from conftest import relative_difference, tiny_model
from distributed_worker import CASES, COMBINED, ROWS, Steps, case, in_one_process, on_two_gpus, trainer_of

from hf_noisy import METHODS, NoiseCallback
from hf_noisy.methods.building import build_methods
from hf_noisy.trainer import sharding

pytestmark = pytest.mark.slow
WORKER = Path(__file__).resolve().parents[1] / "distributed_worker.py"
TABLE = Path(__file__).resolve().parents[1] / "tables" / "parallel.md"
CRITERIA = {name for name in METHODS if not isinstance(build_methods(name, None)[0], NoiseCallback)}
SAMPLE = [*sorted(METHODS.keys() - CRITERIA), "ce", "gce", *COMBINED]  # criteria differ in nothing that processes see
SPLIT_SAMPLE = ["ce", "selfmix", "pseudo_labeling", "neighbours", "co_teaching"]
EXACT = 1e-6


def start(folder: Path, methods: list[str], split: list[str]) -> list[dict[str, Any]]:
    """What the worker found on each of two ranks; `split`, the methods that are tried with FSDP as well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    done = subprocess.run(
        [*command, str(WORKER), str(folder), ",".join(methods), ",".join(split)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-8000:]
    results = [torch.load(folder / f"rank{rank}.pt", weights_only=False) for rank in (0, 1)]
    assert [result["world_size"] for result in results] == [2, 2]
    return results


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict[str, Any]]:
    return start(tmp_path_factory.mktemp("ranks"), SAMPLE, SPLIT_SAMPLE)


@cache
def alone(method: str, equal: bool = False) -> dict[str, Any]:
    """The training of one process with batches as large as those of both ranks together."""
    with tempfile.TemporaryDirectory() as folder:
        return in_one_process(Path(folder), method, equal=equal)


def gradient_difference(found: dict[str, Any], expected: dict[str, Any]) -> float:
    """The largest of any step, relative."""
    assert len(found["gradients"]) == len(expected["gradients"]) >= 4
    pairs = zip(found["gradients"], expected["gradients"], strict=True)
    return max(relative_difference(ours, theirs) for ours, theirs in pairs)


def same_memory(found: dict[str, Any], expected: dict[str, Any], but: str = "", **tolerance: float) -> bool:
    """Whether two trainings remember the same, to the bit unless there is a tolerance; `but` a name that is not asked."""
    first, second = found["memory"], expected["memory"]
    assert "0.sums" in first  # of the dynamics, which are always there
    assert first.keys() == second.keys()
    compare = torch.allclose if tolerance else torch.equal
    return all(
        compare(value.nan_to_num(-7.0), second[name].nan_to_num(-7.0), **tolerance)
        for name, value in first.items()
        if name.split(".")[1] != but
    )


def identical(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether two trainings end in the same weights, memory and figures, to the bit."""
    return (
        torch.equal(found["weights"], expected["weights"])
        and same_memory(found, expected)
        and all(found[name] == expected[name] for name in ("report", "matrix", "metrics"))
        and bool((found["predictions"] == expected["predictions"]).all())
    )


def against_one_process(method: str, found: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is to be equal: the training on two ranks and that of one process."""
    together = bool(case(method).together)
    return found["equal" if together else "whole"], alone(method, equal=together)


@pytest.mark.parametrize("method", SAMPLE)
def test_two_ranks_take_the_gradients_of_one_process_and_count_each_row_once(ranks, method):
    for rank in ranks:
        found, expected = against_one_process(method, rank["methods"][method])
        assert gradient_difference(found, expected) < EXACT
        assert found["losses"] == pytest.approx(expected["losses"], rel=EXACT)
        assert same_memory(found, expected, case(method).logged, rtol=1e-4, atol=1e-5)
        assert found["seen"] == [2] * (ROWS + 12 * ("glc" in method))


@pytest.mark.parametrize("method", sorted(name for name in CASES if CASES[name].together))
def test_methods_that_are_said_to_decide_within_a_forward_do_so(ranks, method):
    assert gradient_difference(ranks[0]["methods"][method]["whole"], alone(method)) > 1e-4


@pytest.mark.parametrize("method", ["dividemix", "selfmix"])
def test_all_examples_are_split_as_one_process_splits_them(ranks, method):
    memories = [
        found["memory"]["1.clean_probability"] for found in (ranks[0]["methods"][method]["whole"], alone(method))
    ]
    assert 0 < memories[1].mean() < 1
    assert torch.allclose(*memories, atol=1e-5)


@pytest.mark.parametrize("method", SAMPLE)
def test_both_ranks_end_in_the_same_weights_and_memory_and_resume_inside_an_epoch(ranks, method):
    first, second = (rank["methods"][method] for rank in ranks)
    assert identical(first["whole"], second["whole"])
    assert identical(first["whole"], first["resumed"])
    assert identical(second["whole"], second["resumed"])


@pytest.mark.parametrize("method", SAMPLE)
def test_an_evaluation_on_two_ranks_counts_every_row_once(ranks, method, tmp_path):
    found = ranks[0]["methods"][method]["whole"]
    trainer = trainer_of(tmp_path, method, case(method).kwargs, Steps())
    torch.nn.utils.vector_to_parameters(found["weights"], trainer.model.parameters())
    expected = trainer.evaluate()
    assert found["metrics"]["eval_rows"] == expected["eval_rows"] == 7
    for name in ("eval_loss", "eval_label_accuracy", "eval_logits", "eval_labels"):
        assert found["metrics"][name] == pytest.approx(expected[name], rel=EXACT)
    assert len(found["predictions"]) == 7


def test_dropout_and_adamw_resume_on_two_ranks_but_not_without_what_the_method_remembers(ranks):
    for rank in ranks:
        assert identical(rank["special"]["whole"], rank["special"]["resumed"])
        assert not torch.equal(rank["special"]["whole"]["weights"], rank["special"]["forgetful"]["weights"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("even_batches", "even_batches=False: on several processes it hides which of them holds which row"),
        ("split_batches", "split_batches=True: on several processes it hides which of them holds which row"),
        ("dispatch_batches", "dispatch_batches=True: on several processes it hides which of them holds which row"),
        ("auto_find_batch_size", "auto_find_batch_size=True: each of 2 processes would find a batch size of its own"),
        ("batch_rebalance", "processes get batches of different sizes"),
    ],
)
def test_what_hides_which_process_holds_which_row_is_refused_on_both(ranks, setting, message):
    assert all(message in rank["refused"][setting] for rank in ranks)


# ---- FSDP: accelerate is told that CPUs are accelerators, on which alone it splits weights --------------------------


def splits(rank: dict[str, Any]) -> dict[str, Any]:
    """Of each method, what was found with FSDP, or the words that refuse it."""
    return {name: found for name, found in rank["fsdp"].items() if name != "split model"}


def test_split_weights_learn_the_same_resume_and_are_saved_whole(ranks):
    for rank in ranks:
        trained = {name: found for name, found in splits(rank).items() if isinstance(found, dict)}
        assert trained.keys() == {"ce", "selfmix", "pseudo_labeling"}
        for method, found in trained.items():
            plain = rank["methods"][method]["whole"]
            assert found["distributed_type"] == "DistributedType.FSDP"
            assert gradient_difference(found["whole"], plain) < EXACT
            assert same_memory(found["whole"], plain, rtol=1e-4, atol=1e-5)
            assert identical(found["whole"], found["resumed"])
            assert found["whole"]["metrics"]["eval_rows"] == 7
    for method, found in splits(ranks[0]).items():
        if isinstance(found, dict):
            assert relative_difference(found["saved"], ranks[0]["methods"][method]["saved"]) < EXACT


def test_what_needs_whole_weights_is_refused_with_a_sentence(ranks):
    for rank in ranks:
        assert splits(rank)["co_teaching"].startswith(
            f"fsdp with CoTeaching (noise_method='co_teaching'): {sharding.SEVERAL_NETWORKS}."
        )
        assert splits(rank)["neighbours"].startswith(
            f"fsdp with Neighbours (noise_method='neighbours'): {sharding.ENCODER}."
        )
        assert "is split over processes already" in rank["fsdp"]["split model"]


# ---- several GPUs in one process: a stand-in gives each copy of the model its rows ----------------------------------


@pytest.mark.parametrize("method", ["consistency", "mentornet_pd", "label_correction+consistency+model_average"])
def test_copies_of_the_model_in_one_process_learn_the_same(tmp_path, method):
    assert gradient_difference(on_two_gpus(tmp_path, method), alone(method)) < EXACT


@pytest.mark.parametrize(
    ("method", "name", "why"),
    [
        ("co_teaching", "CoTeaching", sharding.JOINED),
        ("noise_adaptation", "NoiseAdaptation", sharding.JOINED),
        ("self_training", "SelfTraining", sharding.VECTORS),
    ],
)
def test_methods_that_copies_of_the_model_hide_something_from_are_refused(tmp_path, method, name, why):
    found = on_two_gpus(tmp_path, method)
    assert found.startswith(f"n_gpu=2 with {name}")
    assert f"{why}. Start a process for each GPU" in found


def test_copies_that_do_not_know_of_each_other_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    from hf_noisy.common.launching import check_launched

    with pytest.raises(RuntimeError, match="WORLD_SIZE=2.*--use_cpu True"):
        check_launched(SimpleNamespace(world_size=1))


# ---- the table ------------------------------------------------------------------------------------------------------

HEADER = [
    "method",
    "gradient, 1 process and 2",
    "compared",
    "loss",
    "both ranks identical",
    "resume exact",
    "FSDP 2",
    "DeepSpeed",
    "DataParallel",
]
REFUSALS = {
    "joined rows": sharding.JOINED,
    "vectors": sharding.VECTORS,
    "several networks": sharding.SEVERAL_NETWORKS,
    "noise channel": sharding.CHANNEL,
    "other weights": sharding.OTHER_WEIGHTS,
    "encoder alone": sharding.ENCODER,
}


def reason(message: str) -> str:
    (found,) = (name for name, sentence in REFUSALS.items() if sentence in message)
    return f"refused: {found}"


def split_cell(found: Any, plain: dict[str, Any]) -> str:
    if isinstance(found, str):
        return reason(found)
    exact = identical(found["whole"], found["resumed"])
    return f"{gradient_difference(found['whole'], plain):.0e}, {'resumes' if exact else 'does not resume'}"


def copied_cell(method: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        found = on_two_gpus(Path(folder), method)
    return reason(found) if isinstance(found, str) else f"{gradient_difference(found, alone(method)):.0e}"


def table(ranks: list[dict[str, Any]]) -> str:
    """The table of what the worker found."""
    lines = [
        "Written by `python tests/trainer/test_distributed.py`; do not edit.",
        "",
        "Two epochs of 25 rows, the last batch uneven and filled with repeated rows: steps of 16 rows and fewer, on two ranks (gloo) as two",
        "accumulated batches of 4 each, in one process as one batch. Gradient: the largest relative difference of any step. A method that",
        "decides something by all rows of a forward decides otherwise in smaller ones; there the third column says under what the two are",
        "compared. Resume: from a checkpoint inside the second epoch, weights, memory, report, metrics and predictions to the bit, on both ranks.",
        "FSDP 2: the gradient against that of plain processes, on CPUs, which accelerate is told to be accelerators. DataParallel (two GPUs in",
        "one process): the gradient against that of one, by a stand-in that gives each copy of the model its rows. Neither was tried on GPUs.",
        "",
        f"| {' | '.join(HEADER)} |",
        f"|{'---|' * len(HEADER)}",
    ]
    for method in [*METHODS, *COMBINED]:
        first, second = (rank["methods"][method] for rank in ranks)
        ours, expected = against_one_process(method, first)
        loss = max(abs(a / b - 1) for a, b in zip(ours["losses"], expected["losses"], strict=True))
        resumes = identical(first["whole"], first["resumed"]) and identical(second["whole"], second["resumed"])
        cells = [
            f"`{method}`",
            f"{gradient_difference(ours, expected):.0e}",
            compared(method),
            f"{loss:.0e}",
            "yes" if identical(first["whole"], second["whole"]) else "NO",
            "yes" if resumes else "NO",
            split_cell(ranks[0]["fsdp"][method], first["whole"]),
            "refused",
            copied_cell(method),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Refused, because", "", *(f"- {name}: {sentence}." for name, sentence in REFUSALS.items())]
    return "\n".join(
        [*lines, "", "What is said of DeepSpeed, whatever the method:", "", f"- {said_of_deepspeed()}", ""]
    )


def compared(method: str) -> str:
    the = case(method)
    return f"{the.when_equal} ({the.together})" if the.together else "as it is"


def said_of_deepspeed() -> str:
    with pytest.raises(ValueError, match="deepspeed") as error:
        sharding.check_processes(SimpleNamespace(deepspeed="ds.json"))
    return str(error.value)


def test_the_stored_table_says_what_the_code_declares():
    stored = TABLE.read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in stored.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == [*METHODS, *COMBINED]
    for row in rows:
        cells = dict(zip(HEADER, row, strict=True))
        method = cells["method"].strip("`")
        assert cells["compared"] == compared(method)
        assert float(cells["gradient, 1 process and 2"]) < EXACT
        assert (cells["both ranks identical"], cells["resume exact"]) == ("yes", "yes")
        parts = [part for name in method.split("+") for part in build_methods(name, None)]
        callbacks = [part for part in parts if isinstance(part, NoiseCallback)]
        whole = [sharding.fsdp_conflict(callback, tiny_model()) for callback in callbacks]
        whole += [sharding.ENCODER] if {"neighbours", "truth_inference", "auto"} & set(method.split("+")) else []
        single = [sharding.data_parallel_conflict(callback, tiny_model()) for callback in callbacks]
        for cell, reasons in ((cells["FSDP 2"], whole), (cells["DataParallel"], single)):
            declared = next((sentence for sentence in reasons if sentence), None)
            if declared is None:
                assert float(cell.removesuffix(", resumes")) < EXACT
            else:
                assert REFUSALS[cell.removeprefix("refused: ")] == declared
        assert cells["FSDP 2"].endswith(", resumes") or not cells["FSDP 2"][0].isdigit()
    for name, sentence in REFUSALS.items():
        assert f"- {name}: {sentence}." in stored
    assert said_of_deepspeed() in stored


def main() -> None:
    """Ask every method, also with FSDP, and write the table."""
    torch.set_num_threads(1)
    methods = [*METHODS, *COMBINED]
    with tempfile.TemporaryDirectory() as folder:
        ranks = start(Path(folder), methods, methods)
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(table(ranks), encoding="utf-8")
    print(f"{len(methods)} rows written to {TABLE}")


if __name__ == "__main__":
    main()
