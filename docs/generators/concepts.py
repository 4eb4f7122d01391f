"""The generated parts of the concepts: numbers of the stored trainings, thresholds of the code, methods of a family."""

from __future__ import annotations

import concept_numbers as stored
import numpy as np

from hf_noisy.benchmark.gap import MIN_GAP, REPLICATES, gap_recovered
from hf_noisy.evidence.choice import MIN_CUT_STATISTIC, MIN_LABELS, MIN_MOVED
from hf_noisy.methods.guide import FAMILIES, GUIDE

COMMAND = "python docs/generators/figures.py --measure"
NAMES = {"random": "wrong at random", "rules": "wrong by rules"}


def _percent(share: float, places: int = 0) -> str:
    return f"{100 * share:.{places}f} %"


def _mean(noise: str, name: str, epoch: int) -> float:
    """A curve at one epoch, mean over the runs. The accuracy on test rows starts with epoch 1."""
    found = stored.over_runs(noise, name).mean(0)
    return float(found[epoch - 1 if name == "test_accuracy" else epoch])


def _best(noise: str) -> int:
    """The epoch with the best mean test accuracy."""
    return int(stored.over_runs(noise, "test_accuracy").mean(0).argmax()) + 1


# ---- memorisation, and mistakes of rules -------------------------------------------------------------------------------


def setup() -> str:
    """What was trained on what."""
    found = stored.concepts()
    settings, runs = found["settings"], found["runs"]
    rows, shares = [run["rows"] for run in runs], stored.wrong_shares()
    return (
        f"Texts: about {round(np.mean(rows), -2):,.0f} of the embedded news, five classes; {_percent(float(np.mean(shares)))} of "
        f"the labels are wrong. Model: a BERT of two layers with random weights, cross-entropy, {settings['epochs']} epochs, "
        f"batches of {settings['batch_size']}, constant learning rate {settings['learning_rate']:g}. Thick lines are means of "
        f"{len(runs)} seeds, thin lines single seeds; test rows have true labels. Measured by `{COMMAND}`; the numbers are in "
        "`recipes/results/concepts.json`."
    )


def memorised() -> str:
    """Two points of the curves, in a table."""
    last, best = stored.concepts()["settings"]["epochs"], _best("random")
    rows = [
        ("right labels that are predicted", "fit_right"),
        ("wrong labels that are predicted", "fit_wrong"),
        ("true class predicted, though the label is wrong", "true_wrong"),
        ("accuracy on test rows", "test_accuracy"),
    ]
    lines = [f"| | epoch {best}, the best on test rows | epoch {last}, the last |", "|---|---|---|"]
    for title, name in rows:
        lines.append(
            f"| {title} | {_percent(_mean('random', name, best), 1)} | {_percent(_mean('random', name, last), 1)} |"
        )
    return "\n".join(lines)


def separation() -> str:
    """How well the loss tells wrong labels from right ones, for both versions of the labels."""
    last = stored.concepts()["settings"]["epochs"]
    lines = [f"| labels | {' | '.join(NAMES.values())} |", "|---|---|---|"]

    def row(title: str, cells: list[str]) -> None:
        lines.append(f"| {title} | {' | '.join(cells)} |")

    row("AUROC of the loss, best epoch", [f"{stored.over_runs(n, 'auroc').max(1).mean():.3f}" for n in NAMES])
    row(f"AUROC of the loss, epoch {last}", [f"{_mean(n, 'auroc', last):.3f}" for n in NAMES])
    row(
        "wrong labels predicted, best epoch on test rows", [_percent(_mean(n, "fit_wrong", _best(n)), 1) for n in NAMES]
    )
    row(f"wrong labels predicted, epoch {last}", [_percent(_mean(n, "fit_wrong", last), 1) for n in NAMES])
    row("test accuracy, best epoch", [_percent(_mean(n, "test_accuracy", _best(n)), 1) for n in NAMES])
    row(f"test accuracy, epoch {last}", [_percent(_mean(n, "test_accuracy", last), 1) for n in NAMES])
    return "\n".join(lines)


def real_losses() -> str:
    """AUROC of the mean loss on real corpora, and of the audit."""
    corpora = stored.audited_corpora()
    rows = (
        ("loss, 20 % wrong at random", "mean loss", stored.RANDOM),
        ("loss, labels as given", "mean loss", None),
        ("audit, labels as given", "audit, no training", None),
    )
    lines = [f"| AUROC | {' | '.join(corpora)} |", "|---" * (len(corpora) + 1) + "|"]
    for title, scorer, noise in rows:
        cells = [f"{stored.auroc_of(scorer, corpus, noise):.2f}" for corpus in corpora]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


# ---- auto --------------------------------------------------------------------------------------------------------------


def auto_steps() -> str:
    """The checks of `auto`, with the thresholds of the code."""
    return "\n".join(
        [
            f"1. **Enough labels?** With fewer than {MIN_LABELS} labels it trains on them as they are (`ce`).",
            "2. **Which text features?** It chooses how texts are compared; see [below](#which-text-features).",
            "3. **What are the classes?** Truth inference estimates the class of each row; see "
            "[below](#how-classes-are-inferred).",
            f"4. **Would enough labels change?** If {MIN_MOVED:.0%} of the labels or more would, it trains on the inferred classes.",
            f"5. **Do similar texts agree?** Otherwise the labels stay. If the mean cut statistic is at least {MIN_CUT_STATISTIC:g}, each row "
            "gets a weight by how well its label agrees with those of similar texts; else all rows count alike (`ce`).",
        ]
    )


def features() -> str:
    """Which text features are chosen when."""
    return "\n".join(
        [
            "| labels from | encoder | features | reason |",
            "|---|---|---|---|",
            "| one source | pretrained | encoder vectors and words | together they tell more than either |",
            f"| several sources | pretrained, mean cut statistic at least {MIN_CUT_STATISTIC:g} | encoder vectors | words would "
            "reveal which rule voted, and a classifier on them would repeat the rule |",
            f"| several sources | pretrained, mean cut statistic below {MIN_CUT_STATISTIC:g} | words | the encoder says little "
            "about these labels |",
            "| any | not pretrained | words | random weights weight all words alike |",
        ]
    )


# ---- families ----------------------------------------------------------------------------------------------------------


def methods_of(*family: str) -> str:
    """The methods of a family, with links.

    Raises:
        ValueError: no such family.
    """
    name = " ".join(family)
    if name not in FAMILIES:
        raise ValueError(f"family {name!r}: expected one of {', '.join(FAMILIES)}.")
    links = [
        f"[`{method}`](../reference/methods/{method}.md)" for method, guide in GUIDE.items() if guide.family == name
    ]
    return f"These methods {FAMILIES[name]}: {', '.join(links)}."


# ---- how we measure ----------------------------------------------------------------------------------------------------


def gap_example(corpus: str) -> str:
    """The gap recovered on one corpus, worked out."""
    section = stored.benchmark()
    ce, ours, gold = (section.accuracy(corpus, name, "ce", "auto", "gold") for name in ("ce", "auto", "gold"))
    assert ce is not None
    assert ours is not None
    assert gold is not None
    share = gap_recovered(section, "auto").per_corpus[corpus]
    assert share.interval is not None
    low, high = share.interval
    return (
        f"```text\n{corpus}:  gain = {ours.value:.4f} - {ce.value:.4f} = {ours.value - ce.value:.4f}\n"
        f"       gap  = {gold.value:.4f} - {ce.value:.4f} = {gold.value - ce.value:.4f}\n"
        f"       gap recovered = {ours.value - ce.value:.4f} / {gold.value - ce.value:.4f} = {share.value:.2f}, 95% interval "
        f"[{low:.2f}, {high:.2f}]\n```"
    )


def constants() -> str:
    """The fixed numbers behind a gap and an interval."""
    return (
        f"- A corpus counts only if its gap is at least {100 * MIN_GAP:.0f} points. With a smaller gap the ratio is mostly noise.\n"
        f"- Intervals are percentiles of {REPLICATES:,} bootstrap replicates. A replicate draws seeds and test rows with "
        "replacement."
    )
