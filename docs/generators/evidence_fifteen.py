"""The main table on fifteen corpora: `auto` and its peers, corpus by corpus and on the mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import median

import method_results as results
from evidence_cells import (
    accuracy_cell,
    gap_of,
    listed,
    markdown_table,
    number,
    points_cell,
    said_points,
    said_share,
    section_of,
    seeds_cell,
    share_cell,
)
from evidence_situations import tables

from hf_noisy.benchmark.gap import Estimate, Section, mean

FILE = "fifteen"
LOSS = 0.5  # points below `ce` that are worth naming
NAMES = {
    "ce": "the labels as they are",
    "auto": '`noise_method="auto"`',
    "gold": "gold labels",
    "cleanlab": "cleanlab's filter, then training",
    "label_model": "Snorkel's label model",
    "self_training": "`self_training` (COSINE)",
    "selfmix": "`selfmix`",
    "dividemix": "`dividemix`",
    "co_teaching": "`co_teaching`",
    "neighbours": "`neighbours` (cut statistic)",
    "truth_inference": "`truth_inference`",
}


def corpora(section: Section) -> list[str]:
    """The corpora in the order in which they were run."""
    return [corpus for corpus in section.corpora if (corpus, section.ce) in section.runs]


def as_one(values: Mapping[str, Estimate]) -> Estimate | None:
    """The mean over corpora, those with the same texts as one; None without any."""
    same = tables().SAME_TEXTS
    shared = [value for corpus, value in values.items() if corpus in same]
    others = [value for corpus, value in values.items() if corpus not in same]
    found = [*others, *([mean(shared)] if shared else [])]
    return mean(found) if found else None


def gains(section: Section, variant: str) -> dict[str, Estimate]:
    """The gain over cross-entropy on each corpus on which the variant was measured."""
    found = {corpus: section.gain(corpus, variant) for corpus in corpora(section)}
    return {corpus: gain for corpus, gain in found.items() if gain is not None}


def shares(section: Section, variant: str) -> dict[str, Estimate]:
    """The share of the gap on each corpus whose gap counts."""
    return {corpus: share for corpus, share in gap_of(section, variant).per_corpus.items() if share is not None}


def by_corpus() -> str:
    """A row for each corpus: accuracies of `ce`, `auto` and gold labels, gain, share of the gap, and what `auto` took."""
    section = section_of(FILE)
    rows = []
    for corpus in corpora(section):
        rate = section.over_seeds(corpus, section.ce, "noise_rate")
        share = shares(section, "auto").get(corpus)
        rows.append(
            [
                f"`{corpus}`",
                "" if rate is None else f"{100 * rate:.0f} %",
                *(accuracy_cell(section, corpus, name) for name in ("ce", "auto", "gold")),
                points_cell(section.gain(corpus, "auto")),
                share_cell(share) if share is not None else "gap under 3",
                listed(took(section, corpus)),
            ]
        )
    header = ["corpus", "labels wrong", "`ce`", "`auto`", "`gold`", "gain, points", "gap recovered, %", "took"]
    return markdown_table(header, rows)


def took(section: Section, corpus: str) -> list[str]:
    """What `auto` chose, each method once."""
    runs = section.runs.get((corpus, "auto"), {}).values()
    names = [re.search(r"took `(\w+)`", " ".join(run["choices"] or ())) for run in runs]
    return sorted({f"`{name[1]}`" for name in names if name})


def small_table() -> str:
    """A row for each method: means over corpora, the worst corpus and the cost."""
    section = section_of(FILE)
    rows = []
    for variant, name in NAMES.items():
        found = gains(section, variant)
        if variant != section.ce and not found:
            continue
        costs = section.values(variant, "cost")
        cost = f"{median(costs):.1f}" if costs else ""
        if variant == section.ce:
            rows.append([name, "", "", "", cost, seeds_cell(section, variant)])
            continue
        worst = min(found, key=lambda corpus: found[corpus].value)
        share = as_one(shares(section, variant)) if variant != section.gold else None
        missing = len(corpora(section)) - len(found)
        cells = [
            points_cell(as_one(found)),
            share_cell(share),
            f"{results.points(100 * found[worst].value)} `{worst}`",
            cost,
            seeds_cell(section, variant),
        ]
        rows.append([f"{name}{f', on {len(found)} corpora' if missing else ''}", *cells])
    return markdown_table(["trained on", "gain, points", "gap recovered, %", "worst corpus", "cost", "seeds"], rows)


def auto_sentence() -> str:
    """The mean gain of `auto`, its share of the gap, and its losses."""
    section = section_of(FILE)
    found = gains(section, "auto")
    return (
        f"`auto` gains {said_points(as_one(found))} on the mean over the labels as they are, and recovers "
        f"{said_share(as_one(shares(section, 'auto')))} of each gap that is 3 points or more. {losses()}"
    )


def losses() -> str:
    """On which corpora `auto` is less accurate than `ce`, and its worst seed."""
    section = section_of(FILE)
    lost = {c: gain for c, gain in gains(section, "auto").items() if 100 * gain.value < -LOSS}
    named = listed(f"`{corpus}` ({results.points(100 * gain.value)})" for corpus, gain in lost.items())
    worst = min((diff, corpus, seed) for corpus, of in seed_gains(section).items() for seed, diff in of.items())
    where = f"It loses over {LOSS:g} points on {named}." if lost else f"It loses over {LOSS:g} points on no corpus."
    return f"{where} Its worst single run is {worst[0]:+.1f} points, on `{worst[1]}` with seed {worst[2]}."


def seed_gains(section: Section) -> dict[str, dict[int, float]]:
    """Corpus -> seed -> gain of `auto` over `ce`, in points."""
    found = {}
    for corpus in corpora(section):
        ours, base = (section.accuracies(corpus, name) for name in ("auto", "ce"))
        found[corpus] = {seed: 100 * (ours[seed] - base[seed]) for seed in ours if seed in base}
    return found


def settings() -> str:
    """The budget and the number of corpora and seeds."""
    section = section_of(FILE)
    of, budget = section.settings, corpora(section)
    return (
        f"{number(len(budget)).capitalize()} corpora, at most {of['max_train_rows']:,} training rows of each, {of['epochs']} epochs, an encoder of 6 "
        "layers. Brackets are 95 % intervals. `massive18` and `slurp_asr` have the same texts, so means count them as one. *Cost* is "
        "training time as a multiple of that of the labels as they are."
    )
