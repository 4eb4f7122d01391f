"""Which labels look wrong, how many, and of what kind: a page to look at, and a line for each label.

    python recipes/audit.py --data PATH_OR_NAME --model PATH_OR_NAME --output DIR

encodes the training texts with the frozen encoder, once, and writes DIR/report.html, to be opened in a browser, and
DIR/audit.jsonl, a JSON object a labelled row: id, label, wrongness, suggested_label, suggested_probability, reasons. Rows on
which every source abstains are left out. Decisions that are exported from the page are applied by
`hf_noisy.audit.apply_decisions`. Given labels are the majority vote of the sources, ties by lot, as in the benchmark; no gold
label is read, but for measuring, where `--gold True` asks for it.

Without --data it runs on the embedded reviews, without --model on a bag of words.
"""

from __future__ import annotations

import logging
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import numpy as np

from hf_noisy import Corpus, hard_labels, load_corpus, majority_vote
from hf_noisy.audit import audit_labels, write_report, write_scores
from hf_noisy.embedded import embedded_corpus
from hf_noisy.estimation import text_vectors
from hf_noisy.launching import parse_arguments
from hf_noisy.review_rules import labeling_functions
from hf_noisy.weak import votes_of


@dataclass
class AuditArguments:
    """What to look at."""

    data: str | None = field(
        default=None,
        metadata={"help": "A folder in the WRENCH layout, a file, or a dataset on the Hub. None: reviews."},
    )
    model: str | None = field(default=None, metadata={"help": "A pretrained encoder. None: a bag of words."})
    output: str = field(default="audit", metadata={"help": "The folder of report.html and audit.jsonl."})
    gold: bool = field(default=False, metadata={"help": "Read gold labels, to print how well wrong ones were found."})
    worst: int = field(default=2000, metadata={"help": "Rows in the table of the page, the most suspect ones."})
    max_rows: int | None = field(default=None, metadata={"help": "Look at a random part of this size."})
    max_length: int = field(default=64, metadata={"help": "Tokens of a text; the rest is cut."})
    folds: int = field(default=5, metadata={"help": "Of the rows, for out-of-fold probabilities."})
    resamples: int = field(default=100, metadata={"help": "Of the rows, for the interval of the rate."})
    text_column: str = field(default="text", metadata={"help": "For plain files and datasets."})
    label_column: str | None = field(default=None, metadata={"help": "The column of labels that are not trusted."})
    votes_columns: list[str] | None = field(default=None, metadata={"help": "Or one column a source."})
    gold_column: str | None = field(default=None, metadata={"help": "True labels, for measuring only."})
    seed: int = field(default=0, metadata={"help": "Of ties, of the part of the rows, of folds and resamples."})


def main() -> None:
    (given,) = parse_arguments([AuditArguments], description=__doc__)
    datasets.disable_progress_bars()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    corpus = load(given)
    rows = corpus.train
    if given.max_rows is not None and given.max_rows < len(rows):
        chosen = np.random.default_rng(given.seed).choice(len(rows), given.max_rows, replace=False)
        rows = rows.select(np.sort(chosen))
    votes = votes_of(rows)
    labels = hard_labels(majority_vote(votes, corpus.num_classes), seed=given.seed)
    texts = rows["text"][:]
    content = audit_labels(
        texts,
        labels,
        corpus.class_names,
        text_vectors(texts, given.model, max_length=given.max_length, seed=given.seed),
        votes=votes,
        source_names=[function.name for function in labeling_functions()] if given.data is None else None,
        ids=rows["id"][:],
        title=corpus.name,
        command=shlex.join(["python", "recipes/audit.py", *sys.argv[1:]]),
        folds=given.folds,
        resamples=given.resamples,
        seed=given.seed,
    )
    folder = Path(given.output)
    folder.mkdir(parents=True, exist_ok=True)
    write_scores(content, folder / "audit.jsonl")
    shown = write_report(content, folder / "report.html", given.worst)
    noise = content.noise
    print(
        f"{corpus.name}: {content.labelled:,} labelled rows, {content.abstained:,} without a label\n"
        f"taken for wrong: {noise.rate:.1%} (estimators from {noise.low:.1%} to {noise.high:.1%}), {noise.kind}"
    )
    for sentence in noise.evidence:
        print(f"- {sentence}")
    print(f"train with: {content.recommendation.method}. {content.recommendation.reason}")
    print(f"wrote {folder / 'audit.jsonl'} and {folder / 'report.html'} with the {shown:,} most suspect rows")
    if given.gold:
        measure(content.rows.wrongness, content.rows.labels, np.array(rows["gold"][:])[labels >= 0])


def load(given: AuditArguments) -> Corpus:
    if given.data is None:
        return embedded_corpus(given.seed)
    return load_corpus(
        given.data,
        text_column=given.text_column,
        label_column=given.label_column,
        votes_columns=given.votes_columns,
        gold_column=given.gold_column,
    )


def measure(wrongness: np.ndarray, labels: np.ndarray, gold: np.ndarray) -> None:
    """Print how well the wrongness finds what gold labels call wrong."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    known = gold >= 0
    wrong = labels[known] != gold[known]
    if not wrong.any() or wrong.all():
        print("gold labels: none that could be measured by")
        return
    print(
        f"by gold labels: {wrong.mean():.1%} wrong; average precision {average_precision_score(wrong, wrongness[known]):.3f}, "
        f"AUROC {roc_auc_score(wrong, wrongness[known]):.3f}"
    )


if __name__ == "__main__":
    main()
