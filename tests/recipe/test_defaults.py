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


def write_rows(path, gold: bool = False) -> None:
    names = {"nice": "good", "poor": "bad"}
    lines = [
        f"{word} thing number {k},{names[word]}{',' + names[word] if gold else ''}" for k in range(60) for word in names
    ]
    path.write_text("\n".join([f"review,stars{',gold' if gold else ''}", *lines]) + "\n", encoding="utf-8")


QUICK = [
    "--text_column",
    "review",
    "--label_column",
    "stars",
    "--num_train_epochs",
    "1",
    "--use_cpu",
    "True",
    "--quiet",
]


@pytest.mark.slow
def test_without_true_labels_no_gain_is_claimed_and_the_columns_are_named(tmp_path, capsys):
    write_rows(tmp_path / "my.csv")
    Recipe.main(["--data", str(tmp_path / "my.csv"), "--output_dir", str(tmp_path / "out"), *QUICK])
    shown = capsys.readouterr().out
    assert "agreement with test labels" in shown
    assert "a better classifier may agree with fewer" in shown
    assert "gain over" not in shown
    assert not (tmp_path / "out" / "baselines").exists()
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.slow
def test_the_baselines_can_be_left_out(tmp_path, capsys):
    write_rows(tmp_path / "my.csv", gold=True)
    words = ["--data", str(tmp_path / "my.csv"), "--gold_column", "gold", "--output_dir", str(tmp_path / "out")]
    Recipe.main([*words, "--baselines", "False", *QUICK])
    shown = capsys.readouterr().out
    assert "auto on weak labels" in shown
    assert "cross-entropy" not in shown


def test_a_missing_column_names_its_option(tmp_path):
    write_rows(tmp_path / "my.csv")
    with pytest.raises(
        ValueError, match=r"no column 'text'. Known: review, stars.*may be in 'review'.*label_column.*votes_columns"
    ):
        Recipe.main(["--data", str(tmp_path / "my.csv"), "--output_dir", str(tmp_path), "--use_cpu", "True"])
    with pytest.raises(ValueError, match=r"no column 'text'.*Name it with text_column"):
        Recipe.main(["--data", str(tmp_path / "my.csv"), "--label_column", "stars", "--use_cpu", "True"])
