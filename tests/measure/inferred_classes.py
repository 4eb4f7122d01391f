"""The share of training rows whose class `truth_inference` finds, with and without each of its parts. No encoder is trained.

    python tests/measure/inferred_classes.py --data FOLDER ... --model MODEL --output recipes/results/inferred_classes.jsonl

A row of the table is a variant, a column a corpus: the share of training rows, with a label or without, whose inferred class is
the gold one, mean over the seeds. Gold labels are used to compare, for nothing else. "label" is the given one (a row without a
label counts as wrong). The penalty is the parameter that was set by this table. The last rows say which penalty the other
corpora would have chosen for each corpus, and the result with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import datasets
import numpy as np
from reporting import Line, Results, add_corpora, add_output, distinct
from transformers import AutoModel, AutoTokenizer

from hf_noisy.benchmark import Settings
from hf_noisy.benchmark.cells import markdown_table
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
    add_corpora(parser)
    parser.add_argument("--noise", nargs="+", default=["given"], help="given, or gold labels with noise: symmetric:0.2")
    add_output(parser)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    encoder, tokenizer = AutoModel.from_pretrained(given.model), AutoTokenizer.from_pretrained(given.model)

    def measure(source: str, noise: str, seed: int) -> Line:
        drawn = None if noise == "given" else noise
        settings = Settings(max_train_rows=given.max_train_rows, max_test_rows=1, noise=drawn)
        data = prepare(Run(source, "ce", seed), settings, {})
        texts = data.train.dataset["text"][:]
        vectors = mean_vectors(encoder, tokenizer, texts, max_length=given.max_length)
        ways = variants(data.train, data.classes, vectors, text_vectors(texts), seed)
        return {"right": {name: float((infer() == data.train.gold).mean()) for name, infer in ways.items()}}

    results = Results(given.output)
    for noise in given.noise:
        for source in given.data:
            for seed in given.seeds:
                about = {"dataset": Run(source, "ce", seed).dataset, "noise": noise, "seed": seed}
                about["rows"] = given.max_train_rows
                results.once(about, lambda source=source, noise=noise, seed=seed: measure(source, noise, seed))
                print(f"{about['dataset']}, {noise}, seed {seed}", file=sys.stderr, flush=True)
    for noise in given.noise:
        print(f"{noise}:\n\n{table(results.lines, noise)}\n")
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


def table(lines: list[Line], noise: str = "given") -> str:
    """A row per variant, a column per corpus."""
    lines = [line for line in lines if line["noise"] == noise]
    corpora = distinct(lines, "dataset")
    shares = {
        name: {
            corpus: float(np.mean([line["right"][name] for line in lines if line["dataset"] == corpus]))
            for corpus in corpora
        }
        for name in lines[0]["right"]
    }
    rows = [row(name, [found[corpus] for corpus in corpora]) for name, found in shares.items()]
    chosen = {corpus: best_elsewhere(shares, corpora, corpus) for corpus in corpora}
    rows.append(row("penalty chosen on the others", [shares[penalty_name(p)][c] for c, p in chosen.items()]))
    rows.append(["which is", *(f"{penalty:g}" for penalty in chosen.values()), ""])
    return markdown_table(["", *corpora, "mean"], rows)


def best_elsewhere(shares: dict[str, dict[str, float]], corpora: list[str], corpus: str) -> float:
    """The penalty that is best on the other corpora."""
    others = [other for other in corpora if other != corpus] or corpora
    return max(PENALTIES, key=lambda penalty: sum(shares[penalty_name(penalty)][other] for other in others))


def penalty_name(penalty: float) -> str:
    return f"weight_penalty={penalty:g}"


def row(name: str, shares: list[float]) -> list[str]:
    return [name, *(f"{share:.3f}" for share in shares), f"{np.mean(shares):.3f}"]


if __name__ == "__main__":
    sys.exit(main())
