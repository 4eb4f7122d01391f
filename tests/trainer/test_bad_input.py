"""Bad input raises before the first step, with the value, what was expected, and the fix: every case of `bad_inputs.py`."""

from __future__ import annotations

from dataclasses import replace

import datasets
import numpy as np
import pytest
from bad_inputs import HEAD, OUTSIDE, TABLE, Case, all_cases, labelled, refusal, trains
from conftest import make_trainer, token_dataset, token_rows

from hf_noisy import METHODS, NoiseCallback, NoisyTrainingArguments, TruncatedGCE
from hf_noisy.common.launching import parse_arguments

CASES = {case.name: case for case in all_cases()}
STORED = TABLE.read_text(encoding="utf-8").removeprefix(HEAD).splitlines(keepends=True)


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_as_the_table_says(tmp_path, name):
    found = refusal(CASES[name], tmp_path)
    assert found in STORED, "run python tests/bad_inputs.py"


def test_the_table_has_these_inputs_and_no_others():
    assert TABLE.read_text(encoding="utf-8").startswith(HEAD)
    assert [row.split(" | ")[0].removeprefix("| ") for row in STORED] == list(CASES)


def test_there_is_a_bad_value_for_every_parameter_and_none_for_a_parameter_that_is_gone():
    assert set(OUTSIDE) == {name for method in METHODS.values() for name in method.parameters}


def test_what_is_accepted_is_said_to_be(tmp_path):
    with pytest.raises(AssertionError, match="right: accepted"):
        refusal(Case("right", labelled(0, 1, 2), "label"), tmp_path)


def test_what_is_refused_in_other_words_is_said_to_be(tmp_path):
    with pytest.raises(AssertionError, match="outside: 'label 7' is not in"):
        refusal(Case("outside", labelled(0, 3), "row 1 ... label 7"), tmp_path)
    with pytest.raises(ValueError, match="row 1: label 3"):  # of another type than declared
        refusal(Case("outside", labelled(0, 3), "row 1", TypeError), tmp_path)


def test_what_is_refused_after_the_first_step_is_said_to_be(tmp_path):
    def fail(*_):
        raise ValueError("too late")

    late = trains(eval_dataset=lambda: token_dataset(4), eval_strategy="steps", eval_steps=1, compute_metrics=fail)
    with pytest.raises(AssertionError, match="refused late"):
        refusal(Case("refused late", late, "too late"), tmp_path)


def test_a_parameter_that_is_no_number():
    with pytest.raises(TypeError, match="k='half': expected a number"):
        TruncatedGCE(k="half")


def test_a_filtered_out_row_may_hold_anything(tmp_path):
    dataset = token_dataset(5)
    rows = dataset.to_dict()
    rows["input_ids"][2][0], rows["labels"][3] = 400, 9
    spoiled = type(dataset).from_dict(rows).select([4, 1, 0])
    assert len(make_trainer(tmp_path, spoiled).noise.labels) == 3
    with pytest.raises(ValueError, match="train_dataset, row 1: holds the token 400"):
        make_trainer(tmp_path, type(dataset).from_dict(rows).select([4, 2, 0]))


def test_a_row_is_counted_over_the_parts_of_a_dataset(tmp_path):
    second = token_dataset(3, seed=1)
    rows = second.to_dict()
    rows["input_ids"][1][4] = 40
    both = datasets.concatenate_datasets([token_dataset(4), type(second).from_dict(rows)])
    with pytest.raises(ValueError, match="train_dataset, row 5: holds the token 40"):
        make_trainer(tmp_path, both)


def test_a_missing_label_abstains_and_a_missing_gold_class_is_unknown(tmp_path):
    dataset = token_dataset(4, [0, None, 2, 1]).add_column("gold", [0, 1, None, 1])
    trainer = make_trainer(tmp_path, dataset, gold_column="gold")
    assert trainer.noise.labels.tolist() == [0, -100, 2, 1]
    assert trainer.noise.gold.tolist() == [0, 1, -100, 1]


def test_targets_of_another_shape_name_the_callback(tmp_path):
    class Squeezed(NoiseCallback):
        def supervise(self, supervision, predictions, batch):
            return replace(supervision, targets=batch.given)

    with pytest.raises(ValueError, match=r"Squeezed.supervise gives targets of shape \(4, 3\): expected \(1, 4, 3\)"):
        make_trainer(tmp_path, callbacks=[Squeezed()]).train()


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
