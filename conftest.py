"""The code blocks and commands of README and docs are tests: tests/docs/pages.py runs them, through Sybil."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # threads of parallel processes would block each other
sys.path[:0] = [str(Path(__file__).parent / "tests"), str(Path(__file__).parent / "tests" / "docs")]

from pages import PAGES, is_command, needs_command  # noqa: E402 (after the lines that make it importable)

pytest_collect_file = PAGES.pytest()


def pytest_collection_modifyitems(items):
    """A command of a page takes over a second, and so does a block that reads what one wrote."""
    for item in items:
        if is_command(item) or needs_command(item):
            item.add_marker("slow")
