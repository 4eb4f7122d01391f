"""The pictures of the site: each is shown somewhere, has a text alternative, and can be drawn again."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS, IMAGES = ROOT / "docs", ROOT / "docs" / "images"
sys.path.insert(0, str(DOCS / "generators"))

PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
LEAST_WORDS = 4
LARGEST = 150_000  # bytes of a figure of the concepts


def pictures(page: Path) -> list[tuple[str, Path]]:
    """The text alternative and the file of each picture of a page, but for those from elsewhere."""
    found = PICTURE.findall(page.read_text(encoding="utf-8"))
    return [(said, (page.parent / target).resolve()) for said, target in found if "://" not in target]


PAGES = [page for page in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))) if pictures(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_picture_of_a_page_exists_and_has_a_text_alternative(page):
    for said, target in pictures(page):
        assert target.exists(), f"{page.name} shows {target}, which is not there"
        assert len(said.split()) >= LEAST_WORDS, f"{page.name}: {target.name} has the text alternative {said!r}"


def test_each_image_is_shown_on_a_page():
    sources = [ROOT / "README.md", *DOCS.rglob("*.md"), *(DOCS / "generators").glob("*.py")]
    texts = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    unused = [image.name for image in IMAGES.iterdir() if image.is_file() and f"images/{image.name}" not in texts]
    assert not unused


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    pytest.importorskip("matplotlib")
    from figures import draw

    return draw(tmp_path_factory.mktemp("figures"))


def written(path: Path) -> list[str]:
    """The texts in a figure: matplotlib notes each beside its outlines."""
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_figures_of_the_concepts_are_drawn_from_stored_numbers(drawn):
    for path in drawn:
        stored = IMAGES / path.name
        assert stored.exists(), f"{path.name} is not in docs/images: run python docs/generators/figures.py"
        assert written(path) == written(stored), f"{path.name} is out of date: run python docs/generators/figures.py"


@pytest.mark.slow
def test_a_figure_has_no_date_and_is_small(drawn):
    for path in drawn:
        assert path.stat().st_size < LARGEST, path.name
        assert "dc:date" not in path.read_text(encoding="utf-8")
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
        assert written(path), f"{path.name} has no text"


@pytest.mark.slow
def test_a_figure_is_the_same_each_time(drawn, tmp_path):
    from figures import draw

    name = "noise_points"
    before = next(path for path in drawn if path.stem == name)
    assert draw(tmp_path, [name])[0].read_bytes() == before.read_bytes()


@pytest.mark.slow
def test_the_trainings_behind_the_figures_run(monkeypatch):
    import concept_runs

    for name, value in {"ROWS": 60, "TEST_ROWS": 20, "EPOCHS": 2, "SEEDS": (0,)}.items():
        monkeypatch.setattr(concept_runs, name, value)
    found = concept_runs.measure()["runs"][0]
    assert 0 < found["wrong"] < 0.5
    for noise in ("random", "rules"):
        assert {name: len(found[noise][name]) for name in ("auroc", "test_accuracy")} == {
            "auroc": 3,
            "test_accuracy": 2,
        }


@pytest.mark.slow
def test_only_the_rows_differ_between_random_and_rule_labels():
    import concept_runs
    import numpy as np

    gold = np.random.default_rng(0).integers(0, 5, 200)
    by_rules = np.where(np.arange(200) % 4 == 0, (gold + 1) % 5, gold)
    random = concept_runs.exchanged(by_rules, gold, seed=0)
    assert (random != by_rules).any()
    for true_class in range(5):
        assert sorted(random[gold == true_class]) == sorted(by_rules[gold == true_class])


@pytest.mark.slow
def test_each_generated_part_of_the_concepts_can_be_made():
    pytest.importorskip("mkdocs")
    from hooks import generated

    for page in (DOCS / "concepts").glob("*.md"):
        assert "<!-- generated" not in generated(page.read_text(encoding="utf-8")), page.name


@pytest.mark.slow
def test_every_family_of_methods_is_explained():
    from hf_noisy.methods.guide import FAMILIES

    page = (DOCS / "concepts" / "families.md").read_text(encoding="utf-8")
    for family in FAMILIES:
        assert f"<!-- generated: concepts.methods_of {family} -->" in page
