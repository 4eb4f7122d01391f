"""The base class of all recipes. Each step is a method that a recipe may override."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
from accelerate import PartialState
from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed

from hf_noisy.commands.arguments import RecipeArguments
from hf_noisy.common.launching import check_launched, leave_process_group, parse_arguments
from hf_noisy.corpora.embedded import embedded_corpus
from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.corpus import Corpus, load_corpus
from hf_noisy.data.metrics import compute_metrics
from hf_noisy.data.splits import tokenize
from hf_noisy.methods.registry import reads_clean, reads_unlabeled, split_names
from hf_noisy.models.pretrained import check_pretrained
from hf_noisy.recipe.data import Data, gather
from hf_noisy.recipe.table import CEILING, PLAIN, Table, render
from hf_noisy.trainer.arguments import NoisyTrainingArguments
from hf_noisy.trainer.checkpoints import find_checkpoint
from hf_noisy.trainer.noisy_trainer import NoisyTrainer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def setting(name: str, default: Any, *aliases: str) -> Any:
    """Return a dataclass field for a training argument: another default, the same help, and optional aliases.

    The help is that of `NoisyTrainingArguments`.
    """
    help_text = NoisyTrainingArguments.__dataclass_fields__[name].metadata.get("help")
    return field(default=default, metadata={"help": help_text, "aliases": list(aliases)})


@dataclass
class RecipeTrainingArguments(NoisyTrainingArguments):
    """Training arguments with defaults for an embedded corpus; --help_all lists every field."""

    output_dir: str = setting("output_dir", "output/train", "--output")
    noise_method: str = setting("noise_method", "auto", "--method")
    num_train_epochs: float = setting("num_train_epochs", 8, "--epochs")  # from scratch; 3 or 4 if pretrained
    per_device_train_batch_size: int = setting("per_device_train_batch_size", 32, "--batch_size")
    learning_rate: float = setting("learning_rate", 1e-3)  # from scratch; 1e-4 for a pretrained encoder of this size
    warmup_steps: float = setting("warmup_steps", 0.1)
    save_strategy: str = setting("save_strategy", "no")  # the robust model is saved at the end
    report_to: str = setting("report_to", "none")
    logging_steps: float = setting("logging_steps", 50)
    dataloader_pin_memory: bool = setting("dataloader_pin_memory", False)
    seed: int = setting("seed", 42)
    use_cpu: bool = setting("use_cpu", False)
    bf16: bool = setting("bf16", False)


class Recipe:
    """Trains with a method on untrusted labels and saves that model.

    For comparison it also trains with plain cross-entropy on the same labels, and on gold labels as an upper bound.
    Without a corpus it runs on the embedded reviews. A custom recipe overrides a step:

    >>> class Short(Recipe):
    ...     def corpus(self, seed):
    ...         corpus = super().corpus(seed)
    ...         return replace(corpus, train=corpus.train.filter(lambda row: len(row["text"]) < 80))
    """

    arguments: type = RecipeArguments
    training_arguments: type = RecipeTrainingArguments

    def __init__(self, given: Any, args: Any) -> None:
        """Store the parsed options: instances of `arguments` and `training_arguments`."""
        self.given, self.args = given, args

    @classmethod
    def main(
        cls, words: Sequence[str] | None = None, *, description: str | None = None, prog: str | None = None
    ) -> None:
        """Read the command line and a YAML file and run the recipe, also in several processes.

        Args:
            words: used instead of `sys.argv[1:]`.
            description, prog: text and program name for `--help`.

        Raises:
            ValueError, TypeError, FileNotFoundError: the settings or the corpus are invalid. Raised before training.
            RuntimeError: several processes were launched that do not train together.
        """
        given, args = parse_arguments(
            [cls.arguments, cls.training_arguments], description=description, arguments=words, prog=prog
        )
        check_launched(args)
        datasets.utils.logging.set_verbosity_error()
        datasets.disable_progress_bars()  # the bars of training stay
        cls(given, args).launch()
        leave_process_group()

    def launch(self) -> None:
        """Run every seed, print the table, and write it to results.md and results.json in the output folder."""
        check_pretrained("model_name_or_path", self.given.model_name_or_path)
        tables: dict[int, Table] = {}
        for position, seed in enumerate(self.given.seeds or [self.args.seed]):
            folder = Path(self.args.output_dir, *([f"seed-{seed}"] if position else []))
            tables[seed] = self.run(replace(self.args, seed=seed, data_seed=seed, output_dir=str(folder)))
        if PartialState().is_main_process:
            text = render(tables, self.robust)
            print(text)
            Path(self.args.output_dir, "results.md").write_text(text + "\n", encoding="utf-8")
            Path(self.args.output_dir, "results.json").write_text(json.dumps(tables, indent=2), encoding="utf-8")

    def run(self, args: RecipeTrainingArguments) -> Table:
        """Run one seed. Returns the table: row -> metric -> value."""
        # raises before training if there is no checkpoint to resume from
        found = find_checkpoint(_resumed(args), args.output_dir)
        args = replace(args, resume_from_checkpoint=found if isinstance(found, str) else None)
        data, table = self.data(args.seed)
        if reads_clean(split_names(args.noise_method)) and not len(data.clean):
            raise ValueError(
                f"noise_method={args.noise_method!r}: reads rows with true labels, and no validation row has a gold label. Name "
                "their --gold_column, or take a method that needs none, as auto does."
            )
        model, tokenizer = self.encoder(args.seed, data)
        for title, (settings, rows) in self.trainings(args, data).items():
            if len(rows):
                say(f"\n{title}: {len(rows)} rows, seed {args.seed}")
                save = settings is args
                table[title] = self.train(settings, copy.deepcopy(model), tokenizer, rows, data, save=save)
        return table

    @property
    def robust(self) -> str:
        """The name of the method's row in the table."""
        return f"{self.args.noise_method} on weak labels"

    def corpus(self, seed: int) -> Corpus:
        """Return the corpus: texts, votes and gold labels."""
        if self.given.dataset is None:
            return self.embedded(seed)
        return load_corpus(self.given.dataset, **self.given.columns)

    def embedded(self, seed: int) -> Corpus:
        """Return the corpus that is used if no `dataset` is given."""
        return embedded_corpus(seed, **self.given.most)

    def source_names(self) -> list[str] | None:
        """Return the names of the sources of votes, or None if they are not known."""
        return [rule.name for rule in labeling_functions()] if self.given.dataset is None else None

    def data(self, seed: int) -> tuple[Data, Table]:
        """Return the splits with their labels, and the rows of the table that need no training."""
        return gather(
            self.corpus(seed),
            seed,
            **self.given.most,
            source_names=self.source_names(),
            say=say,
        )

    def trainings(
        self, args: RecipeTrainingArguments, data: Data
    ) -> Mapping[str, tuple[RecipeTrainingArguments, datasets.Dataset]]:
        """Return the trainings: row of the table -> training arguments and training rows.

        The training whose arguments are the object `args` itself is saved.
        """
        unlabeled = reads_unlabeled(split_names(args.noise_method))
        return {
            PLAIN: (baseline(args, "ce-weak"), data.weak),
            self.robust: (args, data.every if unlabeled else data.weak),
            CEILING: (baseline(args, "ce-gold"), data.gold),
        }

    def encoder(self, seed: int, data: Data) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """Return the initial model and the tokenizer of every training of this seed."""
        name = self.given.model_name_or_path
        if name is None:
            longest = min(self.given.max_length, 64)
            return small_encoder(data.weak["text"][:], data.class_names, seed=seed, max_length=longest)
        set_seed(seed)  # for the new classification head
        model = AutoModelForSequenceClassification.from_pretrained(
            name,
            id2label=dict(enumerate(data.class_names)),
            label2id={name: k for k, name in enumerate(data.class_names)},
        )
        return model, AutoTokenizer.from_pretrained(name)

    def train(
        self,
        args: RecipeTrainingArguments,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: datasets.Dataset,
        data: Data,
        *,
        save: bool,
    ) -> dict[str, float]:
        """Fine-tune on `rows` and return test accuracy and macro-F1.

        The final model is tested: the last epoch, or the checkpoint that `load_best_model_at_end` chose by noisy
        validation labels.
        """

        def tokens(split: datasets.Dataset) -> datasets.Dataset:
            kept = [name for name in ("text", "labels", "weak_labels", "given") if name in split.column_names]
            return tokenize(split.select_columns(kept), tokenizer, self.given.max_length, keep_text=True)

        clean = None
        if reads_clean(split_names(args.noise_method)):
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
        trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
        measured = trainer.predict(tokens(data.test)).metrics or {}
        if save:
            trainer.evaluate()  # on noisy validation labels, for the model card
            trainer.save_model()
        return {name: measured[f"test_{name}"] for name in ("accuracy", "f1")}


def _resumed(args: RecipeTrainingArguments) -> str | bool | None:
    """Return `resume_from_checkpoint`: a folder, or True for the last checkpoint in the output folder."""
    given = args.resume_from_checkpoint
    return given in ("True", "true") or given


def baseline(args: RecipeTrainingArguments, name: str) -> RecipeTrainingArguments:
    """Return arguments for plain cross-entropy with the same budget. Checkpoints, if any, go to a separate folder."""
    return replace(
        args,
        noise_method="ce",
        noise_kwargs=None,
        resume_from_checkpoint=None,
        push_to_hub=False,
        output_dir=str(Path(args.output_dir, "baselines", name)),
    )


def say(text: str) -> None:
    """Print on the main process only."""
    if PartialState().is_main_process:
        print(text, flush=True)
