"""The page of common errors shows what the package answers."""

from __future__ import annotations

import pytest
from first_mistakes import HEAD, MISTAKES, PAGE, answer, prepare, section

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("typed")
    prepare(folder)
    return folder


@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")  # of the defaults, on a CPU
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.title)
def test_the_answer_is_that_of_the_page(folder, mistake):
    assert section(mistake, answer(mistake, folder)) in TEXT, "run python tests/first_mistakes.py"


def test_the_page_has_these_mistakes_in_this_order():
    assert TEXT.startswith(HEAD)
    assert [line[3:] for line in TEXT.splitlines() if line.startswith("## ")] == [one.title for one in MISTAKES]
