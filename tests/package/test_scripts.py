"""Scripts among the tests find their helpers when they are run by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import ROOT, run_program

BY_HAND = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "tests").rglob("*.py")
    if path != Path(__file__)
    and "argparse" in (text := path.read_text(encoding="utf-8"))
    and '__name__ == "__main__"' in text
)


@pytest.mark.slow
@pytest.mark.parametrize("script", BY_HAND)
def test_a_script_shows_its_help(script):
    done = run_program(["python", script, "--help"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")


def test_the_scripts_of_the_trainer_are_among_them():
    assert {"tests/trainer/test_gpu.py", "tests/trainer/test_precision.py"} <= set(map(str, map(Path, BY_HAND)))
