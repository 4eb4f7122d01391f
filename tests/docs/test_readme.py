"""README keeps its word: one page, two commands that CI runs, links that lead somewhere. Its code runs by tests/docs/pages.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import PAGES, commands_of

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = [line for line in TEXT.splitlines() if line.startswith("pip install")]
OUTSIDE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")  # pages that MkDocs does not check
LINK = re.compile(r"\]\((?!https?://)([^)#]+)(#[^)]+)?\)")


def test_readme_is_one_page():
    assert len(TEXT.splitlines()) <= 180


def test_the_two_commands_are_there_and_ci_runs_the_second():
    assert SETUP[:2] == [
        'pip install -c constraints.txt -e ".[demo]" && accelerate launch recipes/sentiment.py',
        'pip install -c constraints.txt -e ".[test]" && pytest',
    ]
    script = (ROOT / ".ci" / "run").read_text()
    assert all(part in script for part in SETUP[1].replace("pip install", "").split(" && "))


@pytest.mark.parametrize("name", OUTSIDE)
def test_links_lead_to_files_and_headings(name):
    for target, anchor in LINK.findall((ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / target).is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / target).read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor[1:] in map(slug, headings), f"{target}{anchor}"


def slug(heading: str) -> str:
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


def test_every_page_with_code_is_run():
    """Of README and docs; the lessons and the page of common errors have tests of their own."""
    elsewhere = {
        "docs/guides/common_errors.md",
        *(str(p.relative_to(ROOT)) for p in (ROOT / "docs/tutorials").glob("*.md")),
    }
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        assert PAGES.should_parse(path) == (str(path.relative_to(ROOT)) not in elsewhere), path


def test_commands_are_read_line_by_line():
    source = "pip install x && hf-noisy env\n# a remark\nhf-noisy train \\\n  --data my.csv\n"
    assert commands_of(source) == ["hf-noisy env", "hf-noisy train    --data my.csv"]
