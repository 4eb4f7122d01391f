"""The API pages: every public name stands on exactly one of them, and every name on them is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

import hf_noisy
import hf_noisy.audit
import hf_noisy.benchmark
import hf_noisy.data.noise
import hf_noisy.evidence
import hf_noisy.recipe

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "reference" / "api").glob("*.md"))
IDENTIFIER = re.compile(r"^::: (\S+)$", re.MULTILINE)
NOISE = ("NoisyLabels", "asymmetric", "instance_dependent", "pair", "symmetric", "to_commonest", "weak_model")
PUBLIC = [
    (module, name)
    for module, names in (
        *((room, room.__all__) for room in (hf_noisy, hf_noisy.evidence, hf_noisy.audit, hf_noisy.benchmark)),
        (hf_noisy.recipe, hf_noisy.recipe.__all__),
        (hf_noisy.data.noise, NOISE),
    )
    for name in names
]


def found(identifier: str) -> Any:
    module, _, name = identifier.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.fixture(scope="module")
def listed() -> list[tuple[str, str, Any]]:
    """Page, identifier and object of each entry."""
    return [
        (page.name, identifier, found(identifier))
        for page in PAGES
        for identifier in IDENTIFIER.findall(page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda part: getattr(part, "__name__", part))
def test_a_public_name_stands_on_exactly_one_page(listed, module, name):
    value = getattr(module, name)
    places = [f"{page}: {identifier}" for page, identifier, entry in listed if entry is value]
    assert len(places) == 1, f"{module.__name__}.{name}: {places or 'on no page of docs/reference/api'}"


def test_no_entry_is_listed_twice(listed):
    identifiers = [identifier for _, identifier, _ in listed]
    assert sorted(set(identifiers)) == sorted(identifiers)


def test_all_public_names_of_the_noise_module_are_checked():
    defined = {
        name
        for name, value in vars(hf_noisy.data.noise).items()
        if getattr(value, "__module__", "") == "hf_noisy.data.noise" and not name.startswith(("_", "checked_"))
    }
    assert defined == set(NOISE)


# ---- what the pages show beyond docstrings --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package() -> Any:
    """The package as mkdocstrings reads it."""
    griffe = pytest.importorskip("griffe")
    extension = griffe.load_extensions(str(ROOT / "docs" / "generators" / "docstrings.py"))
    return griffe.load("hf_noisy", search_paths=[ROOT], extensions=extension, docstring_parser="google")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("models.batch.Batch.index", "(batch,) row numbers in the training set."),
        ("models.supervision.Supervision.trusted", "(networks, batch) bool. True where the target refers to the true class"),
        ("audit.content.AuditContent.scores", "Scorer -> (rows,); larger is more suspect; scales differ between scorers."),
        ("methods.parts.base.NoiseCallback.num_networks", "Trained together; the Trainer creates the others"),
    ],
)  # fmt: skip
def test_a_field_is_documented_by_its_comment(package, name, said):
    assert package[name].docstring.value.startswith(said)


def test_what_a_constructor_sets_is_no_field_of_the_page(package):
    assert package["trainer.noisy_trainer.NoisyTrainer.label_names"].docstring is None


def test_a_doctest_is_a_block_of_code(package):
    lines = package["models.criterion.Criterion"].docstring.value.splitlines()
    assert lines[lines.index("```pycon") + 1] == ">>> class Focal(Criterion):"
    assert lines[-1] == "```"
