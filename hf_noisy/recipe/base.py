"""The base class of all recipes. Each step is a method that a recipe may override."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
from accelerate import PartialState
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PrinterCallback, set_seed

from hf_noisy.commands.arguments import GROUPS, RecipeArguments, described
from hf_noisy.common.launching import check_launched, leave_process_group, parse_arguments
from hf_noisy.common.progress import note, output_of_command, shows_bars
from hf_noisy.corpora.embedded import embedded_corpus
from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.corpus import Corpus
from hf_noisy.data.look import first_lines
from hf_noisy.data.metrics import compute_metrics
from hf_noisy.data.pairs import sides, text_columns, texts_of
from hf_noisy.data.splits import cut_share, tokenize
from hf_noisy.methods.registry import reads_clean, reads_unlabeled, split_names
from hf_noisy.models.pretrained import check_pretrained
from hf_noisy.recipe.data import Data, gather
from hf_noisy.recipe.table import CEILING, PLAIN, Table, render
from hf_noisy.trainer.arguments import NoisyTrainingArguments
from hf_noisy.trainer.checkpoints import find_checkpoint
from hf_noisy.trainer.noisy_trainer import NoisyTrainer
from hf_noisy.trainer.nonfinite import RAISE

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def setting(name: str, default: Any, *aliases: str) -> Any:
    """Return a dataclass field for a training argument: another default, a help in plain words, and optional aliases.

    The help is that of `RecipeTrainingArguments`, or that of Transformers for a field that is not in it.
    """
    inherited = NoisyTrainingArguments.__dataclass_fields__[name].metadata.get("help", "")
    return field(default=default, metadata=described(_HELP.get(name, inherited), *aliases, metavar=_VALUES.get(name)))


_VALUES = {  # what stands for a value in the help
    "output_dir": "FOLDER",
    "noise_method": "NAME",
    "noise_kwargs": "JSON",
    "nonfinite_loss": "raise|skip",
    "save_strategy": "no|steps|epoch|best",
    "report_to": "NAME",
}
_HELP = {
    "output_dir": "Folder for the trained model, results.md and results.json.",
    "noise_method": "Method against wrong labels: a name in `hf-noisy methods`, or several joined by +, as co_teaching+gce. ce "
    "is plain cross-entropy.",
    "noise_kwargs": """Parameters of the method, as JSON: '{"q": 0.5}'. Of several methods: '{"gce": {"q": 0.5}}'.""",
    "nonfinite_loss": "What happens at a batch whose loss is not finite: raise an error, or skip the batch and count it.",
    "num_train_epochs": "Epochs of each training. With --model the default is 3.",
    "per_device_train_batch_size": "Rows per step and device.",
    "learning_rate": "Peak learning rate. With --model the default is 5e-5.",
    "warmup_steps": "Steps in which the learning rate rises to its peak. Below 1: the share of all steps.",
    "bf16": "Train in bfloat16 mixed precision.",
    "seed": "Seed of the splits, the new weights, dropout and the order of rows.",
    "use_cpu": "Train on the CPU even if there is a GPU. Needed for several processes without GPUs.",
    "dataloader_pin_memory": "Copy batches to the GPU from pinned memory. Faster on some machines.",
    "save_strategy": "When to save checkpoints. The trained model is saved at the end in any case.",
    "save_all_networks": "Save all networks of a method that trains several, each in a subfolder, and not only the best one.",
    "logging_steps": "Log the loss every so many steps. Below 1: the share of all steps.",
    "report_to": "Where logs go: none, all, or names such as tensorboard, wandb.",
}


@dataclass
class RecipeTrainingArguments(NoisyTrainingArguments):
    """Training arguments with defaults for an embedded corpus; --help_all lists every field.

    Bars of the Trainer appear only on a terminal, unless `disable_tqdm` is set.
    """

    output_dir: str = setting("output_dir", "output/train", "--output")
    noise_method: str = setting("noise_method", "auto", "--method")
    noise_kwargs: dict[str, Any] | str | None = setting("noise_kwargs", None)  # noqa: RUF009 (a field)
    nonfinite_loss: str = setting("nonfinite_loss", RAISE)
    num_train_epochs: float = setting("num_train_epochs", 8, "--epochs")  # from scratch; PRETRAINED otherwise
    per_device_train_batch_size: int = setting("per_device_train_batch_size", 32, "--batch_size")
    learning_rate: float = setting("learning_rate", 1e-3)
    warmup_steps: float = setting("warmup_steps", 0.1)
    save_strategy: str = setting("save_strategy", "no")  # the robust model is saved at the end
    save_all_networks: bool = setting("save_all_networks", False)
    report_to: str = setting("report_to", "none")
    logging_steps: float = setting("logging_steps", 0.1)
    dataloader_pin_memory: bool = setting("dataloader_pin_memory", False)
    seed: int = setting("seed", 42)
    use_cpu: bool = setting("use_cpu", False)
    bf16: bool = setting("bf16", False)

    def __post_init__(self) -> None:
        if self.disable_tqdm is None:
            self.disable_tqdm = not shows_bars()
        super().__post_init__()


PRETRAINED = {"num_train_epochs": 3, "learning_rate": 5e-5}  # defaults with a pretrained encoder, those of Transformers


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
            description: text for `--help`.
            prog: name of the program for `--help`.

        Raises:
            ValueError, TypeError, FileNotFoundError: the settings or the corpus are invalid. Raised before training.
            RuntimeError: several processes were launched that do not train together.
        """
        given, args = parse_arguments(
            [cls.arguments, cls.training_arguments],
            description=description,
            arguments=words,
            prog=prog,
            groups=GROUPS,
            defaults=lambda read: {} if read.model_name_or_path is None else PRETRAINED,
        )
        check_launched(args)
        datasets.utils.logging.set_verbosity_error()
        args.disable_tqdm |= given.quiet
        with output_of_command(given.quiet):
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
        if cut := cut_share(data.every, tokenizer, self.given.max_length):
            length = min(self.given.max_length, tokenizer.model_max_length)
            say(f"{f'{cut:.0%}' if cut >= 0.01 else 'under 1%'} of the texts are cut at {length} tokens (--max_length)")
        for title, (settings, rows) in self.trainings(args, data).items():
            if len(rows) and (settings is args or self.given.baselines):
                say(f"\n{title}: {len(rows)} rows, seed {args.seed}")
                save = settings is args
                table[title] = self.train(settings, copy.deepcopy(model), tokenizer, rows, data, save=save)
                _remove_if_empty(Path(settings.output_dir))
        return table

    @property
    def robust(self) -> str:
        """The name of the method's row in the table."""
        return f"{self.args.noise_method} on weak labels"

    def corpus(self, seed: int) -> Corpus:
        """Return the corpus: texts, votes and gold labels."""
        if self.given.dataset is None:
            return self.embedded(seed)
        corpus = self.given.read(self.given.dataset)
        if seed == (self.given.seeds or [self.args.seed])[0]:
            say("\n".join(first_lines(corpus)))
        return corpus

    def embedded(self, seed: int) -> Corpus:
        """Return the corpus that is used if no `dataset` is given."""
        return embedded_corpus(seed, **self.given.most)

    def source_names(self) -> list[str] | None:
        """Return the names of the sources of votes, or None if they are not known."""
        if self.given.dataset is None:
            return [rule.name for rule in labeling_functions()]
        return self.given.source_names

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
            texts = texts_of(data.weak)
            longest = min(self.given.max_length, 64 * len(sides(texts)))
            return small_encoder(texts, data.class_names, seed=seed, max_length=longest)
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
            kept = [name for name in ("labels", "weak_labels", "given") if name in split.column_names]
            kept = [*text_columns(split.column_names), *kept]
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
        if self.given.quiet:
            trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
        measured = trainer.predict(tokens(data.test)).metrics or {}
        if save:
            trainer.evaluate()  # on noisy validation labels, for the model card
            trainer.save_model()
        return {name: measured[f"test_{name}"] for name in ("accuracy", "f1")}


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a baseline of which nothing was saved, and the folder around it."""
    for one in (folder, folder.parent):
        with contextlib.suppress(OSError):  # it holds something, or it is not there
            one.rmdir()


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
    """Print a note, on the main process only and not with `--quiet`."""
    if PartialState().is_main_process:
        note(text)
