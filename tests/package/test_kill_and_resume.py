"""A fast sample of `kill_and_resume.py`: trainings killed with SIGKILL and resumed, and its negative control."""

from __future__ import annotations

import re

import pytest
from programs import run_program


def killed(*arguments: str) -> tuple[int, str]:
    done = run_program(["python", "tests/kill_and_resume.py", *arguments], seconds=600)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return done.returncode, done.stdout


@pytest.mark.slow
def test_killed_anywhere_a_training_ends_as_the_unbroken_one():
    status, printed = killed("--kills", "6", "--methods", "dividemix", "glc")
    assert printed.splitlines()[-1] == "6 kills, 6 identical, 0 different", printed
    assert "inside a pass" in printed
    assert "while saving" in printed
    assert status == 0


@pytest.mark.slow
def test_without_its_memory_it_does_not():
    status, printed = killed("--kills", "3", "--methods", "elr", "--drop_memory", "True", "--seed", "1")
    assert re.fullmatch(r"3 kills, [012] identical, [123] different", printed.splitlines()[-1]), printed
    assert "elr, killed" in printed
    assert "memory" in printed
    assert status == 0
