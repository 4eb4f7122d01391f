"""How many training rows get their true class by `truth_inference`, and by what it is made of: no encoder is trained.

    python tests/measure/inferred_classes.py --data FOLDER ... --model MODEL

A row of the table is a variant, a column a corpus: the share of training rows, with a label or without, whose inferred class is
the gold one, mean over the seeds. Gold labels measure and nothing else. "label" is the given one (a row without counts as
wrong). The penalty is the parameter that was set by this table: the last lines say which one the other corpora would
have chosen for each, and what that gives.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import datasets
import numpy as np
from transformers import AutoModel, AutoTokenizer

from hf_noisy.benchmark import Settings
from hf_noisy.benchmark.data import Rows, prepare
from hf_noisy.benchmark.settings import Run
from hf_noisy.evidence import mean_vectors, text_vectors
from hf_noisy.evidence.features.views import side_by_side
from hf_noisy.evidence.inference.infer_truth import infer_truth
from hf_noisy.evidence.inference.sources import Source, source_from_labels, sources_from_votes
from hf_noisy.weak.votes import count_voting_sources

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="folders of corpora with gold labels")
    parser.add_argument("--model", required=True, help="a pretrained encoder")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--max_train_rows", type=int, default=1000)
    parser.add_argument("--max_length", type=int, default=48)
    parser.add_argument("--noise", help="gold labels made wrong in place of the given ones, as in symmetric:0.2")
    given = parser.parse_args()
    datasets.disable_progress_bars()
    encoder, tokenizer = AutoModel.from_pretrained(given.model), AutoTokenizer.from_pretrained(given.model)
    settings = Settings(max_train_rows=given.max_train_rows, max_test_rows=1, noise=given.noise)
    table: dict[str, dict[str, list[float]]] = {}
    for source in given.data:
        for seed in given.seeds:
            run = Run(source, "ce", seed)
            data = prepare(run, settings, {})
            texts = data.train.dataset["text"][:]
            vectors = mean_vectors(encoder, tokenizer, texts, max_length=given.max_length)
            for name, infer in variants(data.train, data.classes, vectors, text_vectors(texts), seed).items():
                right = float((infer() == data.train.gold).mean())
                table.setdefault(name, {}).setdefault(run.dataset, []).append(right)
    corpora = list(next(iter(table.values())))
    print(f"| | {' | '.join(corpora)} | mean |\n|{'---|' * (len(corpora) + 2)}")
    for name, found in table.items():
        print(row(name, [float(np.mean(found[corpus])) for corpus in corpora]))
    left_out = [leave_one_corpus_out(table, corpora, corpus) for corpus in corpora]
    print(row("penalty chosen on the others", [share for _, share in left_out]))
    print(f"| which is | {' | '.join(f'{penalty:g}' for penalty, _ in left_out)} | |")
    return 0


def variants(
    rows: Rows, classes: int, vectors: np.ndarray, words: np.ndarray, seed: int
) -> dict[str, Callable[[], np.ndarray]]:
    """Name -> the class of each row."""
    given = np.zeros((len(rows.labels), classes))
    labelled = rows.labels >= 0
    given[labelled] = np.eye(classes)[rows.labels[labelled]]
    several = count_voting_sources(rows.votes) > 1
    votes = sources_from_votes(rows.votes, classes) if several else [source_from_labels(given)]
    both = side_by_side(vectors, words)
    view = vectors if several else both  # as `vectors="auto"`

    def inferred(seen: np.ndarray, sources: list[Source], **parameters: object) -> Callable[[], np.ndarray]:
        return lambda: infer_truth(seen, given, sources, seed=seed, **parameters).truth.argmax(1)

    return {
        "label": lambda: rows.labels,
        "truth_inference": inferred(view, votes),
        "the encoder alone": inferred(vectors, votes),
        "words alone": inferred(words, votes),
        "words beside the encoder": inferred(both, votes),
        "start from 60 % by neighbours (share=0.6)": inferred(view, votes, share=0.6),
        "no sharpening": inferred(view, votes, sharpen=False),
        "labels as one source": inferred(view, [source_from_labels(given)]),
        "no source": inferred(view, []),
        "one round": inferred(view, votes, rounds=1),
        "twelve rounds": inferred(view, votes, rounds=12),
        **{penalty_name(penalty): inferred(view, votes, penalty=penalty) for penalty in PENALTIES},
    }


def leave_one_corpus_out(
    table: dict[str, dict[str, list[float]]], corpora: list[str], corpus: str
) -> tuple[float, float]:
    """The penalty that is best on the other corpora, and what it gives on this one."""
    others = [other for other in corpora if other != corpus] or corpora
    best = max(PENALTIES, key=lambda p: sum(np.mean(table[penalty_name(p)][other]) for other in others))
    return best, float(np.mean(table[penalty_name(best)][corpus]))


def penalty_name(penalty: float) -> str:
    return f"weight_penalty={penalty:g}"


def row(name: str, shares: list[float]) -> str:
    return f"| {name} | {' | '.join(f'{share:.3f}' for share in shares)} | {np.mean(shares):.3f} |"


if __name__ == "__main__":
    sys.exit(main())
