"""Several weak sources, one label: run labeling functions, combine their votes, settle the rows nobody covers.

Votes are integers of shape (rows, sources), where -1 abstains. Soft labels are float32 of shape (rows, classes), where
an all-zero row abstains: no source spoke of that example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import uuid4

import numpy as np
import torch

from hf_noisy.domains import check_whole, nearest
from hf_noisy.randomness import forked_generators

if TYPE_CHECKING:
    import pandas
    from datasets import Dataset
    from snorkel.labeling import LabelingFunction
    from snorkel.labeling.model import LabelModel

LARGEST_VOTE = np.iinfo(np.int16).max  # votes are stored as int16: 32,768 classes, two bytes a vote

Result = TypeVar("Result")


def apply_labeling_functions(
    dataset: Dataset,
    functions: Sequence[LabelingFunction],
    *,
    num_proc: int | None = None,
    batch_size: int = 1000,
    column: str = "weak_labels",
) -> Dataset:
    """Asks every labeling function about every example and adds the votes as one column of integer lists.

    The functions are Snorkel's own: preprocessors, resources and memoisation work as they do there. Each sees the row
    as a `SimpleNamespace` of plain Python values, so `x.text` is the text. Votes equal those of Snorkel's
    `PandasLFApplier`, at more than 15 times its speed in one process (`examples/labeling_speed.py`).

    The functions run on every call: votes never come from a cache, so a resource that changed on disk is seen. The new
    column's fingerprint comes from the votes themselves, so later `map` calls are cached exactly as long as the votes
    stay the same.

    Args:
        dataset: what to label; every column is visible to the functions, and filtered or shuffled datasets are fine.
        functions: what `@labeling_function()` makes; each returns a class (0, 1, ...), or -1 to abstain.
        num_proc: processes to share the rows; the functions are then pickled with dill, and each process memoises for
            itself.
        batch_size: rows handed over at once.
        column: the name of the new column: lists of int16, one vote a function, in the order of `functions`.

    Raises:
        TypeError: not a `datasets.Dataset`, or something that is not a labeling function.
        ValueError: no functions, two of one name, no rows, a column that exists already; a function that raises or
            whose vote is not an integer >= -1 is named together with its row.

    Source: data programming (Ratner et al., NeurIPS 2016) as in Snorkel 0.10.

    >>> import datasets
    >>> from snorkel.labeling import labeling_function
    >>> @labeling_function()
    ... def lf_link(x):
    ...     return 1 if "http" in x.text else -1
    >>> datasets.disable_progress_bars()
    >>> comments = datasets.Dataset.from_dict({"text": ["see http://a.b", "lovely song"]})
    >>> apply_labeling_functions(comments, [lf_link])["weak_labels"][:]
    [[1], [-1]]
    """
    from datasets import Features

    _check_dataset(dataset)
    _check_functions(functions)
    if len(dataset) == 0:
        raise ValueError(
            "dataset has 0 rows: expected at least one to label. Check the filter or the split it comes from."
        )
    _check_new_column(dataset, column)
    votes = dataset.with_format(None).map(
        _vote_on_batch,
        fn_kwargs={"functions": list(functions), "column": column},
        with_indices=True,
        batched=True,
        batch_size=batch_size,
        num_proc=num_proc,
        remove_columns=dataset.column_names,
        features=Features({column: votes_feature()}),
        keep_in_memory=True,
        load_from_cache_file=False,
        new_fingerprint=uuid4().hex,  # the functions may hold anything and are not hashed: the votes are, below
        desc=f"Applying {len(functions)} labeling functions",
    )
    return dataset.add_column(column, votes.data.column(column).combine_chunks(), feature=votes_feature())


def votes_feature() -> Any:
    """Describes a column of votes to `datasets`: a list of int16 a row."""
    from datasets import List, Value

    return List(Value("int16"))


def voters(votes: Any) -> int:
    """Sources that vote at all, of (rows, sources) votes, an array or a tensor; 1 where there are labels alone (None)."""
    return 1 if votes is None else int((votes >= 0).any(0).sum())


def votes_of(dataset: Dataset, column: str = "weak_labels") -> np.ndarray:
    """Reads a column of votes into one integer array (rows, sources).

    Raises:
        ValueError: there is no such column, or its rows differ in length.

    >>> import datasets
    >>> votes_of(datasets.Dataset.from_dict({"weak_labels": [[1, -1], [0, 0]]}))
    array([[ 1, -1],
           [ 0,  0]])
    """
    if column not in dataset.column_names:
        raise ValueError(
            f"no column {column!r} of votes: expected one that apply_labeling_functions added. "
            f"{nearest(column, dataset.column_names)}"
        )
    rows = dataset.with_format(None)[column][:]
    try:
        votes = np.asarray(rows or np.empty((0, 0), dtype=np.int64))
    except ValueError:  # rows of different lengths
        votes = np.empty(0)
    if votes.ndim == 2 and votes.dtype.kind == "i":
        return votes.astype(np.int64)
    for number, row in enumerate(rows):
        if not isinstance(row, list) or any(type(vote) is not int for vote in row):
            raise ValueError(
                f"row {number} of column {column!r} is {row!r}: expected a list of integers, one vote a source. Write -1 where "
                "a source abstains."
            )
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise ValueError(
            f"rows of column {column!r} have {sorted(lengths)} votes: expected as many in every row, one a source. "
            "Write -1 where a source abstains."
        )
    return votes


def covered(votes: np.ndarray) -> np.ndarray:
    """Marks the examples on which at least one source voted: a boolean array (rows,).

    >>> covered(np.array([[-1, 2], [-1, -1]]))
    array([ True, False])
    """
    return np.any(check_votes(votes) >= 0, axis=1)


def majority_vote(votes: np.ndarray, num_classes: int) -> np.ndarray:
    """Gives each example the class most of its sources voted for; where classes tie, they share it evenly.

    Args:
        votes: (rows, sources), -1 abstains.
        num_classes: how many classes there are.

    Returns:
        soft labels, float32 (rows, classes); a row where every source abstains is all zero.

    Raises:
        ValueError: a vote outside the classes, named with its row and source.

    >>> majority_vote(np.array([[0, 0, 1], [0, 1, -1], [-1, -1, -1]]), num_classes=2)
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 0. ]], dtype=float32)
    """
    votes = check_votes(votes, num_classes)
    rows, sources = np.nonzero(votes >= 0)
    counts = np.bincount(rows * num_classes + votes[rows, sources], minlength=len(votes) * num_classes)
    counts = counts.reshape(len(votes), num_classes)
    winners = (counts == counts.max(axis=1, keepdims=True)) & (counts > 0)
    return (winners / np.maximum(winners.sum(axis=1, keepdims=True), 1)).astype(np.float32)


def label_model_probabilities(
    votes: np.ndarray,
    num_classes: int,
    *,
    on: np.ndarray | None = None,
    seed: int = 0,
    epochs: int = 100,
    learning_rate: float = 0.01,
) -> np.ndarray:
    """Weighs each source by how accurate Snorkel's `LabelModel` infers it to be, and gives class probabilities.

    Prefer it to `majority_vote` where many sources of unequal quality overlap; compare the two on a few gold rows, for
    it is not always better (on the training rows of `youtube` 85.5% of its labels are right after 100 epochs and 74.7%
    after 500, on `trec` 50.8% and 41.6%: more epochs fit the agreements, not the truth). Classes are taken as equally
    likely beforehand.

    Torch's, numpy's and Python's global random numbers are as they were afterwards. Under `torch.distributed` every
    process must call it: the first one fits and sends the others its result.

    Args:
        votes: (rows, sources), -1 abstains; at least three sources.
        num_classes: how many classes there are.
        on: the votes to give probabilities for, of the same sources; None for `votes`, which the model is fitted to.
        seed: of the model's starting point.
        epochs: gradient steps over the agreements (Snorkel's default).
        learning_rate: of those steps (Snorkel's default).

    Returns:
        soft labels, float32 (rows, classes); a row where every source abstains is all zero, where Snorkel would give
        the prior.

    Raises:
        ValueError: fewer than three sources, a vote outside the classes, no epoch, or a fit that diverges.

    Source: Ratner et al., "Training Complex Models with Multi-Task Weak Supervision", AAAI 2019.
    """
    votes = check_votes(votes, num_classes)
    check_whole("epochs", epochs, of=" of epochs")
    if votes.shape[1] < 3:
        raise ValueError(
            f"votes has {votes.shape[1]} sources: the label model infers accuracies from agreements of 3 or more. "
            "Use majority_vote for fewer."
        )
    wanted = votes if on is None else check_votes(on, num_classes)
    if wanted.shape[1] != votes.shape[1]:
        raise ValueError(f"on has {wanted.shape[1]} sources, votes {votes.shape[1]}: expected the same ones.")
    spoken = covered(wanted)
    probabilities = np.zeros((len(wanted), num_classes), dtype=np.float32)
    if spoken.any():
        probabilities[spoken] = _on_the_first_rank(
            lambda: _posterior(_fit_label_model(votes, num_classes, seed, epochs, learning_rate), wanted[spoken])
        )
    return probabilities


def hard_labels(probabilities: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Picks each example's most probable class, at random among equals; an all-zero row stays unlabeled (-1).

    Args:
        probabilities: soft labels (rows, classes), not negative.
        seed: of the draw among equals.

    Returns:
        int64 (rows,).

    Raises:
        ValueError: not two-dimensional, negative or not finite.

    >>> hard_labels(np.array([[0.2, 0.8], [0.0, 0.0]]))
    array([ 1, -1])
    """
    probabilities = _rectangle("probabilities", probabilities)
    if probabilities.ndim != 2:
        raise ValueError(f"probabilities of shape {probabilities.shape}: expected (rows, classes).")
    if probabilities.dtype.kind not in "iufb":
        raise ValueError(
            f"row 0 has probabilities {probabilities[0].tolist()}: expected numbers. Labels that are classes are hard already."
        )
    wrong = ~(np.isfinite(probabilities) & (probabilities >= 0)).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"row {row} has probabilities {probabilities[row].tolist()}: expected finite numbers >= 0. "
            "Apply a softmax to logits first."
        )
    draws = np.random.default_rng(seed).random(probabilities.shape)
    best = probabilities == probabilities.max(axis=1, keepdims=True)
    return np.where(probabilities.any(axis=1), np.where(best, draws, -1.0).argmax(axis=1), -1)


def labels_from_votes(
    dataset: Dataset,
    num_classes: int,
    *,
    aggregate: Literal["majority_vote", "label_model"] = "majority_vote",
    hard: bool = False,
    abstain: Literal["unlabeled", "drop", "uniform"] = "unlabeled",
    seed: int = 0,
    column: str = "weak_labels",
) -> Dataset:
    """Turns each example's votes into the `labels` it is trained on, and settles what examples without a vote get.

    Args:
        dataset: with a column of votes, as `apply_labeling_functions` adds it.
        num_classes: how many classes there are.
        aggregate: `majority_vote` or `label_model`; see the functions of those names.
        hard: integers in place of soft labels, ties broken at random by `seed`.
        abstain: `unlabeled` keeps uncovered examples (a zero row, or -1 when hard), for methods that pseudo-label them;
            `drop` removes them; `uniform` gives each class 1 / classes (when hard: a class at random).
        seed: of the label model and of ties.
        column: where the votes are.

    Returns:
        the dataset with a new column `labels`: lists of float32, or int64 when hard.

    Raises:
        ValueError: an unknown name, no such column, a vote outside the classes, or a column `labels` that exists
            already.

    >>> import datasets
    >>> votes = datasets.Dataset.from_dict({"weak_labels": [[0, 0], [0, 1], [-1, -1]]})
    >>> labels_from_votes(votes, num_classes=2)["labels"][:]
    [[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]]
    >>> labels_from_votes(votes, num_classes=2, hard=True, abstain="drop").num_rows
    2
    """
    from datasets import List, Value

    _check_choice("aggregate", aggregate, ("majority_vote", "label_model"))
    _check_choice("abstain", abstain, ("unlabeled", "drop", "uniform"))
    _check_dataset(dataset)
    _check_new_column(dataset, "labels")
    votes = votes_of(dataset, column)
    if aggregate == "label_model":
        soft = label_model_probabilities(votes, num_classes, seed=seed)
    else:
        soft = majority_vote(votes, num_classes)
    spoken = covered(votes)
    if abstain == "uniform":
        soft[~spoken] = 1 / num_classes
    if hard:
        labeled = dataset.add_column("labels", hard_labels(soft, seed=seed), feature=Value("int64"))
    else:
        labeled = dataset.add_column("labels", list(soft), feature=List(Value("float32")))
    return labeled.select(np.flatnonzero(spoken)) if abstain == "drop" else labeled


def summarize_votes(
    votes: np.ndarray | Dataset, *, names: Sequence[str] | None = None, gold: np.ndarray | None = None
) -> pandas.DataFrame:
    """Tells on what part of the examples each source votes, overlaps, conflicts and, where gold is known, is right.

    Args:
        votes: (rows, sources), -1 abstains; or a dataset with a column `weak_labels`.
        names: of the sources, for the rows of the table; by default `source_0`, `source_1`, ...
        gold: true classes (rows,), -1 where unknown. For measuring only.

    Returns:
        one row a source: `coverage`, `overlap` (another source votes too) and `conflict` (another disagrees) as parts
        of all rows, and with gold `accuracy`, among the votes on rows whose gold is known (NaN where there are none).

    Raises:
        ValueError: names or gold of another length than sources or rows.

    Source: Snorkel's `LFAnalysis`.

    >>> summarize_votes(np.array([[0, 0], [1, 0], [1, -1], [-1, -1]]), names=["a", "b"], gold=np.array([0, 1, 0, 1]))
       coverage  overlap  conflict  accuracy
    a      0.75      0.5      0.25  0.666667
    b      0.50      0.5      0.25  0.500000
    """
    import datasets
    import pandas
    from snorkel.labeling import LFAnalysis

    votes = check_votes(votes_of(votes) if isinstance(votes, datasets.Dataset) else votes)
    rows, sources = votes.shape
    names = [f"source_{source}" for source in range(sources)] if names is None else list(names)
    if len(names) != sources:
        raise ValueError(f"{len(names)} names for {sources} sources: expected one name a column of votes.")
    if rows == 0:
        raise ValueError("votes has 0 rows: expected at least one to summarize.")
    analysis = LFAnalysis(votes.astype(np.float64))  # floats: scipy warns when Snorkel makes a diagonal of integers
    table = {
        "coverage": analysis.lf_coverages(),
        "overlap": analysis.lf_overlaps(),
        "conflict": analysis.lf_conflicts(),
    }
    if gold is not None:
        table["accuracy"] = _accuracies(votes, np.asarray(gold))
    return pandas.DataFrame(table, index=names)


def _vote_on_batch(
    batch: Mapping[str, list[Any]], indices: list[int], functions: list[LabelingFunction], column: str
) -> dict[str, np.ndarray]:
    names = list(batch)
    points = [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in zip(*batch.values(), strict=True)]
    return {column: np.array([_votes_of_one(function, points, indices) for function in functions], dtype=np.int16).T}


def _votes_of_one(function: LabelingFunction, points: list[SimpleNamespace], indices: list[int]) -> list[int]:
    call = _without_wrappers(function)
    votes: list[int] = []
    try:
        for point in points:
            votes.append(call(point))  # in a loop: the number of votes before a failure tells its row
    except Exception as error:
        row = indices[len(votes)]
        raise ValueError(
            f"labeling function {function.name!r} failed on row {row}: {type(error).__name__}: {error}"
        ) from error
    if set(map(type, votes)) != {int} or min(votes) < -1 or max(votes) > LARGEST_VOTE:
        votes = [_checked_vote(vote, row, function) for vote, row in zip(votes, indices, strict=True)]
    return votes


def _without_wrappers(function: LabelingFunction) -> Callable[[SimpleNamespace], int]:
    # A third of all time goes into Snorkel's two calls around a function, which do nothing where nothing precedes it.
    from snorkel.labeling import LabelingFunction

    if type(function) is LabelingFunction and not function._pre:
        return partial(function._f, **function._resources)
    return function


def _checked_vote(vote: object, row: int, function: LabelingFunction) -> int:
    # bool is refused: `return "x" in text` would vote for class 0 where its author meant to abstain
    if isinstance(vote, (int, np.integer)) and not isinstance(vote, bool) and -1 <= vote <= LARGEST_VOTE:
        return int(vote)
    raise ValueError(
        f"labeling function {function.name!r} voted {vote!r} on row {row}: expected a class from 0 to {LARGEST_VOTE} "
        "as an int, or -1 to abstain. Return -1 where the function has nothing to say."
    )


def _fit_label_model(votes: np.ndarray, num_classes: int, seed: int, epochs: int, learning_rate: float) -> LabelModel:
    with forked_generators():
        from snorkel.labeling.model import LabelModel  # inside: importing it draws from numpy's global generator

        model = LabelModel(cardinality=num_classes, verbose=False)
        try:
            model.fit(votes, seed=seed, n_epochs=epochs, lr=learning_rate, progress_bar=False)
        except Exception as error:  # Snorkel raises no narrower one for a loss that is not a number
            raise ValueError(
                f"the label model could not be fitted at learning_rate={learning_rate}: {error} "
                "Pass a smaller learning_rate, or use majority_vote."
            ) from error
    return model


def _posterior(model: LabelModel, votes: np.ndarray) -> np.ndarray:
    # In logs, where Snorkel multiplies: over a few hundred sources its products underflow to 0 / 0.
    log_conditionals = np.log(model.get_conditional_probs()[:, 1:])  # (sources, votes, classes)
    log_joint = np.zeros((len(votes), model.cardinality))
    for source, table in enumerate(log_conditionals):
        voted = votes[:, source] >= 0
        log_joint[voted] += table[votes[voted, source]]
    joint = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return (joint / joint.sum(axis=1, keepdims=True)).astype(np.float32)


def _on_the_first_rank(compute: Callable[[], Result]) -> Result:
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return compute()
    outcome: list[Any] = [None]
    if distributed.get_rank() == 0:
        try:
            outcome = [compute()]
        except Exception as error:  # sent to the other ranks, which would wait for a result for ever
            outcome = [error]
    distributed.broadcast_object_list(outcome, src=0)
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _accuracies(votes: np.ndarray, gold: np.ndarray) -> np.ndarray:
    from snorkel.labeling import LFAnalysis

    if gold.shape != votes.shape[:1]:
        raise ValueError(
            f"gold of shape {gold.shape} for {len(votes)} rows of votes: expected one class a row, -1 where unknown."
        )
    if gold.dtype.kind not in "iu":
        raise ValueError(f"gold of type {gold.dtype}: expected integers, -1 where unknown. Use gold.astype(int).")
    known = gold >= 0
    voted = (votes[known] >= 0).any(axis=0)
    accuracies = np.full(votes.shape[1], np.nan)  # Snorkel says 0 of a source without votes
    if voted.any():
        accuracies[voted] = LFAnalysis(votes[known][:, voted]).lf_empirical_accuracies(gold[known])
    return accuracies


def _check_choice(argument: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{argument}={value!r}: expected one of the known names. {nearest(value, known)}")


def _check_dataset(dataset: object) -> None:
    from datasets import Dataset

    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset is a {type(dataset).__name__}: expected one datasets.Dataset. "
            "Of a DatasetDict pass each split by itself; of a table use Dataset.from_pandas."
        )


def _check_new_column(dataset: Dataset, column: str) -> None:
    if column in dataset.column_names:
        raise ValueError(
            f"column {column!r} exists already: expected a dataset without it. "
            f"Call dataset.remove_columns({column!r}) first."
        )


def _check_functions(functions: Sequence[LabelingFunction]) -> None:
    from snorkel.labeling import LabelingFunction

    if isinstance(functions, LabelingFunction):
        raise TypeError(
            f"functions is the one labeling function {functions.name!r}: expected a list. Wrap it in [...]."
        )
    for function in functions:
        if not isinstance(function, LabelingFunction):
            raise TypeError(
                f"{function!r} is a {type(function).__name__}: expected a snorkel LabelingFunction. "
                "Decorate it with @labeling_function() from snorkel.labeling."
            )
    names = [function.name for function in functions]
    if not names:
        raise ValueError("functions is empty: expected at least one labeling function.")
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(
            f"labeling functions share the names {duplicates}: expected each name once. "
            "Rename one with @labeling_function(name=...)."
        )


def _rectangle(name: str, rows: Any) -> np.ndarray:
    try:
        return np.asarray(rows)
    except ValueError as error:
        raise ValueError(
            f"{name}: rows of {sorted({len(row) for row in rows})} entries: expected as many in every row. Give a table."
        ) from error


def check_votes(votes: np.ndarray, num_classes: int | None = None) -> np.ndarray:
    votes = _rectangle("votes", votes)
    if votes.ndim != 2 or votes.shape[1] == 0:
        raise ValueError(f"votes of shape {votes.shape}: expected (rows, sources). For one source use votes[:, None].")
    if not np.issubdtype(votes.dtype, np.integer):
        raise TypeError(
            f"votes of type {votes.dtype}: expected integers, -1 where a source abstains. Use votes.astype(int)."
        )
    if num_classes is not None and (not isinstance(num_classes, int | np.integer) or num_classes < 2):
        raise ValueError(f"num_classes={num_classes!r}: expected 2 or more, as a whole number.")
    votes = votes.astype(np.int64)  # sums of int16 would overflow
    outside = np.argwhere((votes < -1) | (votes >= (num_classes or np.inf)))
    if len(outside):
        row, source = outside[0].tolist()
        expected = "a class >= 0" if num_classes is None else f"a class from 0 to {num_classes - 1}"
        raise ValueError(
            f"row {row}, source {source} votes {votes[row, source]}: expected {expected}, or -1 to abstain. "
            "Check num_classes, and write -1 where the source has nothing to say."
        )
    return votes
