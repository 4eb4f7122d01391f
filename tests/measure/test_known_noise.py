"""On noise of a known kind, methods that choose, weigh or replace labels do what they are for: a floor, on one seed."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
SPEC = importlib.util.spec_from_file_location(
    "known_noise", Path(__file__).resolve().parents[2] / "tests" / "measure" / "known_noise.py"
)
known_noise = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(known_noise)
EPOCHS, SEED = 14, 1
CHOOSING = (
    "co_teaching", "co_teaching_plus", "dividemix", "elr", "jocor", "mentornet_dd", "mentornet_pd", "selfmix",
)  # fmt: skip
LONGER = {"jocor": 20}  # agrees late
NOISE = {"dividemix": "pair"}  # the others: symmetric


@cache
def run(method: str, noise: str, epochs: int) -> dict[str, Any]:
    return known_noise.train(method, noise, SEED, epochs, **known_noise.PARAMETERS.get(method, {}))


@pytest.mark.parametrize("method", CHOOSING)
def test_each_method_beats_cross_entropy_trained_equally_long(method):
    noise, epochs = NOISE.get(method, "symmetric"), LONGER.get(method, EPOCHS)
    assert run(method, noise, epochs)["accuracy"] > run("ce", noise, epochs)["accuracy"]


@pytest.mark.parametrize("method", ["co_teaching", "dividemix", "jocor", "mentornet_dd", "mentornet_pd", "selfmix"])
def test_what_is_taught_is_right_more_often_than_the_labels_are(method):
    found = run(method, NOISE.get(method, "symmetric"), LONGER.get(method, EPOCHS))
    assert found["precision"] > found["clean"] + 0.05


def test_co_teaching_plus_chooses_right_labels_while_it_chooses_among_all():
    """After its warm-up it learns from disputed examples, of which fewer are right than of all."""
    found = run("co_teaching_plus", "symmetric", EPOCHS)
    assert found["highest"] > found["clean"] + 0.05
    assert found["precision"] < found["highest"]
