"""The guide to the methods: advice and a formula for each, in words that the site and the command line can show."""

from __future__ import annotations

import pytest

from hf_noisy import METHODS
from hf_noisy.evidence.choice import MIN_LABELS, MIN_MOVED
from hf_noisy.methods.guide import FAMILIES, GUIDE


def test_each_method_has_a_row_and_no_other_has():
    assert set(GUIDE) == set(METHODS)
    assert {guide.family for guide in GUIDE.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", METHODS)
def test_a_row_completes_its_sentences(name):
    guide = GUIDE[name]
    for clause in (guide.use, guide.avoid):
        assert clause[0].islower()
        assert not clause.endswith(".")
    assert guide.extra == "" or (guide.extra[0].isupper() and guide.extra.endswith("."))


@pytest.mark.parametrize("name", METHODS)
def test_a_formula_can_be_printed_anywhere(name):
    lines = GUIDE[name].formula.splitlines()
    assert 1 <= len(lines) <= 3
    assert all(line.isascii() and len(line) <= 120 for line in lines)


def test_the_limits_of_auto_are_those_of_the_code():
    assert f"fewer than {MIN_LABELS} labels" in GUIDE["auto"].formula
    assert f"under {100 * MIN_MOVED:g} % of the labels" in GUIDE["auto"].formula
    assert f"fewer than {MIN_LABELS} labels" in GUIDE["ce"].use
