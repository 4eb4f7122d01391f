"""The defaults of a recipe suit the encoder: another number of epochs and learning rate for a pretrained one."""

from __future__ import annotations

import pytest

from hf_noisy.recipe import Recipe


class Stops(Recipe):
    """Ends before the corpus is read, and shows what was parsed."""

    def launch(self) -> None:
        print(self.args.num_train_epochs, self.args.learning_rate)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], "8 0.001"),
        (["--model", "encoder"], "3 5e-05"),
        (["--model_name_or_path=encoder", "--learning_rate", "1e-3"], "3 0.001"),
        (["--model", "encoder", "--epochs", "8"], "8.0 5e-05"),
    ],
)
def test_a_pretrained_encoder_is_fine_tuned_gently_unless_told_otherwise(tmp_path, capsys, words, found):
    Stops.main([*words, "--output_dir", str(tmp_path), "--use_cpu", "True"])
    assert capsys.readouterr().out.strip() == found


def test_a_model_named_in_a_file_counts_too(tmp_path, capsys):
    (tmp_path / "settings.yaml").write_text("model_name_or_path: encoder\nnum_train_epochs: 5\n")
    Stops.main(["--config", str(tmp_path / "settings.yaml"), "--output_dir", str(tmp_path), "--use_cpu", "True"])
    assert capsys.readouterr().out.strip() == "5.0 5e-05"
