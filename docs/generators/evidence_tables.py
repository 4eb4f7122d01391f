"""Tables of the other files of benchmark results: methods on a CPU, and the parts of `truth_inference`."""

from __future__ import annotations

from evidence_cells import (
    accuracy_cell,
    corpora_of,
    cost_cell,
    differing,
    gain_of,
    gap_of,
    markdown_table,
    mean_cell,
    noise_row,
    points_cell,
    said_points,
    section_of,
    share_cell,
    variant_name,
)

from hf_noisy.benchmark.gap import MIN_GAP, Section
from hf_noisy.benchmark.report import ordered

INTACT = "`truth_inference`"
PARTS = {
    "refine": "without the view of the fine-tuned encoder",
    "sharpen": "without sharpening",
    "sources": "without sources",
    "rounds": "one round",
    "share": "start by neighbours",
}
VIEWS = {"encoder": "by the encoder alone", "words": "by words alone"}


def section_table(file: str, noise: str = "given") -> str:
    """All rows of a file with this noise, in descending order of the share of the gap."""
    section = section_of(file, None if noise == "given" else noise)
    corpora = corpora_of(section)
    header = ["method", *corpora, "gain, points", "gap recovered, %", "cost"]
    rows = [[*noise_row(section), "", "", ""]]
    rows += [
        [
            variant_name(section, variant),
            *(accuracy_cell(section, corpus, variant, deviation=True) for corpus in corpora),
            points_cell(gain_of(section, variant)) if variant != section.ce else "",
            share_cell(gap_of(section, variant).mean) if variant not in (section.ce, section.gold) else "",
            cost_cell(section, variant),
        ]
        for variant in ordered(section)
        if _has_accuracy(section, variant)
    ]
    return f"{markdown_table(header, rows)}\n\n{_facts(section)}"


def _has_accuracy(section: Section, variant: str) -> bool:
    """Votes are gold labels made wrong, where noise is injected, so they are not listed there."""
    injected = section.settings.get("noise") is not None and section.methods[variant] in (
        "majority_vote",
        "label_model",
    )
    return not injected and any(section.accuracies(corpus, variant) for corpus in section.corpora)


def _facts(section: Section) -> str:
    seeds = f"{len(section.seeds)} seeds" if len(section.seeds) > 1 else "one seed"
    left_out = [corpus for corpus in corpora_of(section) if corpus not in section.counted]
    note = (
        f" The share of the gap leaves out {', '.join(left_out)}, where `ce` and `gold` are less than {100 * MIN_GAP:.0f} points apart."
        if left_out
        else ""
    )
    return f"Mean ± standard deviation of {seeds} at the epoch that noisy validation labels choose. † reads gold labels.{note}"


def epochs_table(file: str) -> str:
    """Mean accuracy over the corpora at the last, the chosen and the best epoch."""
    section = section_of(file)
    keys = {"last epoch": "accuracy_last", "chosen epoch": "accuracy_chosen", "best epoch": "accuracy_best"}
    rows = [
        [variant_name(section, variant), *cells]
        for variant in ordered(section)
        if any(cells := [mean_cell(section, variant, key) for key in keys.values()])
    ]
    return markdown_table(["method", *keys], rows)


# ---- parts of truth_inference ----------------------------------------------------------------------------------------


def parts_table(file: str) -> str:
    """`truth_inference` with one part changed each: accuracy, gain, cost."""
    section = section_of(file)
    corpora = corpora_of(section)
    order = sorted(
        (variant for variant in section.methods if section.methods[variant] == "truth_inference"),
        key=lambda variant: -(gain.value if (gain := gain_of(section, variant)) is not None else -1),
    )
    rows = [
        [
            "`ce`" if variant == section.ce else part_name(section, variant),
            *(accuracy_cell(section, corpus, variant) for corpus in corpora),
            "" if variant == section.ce else points_cell(gain_of(section, variant)),
            "" if variant == section.ce else share_cell(gap_of(section, variant).mean),
            cost_cell(section, variant),
        ]
        for variant in (section.ce, *order)
    ]
    return markdown_table(["", *corpora, "gain, points", "gap recovered, %", "cost"], rows)


def part_name(section: Section, variant: str) -> str:
    """What is changed, in words and as parameters."""
    changed = differing(section, variant)
    words = [VIEWS[changed[name]] if name == "vectors" else PARTS[name] for name in changed]
    parameters = ", ".join(f"{name}={_written(value)}" for name, value in changed.items())
    return f"{', '.join(words)} (`{parameters}`)" if words else INTACT


def _written(value: object) -> str:
    return {"True": "true", "False": "false", "None": "null"}.get(str(value), str(value))


def part_gain(file: str, *changes: str) -> str:
    """The gain of the variant with these changes, as "4.3 points [3.2, 5.4]". A change is written as "sharpen=false"."""
    section = section_of(file)
    for variant in section.methods:
        if section.methods[variant] == "truth_inference":
            changed = {f"{name}={_written(value)}" for name, value in differing(section, variant).items()}
            if changed == set(changes):
                return said_points(gain_of(section, variant))
    raise ValueError(f"{file}: no variant with {', '.join(changes) or 'the defaults'}.")
