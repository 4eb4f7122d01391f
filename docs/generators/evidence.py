"""The main tables of the benchmark, and the sentences that say what they show."""

from __future__ import annotations

import method_results as results
from evidence_cells import (
    UNMEASURED,
    accuracy_cell,
    code,
    corpora_of,
    gain_of,
    gap_of,
    is_above_zero,
    is_below_zero,
    listed,
    markdown_table,
    noise_row,
    number,
    of_seeds,
    points_cell,
    reads_gold,
    said_points,
    said_share,
    section_of,
    seeds_cell,
    share_cell,
)

from hf_noisy.benchmark.choice import leave_one_corpus_out
from hf_noisy.benchmark.gap import Section, combine
from hf_noisy.benchmark.settings import FIXED
from hf_noisy.methods.registry import METHODS

MAIN, FULL = "h100", "h100_full"
BASELINES = ("majority_vote", "label_model", "ce", "gold", "clean_valid", "cleanlab")
FIRST, FRESH = (0, 1), (2, 3, 4)  # seeds on which choices were made, and those on which nothing was chosen


# ---- README's table --------------------------------------------------------------------------------------------------


def small_table() -> str:
    """Cross-entropy, `auto` and gold labels on five corpora; and a sentence with the mean gain."""
    section = section_of(MAIN)
    corpora = corpora_of(section)
    rows = [[*noise_row(section, "*share of wrong labels*"), ""]]
    for variant, name in (("ce", "the labels as they are"), ("auto", '`noise_method="auto"`'), ("gold", "gold labels")):
        cells = [accuracy_cell(section, corpus, variant) for corpus in corpora]
        bold = [f"**{cell}**" for cell in cells] if variant == "auto" else cells
        found = results.cost("truth_inference" if variant == "auto" else variant)  # measured alone, on a CPU
        rows.append([name, *bold, "" if found is None else f"{found.times:.1f}"])
    return f"{markdown_table(['test accuracy, trained on', *corpora, 'cost'], rows)}\n\n{small_sentence()}"


def small_sentence() -> str:
    """The mean gain of `auto` and its share of the gap."""
    section = section_of(MAIN)
    gain = gain_of(section, "auto")
    losses = [c for c in corpora_of(section) if (found := section.gain(c, "auto")) is not None and found.value < 0]
    lost = f"It loses on {listed(losses)}." if losses else "It loses on none of the corpora."
    rows, seeds = section.settings["max_train_rows"], seeds_cell(section, "auto")
    return (
        f"`auto` gains {said_points(gain)} on average over the labels as they are, which is "
        f"{said_share(gap_of(section, 'auto').pooled)} of what gold labels gain. {lost} Brackets are 95 % intervals. Means of {seeds} "
        f"seeds; at most {rows:,} training rows a corpus, {section.settings['epochs']} epochs, an encoder of 6 layers. *Cost* "
        "is training time as a multiple of cross-entropy on the labels as they are; that of `auto` is the cost of `truth_inference`, "
        f"which it chose here. {results.former_inference('auto')}".rstrip()
    )


def former_inference() -> str:
    """Says which rows were measured with the inference of an earlier version."""
    return results.former_inference()


# ---- all methods -----------------------------------------------------------------------------------------------------


def main_table() -> str:
    """Every method on five corpora: accuracy, gain, share of the gap, cost, and the file that each row is from."""
    main = section_of(MAIN)
    corpora = corpora_of(main)
    header = ["method", *corpora, "gain, points", "gap recovered, %", "cost", "seeds", "file"]
    rows = [[*noise_row(main), "", "", "", "", ""]]
    rows += [_row(name, main, name, MAIN) for name in BASELINES]
    rows += [_row("`ce`, on a CPU", section_of(file), "ce", file) for file in ("results", "doubted")]
    found = [(name, results.measured(name)) for name in METHODS if name not in FIXED]
    measured = [(name, one) for name, one in found if one is not None]
    for name, one in sorted(measured, key=lambda pair: -(pair[1].gap.value if pair[1].gap is not None else -9)):
        rows.append(_row(name, one.section, one.variant, one.file.removesuffix(".jsonl")))
    missing = [f"`{name}`" for name, one in found if one is None]
    notes = [
        "† reads gold labels of training or validation rows. An empty cell was not run; "
        f"{UNMEASURED} could not be measured.",
        "~ a rough cost: other trainings ran on the same GPU.",
        f"Files of `recipes/results`: `{MAIN}` is of an H100, the others of a CPU. Rows of a file are compared with the `ce` of "
        f"the same file and seeds.{f' Not measured: {listed(missing)}.' if missing else ''}",
    ]
    return "\n\n".join([markdown_table(header, rows), *notes])


def _row(name: str, section: Section, variant: str, file: str) -> list[str]:
    recovers = variant not in (section.ce, section.gold)
    cost = results.cost(variant.split()[0])
    title = name if name.startswith("`") else f"`{name}`{reads_gold(section, variant)}"
    return [
        title,
        *(accuracy_cell(section, corpus, variant) for corpus in corpora_of(section)),
        points_cell(gain_of(section, variant)) if variant != section.ce else "",
        share_cell(gap_of(section, variant).mean) if recovers else "",
        "" if cost is None else f"{'~' * cost.is_rough}{cost.times:.2f}",
        seeds_cell(section, variant),
        f"`{file}`",
    ]


def auto_gain() -> str:
    """What `auto` gains, in all and corpus by corpus."""
    section = section_of(MAIN)
    gains = {corpus: section.gain(corpus, "auto") for corpus in corpora_of(section)}
    by_corpus = listed(f"{100 * gain.value:z.1f} on `{corpus}`" for corpus, gain in gains.items() if gain is not None)
    recovered = gap_of(section, "auto")
    return (
        f"`auto` gains {said_points(gain_of(section, 'auto'))} on the mean of the {number(len(gains))} corpora: {by_corpus}. It recovers "
        f"{said_share(recovered.mean)} of each corpus's gap, and {said_share(recovered.pooled)} of all gaps together."
    )


def fresh_seeds() -> str:
    """The gain on the seeds on which nothing was chosen."""
    section = of_seeds(MAIN, *FRESH)
    return (
        f"The design was chosen with these corpora and seeds {listed(map(str, FIRST))} in sight, so the figure may be flattered. On seeds "
        f"{listed(map(str, FRESH))}, on which nothing was chosen, `auto` gains {said_points(gain_of(section, 'auto'))}, "
        f"{said_share(gap_of(section, 'auto').mean)} of each gap."
    )


def leave_one_out() -> str:
    """Which method is chosen on four corpora for the fifth."""
    choices = leave_one_corpus_out(section_of(MAIN))
    chosen: dict[str, list[str]] = {}
    for choice in choices:
        chosen.setdefault(choice.variant, []).append(f"`{choice.corpus}`")
    if len(chosen) == 1:
        return (
            f"Chosen on all corpora but one and reported on that one, the choice is `{next(iter(chosen))}` each time."
        )
    parts = [f"`{variant}` for {listed(corpora)}" for variant, corpora in chosen.items()]
    return f"Chosen on all corpora but one and reported on that one, the choice is {listed(parts)}."


def other_methods() -> str:
    """Which methods gain and which lose, by the intervals of their mean gain."""
    measured = {
        name: found.mean_gain
        for name in METHODS
        if name not in (*FIXED, "auto", "truth_inference") and (found := results.measured(name)) is not None
    }
    gain = [f"`{name}` ({said_points(one)})" for name, one in measured.items() if is_above_zero(one)]
    lose = [name for name, one in measured.items() if is_below_zero(one)]
    undecided = len(measured) - len(gain) - len(lose)
    return (
        f"Of the other {len(measured)} methods, the interval of the mean gain is above zero for {listed(gain)}. It is below zero for "
        f"{len(lose)}: {listed(code(lose))}. For {undecided} it contains zero."
    )


def cleanlab_and_clean_rows() -> str:
    """cleanlab's filter and training on clean validation rows alone."""
    section = section_of(MAIN)
    cost, filtered, clean = results.cost("cleanlab"), gain_of(section, "cleanlab"), gain_of(section, "clean_valid")
    shared = {
        corpus: (section.accuracy(corpus, "clean_valid", "auto"), section.accuracy(corpus, "auto", "clean_valid"))
        for corpus in corpora_of(section)
    }
    better = [f"`{corpus}`" for corpus, (ours, auto) in shared.items() if ours and auto and ours.value > auto.value]
    times = "" if cost is None else f" at {cost.times:.1f} times the cost of `ce`"
    return (
        f"`cleanlab` (leave out what cleanlab finds, train again) has a gain of {said_points(filtered)}{times}. `clean_valid` "
        f"(cross-entropy on the validation rows with gold labels, and nothing else) gains {said_points(clean)}; on the same seeds "
        f"it is better than `auto` on {listed(better)}."
    )


# ---- whole corpora, random noise ---------------------------------------------------------------------------------------


def whole_corpora() -> str:
    """Cross-entropy, `auto` and gold labels on all training rows."""
    section = section_of(FULL)
    corpora = corpora_of(section)
    rows = [[*noise_row(section), "", ""]]
    for variant in ("ce", "auto", "gold"):
        recovered = gap_of(section, variant).mean if variant == "auto" else None
        gain = points_cell(gain_of(section, variant)) if variant != "ce" else ""
        cells = [accuracy_cell(section, corpus, variant) for corpus in corpora]
        rows.append([f"`{variant}`{reads_gold(section, variant)}", *cells, gain, share_cell(recovered)])
    sizes = [f"{section.over_seeds(corpus, section.ce, 'train_rows'):,.0f}" for corpus in corpora]
    rows.append(["training rows", *sizes, "", ""])
    table = markdown_table(["", *corpora, "gain, points", "gap recovered, %"], rows)
    return f"{table}\n\nOne seed, so the intervals are of the test rows only."


def random_noise() -> str:
    """What `truth_inference` and `auto` gain where labels are wrong at random."""
    rows = []
    for noise in results.noises(f"{MAIN}.jsonl"):
        if noise is not None:
            section = section_of(MAIN, noise)
            for variant in ("truth_inference", "auto"):
                gains = [section.gain(corpus, variant) for corpus in corpora_of(section)]
                cells = ["" if gain is None else results.points(100 * gain.value) for gain in gains]
                rows.append([noise_name(noise), f"`{variant}`", *cells, points_cell(gain_of(section, variant))])
    return markdown_table(["noise", "method", *corpora_of(section_of(MAIN)), "mean"], rows)


def random_noise_losses() -> str:
    """What `auto` gains on the mean where labels are wrong at random, and on which corpora it loses."""
    losses, means = [], []
    for noise in results.noises(f"{MAIN}.jsonl"):
        if noise is not None:
            section = section_of(MAIN, noise)
            means.append(f"{said_points(gain_of(section, 'auto'))} ({noise_name(noise)})")
            lost = [
                f"{results.points(100 * gain.value)} on `{corpus}`"
                for corpus in corpora_of(section)
                if (gain := section.gain(corpus, "auto")) is not None and gain.value < -0.0005
            ]
            losses += [f"{noise_name(noise)}: {listed(lost)}"] if lost else []
    lost = f"It loses, in points, with {'; '.join(losses)}." if losses else "It loses on no corpus."
    return f"Where labels are wrong at random, `auto` gains {listed(means)} on the mean of the corpora. {lost}"


def noise_name(noise: str) -> str:
    """
    >>> noise_name("symmetric:0.2")
    'symmetric, 20 %'
    """
    kind, _, rate = noise.partition(":")
    return f"{kind}, {100 * float(rate):.0f} %"


# ---- stopping ----------------------------------------------------------------------------------------------------------


RULES = {"last": "the last epoch", "accuracy": "noisy accuracy", "label_wave": "Label Wave", "both": "both"}


def regrets() -> str:
    """What stopping by a rule loses against the epoch that is best on the test rows, in points."""
    rows = []
    for file, device in (("doubted", "CPU"), (MAIN, "H100")):
        section = section_of(file)
        for rule, name in RULES.items():
            found = [section.regrets(rule, corpus) for corpus in corpora_of(section)]
            means = [100 * sum(one) / len(one) for one in found if one]
            runs = sum(map(len, found))
            rows.append(
                [
                    f"`{file}`, {device}, {runs} runs",
                    name,
                    *(f"{m:.2f}" for m in means),
                    f"{sum(means) / len(means):.2f}",
                ]
            )
    return markdown_table(["file", "rule", *corpora_of(section_of(MAIN)), "mean"], rows)


def method_count() -> str:
    return str(len(METHODS))


def auto_is_truth_inference() -> str:
    """Whether `auto` had the same accuracy as `truth_inference` in every run with labels as given."""
    section = section_of(MAIN)
    same = all(section.accuracies(c, "auto") == section.accuracies(c, "truth_inference") for c in section.corpora)
    if same:
        return "On labels as given `auto` chose `truth_inference` in every run, so both have the same row."
    apart = combine(lambda a, b: a - b, *(gain_of(section, name) for name in ("auto", "truth_inference")))  # type: ignore[arg-type]
    return f"`auto` and `truth_inference` differ by {said_points(apart)}."
