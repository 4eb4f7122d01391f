"""Gaps worked by hand, intervals against a loop that redraws row by row, tables with a cell for everything."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from hf_noisy.benchmark import gap
from hf_noisy.benchmark.choice import leave_one_corpus_out
from hf_noisy.benchmark.figures import spread
from hf_noisy.benchmark.gap import Section, gap_recovered, split_sections
from hf_noisy.benchmark.report import render_report, write_report


def line(dataset, method, seed=0, *, right=None, accuracy=None, rows=100, noise=None, **fields):
    """A run that is right on the first `accuracy` of its test rows, or where `right` says."""
    if right is None and accuracy is not None:
        right = np.arange(rows) < round(accuracy * rows)
    value = None if right is None else float(np.mean(right))
    return {
        "dataset": dataset,
        "method": method,
        "params": {},
        "seed": seed,
        "epochs": 3,
        "noise_rate": 0.2,
        "estimated_noise_rate": None,
        **{f"{metric}_{epoch}": value for metric in ("accuracy", "f1") for epoch in ("last", "chosen", "best")},
        "train_seconds": 60.0,
        "cost": 1.0,
        "peak_memory_mb": 900.0,
        "train_rows": 893,
        "reads_gold": method in ("gold", "clean_valid"),
        "versions": {"torch": "2.13.0"},
        "learning_rate": 1e-4,
        "settings": {"model": "tiny", "epochs": 3, "noise": noise},
        "test_rows": rows if right is None else len(right),
        "correct_chosen": None if right is None else np.packbits(right).tobytes().hex(),
        **fields,
    }


def table(accuracies, seeds=(0,), **fields):
    """{corpus: {method: accuracy}} -> lines."""
    return [
        line(corpus, method, seed, accuracy=accuracy, **fields)
        for corpus, methods in accuracies.items()
        for method, accuracy in methods.items()
        for seed in seeds
    ]


def section_of(lines) -> Section:
    (section,) = split_sections(lines)
    return section


def random_lines(methods, *, rows=200, seeds=3, corpus="a", generator=None):
    """Rows of which some are hard for all methods and seeds."""
    generator = generator or np.random.default_rng(0)
    hard = generator.normal(size=rows)
    return [
        line(corpus, method, seed, right=hard + generator.normal(size=rows) < threshold + 0.1 * generator.normal())
        for method, threshold in methods.items()
        for seed in range(seeds)
    ]


# ---- the gap -------------------------------------------------------------------------------------------------------


def test_the_gap_recovered_is_gain_over_gap_where_there_is_a_gap():
    found = {
        "a": {"ce": 0.70, "gold": 0.80, "gce": 0.75},  # half of 10 points
        "b": {"ce": 0.60, "gold": 0.90, "gce": 0.63},  # a tenth of 30
        "c": {"ce": 0.90, "gold": 0.92, "gce": 0.98},  # 2 points: too few to count
    }
    section = section_of(table(found))
    recovered = gap_recovered(section, "gce")
    assert section.counted == ["a", "b"]
    assert {corpus: share.value for corpus, share in recovered.per_corpus.items()} == pytest.approx(
        {"a": 0.5, "b": 0.1}
    )
    assert recovered.mean.value == pytest.approx(0.3)
    assert recovered.pooled.value == pytest.approx(8 / 40)


def test_a_gap_of_exactly_three_points_counts():
    assert section_of(table({"a": {"ce": 0.95, "gold": 0.98}})).counted == ["a"]


def test_shares_are_clipped_and_the_pooled_one_is_not():
    found = {
        "a": {"ce": 0.70, "gold": 0.80, "gce": 0.90, "mae": 0.40},
        "b": {"ce": 0.70, "gold": 0.80, "gce": 0.70, "mae": 0.70},
    }
    section = section_of(table(found))
    for method, clipped, pooled in (("gce", 1, 1.0), ("mae", -1, -1.5)):
        recovered = gap_recovered(section, method)
        assert recovered.per_corpus["a"].value == clipped
        assert recovered.mean.value == pytest.approx(clipped / 2)
        assert recovered.pooled.value == pytest.approx(pooled)


def test_only_seeds_that_all_three_have_are_compared():
    lines = [
        *(line("a", "ce", seed, accuracy=accuracy) for seed, accuracy in ((0, 0.5), (1, 0.7))),
        *(line("a", "gold", seed, accuracy=accuracy) for seed, accuracy in ((0, 0.6), (1, 0.9))),
        *(line("a", "gce", seed, accuracy=0.8) for seed in (1, 2)),
    ]
    section = section_of(lines)
    assert gap_recovered(section, "gce").per_corpus["a"].value == pytest.approx(0.5)
    assert section.gain("a", "gce").value == pytest.approx(0.1)
    assert section.gain("a", "gce").seeds == 1


def test_a_mean_is_over_all_counted_corpora_or_there_is_none():
    found = {"a": {"ce": 0.7, "gold": 0.8, "gce": 0.75}, "b": {"ce": 0.7, "gold": 0.8}}
    recovered = gap_recovered(section_of(table(found)), "gce")
    assert list(recovered.per_corpus) == ["a"]
    assert recovered.mean is None
    assert recovered.pooled is None


# ---- intervals -----------------------------------------------------------------------------------------------------


def naive_bootstrap(lines, formula, replicates=1500):
    """Draws seeds and rows one replicate at a time; `formula` of a dict of the methods' accuracies."""
    right = {(run["method"], run["seed"]): gap.correct_rows(run) for run in lines}
    methods, seeds = sorted({method for method, _ in right}), sorted({seed for _, seed in right})
    generator = np.random.default_rng(1)
    found = []
    for _ in range(replicates):
        rows = generator.integers(lines[0]["test_rows"], size=lines[0]["test_rows"])
        drawn = generator.choice(seeds, size=len(seeds))
        found.append(formula({name: np.mean([right[name, seed][rows].mean() for seed in drawn]) for name in methods}))
    return np.array(found)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(
    ("measure", "formula"),
    [
        (lambda section: section.accuracy("a", "gce"), lambda of: of["gce"]),
        (lambda section: section.gain("a", "gce"), lambda of: of["gce"] - of["ce"]),
        (
            lambda section: gap_recovered(section, "gce").per_corpus["a"],
            lambda of: np.clip((of["gce"] - of["ce"]) / max(of["gold"] - of["ce"], 0.01), -1, 1),
        ),
        (
            lambda section: gap_recovered(section, "gce").pooled,
            lambda of: (of["gce"] - of["ce"]) / max(of["gold"] - of["ce"], 0.01),
        ),
    ],
    ids=["accuracy", "difference", "share", "pooled"],
)
def test_replicates_are_those_of_a_naive_loop(measure, formula, seeds):
    lines = random_lines({"ce": -0.3, "gce": 0.4, "gold": 1.3}, seeds=seeds)
    estimate, naive = measure(section_of(lines)), naive_bootstrap(lines, formula)
    error = naive.std() / np.sqrt(len(naive))
    assert estimate.replicates.shape == (gap.REPLICATES,)
    assert estimate.replicates.mean() == pytest.approx(naive.mean(), abs=5 * error)
    assert estimate.replicates.std() == pytest.approx(naive.std(), rel=0.1)
    assert estimate.interval == pytest.approx(np.percentile(naive, [2.5, 97.5]), abs=0.3 * naive.std())


def test_a_method_that_does_what_ce_does_gains_exactly_nothing():
    lines = random_lines({"ce": 0.2, "gold": 0.9})
    section = section_of([*lines, *({**run, "method": "mae"} for run in lines if run["method"] == "ce")])
    recovered = gap_recovered(section, "mae")
    for estimate in (section.gain("a", "mae"), recovered.per_corpus["a"], recovered.mean, recovered.pooled):
        assert (estimate.value, *estimate.interval) == (0, 0, 0)


def test_draws_are_paired_so_that_a_difference_is_surer_than_its_parts():
    generator = np.random.default_rng(0)
    ce = generator.random(400) < 0.7
    gce = ce | (generator.random(400) < 0.1)
    section = section_of([line("a", "ce", right=ce), line("a", "gce", right=gce), line("a", "gold", right=ce)])
    parts = section.accuracy("a", "ce").replicates.var() + section.accuracy("a", "gce").replicates.var()
    assert section.gain("a", "gce").replicates.var() < 0.2 * parts


def test_corpora_are_drawn_independently():
    lines = random_lines({"ce": 0.2, "gold": 0.9})
    section = section_of([*lines, *({**run, "dataset": "b"} for run in lines)])
    one, other = section.accuracy("a", "ce").replicates, section.accuracy("b", "ce").replicates
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


def test_an_interval_does_not_depend_on_what_else_is_in_the_file():
    lines = random_lines({"ce": 0.2, "gold": 0.9})
    more = [{**run, "method": "mae"} for run in lines[::-1] if run["method"] == "ce"]
    more += random_lines({"ce": 0.2, "gold": 0.9}, corpus="b")
    assert section_of(more + lines).gain("a", "gold").interval == section_of(lines).gain("a", "gold").interval


def test_intervals_cover_the_truth_and_shrink_with_rows(monkeypatch):
    monkeypatch.setattr(gap, "REPLICATES", 500)
    widths, covered = {}, []
    for rows in (100, 900):
        for trial in range(25):
            generator = np.random.default_rng([rows, trial])
            right = {
                name: generator.random(rows) < share for name, share in (("ce", 0.7), ("gce", 0.75), ("gold", 0.9))
            }
            low, high = (
                section_of([line("a", name, right=value) for name, value in right.items()]).gain("a", "gce").interval
            )
            covered.append(low <= 0.05 <= high)
            widths.setdefault(rows, []).append(high - low)
    assert np.mean(covered) >= 0.85
    assert np.mean(widths[100]) / np.mean(widths[900]) == pytest.approx(3, rel=0.15)


def test_seeds_that_differ_widen_the_interval():
    same = table({"a": {"ce": 0.7, "gold": 0.9}}, seeds=(0, 1, 2))
    apart = [line("a", "ce", seed, accuracy=accuracy) for seed, accuracy in enumerate((0.5, 0.7, 0.9))]
    low, high = section_of(same).accuracy("a", "ce").interval
    wide_low, wide_high = section_of([*apart, *same[3:]]).accuracy("a", "ce").interval
    assert wide_high - wide_low > 1.5 * (high - low)


def test_a_small_gap_in_a_replicate_counts_for_a_third_of_the_least_one():
    generator = np.random.default_rng(0)
    right = {name: generator.permutation(60) < number for name, number in (("ce", 40), ("gold", 42), ("gce", 41))}
    pooled = gap_recovered(section_of([line("a", name, right=value) for name, value in right.items()]), "gce").pooled
    assert np.isfinite(pooled.replicates).all()
    assert np.abs(pooled.replicates).max() <= 1 / (gap.MIN_GAP / 3)


def test_without_rows_a_value_has_no_interval():
    lines = [
        *table({"a": {"ce": 0.7, "gold": 0.9}}),
        line("a", "gce", accuracy=0.8, correct_chosen=None),
    ]
    assert section_of(lines).gain("a", "gce").interval is None
    assert "| `gce` | +10.0 |" in render_report(lines)


# ---- labels right, frozen runs -------------------------------------------------------------------------------------


def test_labels_right_shows_given_and_taught_and_names_those_that_change_none():
    found = {"a": {"ce": 0.70, "gold": 0.80, "auto": 0.78, "clean_valid": 0.7}}
    right = {"ce": (0.8, 0.8), "gold": (1.0, 1.0), "auto": (0.8, 0.9)}
    lines = [
        {**run, **dict(zip(("given_correct", "taught_correct"), right.get(run["method"], ()), strict=False))}
        for run in table(found, seeds=(0, 1))
    ]
    text = render_report(lines).split("### Labels right")[1].split("###")[0]
    assert "| `auto` | 0.800 / 0.900 / +10.0 |" in text
    assert "No change, as labels are kept, weighed or left out: `ce`, `gold`†." in text
    assert "clean_valid" not in text
    assert "### Labels right" not in render_report(table(found))  # lines of earlier versions


def test_frozen_and_fine_tuned_runs_of_one_file_are_apart():
    tuned, frozen = table({"a": {"ce": 0.7, "gold": 0.8}}), table({"a": {"ce": 0.6, "gold": 0.7}})
    frozen = [{**run, "settings": {**run["settings"], "epochs": 10, "frozen": True}} for run in frozen]
    text = render_report([*tuned, *frozen])
    assert "## Results: labels as given, epochs 3\n" in text
    assert "## Results: labels as given, frozen encoder, epochs 10\n" in text
    assert text.count("Not applicable: rule_masking hides or replaces words") == 1


# ---- chosen on the other corpora -----------------------------------------------------------------------------------

THREE = {
    "a": {"ce": 0.70, "gold": 0.80, "gce": 0.78, "mae": 0.72, "clean_valid": 0.79, "cleanlab": 0.79},
    "b": {"ce": 0.70, "gold": 0.80, "gce": 0.77, "mae": 0.73, "clean_valid": 0.79, "cleanlab": 0.79},
    "c": {"ce": 0.70, "gold": 0.80, "gce": 0.66, "mae": 0.75, "clean_valid": 0.79, "cleanlab": 0.79},
}


def test_each_corpus_gets_the_method_that_is_best_on_the_others():
    choices = {choice.corpus: choice for choice in leave_one_corpus_out(section_of(table(THREE)))}
    # on b and c gce recovers 0.7 and -0.4, mae 0.3 and 0.5; on a and b gce recovers 0.8 and 0.7
    assert {corpus: choice.variant for corpus, choice in choices.items()} == {"a": "mae", "b": "mae", "c": "gce"}
    assert choices["c"].accuracy.value == pytest.approx(0.66)
    assert choices["c"].gain.value == pytest.approx(-0.04)
    assert choices["c"].recovered.value == pytest.approx(-0.4)


@pytest.mark.parametrize("corpus", THREE)
def test_the_choice_never_looks_at_the_corpus_that_it_is_reported_on(corpus):
    def choice(found):
        return next(c.variant for c in leave_one_corpus_out(section_of(table(found))) if c.corpus == corpus)

    before = choice(THREE)
    for method in ("gce", "mae"):
        for accuracy in (0.0, 1.0):
            assert choice({**THREE, corpus: {**THREE[corpus], method: accuracy}}) == before
    for other in THREE.keys() - {corpus}:  # the control: elsewhere it does look
        worse = {name: {**THREE[name], before: 0.0} if name == other else THREE[name] for name in THREE}
        assert choice(worse) != before


def test_ce_is_chosen_where_nothing_beats_it():
    worse = {corpus: {"ce": 0.7, "gold": 0.8, "gce": 0.7 - 0.01 * (corpus == "a")} for corpus in "abc"}
    assert [choice.variant for choice in leave_one_corpus_out(section_of(table(worse)))] == ["ce"] * 3


def test_a_corpus_with_little_to_win_takes_part_only_as_one_to_report_on():
    found = {**THREE, "d": {"ce": 0.90, "gold": 0.91, "gce": 0.99, "mae": 0.80}}
    choices = {choice.corpus: choice for choice in leave_one_corpus_out(section_of(table(found)))}
    assert choices["a"].variant == "mae"
    assert choices["d"].variant == "gce"  # 0.8, 0.7 and -0.4 against 0.2, 0.3 and 0.5
    assert choices["d"].recovered is None


def test_choosing_takes_three_corpora():
    lines = table({corpus: THREE[corpus] for corpus in "ab"})
    assert leave_one_corpus_out(section_of(lines)) == []
    assert "It takes three corpora with a gap; here there are 2." in render_report(lines)


# ---- the page ------------------------------------------------------------------------------------------------------


def tables_of(text):
    """Each table as rows of cells."""
    blocks = re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE)
    return [[row.strip().strip("|").split("|") for row in block.strip().splitlines()] for block in blocks]


def row_of(text, name, title):
    """The cells of the first row that begins with `name` after `title`."""
    after = text[text.index(title) :]
    found = next(row for row in after.splitlines() if row.startswith(f"| {name} |"))
    return [cell.strip() for cell in found.strip().strip("|").split("|")]


def full_lines(seeds=(0, 1)):
    lines = table(THREE, seeds=seeds)
    lines += [line(corpus, "majority_vote", seed) for corpus in THREE for seed in seeds]  # no vote on test rows
    lines += [line("a", "sce", seed, accuracy=0.71, params={"alpha": 0.4}) for seed in seeds]
    return lines


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_all_rows_of_a_table_have_as_many_cells(seeds):
    tables = tables_of(render_report(full_lines(seeds)))
    assert len(tables) == 7
    for rows in tables:
        assert len({len(row) for row in rows}) == 1


def test_the_tables_hold_what_was_measured():
    lines = table(THREE) + [
        {**run, "seed": 1, **line(run["dataset"], run["method"], 1, accuracy=run["accuracy_chosen"] - 0.02)}
        for run in table(THREE)
    ]
    text = render_report(lines)
    assert row_of(text, "`gce`", "### Accuracy")[1:] == ["0.770 ± 0.014", "0.760 ± 0.014", "0.650 ± 0.014"]
    gains = row_of(text, "`gce`", "Difference to")
    assert gains[1].startswith("+8.0 [")
    assert float(gains[4].split()[0]) == pytest.approx(sum(float(gain.split()[0]) for gain in gains[1:4]) / 3, abs=0.1)
    assert row_of(text, "`gce`", "### Gap recovered")[3].startswith("-0.40 [")
    assert row_of(text, "mean", "### Chosen")[2] == f"{(0.71 + 0.72 + 0.65) / 3:.3f}"
    assert row_of(text, "a", "# Benchmark")[1:4] == ["893", "100", "0.200"]
    assert "`gold`†" in text
    assert "`cleanlab`†" not in text


def test_epochs_and_cost_are_means_and_a_median():
    lines = table(THREE)
    for number, run in enumerate(run for run in lines if run["method"] == "gce"):
        run.update(accuracy_last=0.6, accuracy_best=0.9, cost=float(number + 1), peak_memory_mb=900.0 + number)
    found = row_of(render_report(lines), "`gce`", "### Epochs")
    chosen = (0.78 + 0.77 + 0.66) / 3
    expected = ["0.600", f"{chosen:.3f}", "0.900", f"{100 * (0.9 - chosen):.1f}", f"{chosen:.3f}"]
    assert found[1:] == [*expected, "2.00 (1.00 to 3.00)", "902"]
    by_corpus = row_of(render_report(lines), "`gce`", "By corpus, last / chosen / best")
    assert by_corpus[1:] == ["0.600 / 0.780 / 0.900", "0.600 / 0.770 / 0.900", "0.600 / 0.660 / 0.900"]


def with_rules(run, last, accuracy, label_wave, both, best=0.9):
    at_rule = {"accuracy": accuracy, "label_wave": label_wave, "both": both}
    return {**run, "accuracy_last": last, "accuracy_best": best, "accuracy_by_rule": at_rule}


def test_regret_is_what_each_rule_lost_against_the_best_epoch():
    lines = table({"a": {"ce": 0.7, "gold": 0.8, "gce": 0.8}, "b": {"ce": 0.7, "gold": 0.8}, "c": THREE["c"]})
    told = {
        ("a", "ce"): (0.80, 0.85, 0.90, 0.84),
        ("a", "gce"): (0.70, 0.75, 0.90, 0.76),
        ("a", "gold"): (0.10, 0.10, 0.10, 0.10),  # reads gold labels
        ("b", "ce"): (0.90, 0.87, 0.88, 0.89),
    }
    lines = [
        with_rules(run, *told[run["dataset"], run["method"]]) if (run["dataset"], run["method"]) in told else run
        for run in lines
    ]
    lines += [{**run, "seed": 1, "accuracy_by_rule": None} for run in lines]
    text = render_report(lines)
    title = "### Regret of stopping rules"
    header = next(row for row in text[text.index(title) :].splitlines() if row.startswith("|"))
    assert header == "| corpus | runs | last | accuracy | label_wave | both |"
    assert row_of(text, "a", title)[1:] == ["2", "15.00", "10.00", "0.00", "10.00"]
    assert row_of(text, "b", title)[1:] == ["1", "0.00", "3.00", "2.00", "1.00"]
    assert row_of(text, "mean", title)[1:] == ["", "7.50", "6.50", "1.00", "5.50"]
    assert "| c |" not in text[text.index(title) :]  # no run of it holds the epochs
    assert len(tables_of(text)) == 8


def test_without_runs_that_hold_the_epochs_there_is_no_table_of_regrets():
    assert "Regret of stopping rules" not in render_report(full_lines())
    one = [with_rules(run, 0.8, 0.8, 0.8, 0.8) for run in table({"a": THREE["a"]})]
    text = render_report(one)
    assert "| mean |" not in text[text.index("### Regret of stopping rules") :]  # of one corpus


def test_fixed_rows_come_first_then_methods_by_what_they_recover():
    rows = tables_of(render_report(table(THREE)))[1]
    names = [row[0].strip() for row in rows[2:]]
    assert names == ["`ce`", "`gold`†", "`clean_valid`†", "`cleanlab`", "`gce`", "`mae`"]  # 0.37 and 0.33


def test_what_was_not_measured_is_a_dash_and_what_was_not_run_is_empty():
    text = render_report(full_lines())
    for title in ("### Accuracy", "Difference to", "### Gap recovered"):
        assert row_of(text, "`majority_vote`", title)[1:4] == ["\N{EN DASH}"] * 3
        assert row_of(text, "`sce`", title)[2:4] == [""] * 2
    assert row_of(text, "`sce`", "### Epochs")[1:6] == [""] * 5


def test_missing_runs_are_named():
    lines = [
        run for run in table(THREE, seeds=(0, 1, 2)) if (run["dataset"], run["method"], run["seed"]) != ("b", "gce", 1)
    ]
    assert "**1 of the grid's runs is missing:** b, `gce`, seed 1." in render_report(lines)
    assert "missing" not in render_report(table(THREE))


def test_missing_runs_of_the_same_corpora_and_seeds_are_named_together():
    full, some = table(THREE, seeds=(0, 1, 2)), ("gce", "mae")
    lines = [run for run in full if run["method"] not in some or run["seed"] == 0]
    lines = [run for run in lines if (run["dataset"], run["method"], run["seed"]) != ("b", "cleanlab", 2)]
    text = render_report(lines)
    both = ("`gce`, `mae`", "`mae`, `gce`")
    assert any(f"every corpus, {names}, seeds 1, 2" in text for names in both)
    assert "b, `cleanlab`, seed 2" in text


def test_one_seed_has_no_deviation_and_the_tables_say_what_the_intervals_cover():
    text = render_report(table(THREE))
    assert "0.780 |" in text
    assert "0.780 ±" not in text
    assert text.count("There is one seed, so the interval covers test rows only.") == 4
    assert "‡" not in text


def test_one_seed_of_several_is_marked():
    lines = [run for run in table(THREE, seeds=(0, 1)) if (run["method"], run["seed"]) != ("gce", 1)]
    text = render_report(lines)
    assert row_of(text, "`gce`", "Difference to")[1].endswith("]‡")
    assert row_of(text, "`mae`", "Difference to")[1].endswith("]")


def test_variants_are_told_apart_by_what_differs():
    lines = table(THREE)
    lines += [line("a", "elr", accuracy=0.7, params={"beta": beta, "weight": 3}) for beta in (0.7, 0.9)]
    text = render_report(lines)
    assert "`elr beta=0.7`" in text
    assert "weight" not in text
    assert "`gce`" in text


def test_runs_of_different_settings_never_meet():
    given = table(THREE)
    noisy = table({corpus: {**THREE[corpus], "ce": 0.5} for corpus in THREE}, noise="symmetric:0.2")
    mixed = [run for pair in zip(given, noisy, strict=True) for run in pair]
    text = render_report(mixed)
    headings = re.findall("^## (.*)$", text, flags=re.MULTILINE)
    assert headings == ["Results: labels as given", "Results: symmetric:0.2 noise"]
    for own, heading in ((given, headings[0]), (noisy, headings[1])):
        alone = render_report(own)
        part = text[text.index(f"## {heading}") :].split("\n## ")[0]
        assert part.strip() == alone[alone.index(f"## {heading}") :].strip()


def test_a_heading_names_the_settings_that_differ():
    longer = [{**run, "settings": {**run["settings"], "epochs": 9}} for run in table(THREE)]
    text = render_report(table(THREE) + longer)
    assert "## Results: labels as given, epochs 3\n" in text
    assert "## Results: labels as given, epochs 9\n" in text


def test_without_a_gap_nothing_is_recovered_and_the_page_says_so():
    text = render_report(table({"a": {"ce": 0.9, "gold": 0.91, "gce": 0.9}}))
    assert "No corpus has 3 points or more between `ce` and `gold`" in text


# ---- figures -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_each_section_has_two_figures_that_the_page_shows(tmp_path):
    lines = full_lines() + table(THREE, noise="symmetric:0.2")
    assert write_report(lines, tmp_path / "new" / "report.md") is None
    text = (tmp_path / "new" / "report.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[.*\]\((.*)\)", text)
    assert shown == ["report-accuracy.png", "report-cost.png", "report-accuracy-2.png", "report-cost-2.png"]
    assert {path.name for path in (tmp_path / "new").iterdir()} == {*shown, "report.md"}
    for name in shown:
        content = (tmp_path / "new" / name).read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(content) > 5000


def test_more_corpora_than_a_row_holds_and_rows_without_cost_are_drawn(tmp_path):
    lines = table({name: {"ce": 0.7, "majority_vote": 0.6, "gold": 0.8} for name in "abcdefg"})
    for run in lines:
        run["cost"] = {"ce": 1.0, "majority_vote": 0.0, "gold": None}[run["method"]]
    write_report(lines, tmp_path / "report.md")
    assert (tmp_path / "report-cost.png").stat().st_size > 5000


def test_names_are_spread_without_changing_their_order():
    heights = np.sort(np.random.default_rng(0).random(15) ** 2)
    moved = np.array(spread(list(heights), apart=0.05))
    assert (np.diff(moved) >= 0.05 - 1e-12).all()
    assert moved.min() >= 0
    assert moved.max() <= 1


def test_drawing_leaves_the_callers_backend_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # which holds it: importing that now fails
    write_report(table({"a": THREE["a"]}), tmp_path / "report.md")


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install hf_noisy\[benchmark\]"):
        write_report(table(THREE), tmp_path / "report.md")


# ---- what is refused -----------------------------------------------------------------------------------------------


def test_no_lines_are_refused():
    with pytest.raises(ValueError, match=r"lines=\[\]: expected at least one run"):
        render_report([])


@pytest.mark.parametrize("method", ["ce", "gold"])
def test_a_section_without_ce_or_gold_is_refused(method):
    lines = table(THREE) + [run for run in table(THREE, noise="symmetric:0.2") if run["method"] != method]
    with pytest.raises(ValueError, match=rf"'{method}' is not among the 15 lines with symmetric:0.2 noise"):
        render_report(lines)


def test_a_run_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="a, ce, seed 0: 2 lines, expected 1"):
        render_report(table(THREE) + table(THREE)[:1])


def test_rows_that_contradict_the_accuracy_are_refused():
    lines = table({"a": {"ce": 0.7, "gold": 0.8}})
    lines[0]["accuracy_chosen"] = 0.75
    with pytest.raises(ValueError, match="accuracy_chosen=0.75: expected 0.7000"):
        render_report(lines)


def test_runs_on_other_test_rows_are_refused():
    lines = [line("a", "ce", accuracy=0.7), line("a", "gold", accuracy=0.8, rows=50)]
    with pytest.raises(ValueError, match=r"a: test_rows=\[50, 100\]: expected one number"):
        render_report(lines)
