"""Random sequences of methods on random data: what must always hold, holds.

    python tests/fuzz.py --examples 2000 --seed 0

Most examples are of the fast layer, `check_steps`: the real methods in a training without a model, where every logit is
drawn by lot. One in forty is of the slow one, `check_training`: `NoisyTrainer` on a tiny model. Each failure is printed
as the smallest example that was found. Exit status 1 if there is one.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import hypothesis
import torch
from fuzz_cases import Case, cases
from fuzz_rows import walk
from fuzz_rules import check_forward, check_same, near, rows_left_alone, same
from fuzz_steps import Training
from fuzz_trainings import check_training, trainer_cases
from hypothesis import HealthCheck, Phase, settings

from hf_noisy import METHODS
from hf_noisy.common.randomness import forked_generators, keyed_generator
from hf_noisy.methods import mentornet
from hf_noisy.methods.parts.mentor import Mentor
from hf_noisy.methods.parts.small_loss import SmallLoss

CHUNK = 50  # examples of one hypothesis run, which ends at its first failure
SLOW_SHARE = 40  # one in so many
SETTINGS = settings(
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
    print_blob=False,
)


@contextlib.contextmanager
def learning_briefly() -> Iterator[None]:
    """Inside, a mentor is not learned for seconds but for three steps, from a random start."""

    def mentor(gamma: float = 1.0, classes: int = 1) -> Mentor:
        with forked_generators():
            torch.manual_seed(0)
            return Mentor(classes)

    with mock.patch.multiple(mentornet, predefined_mentor=mentor, _STEPS=3):
        yield


def check_steps(case: Case) -> None:
    """A training without a model; from a random forward on beside another one that read its checkpoint."""
    training, resumed = Training(case), None
    places = list(walk(case, training.rows))
    checkpoint = case.seed % len(places)
    for number, place in enumerate(places):
        if place.first_of_epoch:
            training.begin_epoch(place.epoch)
            if resumed is not None:
                resumed.begin_epoch(place.epoch)
        if number == checkpoint:
            resumed = training.resumed(place.epoch)
            check_order(training, place)
        seen = step(training, place)
        if resumed is not None:
            again = step(resumed, place)
            assert same(seen.total, again.total), f"resumed: a loss of {float(again.total)}, not {float(seen.total)}"
    assert resumed is not None
    check_same(training.remembered(), resumed.remembered(), "resumed")


def step(training: Training, place):
    """A forward of which everything is checked, and what comes after it."""
    rows = len(training.rows.labels)
    before = {name: memory.values.clone() for name, memory in training.memories().items()}
    seen = training.forward(place)
    check_forward(training, place, seen)
    alone = rows_left_alone(place, rows)
    kept = {name: memory for name, memory in training.memories().items() if len(memory.values)}  # some may keep nothing
    for name, memory in kept.items():
        assert same(memory.values[alone], before[name][alone]), f"{name} changes for a row that is not in the batch"
    if place.last_of_step:
        training.end_step(place)
    return seen


def check_order(training: Training, place) -> None:
    """The order of the rows in a batch does not matter, but to methods that draw by position or break ties by it."""
    draws = any(
        isinstance(c, mentornet.MentorNet) and any(rate for rate, _ in c.example_dropout) for c in training.callbacks
    )
    ties = training.case.spread in (0, 200) and any(isinstance(c, SmallLoss) for c in training.callbacks)
    if draws or ties or (place.batch.real is not None and not place.batch.real.all()):
        return
    order = torch.randperm(len(place.batch.index), generator=keyed_generator(training.case.seed, "another order"))
    one, other = training.resumed(place.epoch), training.resumed(place.epoch)
    seen, turned = one.forward(place), other.forward(place, order)
    for callback, left, right in zip(training.callbacks, seen.after, turned.after, strict=True):
        name = type(callback).__name__
        assert near(left.targets[:, order], right.targets), f"{name}: a target depends on the order of the batch"
        assert near(left.weights[:, order], right.weights), f"{name}: a weight depends on the order of the batch"
    if seen.after[-1].mix is None:
        assert near(seen.gradient[:, :, order], turned.gradient), "a gradient depends on the order of the batch"
    others = other.memories()
    for name, memory in one.memories().items():
        assert near(memory.values, others[name].values), f"{name} depends on the order of the batch"


class Attempt:
    """Counts what a hypothesis run tries before its first failure, and that one; what comes after is the shrinking of it."""

    def __init__(self, check: Callable[[Any], None]) -> None:
        self.check, self.tried, self.failed = check, 0, False

    def __call__(self, case: Any) -> None:
        try:
            with learning_briefly():
                self.check(case)
        except hypothesis.errors.UnsatisfiedAssumption:  # refused before the first step: no example
            raise
        except Exception:
            self.tried, self.failed = self.tried + (not self.failed), True
            raise
        self.tried += not self.failed


def attempt_with(attempt: Attempt) -> Callable[[Any], None]:
    def example(case: Any) -> None:
        attempt(case)

    return example


def run(check: Callable[[Any], None], strategy: Any, examples: int, seed: int) -> tuple[int, int]:
    """How many examples were tried, and how many runs of at most `CHUNK` found a failure."""
    tried = failures = 0
    while tried < examples:
        attempt = Attempt(check)
        limits = settings(SETTINGS, max_examples=min(CHUNK, examples - tried))
        given = hypothesis.given(strategy)(attempt_with(attempt))
        try:
            hypothesis.seed(seed * 1_000_003 + tried)(limits(given))()
        except Exception:
            traceback.print_exc(limit=-3)
        tried, failures = tried + attempt.tried, failures + attempt.failed
        print(f"{check.__name__}: {tried} of {examples}, {failures} failures", flush=True)
    return tried, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=2000, help="of both layers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layer", choices=("both", "steps", "trainings"), default="both")
    parser.add_argument("--methods", nargs="+", default=sorted(METHODS), choices=sorted(METHODS), metavar="NAME")
    arguments = parser.parse_args()
    slow = {"both": arguments.examples // SLOW_SHARE, "steps": 0, "trainings": arguments.examples}[arguments.layer]
    start, found = time.perf_counter(), []
    for check, strategy, examples in (
        (check_steps, cases(arguments.methods), arguments.examples - slow),
        (check_training, trainer_cases(arguments.methods), slow),
    ):
        if examples:
            found.append(run(check, strategy, examples, arguments.seed))
    print(f"{time.perf_counter() - start:.0f} seconds")
    tried, failed = (sum(column) for column in zip(*found, strict=True))
    print(f"{tried} examples, {failed} failures")
    return int(failed > 0)


if __name__ == "__main__":
    warnings.simplefilter("error")
    logging.getLogger("hf_noisy").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    sys.exit(main())
