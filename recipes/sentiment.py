"""From texts and labeling functions to a classifier that withstood their mistakes, and the evidence that it did.

    accelerate launch recipes/sentiment.py

writes short reviews, lets labeling functions vote on them, and prints how often these are wrong and what gold test labels
say of majority vote, Snorkel's label model, cross-entropy on the votes, the robust method on the same votes, and
cross-entropy on gold labels. It needs no download and ends within 5 minutes on two cores. The robust model is saved into
--output_dir, the table beside it. Any corpus and encoder, several seeds, any method:

    accelerate launch recipes/sentiment.py --dataset PATH_OR_NAME --model_name_or_path PATH_OR_NAME --seeds 0 1 2
    accelerate launch recipes/sentiment.py --noise_method sce --noise_kwargs '{"alpha": 0.1}'
    accelerate launch recipes/sentiment.py --config recipes/configs/sentiment.yaml

On two processes of a machine without a GPU (both flags are needed):

    accelerate launch --multi_gpu --num_processes 2 recipes/sentiment.py --use_cpu True
"""

from __future__ import annotations

import copy
import json
import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path

import datasets
import numpy as np
from accelerate import PartialState
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from hf_noisy import (
    METHODS,
    Corpus,
    NoisyTrainer,
    NoisyTrainingArguments,
    compute_metrics,
    hard_labels,
    label_model_probabilities,
    load_corpus,
    majority_vote,
    summarize_votes,
)
from hf_noisy.embedded import embedded_corpus
from hf_noisy.launching import check_launched, leave_process_group, parse_arguments
from hf_noisy.methods import split_names
from hf_noisy.review_rules import labeling_functions
from hf_noisy.reviews import small_encoder
from hf_noisy.splits import split_corpus, tokenize, with_labels
from hf_noisy.weak import covered, votes_of

Table = dict[str, dict[str, float]]  # row -> metric -> value


@dataclass
class RecipeArguments:
    """What to train on."""

    dataset: str | None = field(
        default=None,
        metadata={
            "help": "A folder in the WRENCH layout, a CSV or JSONL file, or a dataset on the Hub. None: reviews."
        },
    )
    model_name_or_path: str | None = field(
        default=None, metadata={"help": "A pretrained encoder. None: a small one, trained from scratch."}
    )
    text_column: str = field(default="text", metadata={"help": "For plain files and datasets."})
    label_column: str | None = field(default=None, metadata={"help": "The column of labels that are not trusted."})
    votes_columns: list[str] | None = field(default=None, metadata={"help": "Or one column a source."})
    gold_column: str | None = field(default=None, metadata={"help": "True labels, for measuring only."})
    max_length: int = field(default=128, metadata={"help": "Tokens of a text; the rest is cut."})
    max_train_rows: int | None = field(default=None, metadata={"help": "Train on a random part of this size."})
    seeds: list[int] | None = field(default=None, metadata={"help": "Run all of it for each; the first one is saved."})


@dataclass
class SentimentArguments(NoisyTrainingArguments):
    """Defaults for the embedded corpus; --help lists every field."""

    output_dir: str = field(default="output/sentiment")
    noise_method: str | None = field(default="gce")
    num_train_epochs: float = field(default=8)  # from scratch; 3 or 4 do for a pretrained encoder
    per_device_train_batch_size: int = field(default=32)
    learning_rate: float = field(default=1e-3)  # from scratch; 1e-4 for a pretrained encoder of this size
    warmup_steps: float = field(default=0.1)
    save_strategy: str = field(default="no")  # the robust model is saved at the end
    report_to: str = field(default="none")
    logging_steps: float = field(default=50)
    dataloader_pin_memory: bool = field(default=False)


@dataclass(frozen=True)
class Data:
    """The splits of one seed, and what their votes say."""

    class_names: tuple[str, ...]
    weak: datasets.Dataset  # training rows with their majority vote, ties at random; uncovered rows left out
    every: datasets.Dataset  # the same with the uncovered rows, label -1: for methods that learn from them
    gold: datasets.Dataset  # training rows with their gold labels: for the ceiling only
    valid: datasets.Dataset  # labels as wrong as those of training; what a checkpoint may be chosen by
    clean: datasets.Dataset  # validation rows with their gold labels, and those given: for methods that ask for some
    test: datasets.Dataset  # gold labels


def main() -> None:
    recipe, args = parse_arguments([RecipeArguments, SentimentArguments], description=__doc__)
    check_launched(args)
    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()  # those of training are shown
    seeds = recipe.seeds or [args.seed]
    tables: dict[int, Table] = {}
    for position, seed in enumerate(seeds):
        folder = Path(args.output_dir) if position == 0 else Path(args.output_dir, f"seed-{seed}")
        tables[seed] = run(recipe, replace(args, seed=seed, data_seed=seed, output_dir=str(folder)))
    if PartialState().is_main_process:
        text = render(tables)
        print(text)
        Path(args.output_dir, "results.md").write_text(text + "\n", encoding="utf-8")
        Path(args.output_dir, "results.json").write_text(json.dumps(tables, indent=2), encoding="utf-8")
    leave_process_group()


def run(recipe: RecipeArguments, args: SentimentArguments) -> Table:
    """Everything for one seed: row of the table -> metric -> value."""
    data, table = prepare(recipe, args.seed)
    model, tokenizer = encoder(recipe, args.seed, data)
    unlabeled = any(METHODS[name].reads_unlabeled for name in split_names(args.noise_method))
    rows = {
        "cross-entropy on weak labels": (baseline(args, "ce-weak"), data.weak),
        f"{args.noise_method} on weak labels": (args, data.every if unlabeled else data.weak),
        "cross-entropy on gold labels": (baseline(args, "ce-gold"), data.gold),
    }
    for title, (settings, labeled) in rows.items():
        if len(labeled):
            say(f"\n{title}: {len(labeled)} rows, seed {args.seed}")
            save = settings is args
            table[title] = train(recipe, settings, copy.deepcopy(model), tokenizer, labeled, data, save=save)
    return table


def prepare(recipe: RecipeArguments, seed: int) -> tuple[Data, Table]:
    """Votes to labels; the rows of the table that need no training."""
    corpus = embedded_corpus(seed) if recipe.dataset is None else load(recipe.dataset, recipe)
    train, valid, test = split_corpus(corpus, seed, max_train_rows=recipe.max_train_rows)
    classes, votes, test_votes = corpus.num_classes, votes_of(train), votes_of(test)
    labels = hard_labels(majority_vote(votes, classes), seed=seed)
    gold, test_gold = np.array(train["gold"][:]), np.array(test["gold"][:])
    measured = (labels >= 0) & (gold >= 0)
    table: Table = {"weak labels": {"coverage": float((labels >= 0).mean())}}
    if measured.any():
        table["weak labels"]["error"] = float((labels != gold)[measured].mean())
    names = [rule.name for rule in labeling_functions()] if recipe.dataset is None else None
    say(summarize_votes(votes, names=names, gold=gold).to_string(float_format="{:.3f}".format))

    commonest = int(np.bincount(labels[labels >= 0], minlength=classes).argmax())  # for test rows without a vote
    if not (test_gold >= 0).any():
        say("no gold labels in the test rows: what follows is agreement with their labels as they came")
        test_gold = hard_labels(majority_vote(test_votes, classes), seed=seed)
    elif covered(test_votes).any():
        table["majority vote"] = score(majority_vote(test_votes, classes), test_gold, commonest)
        if votes.shape[1] >= 3:  # fewer sources tell nothing of each other
            model = label_model_probabilities(votes, classes, seed=seed, on=test_votes)
            table["Snorkel's label model"] = score(model, test_gold, commonest)

    given = hard_labels(majority_vote(votes_of(valid), classes), seed=seed)
    data = Data(
        corpus.class_names,
        weak=with_labels(train, labels),
        every=with_labels(train, labels, keep_unlabeled=True),
        gold=with_labels(train, gold),
        valid=with_labels(valid, given),
        clean=trusted(valid, given),
        test=with_labels(test, test_gold),
    )
    return data, table


def trusted(valid: datasets.Dataset, given: np.ndarray) -> datasets.Dataset:
    """The rows that have a gold label, with it in `labels` and the one by vote in `given`."""
    gold = np.array(valid["gold"][:])
    rows = with_labels(valid, gold)
    return rows.add_column("given", given[gold >= 0]) if len(rows) else rows


def load(source: str, recipe: RecipeArguments) -> Corpus:
    return load_corpus(
        source,
        text_column=recipe.text_column,
        label_column=recipe.label_column,
        votes_columns=recipe.votes_columns,
        gold_column=recipe.gold_column,
    )


def score(probabilities: np.ndarray, gold: np.ndarray, otherwise: int) -> dict[str, float]:
    """Accuracy and macro-F1 of (rows, classes); a row of zeros is taken for the class `otherwise`."""
    rows = np.where(probabilities.any(-1, keepdims=True), probabilities, np.eye(probabilities.shape[1])[otherwise])
    return compute_metrics(EvalPrediction(predictions=rows, label_ids=gold))


def baseline(args: SentimentArguments, name: str) -> SentimentArguments:
    """The same budget, every label believed; checkpoints, if `args` asks for them, in a folder of their own."""
    return replace(
        args,
        noise_method="ce",
        noise_kwargs=None,
        resume_from_checkpoint=None,
        push_to_hub=False,
        output_dir=str(Path(args.output_dir, "baselines", name)),
    )


def train(
    recipe: RecipeArguments,
    args: SentimentArguments,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: datasets.Dataset,
    data: Data,
    *,
    save: bool,
) -> dict[str, float]:
    """Fine-tune on `rows` and measure the last epoch (or what `load_best_model_at_end` chose on noisy validation)."""

    def tokens(split: datasets.Dataset) -> datasets.Dataset:
        kept = [name for name in ("text", "labels", "weak_labels", "given") if name in split.column_names]
        return tokenize(split.select_columns(kept), tokenizer, recipe.max_length)

    clean = None
    if any(METHODS[name].reads_clean for name in split_names(args.noise_method)) and len(data.clean):
        say(f"{args.noise_method} reads the true labels of {len(data.clean)} validation rows")
        clean = tokens(data.clean)
    trainer = NoisyTrainer(
        model,
        args,
        train_dataset=tokens(rows),
        eval_dataset=tokens(data.valid),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        clean_dataset=clean,
    )
    resume = args.resume_from_checkpoint  # a folder, or True for the last checkpoint in the output folder
    trainer.train(resume_from_checkpoint=True if resume in ("True", "true") else resume)
    measured = trainer.predict(tokens(data.test)).metrics or {}
    if save:
        trainer.evaluate()  # on noisy validation labels, for the model card
        trainer.save_model()
    return {name: measured[f"test_{name}"] for name in ("accuracy", "f1")}


def encoder(recipe: RecipeArguments, seed: int, data: Data) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Where every training of this seed starts from."""
    if recipe.model_name_or_path is None:
        return small_encoder(data.weak["text"][:], data.class_names, seed=seed, max_length=min(recipe.max_length, 64))
    set_seed(seed)  # of the new head
    model = AutoModelForSequenceClassification.from_pretrained(
        recipe.model_name_or_path,
        id2label=dict(enumerate(data.class_names)),
        label2id={name: k for k, name in enumerate(data.class_names)},
    )
    return model, AutoTokenizer.from_pretrained(recipe.model_name_or_path)


def say(text: str) -> None:
    if PartialState().is_main_process:
        print(text, flush=True)


def render(tables: dict[int, Table]) -> str:
    """The mean over seeds, with the standard deviation where there are several."""

    def cell(row: str, metric: str) -> str:
        values = [table[row][metric] for table in tables.values() if metric in table.get(row, {})]
        if not values:
            return ""
        spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.3f}{spread}"

    first = next(iter(tables.values()))
    weak = f"weak labels: coverage {cell('weak labels', 'coverage')}, error {cell('weak labels', 'error') or 'unknown'}"
    lines = [f"| {row} | {cell(row, 'accuracy')} | {cell(row, 'f1')} |" for row in first if row != "weak labels"]
    return "\n".join(["", weak, "", "| | test accuracy | macro-F1 |", "|---|---|---|", *lines, "", margin(tables)])


def margin(tables: dict[int, Table]) -> str:
    """What the robust method gained over cross-entropy on the same labels, seed by seed."""
    gains = []
    for table in tables.values():
        plain = table["cross-entropy on weak labels"]["accuracy"]
        (robust,) = [
            v["accuracy"] for row, v in table.items() if row.endswith(" on weak labels") and "cross" not in row
        ]
        gains.append(robust - plain)
    spread = f"; mean {statistics.mean(gains):+.3f} ± {statistics.stdev(gains):.3f}" if len(gains) > 1 else ""
    return f"gain over cross-entropy on weak labels: {', '.join(f'{gain:+.3f}' for gain in gains)}{spread}"


if __name__ == "__main__":
    main()
