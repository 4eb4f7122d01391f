"""`hf-noisy env` prints what a bug report needs, a line each."""

from __future__ import annotations

import platform
from importlib.metadata import version

import pytest
import torch

import hf_noisy
from hf_noisy import cli
from hf_noisy.commands import env


def lines_of(capsys, *words: str) -> dict[str, str]:
    assert cli.main(["env", *words]) == 0
    return dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())


def test_versions_platform_and_device_have_a_line_each(capsys):
    lines = lines_of(capsys)
    assert list(lines) == [
        *("hf_noisy", "python", *env.REQUIRED, *env.OPTIONAL),
        *("platform", "device", "processors", "method"),
    ]
    assert all(lines[name] == version(name) for name in env.REQUIRED)
    assert lines["hf_noisy"] == hf_noisy.__version__
    assert lines["python"] == platform.python_version()
    assert lines["platform"] == platform.platform()
    assert int(lines["processors"]) >= 1
    assert lines["method"].startswith("not named")


def test_a_package_that_is_missing_is_said_to_be(monkeypatch, capsys):
    monkeypatch.setattr(env, "OPTIONAL", ("no-such-package",))
    assert lines_of(capsys)["no-such-package"] == "not installed"


def test_a_method_is_checked_and_printed_with_its_defaults(capsys):
    assert lines_of(capsys, "label_smoothing+co_teaching")["method"].startswith("label_smoothing ")
    assert lines_of(capsys, "gce")["method"] == "gce q=0.7"
    assert lines_of(capsys, "ce")["method"] == "ce"
    assert cli.main(["env", "gcee"]) == 2
    assert "unknown method 'gcee'. Did you mean 'gce'?" in capsys.readouterr().err
    assert cli.main(["env", "gce", "sce"]) == 2
    assert "'sce': belongs to no option" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "hip", "expected"),
    [
        (["H200"], None, "CUDA 12.8, 1 x H200"),
        (["H200", "L4", "H200"], None, "CUDA 12.8, 2 x H200, 1 x L4"),
        (["MI300"], "6.2", "ROCm 6.2, 1 x MI300"),
    ],
)
def test_gpus_are_counted_by_name(names, hip, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: names[number])
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.version, "hip", hip)
    assert env.device() == expected


def test_other_devices_are_named_by_their_kind(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("mps"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    assert env.device().startswith("MPS, 1 x ")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert env.device().startswith("CPU, ")
