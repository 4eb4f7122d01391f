"""Bad input raises before the first step, with the value, what was expected, and the fix."""

from __future__ import annotations

from dataclasses import replace

import datasets
import numpy as np
import pytest
import torch
from conftest import make_trainer, tiny_model, token_dataset, token_rows

from hf_noisy import (
    GeneralizedCrossEntropy,
    MeanAbsoluteError,
    NoiseCallback,
    NoisyTrainer,
    NoisyTrainingArguments,
    TruncatedGCE,
)
from hf_noisy.launching import parse_arguments


def with_labels(*labels) -> datasets.Dataset:
    return token_dataset(len(labels), list(labels))


DATASETS = {
    "label out of range": (with_labels(0, 1, 3), r"row 2: label 3: expected a class in \[0, 3\).*num_labels=4"),
    "labels start at 1": (with_labels(1, 2, 3), "subtract 1"),
    "negative label": (with_labels(0, -2, 1), r"row 1: label -2: expected .* -1 or -100 to abstain"),
    "soft row sums to 2": (with_labels([1.0, 0, 0], [1.0, 1.0, 0]), r"row 1: label \[1.0, 1.0, 0.0\].* sum to 1"),
    "soft row holds NaN": (with_labels([1.0, 0, 0], [np.nan, 1.0, 0]), "row 1: .*finite"),
    "soft row holds infinity": (with_labels([1.0, 0, 0], [np.inf, 1.0, 0]), "row 1: .*finite"),
    "soft row holds a negative": (with_labels([1.0, 0, 0], [-0.5, 1.5, 0]), "row 1: .*at least 0"),
    "soft rows of another class count": (
        with_labels([0.5, 0.5]),
        "soft labels have 2 classes, the model 3.*num_labels=2",
    ),
    "ragged soft rows": (
        with_labels([0.5, 0.5], [1.0]),
        r"row 1: label \[1.0\]: expected a class id or 3",
    ),
    "ids wrapped in lists": (with_labels([0], [1]), r"row 0: label \[0\]: .*Unwrap the list"),
    "several classes at once": (with_labels([1.0, 0.0, 1.0]), "row 0: .*multi-label, are not supported"),
    "a regression target": (with_labels(0.5, 1.0), "row 0: label 0.5: .*regression"),
    "unknown class name": (with_labels("a", "b", "c", "d"), "row 0: label 'a'.*4 names.*num_labels=4"),
    "too few class names": (with_labels("a", "b"), "2 names, the model num_labels=3"),
    "no label column": (token_dataset(4).rename_column("labels", "target"), "no label column.*found.*target"),
    "empty": (token_dataset(4).select([]), "train_dataset is empty"),
    "every row abstains": (with_labels(-1, -100, -1), "all 3 rows abstain"),
    "every soft row abstains": (with_labels([0.0, 0, 0]), "all 1 rows abstain"),
    "raw text": (datasets.Dataset.from_dict({"text": ["a"], "labels": [0]}), "expected tokenized text in 'input_ids'"),
    "a vote outside the classes": (
        token_dataset(2).add_column("weak_labels", [[0, 1], [-1, 3]]),
        "row 1: source 1 votes 3",
    ),
    "a vote below -1": (token_dataset(2).add_column("weak_labels", [[-2, 1], [-1, 0]]), "row 0: source 0 votes -2"),
    "votes that are no integers": (token_dataset(2).add_column("weak_labels", [[0.5], [0.1]]), "expected .*integers"),
    "class names unlike the model's count": (
        with_labels(0, 1).cast_column("labels", datasets.ClassLabel(names=["x", "y"])),
        "2 classes .x, y., but the model has num_labels=3",
    ),
}


@pytest.mark.parametrize("name", DATASETS)
def test_a_training_set_that_cannot_be_trained_on(tmp_path, name):
    dataset, message = DATASETS[name]
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, dataset)


def test_a_stream_has_no_rows_to_remember(tmp_path):
    with pytest.raises(TypeError, match="train_dataset is a stream.*streaming=False"):
        make_trainer(tmp_path, token_dataset(8).to_iterable_dataset(), max_steps=2)


def test_items_that_are_no_dictionaries(tmp_path):
    with pytest.raises(TypeError, match="yields tuple: expected dictionaries"):
        make_trainer(tmp_path, [([1, 2], 0)])


def test_an_evaluation_label_out_of_range_is_found_before_training(tmp_path):
    with pytest.raises(ValueError, match="eval_dataset, row 1: label 7"):
        make_trainer(tmp_path, eval_dataset=with_labels(0, 7))


@pytest.mark.parametrize(
    "config",
    [{"problem_type": "multi_label_classification"}, {"problem_type": "regression"}, {"classes": 1}],
    ids=str,
)
def test_heads_that_do_not_choose_one_class(tmp_path, config):
    with pytest.raises(ValueError, match="expected a single-label classifier with at least 2 classes"):
        make_trainer(tmp_path, model=tiny_model(**config))


METHODS = {
    "unknown": ({"noise_method": "gcee"}, "unknown method 'gcee'. Did you mean 'gce'"),
    "unknown in a sum": ({"noise_method": "gce+mea"}, "unknown method 'mea'. Did you mean 'mae'"),
    "two criteria": ({"noise_method": "gce+sce"}, r"2 criteria: GeneralizedCrossEntropy\(q=0.7\), Symmetric"),
    "twice": ({"noise_method": "gce+gce"}, "names a method twice"),
    "unknown parameter": ({"noise_method": "gce", "noise_kwargs": {"Q": 0.5}}, "'Q' is no parameter of gce.*Known: q"),
    "unknown nested parameter": (
        {"noise_method": "gce", "noise_kwargs": {"gce": {"p": 0.5}}},
        "'p' is no parameter of gce",
    ),
    "parameters without a method": ({"noise_kwargs": {"q": 0.5}}, "no parameter of no noise_method"),
    "no JSON object": (
        {"noise_method": "gce", "noise_kwargs": "q=0.5"},
        "noise_kwargs='q=0.5': expected a JSON object",
    ),
    "malformed JSON": ({"noise_method": "gce", "noise_kwargs": "{q: 0.5}"}, "noise_kwargs='{q: 0.5}': expected a JSON"),
    "a JSON list": ({"noise_method": "gce", "noise_kwargs": "[1]"}, r"noise_kwargs=\[1\]: expected a JSON object"),
    "q out of its domain": ({"noise_method": "gce", "noise_kwargs": {"q": 2}}, "q=2"),
    "q zero": ({"noise_method": "gce", "noise_kwargs": {"q": 0}}, "q=0"),
    "noise rate in percent": (
        {"noise_method": "uniform_mixture", "noise_kwargs": {"noise_rate": 40}},
        "noise_rate=40.*Did you mean 0.4",
    ),
    "epsilon of 1": ({"noise_method": "label_smoothing", "noise_kwargs": {"epsilon": 1.0}}, "epsilon=1.0"),
    "negative beta": ({"noise_method": "bootstrap_soft", "noise_kwargs": {"beta": -0.1}}, "beta=-0.1"),
    "k of 1": ({"noise_method": "gce_truncated", "noise_kwargs": {"k": 1.0}}, "k=1.0"),
    "every of 0": ({"noise_method": "gce_truncated", "noise_kwargs": {"every": 0.0}}, "every=0.0"),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_and_parameters_are_checked_with_the_arguments(tmp_path, name):
    arguments, message = METHODS[name]
    with pytest.raises(ValueError, match=message):
        NoisyTrainingArguments(str(tmp_path), **arguments)


def test_a_parameter_that_is_no_number():
    with pytest.raises(TypeError, match="k='half': expected a number"):
        TruncatedGCE(k="half")


def test_a_criterion_beside_a_name_that_sets_one(tmp_path):
    with pytest.raises(ValueError, match="2 criteria"):
        make_trainer(tmp_path, noise_method="gce", criterion=MeanAbsoluteError())


def test_a_criterion_beside_a_callback_that_brings_one(tmp_path):
    with pytest.raises(ValueError, match="2 criteria"):
        make_trainer(tmp_path, callbacks=[TruncatedGCE()], criterion=GeneralizedCrossEntropy())


def test_label_smoothing_by_the_stock_argument_names_ours(tmp_path):
    with pytest.raises(ValueError, match=r'noise_method="label_smoothing".*"epsilon": 0.1|label_smoothing_factor=0.1'):
        make_trainer(tmp_path, label_smoothing_factor=0.1)


def test_a_loss_function_that_would_be_ignored(tmp_path):
    args = NoisyTrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    with pytest.raises(ValueError, match="Pass criterion="):
        NoisyTrainer(tiny_model(), args, train_dataset=token_dataset(4), compute_loss_func=lambda *a, **k: 0)


def test_a_collator_that_drops_the_row_number(tmp_path):
    def collator(rows):
        return {k: torch.tensor([row[k] for row in rows]) for k in ("input_ids", "labels")}

    with pytest.raises(ValueError, match="the data collator dropped it"):
        make_trainer(tmp_path, data_collator=collator).train()


def test_a_model_that_is_no_sequence_classifier(tmp_path):
    from transformers import BertConfig, BertForTokenClassification

    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=3
    )
    with pytest.raises(ValueError, match=r"logits of shape \(4, 6, 3\)"):
        make_trainer(tmp_path, model=BertForTokenClassification(config)).train()


def test_a_tokenizer_by_its_old_name(tmp_path):
    args = NoisyTrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    with pytest.raises(TypeError, match="expected processing_class="):
        NoisyTrainer(tiny_model(), args, train_dataset=token_dataset(4), tokenizer=None)


def test_a_criterion_that_is_none(tmp_path):
    with pytest.raises(TypeError, match="expected a Criterion"):
        make_trainer(tmp_path, criterion=torch.nn.functional.cross_entropy)


def test_targets_of_another_shape_name_the_callback(tmp_path):
    class Squeezed(NoiseCallback):
        def supervise(self, supervision, predictions, batch):
            return replace(supervision, targets=batch.given)

    with pytest.raises(ValueError, match=r"Squeezed.supervise gives targets of shape \(4, 3\): expected \(1, 4, 3\)"):
        make_trainer(tmp_path, callbacks=[Squeezed()]).train()


def test_evaluation_names_that_nobody_numbered(tmp_path):
    with pytest.raises(ValueError, match="eval_dataset, row 0: label 'a'"):
        make_trainer(tmp_path, eval_dataset=with_labels("a", "b", "c"))


def test_a_report_before_training(tmp_path):
    with pytest.raises(RuntimeError, match=r"Call train\(\) first"):
        make_trainer(tmp_path).example_report()


def test_an_unknown_key_of_a_config_file_names_the_nearest(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("noise_metod: gce\n")
    with pytest.raises(ValueError, match="unknown key 'noise_metod'. Did you mean 'noise_method'"):
        parse_arguments([NoisyTrainingArguments], arguments=["--config", str(config)])


def test_a_config_file_that_is_no_mapping(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("- gce\n")
    with pytest.raises(ValueError, match="holds list"):
        parse_arguments([NoisyTrainingArguments], arguments=[f"--config={config}"])


def test_a_config_file_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="nowhere.yaml"):
        parse_arguments([NoisyTrainingArguments], arguments=["--config", "nowhere.yaml"])


def test_the_command_line_wins_over_the_config_file(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("output_dir: x\nnoise_method: gce\nnoise_kwargs: {q: 0.5}\nnum_train_epochs: 7\nuse_cpu: true\n")
    (args,) = parse_arguments([NoisyTrainingArguments], arguments=["--config", str(config), "--num_train_epochs", "2"])
    assert (args.noise_kwargs, args.num_train_epochs, args.use_cpu) == ({"q": 0.5}, 2, True)


def test_token_rows_are_what_the_tests_think():
    assert np.array(token_rows(3)["input_ids"]).shape == (3, 6)
