"""The command `audit`: finds labels that look wrong, estimates how many there are, and of what kind.

It writes report.html, a page for the browser, and audit.jsonl with one JSON object per labelled row: id, label,
wrongness, suggested_label, suggested_probability, reasons. The given labels are the majority vote of the sources, with
ties broken at random.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from hf_noisy.audit import audit_labels, write_report, write_scores
from hf_noisy.commands.arguments import AuditArguments
from hf_noisy.commands.column_arguments import corpus_of
from hf_noisy.common.progress import note, output_of_command
from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.data.corpus import READ, SHOWN_ROWS
from hf_noisy.data.corpus_splits import Corpus
from hf_noisy.data.pairs import texts_of
from hf_noisy.data.reading.options import listed
from hf_noisy.data.splits import training_subset
from hf_noisy.evidence import text_vectors
from hf_noisy.evidence.rates.interval import LEVEL
from hf_noisy.models.pretrained import check_pretrained, pretrained_tokenizer
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import votes_of

_LISTED = 1000  # ids of rows without a text in the report


def run(given: AuditArguments, command: str) -> None:
    """Encode the training texts once, audit their labels, write both files and print the findings.

    Args:
        given: the options.
        command: the command line, which the page shows.

    Raises:
        ValueError, FileNotFoundError: see `load_corpus` and `audit_labels`.
    """
    with output_of_command(given.quiet):
        _run(given, command)


def _run(given: AuditArguments, command: str) -> None:
    logging.getLogger("transformers").setLevel(logging.ERROR)
    check_pretrained("model", given.model)
    corpus = corpus_of(given, given.data, given.seed, max_train_rows=given.max_rows)
    rows = training_subset(corpus.train, given.max_rows, given.seed)
    votes = votes_of(rows)
    labels = hard_labels(majority_vote(votes, corpus.num_classes), seed=given.seed)
    texts = texts_of(rows)
    content = audit_labels(
        texts,
        labels,
        corpus.class_names,
        text_vectors(texts, given.model, max_length=given.max_length, seed=given.seed),
        votes=votes,
        source_names=[function.name for function in labeling_functions()]
        if given.data is None
        else list(corpus.sources) or None,
        ids=rows["id"][:],
        scorers=given.scorers,
        notes=_notes(corpus),
        title=corpus.name,
        command=command,
        folds=given.folds,
        resamples=given.resamples,
        seed=given.seed,
        tokenizer=pretrained_tokenizer(given.model),
    )
    folder = Path(given.output)
    folder.mkdir(parents=True, exist_ok=True)
    write_scores(content, folder / "audit.jsonl")
    shown = write_report(content, folder / "report.html", given.worst)
    noise = content.noise
    print(
        f"{corpus.name}: {content.labelled:,} labelled rows, {content.abstained:,} without a label\n"
        f"taken for wrong: {noise.rate:.1%} ({LEVEL:.0%} interval {noise.low:.1%} to {noise.high:.1%}), {noise.kind}"
    )
    for sentence in noise.evidence:
        print(f"- {sentence}")
    print(f"train with: {content.recommendation.method}. {content.recommendation.reason}")
    note(f"wrote {folder / 'audit.jsonl'} and {folder / 'report.html'} with the {shown:,} most suspect rows")
    if given.gold:
        measure(content.rows.wrongness, content.rows.labels, np.array(rows["gold"][:])[labels >= 0])


def _notes(corpus: Corpus) -> list[str]:
    """Say how the table was read, and list the rows of training that have no text."""
    notes = [note.removeprefix(READ) for note in corpus.notes]
    blank = corpus.left_out.get("train", ())
    return [*notes, f"without a text: {listed(blank, _LISTED)}"] if len(blank) > SHOWN_ROWS else notes


def measure(wrongness: np.ndarray, labels: np.ndarray, gold: np.ndarray) -> None:
    """Print how well the wrongness finds labels that differ from gold.

    All arrays are (labelled rows,); `gold` is -1 where unknown.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    known = gold >= 0
    wrong = labels[known] != gold[known]
    if not wrong.any() or wrong.all():
        print("gold labels: no evaluation, which needs some correct and some wrong labels")
        return
    print(
        f"by gold labels: {wrong.mean():.1%} wrong; average precision {average_precision_score(wrong, wrongness[known]):.3f}, "
        f"AUROC {roc_auc_score(wrong, wrongness[known]):.3f}"
    )
