"""The lists of findings at the top of the evidence pages, and the table of the corpora."""

from __future__ import annotations

import sys
from pathlib import Path

import evidence
import evidence_audit
import evidence_cost
import evidence_measured
import method_results as results
from evidence_cells import corpora_of, markdown_table, points_cell, section_of

ROOT = Path(__file__).resolve().parents[2]
CORPORA = {
    "trec": ("types of questions", "68 rules", "WRENCH (Zhang et al. 2021)"),
    "hausa": ("topics of news in Hausa", "word lists", "Hedderich et al. 2020"),
    "youtube": ("spam in comments", "10 keyword rules", "WRENCH (Zhang et al. 2021)"),
    "imdb": ("opinions in film reviews", "rules, already combined", "COSINE (Yu et al. 2021), re-cut"),
    "agnews_human": ("topics of news", "one person a text", "NoisyAG-News, re-cut"),
}


def main() -> str:
    """The main findings, losses included, each with the page that has its table."""
    found = (
        (evidence.auto_gain(), "benchmark.md"),
        (evidence.fresh_seeds(), "benchmark.md"),
        (evidence.other_methods(), "benchmark.md"),
        (evidence.random_noise_losses(), "benchmark.md#labels-that-are-wrong-at-random"),
        (
            f"{evidence_measured.known_noise('symmetric')} This is what most of these methods were made for.",
            "known_noise.md",
        ),
        (evidence_audit.against_cleanlab(), "finding_wrong_labels.md"),
        (evidence_measured.estimates(), "estimating_noise.md"),
        (evidence_cost.groups(), "cost.md"),
    )
    return "\n".join(f"- {text} [Table]({page})" for text, page in found)


def corpora() -> str:
    """The five corpora: what they are, how many rows they have, how many labels are wrong."""
    section = section_of(evidence.FULL)
    rows = []
    for corpus in corpora_of(section):
        sizes = [f"{section.over_seeds(corpus, section.ce, key):,.0f}" for key in ("train_rows", "test_rows")]
        rate = 100 * (section.over_seeds(corpus, section.ce, "noise_rate") or 0)
        task, labels, source = CORPORA[corpus]
        gap = points_cell(section.gain(corpus, section.gold))
        rows.append([f"`{corpus}`", task, labels, *sizes, f"{rate:.0f} %", gap, source])
    header = [
        "corpus",
        "classes are",
        "labels by",
        "labelled training rows",
        "test rows",
        "wrong labels",
        "`gold` less `ce`, points",
        "from",
    ]
    return markdown_table(header, rows)


def commands(*names: str) -> str:
    """The whole commands behind files of the benchmark, folded."""
    scripts = str(ROOT / "tests" / "measure")
    if scripts not in sys.path:
        sys.path.insert(0, scripts)
    from benchmark_files import commands as commands_of

    body = [f"    {command}" for name in names for command in commands_of(name)]
    parts = ['??? note "What this command runs"', "    ```bash\n" + "\n".join(body) + "\n    ```"]
    for name in names:
        lines = results.lines_of(f"{name}.jsonl")
        if lines:
            about = ", ".join(f"{package} {version}" for package, version in lines[0]["versions"].items())
            parts.append(f"    `{name}`: {len(lines)} runs with {about}.")
    return "\n\n".join(parts)
