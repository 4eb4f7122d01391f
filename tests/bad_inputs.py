"""Every bad input that is tried, with the exception and the words that it must meet; and the table of them.

    python tests/bad_inputs.py

tries all of them, prints how many were refused, and writes `tests/tables/bad_inputs.md`. Each is refused before the first
optimizer step and before a weight has changed, by a message with the value, what was expected, and the fix.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from conftest import BagOfWords, flat_weights, make_trainer, tiny_model, token_dataset
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import BertConfig, BertForTokenClassification, BertModel
from transformers.trainer import TRAINER_STATE_NAME

from hf_noisy import (
    METHODS,
    CandidateLabels,
    CoTeaching,
    DivideMix,
    GeneralizedCrossEntropy,
    MeanAbsoluteError,
    Neighbours,
    NoisyTrainer,
    NoisyTrainingArguments,
    RuleMasking,
    TruncatedGCE,
    hard_labels,
    label_model_probabilities,
    labels_from_votes,
    load_corpus,
    majority_vote,
)
from hf_noisy.methods.building import check_methods
from hf_noisy.trainer.state import STATE_NAME

TABLE = Path(__file__).parent / "tables" / "bad_inputs.md"
HEAD = """<!-- written by `python tests/bad_inputs.py` -->
# Bad inputs

Each is refused before the first optimizer step, and before a weight has changed.

| input | exception | message |
|---|---|---|
"""
Made = NoisyTrainer | tuple[NoisyTrainer, str | bool] | object


# name -> what makes it, the words of its message (in order, with anything between), its exception if not a ValueError
Cases = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Case:
    """One bad input."""

    name: str
    make: Callable[[Path], Made]  # raises, or gives a trainer (and a checkpoint) whose training does
    says: str  # of the message: the value ... what was expected ... the fix
    error: type[Exception] = ValueError


def refusal(case: Case, folder: Path) -> str:
    """The row of the table.

    Raises:
        AssertionError: the input is accepted, or refused too late or in other words.
    """
    trainer, before, message = None, torch.empty(0), None
    try:
        made = case.make(folder)
        trainer, checkpoint = made if isinstance(made, tuple) else (made, None)
        before = flat_weights(trainer.model) if isinstance(trainer, NoisyTrainer) else before
        if isinstance(trainer, NoisyTrainer):
            trainer.train(resume_from_checkpoint=checkpoint)
    except case.error as error:
        message = str(error)
    assert message is not None, f"{case.name}: accepted"
    place = 0
    for words in case.says.split(" ... "):
        assert words in message[place:], f"{case.name}: {words!r} is not in {message[place:]!r}"
        place = message.index(words, place) + len(words)
    if isinstance(trainer, NoisyTrainer):
        assert trainer.state.global_step == 0, case.name
        assert torch.equal(before, flat_weights(trainer.model)), f"{case.name}: a weight has changed"
    return table_row(case, message.replace(str(folder), "FOLDER"))


def table_row(case: Case, message: str) -> str:
    message = re.sub(r"cannot be read \(.*?\)[,.]", "cannot be read,", message)  # in words of another library
    message = re.sub(r" at 0x[0-9a-f]+", "", message)
    message = message.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
    return f"| {case.name} | {case.error.__name__} | {message if len(message) < 400 else message[:400] + ' ...'} |\n"


# ---- how inputs are made ----

_MADE_HERE = ("model", "eval_dataset", "clean_dataset", "callbacks")


def trains(dataset: Callable[[], Any] | None = None, **arguments: Any) -> Callable[[Path], NoisyTrainer]:
    """A trainer of one step; what costs time to make is given as a function."""

    def make(folder: Path) -> NoisyTrainer:
        made = {name: arguments[name]() for name in _MADE_HERE if callable(arguments.get(name))}
        given = {"max_steps": 1, **arguments, **made}
        return make_trainer(folder, None if dataset is None else dataset(), **given)

    return make


def labelled(*labels: Any) -> Callable[[Path], NoisyTrainer]:
    return trains(lambda: token_dataset(len(labels), list(labels)))


def listed(*labels: Any) -> Callable[[Path], NoisyTrainer]:
    """Rows of a list."""
    return trains(lambda: [{"input_ids": [1, 2], "labels": label} for label in labels])


def stored(values: list[Any], kind: pa.DataType) -> Callable[[Path], NoisyTrainer]:
    rows = len(values)
    return trains(
        lambda: token_dataset(rows, [0] * rows).remove_columns("labels").add_column("labels", pa.array(values, kind))
    )


def tokens(*rows: Any, **columns: Any) -> Callable[[], datasets.Dataset]:
    return lambda: datasets.Dataset.from_dict({"input_ids": list(rows), "labels": [0, 1, 2, 0][: len(rows)], **columns})


def voted(*votes: Any) -> Callable[[Path], NoisyTrainer]:
    return trains(lambda: token_dataset(len(votes)).add_column("weak_labels", list(votes)))


def gold(*classes: Any) -> Callable[[Path], NoisyTrainer]:
    return trains(lambda: token_dataset(len(classes)).add_column("gold", list(classes)), gold_column="gold")


def plain(model: Any, args: Any = None, **more: Any) -> Callable[[Path], NoisyTrainer]:
    """A trainer that is given exactly these."""

    def make(folder: Path) -> NoisyTrainer:
        own = args_of(folder) if args is None else args
        return NoisyTrainer(model() if callable(model) else model, own, train_dataset=token_dataset(4), **more)

    return make


def args_of(folder: Path) -> NoisyTrainingArguments:
    return NoisyTrainingArguments(str(folder), use_cpu=True, report_to="none")


def named(noise_method: Any, noise_kwargs: Any = None) -> Callable[[Path], object]:
    return lambda folder: NoisyTrainingArguments(str(folder), noise_method=noise_method, noise_kwargs=noise_kwargs)


def encoder_config() -> BertConfig:
    return BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=3
    )


def renumbered(model: Any) -> Any:
    model.config.num_labels = 5
    return model


def keeping(*names: str) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    return lambda rows: {name: torch.tensor([one[name] for one in rows]) for name in names}


LOST = {0: "a", 1: "a", 2: "b"}
GLC = {"noise_method": "glc"}


def arguments() -> Cases:
    return {
        "args that are a dictionary": (
            plain(tiny_model, {"seed": 0}),
            "args={'seed': 0} ... TrainingArguments",
            TypeError,
        ),
        "stock label smoothing": (
            trains(noise_method="gce", label_smoothing_factor=0.1),
            "label_smoothing_factor=0.1 with noise_method='gce' ... Expected 0 ... a loss of its own",
        ),
        "label_names that are no column": (trains(label_names=["gold"]), "label_names=['gold'] ... no such column"),
        "two label_names": (trains(label_names=["start", "end"]), "label_names=['start', 'end'] ... expected one name"),
        "accumulation of 0": (
            trains(gradient_accumulation_steps=0),
            "gradient_accumulation_steps=0 ... expected 1 or more",
        ),
        "negative learning_rate": (trains(learning_rate=-1), "learning_rate=-1 ... expected a number, 0 or more"),
        "learning_rate nan": (trains(learning_rate=float("nan")), "learning_rate=nan ... expected a number"),
        "negative num_train_epochs": (
            trains(num_train_epochs=-1),
            "num_train_epochs=-1 ... expected a number, 0 or more",
        ),
        "no full batch, the last one dropped": (
            trains(per_device_train_batch_size=64, dataloader_drop_last=True),
            "per_device_train_batch_size=64 ... 20 rows ... expected at least one ... smaller batches",
        ),
        "compute_loss_func with a criterion": (
            plain(tiny_model, compute_loss_func=max, criterion=GeneralizedCrossEntropy()),
            "compute_loss_func with criterion GeneralizedCrossEntropy ... criterion=...",
        ),
        "tokenizer by its old name": (
            plain(tiny_model, tokenizer=None),
            "tokenizer= ... expected processing_class=",
            TypeError,
        ),
        "tokenizer by its name": (
            plain(tiny_model, processing_class="bert"),
            "processing_class='bert' ... expected a tokenizer ... from_pretrained",
            TypeError,
        ),
        "collator that is none": (
            trains(data_collator="pad"),
            "data_collator='pad' ... expected a function ... Leave it out",
            TypeError,
        ),
        "collator that drops labels": (
            trains(data_collator=keeping("input_ids")),
            "'labels' ... collator dropped them ... pass on every key",
        ),
        "a callback without a list": (
            trains(callbacks=TruncatedGCE),
            "callbacks= ... expected a list ... callbacks=[...]",
            TypeError,
        ),
        "callback by its name": (
            trains(callbacks=["co_teaching"]),
            "'co_teaching' ... expected callbacks ... noise_method",
            TypeError,
        ),
        "criterion that is a function": (
            trains(criterion=torch.nn.functional.cross_entropy),
            "criterion=<function ... expected a Criterion ... Derive",
            TypeError,
        ),
        "criterion by its name": (
            trains(criterion="gce"),
            "criterion='gce' ... expected a Criterion ... Derive",
            TypeError,
        ),
        "criterion that is a class": (
            trains(criterion=MeanAbsoluteError),
            "criterion=<class ... expected a Criterion ... Derive",
            TypeError,
        ),
    }


def training_sets() -> Cases:
    one = functools.partial(token_dataset, 4)
    return {
        "empty": (
            trains(lambda: one().select([])),
            "train_dataset is empty ... expected at least one row ... Check the split",
        ),
        "empty list": (trains(list), "train_dataset is empty ... expected at least one row"),
        "stream": (trains(lambda: one().to_iterable_dataset()), "is a stream ... streaming=False", TypeError),
        "several splits": (
            trains(lambda: datasets.DatasetDict(train=one())),
            "DatasetDict of train ... expected rows that have a number ... datasets['train']",
            TypeError,
        ),
        "name of a dataset": (
            trains(lambda: "imdb"),
            "'imdb' ... expected rows that have a number ... load_dataset",
            TypeError,
        ),
        "data frame": (
            trains(lambda: one().to_pandas()),
            "DataFrame ... expected rows that have a number ... from_pandas",
            TypeError,
        ),
        "dictionary of columns": (
            trains(lambda: one().to_dict()),
            "dictionary of input_ids ... expected rows that have a number ... from_dict",
            TypeError,
        ),
        "generator": (
            trains(lambda: iter(one())),
            "train_dataset is ... expected rows that have a number ... list of dictionaries",
            TypeError,
        ),
        "tuples": (trains(lambda: [([1, 2], 0)]), "yields tuple ... expected dictionaries", TypeError),
        "no label column": (
            trains(lambda: one().remove_columns("labels")),
            "no label column ... expected one of labels ... labels_from_votes",
        ),
        "misnamed label column": (
            trains(lambda: one().rename_column("labels", "lables")),
            "expected one of labels ... found input_ids, attention_mask, lables ... Rename",
        ),
        "row without its label": (
            trains(lambda: [{"input_ids": [1], "labels": 0}, {"input_ids": [1]}]),
            "row 1 ... no 'labels' ... expected the same keys ... Write None",
        ),
        "raw text": (
            trains(lambda: datasets.Dataset.from_dict({"text": ["a"], "labels": [0]})),
            "columns text, labels ... expected tokenized text ... Tokenize first",
        ),
        "text in the place of tokens": (
            trains(tokens("a b")),
            "row 0: input_ids is 'a b' ... expected a list of token ids ... Tokenize",
        ),
        "tokens that are fractions": (
            trains(tokens([1.5, 2.0])),
            "[1.5, 2.0] ... expected a list of token ids ... Tokenize",
        ),
        "text without tokens": (trains(tokens([1, 2], [])), "row 1: has 0 tokens ... expected 1 or more ... Drop rows"),
        "text that is missing": (
            trains(tokens([1, 2], None)),
            "row 1: has 0 tokens ... expected 1 or more ... Drop rows",
        ),
        "token outside the vocabulary": (
            trains(tokens([1, 2], [1, 400])),
            "row 1: holds the token 400 ... expected 0 to 39 ... resize_token_embeddings",
        ),
        "negative token": (trains(tokens([1, -4])), "row 0: holds the token -4 ... expected 0 to 39 ... tokenizer"),
        "text of a megabyte, not cut": (
            trains(tokens([1] * 200000)),
            "has 200000 tokens ... expected 16 or fewer ... truncation=True",
        ),
        "texts of two lengths, and nothing pads": (
            trains(tokens([1, 2], [3])),
            "row 1: has 1 tokens ... expected 2 as in row 0 ... processing_class=tokenizer",
        ),
        "mask of another length": (
            trains(tokens([1, 2, 3], attention_mask=[[1, 1]])),
            "row 0: has 3 tokens ... expected an attention_mask ... Tokenize",
        ),
    }


def labels() -> Cases:
    return {
        "label outside the head": (labelled(0, 1, 3), "row 2: label 3 ... expected a class in [0, 3) ... num_labels=4"),
        "labels start at 1": (
            labelled(1, 2, 3),
            "row 2: label 3 ... expected a class in [0, 3) ... start at 1: subtract 1",
        ),
        "negative label": (labelled(0, -2, 1), "row 1: label -2 ... expected a class in [0, 3) ... recode the column"),
        "label of a billion": (
            labelled(0, 10**9, 2),
            "row 1: label 1000000000 ... expected a class in [0, 3) ... recode the column",
        ),
        "label above all integers": (
            stored([0, 2**63 + 5], pa.uint64()),
            "row 1: label 9223372036854775813 ... expected a class in [0, 3) ... recode",
        ),
        "label nan": (labelled(0.0, float("nan")), "row 1: label nan ... expected a class id, or -1 or None"),
        "label infinite": (labelled(0.0, float("inf")), "row 1: label inf ... expected a class in [0, 3) ... recode"),
        "regression target": (labelled(0.5, 1.0), "row 0: label 0.5 ... expected a class id ... regression"),
        "dates for labels": (stored([0, 1], pa.date32()), "datetime64 ... expected class ids ... Recode"),
        "bytes for labels": (stored([b"a", b"b"], pa.binary()), "type |S1 ... expected class ids ... Recode"),
        "dictionaries for labels": (
            listed({"a": 1}),
            "row 0: label {'a': 1} ... expected a class id, a class name or 3 probabilities ... one form",
        ),
        "names among ids": (
            listed("a", 0, "b"),
            "row 1: label 0 ... expected a class id, a class name or 3 probabilities ... one form",
        ),
        "ids among names": (
            listed(0, "a"),
            "row 1: label 'a' ... expected a class id, a class name or 3 probabilities ... one form",
        ),
        "ids wrapped in lists": (
            labelled([0], [1]),
            "row 0: label [0] ... expected a class id, a class name or 3 probabilities ... Unwrap the list",
        ),
        "names in lists": (
            labelled(["a", "b", "c"]),
            "row 0: label ['a', 'b', 'c'] ... expected a class id, a class name or 3 probabilities ... one form",
        ),
        "unknown class names": (
            labelled("a", "b", "c", "d"),
            "row 0: label 'a' ... expected a class of the model ... num_labels=4",
        ),
        "too few class names": (labelled("a", "b"), "2 names ... num_labels=3 ... load it with num_labels=2"),
        "class name of half a character": (
            listed("\udc80", "b", "c"),
            "'\\udc80' ... expected text that UTF-8 can write ... Drop it",
        ),
        "ClassLabel of another count": (
            trains(lambda: token_dataset(2, [0, 1]).cast_column("labels", datasets.ClassLabel(names=["x", "y"]))),
            "2 classes (x, y) ... num_labels=3 ... num_labels=2",
        ),
        "every row abstains": (
            labelled(-1, -100, -1),
            "all 3 rows abstain ... expected at least one label ... Check the labeling functions",
        ),
        "every label is missing": (labelled(None, None), "all 2 rows abstain ... expected at least one label"),
        "soft row sums to 2": (
            labelled([1.0, 0, 0], [1.0, 1.0, 0]),
            "row 1: label [1.0, 1.0, 0.0] ... expected probabilities that sum to 1 ... multi-label",
        ),
        "several classes at once": (
            labelled([1, 0, 1]),
            "row 0: label [1, 0, 1] ... sum to 1 ... multi-label, are not supported",
        ),
        "soft row holds nan": (labelled([np.nan, 1.0, 0]), "row 0: label [nan ... expected finite probabilities"),
        "soft row holds infinity": (labelled([np.inf, 1.0, 0]), "row 0: label [inf ... expected finite probabilities"),
        "soft row holds a negative": (
            labelled([-0.5, 1.5, 0]),
            "row 0: label [-0.5 ... expected probabilities of at least 0",
        ),
        "soft row with a hole": (
            labelled([0.5, None, 0.5]),
            "row 0: label [0.5, None, 0.5] ... expected a class id, a class name or 3 probabilities ... one form",
        ),
        "soft rows of another class count": (
            labelled([0.5, 0.5]),
            "label [0.5, 0.5] ... 2 classes, the model 3 ... num_labels=2",
        ),
        "ragged soft rows": (
            labelled([0.5, 0.5, 0], [1.0]),
            "row 1: label [1.0] ... expected a class id, a class name or 3 probabilities ... Unwrap",
        ),
        "soft rows nested": (
            labelled([[1.0, 0, 0]]),
            "row 0: label [[1.0, 0.0, 0.0]] ... expected a class id, a class name or 3 probabilities ... one form",
        ),
        "soft label without entries": (
            labelled([]),
            "row 0: label [] ... expected a class id, a class name or 3 probabilities ... one form",
        ),
        "an id outside among soft rows": (
            listed([1.0, 0, 0], 7),
            "row 1: label 7 ... expected a class in [0, 3) ... num_labels=8",
        ),
        "every soft row abstains": (labelled([0.0, 0, 0]), "all 1 rows abstain ... expected at least one label"),
    }


def votes() -> Cases:
    table = np.array([[0, 1, 1]])
    return {
        "vote outside the classes": (
            voted([0, 1], [-1, 3]),
            "row 1: source 1 votes 3 ... expected -1 (abstain) or a class ... Mend",
        ),
        "vote below -1": (
            voted([-2, 1], [-1, 0]),
            "row 0: source 0 votes -2 ... expected -1 (abstain) or a class ... Mend",
        ),
        "votes that are fractions": (
            voted([0.5], [0.1]),
            "weak_labels is [0.5] ... expected a list of integers, one vote a source ... Write -1",
        ),
        "votes of two widths": (voted([0, 1], [1]), "row 1: weak_labels is [1] ... expected 2 votes ... Write -1"),
        "vote that is missing": (
            voted([0, None], [1, 0]),
            "weak_labels is [0, None] ... expected a list of integers, one vote a source ... Write -1",
        ),
        "row without votes": (
            voted(None, [1, 0]),
            "weak_labels is None ... expected a list of integers, one vote a source ... Write -1",
        ),
        "votes in no list": (
            voted(0, 1),
            "weak_labels is 0 ... expected a list of integers, one vote a source ... Write -1",
        ),
        "votes of no source": (
            voted([], []),
            "weak_labels is [] ... expected a list of integers, one vote a source ... Write -1",
        ),
        "votes that are words": (
            voted(["a"], ["b"]),
            "weak_labels is ['a'] ... expected a list of integers, one vote a source ... Write -1",
        ),
        "votes and no labels": (
            trains(lambda: token_dataset(1).remove_columns("labels").add_column("weak_labels", [[1]])),
            "no label column ... weak_labels ... labels_from_votes",
        ),
        "candidates without votes": (
            trains(callbacks=lambda: [CandidateLabels()]),
            "CandidateLabels with a train_dataset without votes ... Expected a column weak_labels ... apply_labeling_functions",
        ),
        "candidates of sources that all abstain": (
            trains(
                lambda: token_dataset(3).add_column("weak_labels", [[-1, -1]] * 3),
                callbacks=lambda: [CandidateLabels()],
            ),
            "all 2 sources abstain on all 3 rows ... expected at least one vote",
        ),
        "masking without votes": (
            trains(callbacks=lambda: [RuleMasking()]),
            "RuleMasking with a train_dataset without votes ... apply_labeling_functions",
        ),
        "column of fractions, to be combined": (
            lambda folder: from_votes([[0.5], [1.0]]),
            "row 0 ... [0.5] ... expected a list of integers, one vote a source ... Write -1",
        ),
        "column of two widths, to be combined": (
            lambda folder: from_votes([[0], [1, 1]]),
            "[1, 2] votes ... expected as many in every row ... Write -1",
        ),
        "missing votes, to be combined": (
            lambda folder: from_votes([[0], None]),
            "row 1 ... None ... expected a list of integers, one vote a source ... Write -1",
        ),
        "unknown way to combine": (
            lambda folder: from_votes([[0]], aggregate="majority"),
            "aggregate='majority' ... expected ... Did you mean 'majority_vote'",
        ),
        "majority over ragged votes": (
            lambda folder: majority_vote([[0, 1], [0]], 2),
            "[1, 2] entries ... expected as many ... Give a table",
        ),
        "majority over fractions": (
            lambda folder: majority_vote(table / 2, 2),
            "float64 ... expected integers ... astype(int)",
            TypeError,
        ),
        "one class to combine into": (lambda folder: majority_vote(table, 1), "num_classes=1 ... expected 2 or more"),
        "number of classes as text": (
            lambda folder: majority_vote(table, "2"),
            "num_classes='2' ... expected 2 or more",
        ),
        "label model of one source": (
            lambda folder: label_model_probabilities(table[:, :1], 2),
            "1 sources ... 3 or more ... Use majority_vote",
        ),
        "label model without an epoch": (
            lambda folder: label_model_probabilities(table, 2, epochs=0),
            "epochs=0 ... expected a whole number of epochs",
        ),
        "hard labels of words": (lambda folder: hard_labels(np.array([["a", "b"]])), "['a', 'b'] ... expected numbers"),
        "hard labels of nan": (
            lambda folder: hard_labels(np.array([[np.nan, 1.0]])),
            "[nan, 1.0] ... expected finite numbers ... softmax",
        ),
    }


def from_votes(column: list[Any], **more: Any) -> datasets.Dataset:
    return labels_from_votes(datasets.Dataset.from_dict({"weak_labels": column}), 2, **more)


def gold_columns() -> Cases:
    shorter = [{"input_ids": [1], "labels": 0, "gold": 1}, {"input_ids": [1], "labels": 1}]
    return {
        "gold column that is missing": (
            trains(gold_column="gold"),
            "gold_column='gold' ... no such column ... Known: input_ids",
        ),
        "gold column by number": (trains(gold_column=3), "gold_column=3 ... no such column ... Known: input_ids"),
        "gold outside the classes": (
            gold(0, 5),
            "'gold', row 1: label 5 ... expected a class in [0, 3) ... num_labels=6",
        ),
        "gold fractions": (gold(0.5, 1.0), "'gold', row 0: label 0.5 ... expected a class id"),
        "gold vectors": (
            gold([1.0, 0, 0], [0, 1.0, 0]),
            "'gold', row 0 ... [1.0, 0.0, 0.0] ... expected one class a row ... Write -1",
        ),
        "gold of two lengths": (gold([1, 0], [1]), "'gold', row 1: label [1] ... expected a class id ... Unwrap"),
        "gold names": (gold("a", "b"), "'gold', row 0: label 'a' ... expected a class of the model ... label2id"),
        "gold of fewer rows": (
            trains(lambda: shorter, gold_column="gold"),
            "row 1 ... no 'gold' ... expected the same keys ... Write None",
        ),
    }


def models() -> Cases:
    outside = {"a": 0, "b": 1, "c": 7}
    return {
        "name of a model": (
            plain("bert-base-uncased"),
            "model='bert-base-uncased' ... expected a model that is loaded ... AutoModelForSequenceClassification",
            TypeError,
        ),
        "class of a model": (
            plain(lambda: tiny_model),
            "no nn.Module ... expected a classifier ... AutoModelForSequenceClassification",
            TypeError,
        ),
        "module without a number of classes": (
            lambda folder: NoisyTrainer(torch.nn.Identity(), args_of(folder), eval_dataset=[]),
            "Identity without a config ... expected an attribute num_labels ... Set model.num_labels",
            TypeError,
        ),
        "module without an encoder": (
            plain(BagOfWords, callbacks=[Neighbours()]),
            "Neighbours with BagOfWords: it reads encoder vectors ... Neighbours(vectors=...)",
        ),
        "module without a table of embeddings": (
            plain(BagOfWords, callbacks=[DivideMix()]),
            "DivideMix with BagOfWords: it mixes word embeddings ... reads logits only",
        ),
        "module with another number of outputs": (
            plain(lambda: BagOfWords(outputs=5, num_labels=3)),
            "5 logits a row: expected 3 ... model.num_labels = 5",
        ),
        "encoder without a head": (
            plain(lambda: BertModel(encoder_config())),
            "BertModel ... no classification head ... AutoModelForSequenceClassification",
            TypeError,
        ),
        "head for each token": (
            trains(model=lambda: BertForTokenClassification(encoder_config())),
            "logits of shape (4, 6, 3) ... expected (4, classes) ... sequence classification",
        ),
        "regression head": (
            trains(model=lambda: tiny_model(1)),
            "num_labels=1 ... expected a single-label classifier with at least 2 classes ... num_labels=K",
        ),
        "problem_type regression": (
            trains(model=lambda: tiny_model(problem_type="regression")),
            "problem_type='regression' ... expected a single-label classifier with at least 2 classes ... num_labels=K",
        ),
        "multi-label head": (
            trains(model=lambda: tiny_model(problem_type="multi_label_classification")),
            "problem_type='multi_label_classification' ... expected a single-label classifier with at least 2 classes ... num_labels=K",
        ),
        "config changed after the head was made": (
            trains(model=lambda: renumbered(tiny_model())),
            "num_labels=5 ... made for 3 ... expected the same ... Load the model with num_labels=5",
        ),
        "two classes of one name": (
            trains(
                lambda: token_dataset(2, ["a", "b"]), model=lambda: tiny_model(id2label=LOST, label2id={"a": 1, "b": 2})
            ),
            "id2label={0: 'a', 1: 'a' ... expected one name ... Load the model",
        ),
        "name of a class outside the head": (
            trains(
                lambda: token_dataset(2, ["a", "c"]),
                model=lambda: tiny_model(id2label={0: "a", 1: "b", 2: "c"}, label2id=outside),
            ),
            "label2id={'a': 0, 'b': 1, 'c': 7} ... expected one name ... Load the model",
        ),
    }


def other_sets() -> Cases:
    def rows(*labels: Any) -> Callable[[], datasets.Dataset]:
        return lambda: token_dataset(len(labels), list(labels), seed=7)

    def raw() -> datasets.Dataset:
        return datasets.Dataset.from_dict({"text": ["a"], "labels": [0]})

    return {
        "evaluation label outside": (
            trains(eval_dataset=rows(0, 7)),
            "eval_dataset, row 1: label 7 ... expected a class in [0, 3) ... num_labels=8",
        ),
        "one of two evaluation sets": (
            trains(eval_dataset=lambda: {"a": rows(0)(), "b": rows(7)()}),
            "eval_dataset['b'], row 0: label 7 ... expected a class ... num_labels=8",
        ),
        "evaluation of raw text": (
            trains(eval_dataset=raw),
            "eval_dataset has columns text, labels ... expected tokenized text ... Tokenize first",
        ),
        "evaluation set that is empty": (
            trains(eval_dataset=lambda: rows(0)().select([])),
            "eval_dataset is empty ... expected at least one row ... Check the split",
        ),
        "evaluation set by its name": (
            trains(eval_dataset="imdb"),
            "eval_dataset is 'imdb' ... expected rows ... load_dataset",
            TypeError,
        ),
        "evaluation names that nobody numbered": (
            trains(eval_dataset=rows("a", "b", "c")),
            "eval_dataset, row 0: label 'a' ... expected a class of the model ... label2id",
        ),
        "evaluation tokens outside the vocabulary": (
            trains(eval_dataset=tokens([99])),
            "eval_dataset, row 0: holds the token 99 ... expected 0 to 39 ... resize",
        ),
        "no clean rows where they are needed": (
            trains(**GLC, clean_dataset=None),
            "GoldLossCorrection ... clean_dataset=None ... Pass NoisyTrainer(clean_dataset=...)",
        ),
        "no clean rows for a mentor": (
            trains(noise_method="mentornet_dd", clean_dataset=None),
            "MentorNet ... clean_dataset=None ... Pass NoisyTrainer(clean_dataset=...)",
        ),
        "clean rows that are empty": (
            trains(**GLC, clean_dataset=lambda: rows(0)().select([])),
            "clean_dataset is empty ... expected at least one row",
        ),
        "clean rows that abstain": (
            trains(**GLC, clean_dataset=rows(-1, -1)),
            "clean_dataset: all 2 rows abstain ... expected at least one label",
        ),
        "clean label outside": (
            trains(**GLC, clean_dataset=rows(0, 5)),
            "clean_dataset, row 1: label 5 ... expected a class in [0, 3) ... num_labels=6",
        ),
        "clean raw text": (
            trains(**GLC, clean_dataset=raw),
            "clean_dataset has columns text, labels ... expected tokenized text ... Tokenize",
        ),
        "clean stream": (
            trains(**GLC, clean_dataset=lambda: rows(0)().to_iterable_dataset()),
            "clean_dataset is a stream ... streaming=False",
            TypeError,
        ),
        "clean rows in a file": (
            trains(**GLC, clean_dataset="gold.csv"),
            "clean_dataset is 'gold.csv' ... expected rows ... load_corpus",
            TypeError,
        ),
        "clean rows without the mask": (
            trains(**GLC, clean_dataset=lambda: rows(0, 1)().remove_columns("attention_mask")),
            "no column 'attention_mask' ... Tokenize both",
        ),
        "clean untrusted label outside": (
            trains(**GLC, clean_dataset=lambda: rows(0, 1)().add_column("given", [0, 8])),
            "'given', row 1: label 8 ... expected a class in [0, 3) ... num_labels=9",
        ),
        "clean rows without untrusted labels": (
            trains(**GLC, noise_kwargs={"matrix_from": "given"}, clean_dataset=rows(0, 1, 2)),
            "matrix_from='given' ... Expected a column `given` ... matrix_from='model'",
        ),
    }


_NO_FLAG = "yes"
# A value outside the domain of each parameter, whatever method takes it.
OUTSIDE: dict[str, Any] = {
    "alpha": -1, "beta": -0.1, "by_class": _NO_FLAG, "ema_decay": 1.0, "epsilon": 1.0, "every": 0.0, "gamma": -1, "k": 1.0,
    "class_prior": [0.5, 0.4], "clean_epochs": -1, "clean_threshold": 1.0, "co_lambda": 90, "confidence": 60, "contrast": -1, "correction": 2,
    "augmentation": "word_droput", "balance": _NO_FLAG, "channel_learning_rate": 0, "decay": 1.0, "disagreements": 0,
    "doubt": "labels", "doubt_below": 0, "early_stopping": _NO_FLAG, "example_dropout": 50, "first_stage": 0, "folds": "wieght", "forget_rate": 40,
    "hidden_share": 1.0, "hide": 50, "how": "kepe", "kind": "sotf", "lam": -3, "lambda_p": -1, "lambda_r": -1,
    "lambda_u": -1, "log_zero": 4.0, "loss_percentile": 70, "matrix": [[0.9, 0.2, 0], [0, 1, 0], [0, 0, 1]],
    "matrix_from": "modle", "max_condition": 0, "min_count": 0, "min_labels": 1, "models": "sevral", "momentum": 1.0, "neighbours": 0, "noise_rate": 40,
    "nonnegative": _NO_FLAG, "precision": 90, "prior": -1, "q": 2, "ramp_epochs": -1, "rate": 20, "refresh": "eopch",
    "refresh_epochs": 0, "rounds": 0, "regularizer": "trcae", "regularizer_weight": -1, "schedule": "fixde", "score": "cut",
    "share": 60, "sharpen": _NO_FLAG, "refine": _NO_FLAG, "sources": "vots", "start": -1, "targets": "sfot", "temperature": 0, "threshold": 95, "tokens": [[2]],
    "trained_views": 3, "vectors": [[float("nan")]], "warmup": 40, "warmup_epochs": -1, "weight": -1, "weight_penalty": -1,
}  # fmt: skip
_NAMED = {
    "class_prior": "class_prior[0] sums to",
    "matrix": "matrix[0] sums to",
    "tokens": "tokens[0]",
    "vectors": "vectors[0]",
}  # a row of the value


def parameters() -> Cases:
    """One value outside the domain of each parameter of each method."""
    cases: Cases = {}
    for method, what in METHODS.items():
        for name, default in what.parameters.items():
            value = _NO_FLAG if isinstance(default, bool) else OUTSIDE[name]
            values = {name: value}
            make = trains(noise_method=method, noise_kwargs=values) if name == "matrix" else checked(method, values)
            says = f"{_NAMED.get(name, f'{name}={value!r}')} ... expected"
            cases[f"{method}, {name}"] = (make, says, TypeError if value == _NO_FLAG else ValueError)
    return cases


def checked(method: str, values: dict[str, Any]) -> Callable[[Path], object]:
    return lambda folder: check_methods(method, values)


def combinations() -> Cases:
    return {
        "threshold of chance": (
            trains(noise_method="pseudo_labeling", noise_kwargs={"threshold": 0.33}),
            "threshold=0.33 ... expected a number in (1/3, 1] ... Raise it",
        ),
        "threshold of chance, for two views": (
            trains(noise_method="consistency", noise_kwargs={"kind": "fixmatch", "threshold": 0.33}),
            "threshold=0.33 ... expected a number in (1/3, 1] ... Use 0.95",
        ),
        "no row to guess the label of": (
            trains(noise_method="pseudo_labeling", noise_kwargs={"doubt": None}),
            'none of the 20 training rows is unlabeled ... Use doubt="model"',
        ),
        "unknown method": (named("gcee"), "unknown method 'gcee' ... Did you mean 'gce'"),
        "unknown method in a sum": (named("gce+mea"), "unknown method 'mea' ... Did you mean 'mae'"),
        "a sum that ends with +": (named("gce+"), "unknown method '' ... Known: ce"),
        "methods in a list": (named(["gce"]), "noise_method=['gce'] ... expected a name", TypeError),
        "a criterion for a name": (
            named(GeneralizedCrossEntropy()),
            "noise_method=Generalized ... expected a name ... criterion=",
            TypeError,
        ),
        "a method twice": (named("gce+gce"), "'gce+gce' ... names a method twice ... Name each once"),
        "unknown parameter": (named("gce", {"Q": 0.5}), "'Q' is no parameter of gce ... Known: q"),
        "parameter that is a number": (named("gce", {1: 0.5}), "1 is no parameter of gce ... Known: q"),
        "unknown nested parameter": (
            named("co_teaching+gce", {"gce": {"p": 0.5}}),
            "'p' is no parameter of gce ... Known: q",
        ),
        "parameter of two methods": (
            named("gce+gce_truncated", {"q": 0.5}),
            "'q' is a parameter of gce and gce_truncated ... Say whose it is",
        ),
        "parameters without a method": (
            named(None, {"q": 0.5}),
            "'q' is given, but no noise_method that could take it",
        ),
        "parameters that are no JSON": (
            named("gce", "{q: 0.5}"),
            "noise_kwargs='{q: 0.5}' ... expected a JSON object ... {\"q\": 0.5}",
        ),
        "parameters that are a JSON list": (named("gce", "[1]"), "noise_kwargs=[1] ... expected a JSON object"),
        "parameter that is null": (
            named("gce", '{"q": null}'),
            "q=None ... expected a number in (0, 1] ... Did you mean 0.7",
            TypeError,
        ),
        "parameter that is a word": (
            named("gce", '{"q": "0.5"}'),
            "q='0.5' ... expected a number in (0, 1] ... Did you mean 0.7",
            TypeError,
        ),
        "parameter that is NaN": (
            named("gce", '{"q": NaN}'),
            "q=nan ... expected a number in (0, 1] ... Did you mean 0.7",
        ),
        "two criteria by name": (named("gce+sce"), "2 criteria: GeneralizedCrossEntropy(q=0.7) ... Expected one"),
        "a criterion beside a name": (
            trains(noise_method="gce", criterion=MeanAbsoluteError()),
            "2 criteria ... MeanAbsoluteError() ... Expected one",
        ),
        "a criterion beside a callback's": (
            trains(callbacks=lambda: [TruncatedGCE()], criterion=MeanAbsoluteError()),
            "2 criteria ... MeanAbsoluteError() ... Expected one",
        ),
        "two that choose small losses": (
            named("co_teaching+jocor"),
            "CoTeaching and JoCoR ... Expected one ... leave one of them out",
        ),
        "a callback twice": (
            trains(callbacks=lambda: [CoTeaching(), CoTeaching()]),
            "CoTeaching and CoTeaching ... Expected one ... leave one of them out",
        ),
        "two that split by losses": (
            named("dividemix+selfmix"),
            "DivideMix and SelfMix ... Expected one ... leave one of them out",
        ),
        "two noise channels": (
            named("forward+backward"),
            "ForwardCorrection and BackwardCorrection ... Expected one ... leave one of them out",
        ),
        "targets that pass no channel": (
            named("self_training+forward"),
            "SelfTraining and ForwardCorrection ... Leave one of them out",
        ),
        "a matrix and a rate": (
            named("noise_adaptation", {"matrix": [[1, 0], [0, 1]], "rate": 0.2}),
            "matrix and rate=0.2 ... expected one of them",
        ),
        "rates of two classes for three": (
            trains(noise_method="co_teaching", noise_kwargs={"forget_rate": [0.1, 0.2]}),
            "forget_rate=[0.1, 0.2] ... expected 3 rates",
        ),
        "matrix of two classes for three": (
            trains(noise_method="forward", noise_kwargs={"matrix": [[1, 0], [0, 1]]}),
            "matrix of 2 classes ... expected 3 ... Give a row",
        ),
        "ragged matrix": (
            trains(noise_method="forward", noise_kwargs={"matrix": [[0.9, 0.1], [1]]}),
            "expected rows of equal length ... [[0.9, 0.1], [1]]",
        ),
        "matrix that cannot be inverted": (
            trains(noise_method="backward", noise_kwargs={"matrix": [[0.502, 0.498, 0], [0.498, 0.502, 0], [0, 0, 1]]}),
            "condition number 250 ... expected at most 100 ... Use forward",
        ),
        "vectors of one row for twenty": (
            trains(noise_method="neighbours", noise_kwargs={"vectors": [[1.0, 2.0]]}),
            "vectors has 1 rows ... expected 20",
        ),
        "mask token without a tokenizer": (
            trains(noise_method="rule_masking", noise_kwargs={"how": "mask_token"}),
            'how="mask_token" ... Pass one as processing_class',
        ),
        "doubt by votes without votes": (
            trains(noise_method="pseudo_labeling", noise_kwargs={"doubt": "label_model"}),
            "PseudoLabeling ... without votes ... Expected a column weak_labels",
        ),
    }


def corpora() -> Cases:
    half = "\ud800"
    good = {"label": 0, "data": {"text": "a"}, "weak_labels": [0, 1]}
    return {
        "corpus without a source": (lambda folder: load_corpus(None), "source=None ... expected a path", TypeError),
        "corpus with half a character": (
            rows_file([{"text": half, "label": "x"}]),
            "row '0': text holds '\\ud800' ... expected text that UTF-8 can write ... Drop it",
        ),
        "corpus with a class of half a character": (
            rows_file([{"text": "a", "label": half}]),
            "'\\ud800' ... expected text that UTF-8 can write ... Drop it",
        ),
        "corpus of empty texts": (
            rows_file([{"text": " ", "label": "x"}, {"text": "", "label": "y"}], all_rows=True),
            "row '0': text is ' ', and no row has a text ... expected a text ... Name another text_column",
        ),
        "corpus with an id twice": (
            rows_file([{"id": 7, "text": "a", "label": "x"}, {"id": 7, "text": "b", "label": "y"}], all_rows=True),
            "id '7' is repeated, in rows 0, 1 ... expected an id for each row ... id_column=''",
        ),
        "corpus of a number": (lambda folder: load_corpus(3), "source=3 ... expected a path", TypeError),
        "corpus of pairs with an empty second text": (
            rows_file([{"text": "a", "text_pair": " ", "label": "x"}], text_pair_column="text_pair"),
            "row '0': text is 'a', and no row has both texts ... expected two texts",
        ),
        "corpus with one column for both texts": (
            rows_file([], text_pair_column="text"),
            "text_pair_column='text' is text_column too ... expected the column of the second texts ... Name another",
        ),
        "corpus with a label for the second text": (
            rows_file([], text_pair_column="label"),
            "text_pair_column='label' is label_column too ... expected a column of texts ... Name another",
        ),
        "corpus without the second texts": (
            rows_file([{"text": "a", "text_pai": "b", "label": "x"}], text_pair_column="text_pair"),
            "no column 'text_pair' ... Did you mean 'text_pai' ... Name it with text_pair_column",
        ),
        "corpus of pairs without their columns": (
            rows_file([{"premise": "a", "hypothesis": "b", "label": "x"}], all_rows=True),
            "no column 'text' ... 'premise' and 'hypothesis' ... --text_column premise --text_pair_column hypothesis",
        ),
        "corpus of one class": (
            rows_file([]),
            "all labels are 'y' ... expected two classes or more ... Check that label_column",
        ),
        "corpus of words in one source and numbers in another": (
            lambda folder: load_corpus(
                [{"text": "a", "x": 0, "y": "bad"}, {"text": "b", "x": 1, "y": "good"}], votes_columns=["x", "y"]
            ),
            "words and numbers are mixed ... x is 0 ... Write all labels in one way",
        ),
        "corpus with scores for labels": (
            rows_file([{"text": "a", "label": 0.5}]),
            "label looks like a score ... 2 distinct values ... such as 0.5 ... with a threshold",
        ),
        "corpus with several classes a row": (
            rows_file([{"text": "a", "label": ["x", "y"]}]),
            "row '0': label is ['x', 'y'] ... expected a class ... not supported",
        ),
        "corpus with a quote that never closes": (
            lambda folder: load_corpus(_file(folder, 'text,label\n"a,x\nb,y\n')),
            "line 2: a quote opens and never closes ... Copy it again",
        ),
        "corpus with more cells than names": (
            lambda folder: load_corpus(_file(folder, "text,label\na,x\nb,y,z\n")),
            "line 3: has 3 cells, where the header has 2 names ... separator=",
        ),
        "corpus in an encoding that nobody knows": (
            lambda folder: load_corpus(_file(folder, "text,label\na,x\n"), encoding="utf-9"),
            "encoding='utf-9': unknown ... Expected a name that Python knows",
        ),
        "corpus without the label column": (
            rows_file([{"text": "a", "lable": "x"}], all_rows=True),
            "no column 'label' ... Did you mean 'lable'",
        ),
        "WRENCH with two classes of one name": (
            wrench(good, {"0": "a", "1": "a"}),
            "classes 0 and 1 are both 'a' ... expected a name each ... Rename one",
        ),
        "WRENCH vote outside": (
            wrench({**good, "weak_labels": [0, 9]}),
            "row '1': the vote of source 1 is 9 ... expected a class of label.json",
        ),
        "WRENCH vote true": (
            wrench({**good, "weak_labels": [0, True]}),
            "the vote of source 1 is True ... expected a class of label.json",
        ),
        "WRENCH gold nan": (
            wrench({**good, "label": float("nan")}),
            "the gold label is nan ... expected a class of label.json",
        ),
    }


def _file(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def rows_file(rows: list[dict[str, Any]], *, all_rows: bool = False, **columns: str) -> Callable[[Path], object]:
    """A corpus of these rows, and one more that is right."""

    def make(folder: Path) -> object:
        path = folder / "rows.json"
        path.write_text(json.dumps([*rows, *([] if all_rows else [{"text": "b", "label": "y"}])]))
        return load_corpus(path, label_column="label", **columns)

    return make


def wrench(row: dict[str, Any], names: dict[str, str] | None = None) -> Callable[[Path], object]:
    def make(folder: Path) -> object:
        (folder / "label.json").write_text(json.dumps(names or {"0": "a", "1": "b"}))
        for split in ("train", "valid", "test"):
            (folder / f"{split}.json").write_text(json.dumps({"1": row}))
        return load_corpus(folder)

    return make


# ---- checkpoints ----

SAVED = {"save_strategy": "steps", "save_steps": 2, "max_steps": 2}
_WRITTEN = tempfile.TemporaryDirectory()


@functools.cache
def written(method: str) -> Path:
    """A whole checkpoint of 20 rows and 3 classes."""
    folder = Path(_WRITTEN.name, method)
    make_trainer(folder, noise_method=method, **SAVED).train()
    return folder / "checkpoint-2"


def resumed(
    spoil: Callable[[Path], object] = lambda checkpoint: None,
    *,
    wrote: str = "gce",
    dataset: Callable[[], Any] | None = None,
    **arguments: Any,
) -> Callable[[Path], Made]:
    """A trainer with these settings, and a checkpoint of another training that was spoiled."""

    def make(folder: Path) -> Made:
        checkpoint = folder / "checkpoint-2"
        shutil.copytree(written(wrote), checkpoint)
        named = spoil(checkpoint)
        given = {**SAVED, "noise_method": wrote, "max_steps": 4, **arguments}
        trainer = trains(dataset, **given)(folder)
        return trainer, named if isinstance(named, bool) else str(named or checkpoint)

    return make


def cut(name: str) -> Callable[[Path], None]:
    def spoil(checkpoint: Path) -> None:
        path = checkpoint / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return spoil


def crafted(craft: Callable[[dict[str, torch.Tensor], dict[str, str]], object]) -> Callable[[Path], None]:
    """The methods' state with other tensors or metadata."""

    def spoil(checkpoint: Path) -> None:
        with safe_open(checkpoint / STATE_NAME, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        craft(tensors, metadata)
        save_file(tensors, checkpoint / STATE_NAME, metadata=metadata)

    return spoil


def without(name: str) -> Callable[[Path], None]:
    def spoil(checkpoint: Path) -> None:
        path = checkpoint / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def last_one(checkpoint: Path) -> bool:
    (checkpoint / TRAINER_STATE_NAME).unlink()
    return True


def saved_model(checkpoint: Path) -> Path:
    (checkpoint / TRAINER_STATE_NAME).unlink()
    return checkpoint.rename(checkpoint.with_name("model"))


def checkpoints() -> Cases:
    rows = functools.partial(token_dataset, 20)
    return {
        "checkpoint of another criterion": (
            resumed(noise_method="mae"),
            "criterion 'GeneralizedCrossEntropy(q=0.7)', this run has 'MeanAbsoluteError()' ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of another parameter": (
            resumed(noise_kwargs={"q": 0.5}),
            "(q=0.7)', this run has 'GeneralizedCrossEntropy(q=0.5)' ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of another parameter of a callback": (
            resumed(wrote="elr", noise_kwargs={"beta": 0.5}),
            """written with noise_kwargs '{}', this run has '{"elr": {"beta": 0.5}}' ... Resume with the settings""",
        ),
        "checkpoint of another method": (
            resumed(noise_method="elr"),
            "written with methods 'ExampleDynamics', this run has 'ExampleDynamics+Early ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of one network for two": (
            resumed(noise_method="co_teaching"),
            "written with methods 'ExampleDynamics' ... CoTeaching ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of two networks for one": (
            resumed(wrote="co_teaching", noise_method="gce"),
            "CoTeaching ... this run has 'ExampleDynamics' ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint without the noise channel": (
            resumed(noise_method="forward"),
            "written with methods 'ExampleDynamics' ... ForwardCorrection ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of another class count": (
            resumed(dataset=lambda: rows(classes=4), model=lambda: tiny_model(4)),
            "classes '3', this run has '4' ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of more rows": (
            resumed(dataset=lambda: token_dataset(16)),
            "rows '20', this run has '16' ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of other labels": (
            resumed(dataset=lambda: rows([0, 1] * 10)),
            "written with labels ... another order. Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of another order": (
            resumed(dataset=lambda: rows().select(range(19, -1, -1))),
            "written with labels ... another order. Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of other texts": (
            resumed(dataset=lambda: rows(rows()["labels"][:], seed=5)),
            "written with tokens ... other texts ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of another version": (
            resumed(crafted(lambda t, m: m.update(version="1"))),
            "version '1', this run has '3' ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint of an unknown writer": (
            resumed(crafted(lambda t, m: m.clear())),
            "version None ... Resume with the settings that wrote the checkpoint",
        ),
        "checkpoint without progress": (
            resumed(without(TRAINER_STATE_NAME)),
            "no trainer_state.json ... Expected a whole checkpoint ... resume_from_checkpoint=True",
        ),
        "half the progress": (
            resumed(cut(TRAINER_STATE_NAME)),
            "trainer_state.json is cut short ... Expected a whole checkpoint",
        ),
        "progress that is a list": (
            resumed(lambda folder: (folder / TRAINER_STATE_NAME).write_text("[]") and None),
            "trainer_state.json is cut short ... Expected a whole checkpoint",
        ),
        "progress nested without end": (
            resumed(lambda folder: (folder / TRAINER_STATE_NAME).write_text("[" * 100000) and None),
            "trainer_state.json is cut short ... Expected a whole checkpoint",
        ),
        "half the methods' state": (
            resumed(cut(STATE_NAME)),
            "noise_state.safetensors cannot be read ... Expected a whole checkpoint",
        ),
        "state with a header of 4 exabytes": (
            resumed(lambda folder: (folder / STATE_NAME).write_bytes(struct.pack("<Q", 1 << 62) + b"{}") and None),
            "cannot be read ... Expected a whole checkpoint",
        ),
        "state of uncountable processes": (
            resumed(crafted(lambda t, m: m.update(processes="9" * 5000))),
            "processes='999 ... no count",
        ),
        "no whole checkpoint at all": (
            resumed(last_one),
            "no whole checkpoint ... trainer_state.json ... Start afresh",
        ),
        "folder of save_model": (resumed(saved_model), "no trainer_state.json ... not what save_model() wrote"),
        "checkpoint without the second network": (
            resumed(without("network-1"), wrote="co_teaching"),
            "holds 1 network(s), this run has 2 ... Resume with the method",
        ),
    }


def all_cases() -> list[Case]:
    groups = {
        "arguments": arguments(),
        "training set": training_sets(),
        "labels": labels(),
        "votes": votes(),
        "gold": gold_columns(),
        "model": models(),
        "other sets": other_sets(),
        "parameter": parameters(),
        "methods": combinations(),
        "corpus": corpora(),
        "checkpoint": checkpoints(),
    }
    return [Case(f"{group}: {name}", *rest) for group, cases in groups.items() for name, rest in cases.items()]


def main() -> int:
    found, accepted = [], 0
    for case in all_cases():
        with tempfile.TemporaryDirectory() as folder:
            try:
                found.append(refusal(case, Path(folder)))
            except Exception as error:
                accepted += 1
                print(f"{case.name}: {error!r}", flush=True)
    if not accepted:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(HEAD + "".join(found), encoding="utf-8")
    print(f"{len(found) + accepted} inputs tried, {len(found)} refused, {accepted} accepted")
    return int(accepted > 0)


if __name__ == "__main__":
    sys.exit(main())
