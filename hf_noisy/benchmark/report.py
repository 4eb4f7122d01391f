"""Renders benchmark results as a markdown report: the runs, tables of results, and two figures per section."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hf_noisy.benchmark.cells import (
    UNMEASURED,
    markdown_table,
    noted,
    points_cell,
)
from hf_noisy.benchmark.figures import draw_accuracy, draw_cost
from hf_noisy.benchmark.frozen import not_applicable
from hf_noisy.benchmark.gap import REPLICATES, Line, Section, gap_recovered, split_sections
from hf_noisy.benchmark.settings import FIXED
from hf_noisy.benchmark.tables import (
    accuracies,
    choice_table,
    differences,
    epochs,
    epochs_by_corpus,
    gap_table,
    labels_right,
    regrets_table,
)
from hf_noisy.methods.registry import METHODS

_ROWS = f"""\
A row of a table is one way to use the same training rows. All rows share encoder, budget, seeds and test rows.

- `majority_vote`, `label_model`: nothing is trained; test rows take the vote of their sources, or Snorkel's label model.
- `ce`: cross-entropy on the labels as they are. This is what the others have to beat.
- `gold`†: cross-entropy on the gold labels of the same rows. This is what there is to win.
- `clean_valid`†: cross-entropy on the gold labels of the validation rows, and no other.
- `cleanlab`: cross-entropy without the rows that cleanlab takes for mislabelled.
- all others: methods of `hf_noisy`, on the labels as they are.

† reads gold labels of training or validation rows. "{UNMEASURED}" could not be measured; an empty cell was not run. \
Accuracies are of the epoch that is best on the given, wrong labels of validation rows, the first of equals (`gold` goes by \
their gold labels; `clean_valid` takes the last epoch, as do methods that replace the labels, `truth_inference` and `auto`), \
unless a column says otherwise."""
_INTERVALS = (
    f"Brackets hold 95% bootstrap intervals: {REPLICATES:,} draws of seeds and test rows, the same draw for all rows of "
    "a table. With few seeds they are somewhat too narrow. They do not cover the choice of corpora."
)
_EPOCHS = """\
### Epochs and cost

Means over corpora and seeds. Regret is what the stopping rule lost against the epoch that was best on the test rows, in \
points. Cost is training time over that of `ce`: the median, the least and the most. Memory is the peak of the \
accelerator, or of the whole process where there is none."""
_FROZEN = "The encoder is frozen: each text was encoded once, and a linear head was trained on the vectors."
_ALT = ("accuracy by corpus, with intervals", "accuracy against cost")


def write_report(lines: Sequence[Line], path: str | Path) -> None:
    """Write the report to `path`, and two figures per section into the same folder.

    Args:
        lines: the result of `read_results`.
        path: the markdown file. For report.md, the figures are report-accuracy.png and report-cost.png. Those of a second
            section are report-accuracy-2.png and report-cost-2.png.

    Raises:
        ValueError: there are no lines, a section has no line of `ce` or `gold`, or a run occurs twice.
        ImportError: matplotlib is not installed.
    """
    path, sections = Path(path), split_sections(lines)
    text = _render(sections, path.stem)  # first, so that invalid `lines` leave no partial report
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, section in enumerate(sections, start=1):
        order, (accuracy, cost) = ordered(section), _figures(path.stem, number)
        draw_accuracy(section, order, path.with_name(accuracy))
        draw_cost(section, order, path.with_name(cost))
    path.write_text(text, encoding="utf-8")


def render_report(lines: Sequence[Line], *, stem: str | None = None) -> str:
    """The markdown of the report.

    Args:
        lines: as `write_report`.
        stem: prefix of the figures' file names. With None, no figures are shown.

    Raises:
        ValueError: as `write_report`.
    """
    return _render(split_sections(lines), stem)


def ordered(section: Section) -> list[str]:
    """The variants: fixed rows in their fixed order, then methods in descending order of gap recovered."""

    def rank(variant: str) -> tuple[int, float]:
        if section.methods[variant] in FIXED:
            return FIXED.index(section.methods[variant]), 0.0
        share = gap_recovered(section, variant).mean
        return len(FIXED), float("inf") if share is None else -share.value

    return sorted(section.methods, key=rank)


def _render(sections: Sequence[Section], stem: str | None) -> str:
    runs = sum(len(section.lines) for section in sections)
    parts = [f"# Benchmark\n\n{runs:,} runs.", _ROWS, _INTERVALS]
    for number, section in enumerate(sections, start=1):
        figures = (
            []
            if stem is None
            else [f"![{alt}]({name})" for alt, name in zip(_ALT, _figures(stem, number), strict=True)]
        )
        parts += [f"## {_title(section, sections)}", *_section(section, figures)]
    return "\n\n".join(parts) + "\n"


def _figures(stem: str, number: int) -> tuple[str, str]:
    """The file names of a section's figures."""
    end = "" if number == 1 else f"-{number}"
    return f"{stem}-accuracy{end}.png", f"{stem}-cost{end}.png"


# ---- parts of a section --------------------------------------------------------------------------------------------


def _section(section: Section, figures: Sequence[str]) -> list[str]:
    order = ordered(section)
    return [
        *_missing(section),
        *_facts(section),
        "### Accuracy\n\nMean over seeds ± standard deviation.",
        accuracies(section, order),
        "Difference to `ce`, points [95%]:",
        differences(section, order),
        *figures[:1],
        *gap_table(section, order),
        *choice_table(section),
        *labels_right(section, order),
        _EPOCHS,
        epochs(section, order),
        *epochs_by_corpus(section, order),
        *regrets_table(section),
        *figures[1:],
    ]


def _title(section: Section, sections: Sequence[Section]) -> str:
    others = [other.settings for other in sections]
    differing = [
        f"{name} {value}"
        for name, value in section.settings.items()
        if name not in ("noise", "frozen") and any(other.get(name) != value for other in others)
    ]
    kind = ["frozen encoder"] if section.settings.get("frozen") else []
    return ", ".join([f"Results: {section.noise}", *kind, *differing])


def _missing(section: Section) -> list[str]:
    missing = section.missing()
    if not missing:
        return []
    corpora: dict[tuple[str, tuple[int, ...]], list[str]] = {}  # by variant and seeds
    for (corpus, variant), seeds in missing.items():
        corpora.setdefault((variant, tuple(seeds)), []).append(corpus)
    variants: dict[tuple[tuple[str, ...], tuple[int, ...]], list[str]] = {}  # by corpora and seeds
    for (variant, same), where in corpora.items():
        variants.setdefault((tuple(where), same), []).append(f"`{variant}`")
    runs = "; ".join(
        f"{'every corpus' if set(where) == set(section.corpora) else ', '.join(where)}, {', '.join(names)}, "
        f"seed{'s' * (len(same) > 1)} {', '.join(map(str, same))}"
        for (where, same), names in variants.items()
    )
    number = sum(map(len, missing.values()))
    return [f"**{number} of the grid's runs {'is' if number == 1 else 'are'} missing:** {runs}."]


def _facts(section: Section) -> list[str]:
    settings = ", ".join(f"{name} {value}" for name, value in section.settings.items())
    found: dict[str, dict[str, None]] = {}
    for line in section.lines:
        for name, version in line["versions"].items():
            found.setdefault(name, {})[version] = None
    versions = ", ".join(f"{name} {' and '.join(of_package)}" for name, of_package in found.items())
    return [
        f"{len(section.lines):,} runs, seeds {', '.join(map(str, section.seeds))}.",
        f"- settings: {settings}\n- versions: {versions}",
        *([_frozen_facts()] if section.settings.get("frozen") else []),
        _corpora(section),
    ]


def _frozen_facts() -> str:
    reasons = [reason for name in METHODS if (reason := not_applicable(name)) is not None]
    return f"{_FROZEN} Not applicable: {'; '.join(reasons)}."


def _corpora(section: Section) -> str:
    forms = {"train_rows": "{:,.0f}", "test_rows": "{:,.0f}", "noise_rate": "{:.3f}"}
    rows = []
    for corpus in section.corpora:
        found = {key: section.over_seeds(corpus, section.ce, key) for key in forms}
        cells = [UNMEASURED if found[key] is None else form.format(found[key]) for key, form in forms.items()]
        rows.append([corpus, *cells, points_cell(section.gain(corpus, section.gold), UNMEASURED)])
    header = ["corpus", "training rows", "test rows", "noise rate", "`gold` less `ce`, points [95%]"]
    return noted(section, markdown_table(header, rows))
