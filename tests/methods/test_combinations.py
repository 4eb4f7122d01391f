"""Which methods combine: the table of groups in the guide on choosing a method is what the code does, for every pair."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import make_trainer, token_dataset

from hf_noisy import METHODS
from hf_noisy.methods.building import check_methods

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "choosing_a_method.md"


def groups() -> dict[str, tuple[set[str], set[str]]]:
    """Group -> its names, and the groups that it does not combine with."""
    (table,) = re.findall(r"\| group \|.*?\n\|---.*?\n((?:\|.*\n)+)", PAGE.read_text(encoding="utf-8"))
    found = {}
    for line in table.splitlines():
        group, _, names, without = (cell.strip() for cell in line.strip("|").split("|"))
        found[group] = set(re.findall(r"`(\w+)`", names)), set(filter(None, without.split(", ")))
    return found


GROUPS = groups()


def test_the_table_names_every_method_and_contradicts_itself_nowhere():
    assert set().union(*(names for names, _ in GROUPS.values())) == set(METHODS)
    for group, (_, without) in GROUPS.items():
        assert without <= GROUPS.keys()
        assert all(group in GROUPS[other][1] for other in without), group


@pytest.mark.parametrize("first", sorted(METHODS))
def test_each_pair_goes_together_or_is_refused_as_the_table_says(first):
    for second in sorted(set(METHODS) - {first}):
        mine = [group for group, (names, _) in GROUPS.items() if first in names]
        others = {group for group, (names, _) in GROUPS.items() if second in names}
        clash = any(others & GROUPS[group][1] for group in mine)
        if clash:
            with pytest.raises(ValueError, match=r"Expected one|[Ll]eave one of them out|2 criteria"):
                check_methods(f"{first}+{second}", None)
        else:
            check_methods(f"{first}+{second}", None)


SENSIBLE = [
    "pseudo_labeling+gce",
    "model_average+co_teaching",
    "candidate_labels+consistency",
    "neighbours+pseudo_labeling+consistency+model_average",
    "rule_masking+label_correction+gce",
    "self_training+model_average+consistency",
    "pseudo_labeling+candidate_labels+rule_masking",
    "pseudo_labeling+noise_adaptation",
    "neighbours+elr+sce",
    "consistency+jocor+forward",
    "rule_masking+dividemix",
    "model_average+selfmix+neighbours",
]


@pytest.mark.parametrize("method", SENSIBLE)
def test_what_means_something_together_trains_and_resumes_exactly(tmp_path, method):
    from conftest import StopAt, same

    dataset = token_dataset(20, [0, 1, 2, -1] * 5)
    votes = np.random.default_rng(0).integers(-1, 3, (20, 3)).tolist()
    dataset = dataset.add_column("weak_labels", votes)
    settings = {"noise_method": method, "num_train_epochs": 3, "dataset": dataset}
    whole = make_trainer(tmp_path / "whole", **settings)
    whole.train()
    make_trainer(tmp_path / "broken", **settings, callbacks=[StopAt(8)]).train()
    resumed = make_trainer(tmp_path / "broken", **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-8"))
    assert same(whole, resumed)
