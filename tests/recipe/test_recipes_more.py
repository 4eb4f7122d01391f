"""The recipes beside sentiment, small; the news they run on and who labels it; a file of settings for every method."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, GPT2Config, GPT2LMHeadModel

from hf_noisy import METHODS, Corpus, apply_labeling_functions, hard_labels, majority_vote
from hf_noisy.commands.arguments import RecipeArguments
from hf_noisy.commands.methods import config_of
from hf_noisy.common.launching import parse_arguments
from hf_noisy.corpora import embedded
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.corpora.topic_labels import WORDINGS, distant_labels, known_names, readers, simulated_answers
from hf_noisy.corpora.topics import CLASS_NAMES, REASONS, TOPICS, generate_topics
from hf_noisy.methods.building import build_methods
from hf_noisy.recipe import Recipe, RecipeTrainingArguments, gather
from hf_noisy.recipe.table import CEILING, PLAIN
from hf_noisy.weak.language_model import Answer, Answers, ask, named_class, votes_of_answers
from hf_noisy.weak.votes import votes_of

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
CONFIGS = ROOT / "recipes" / "configs"
ROWS = {"train": 60, "valid": 40, "test": 20}
TINY = ["--num_train_epochs", "1", "--disable_tqdm", "True", "--use_cpu", "True"]


def loaded(name: str):
    """A script of recipes/ as a module."""
    spec = importlib.util.spec_from_file_location(f"recipes_{name}", ROOT / "recipes" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def few_rows(monkeypatch):
    monkeypatch.setattr(embedded, "TOPIC_ROWS", ROWS)


def table_of(folder: Path) -> dict[str, dict[str, float]]:
    (table,) = json.loads((folder / "results.json").read_text()).values()
    return table


def wrench(folder: Path, rows: list[dict], classes=("business", "sport")) -> Path:
    folder.mkdir()
    (folder / "label.json").write_text(json.dumps({str(k): name for k, name in enumerate(classes)}))
    for split in ("train", "valid", "test"):
        (folder / f"{split}.json").write_text(json.dumps({str(k): row for k, row in enumerate(rows)}))
    return folder


# --- the news ---


def test_the_same_seed_writes_the_same_news_and_another_seed_other_news():
    one, same, other = (generate_topics(30, seed)["text"][:] for seed in (1, 1, 2))
    assert one == same
    assert not set(one) & set(other)


def test_news_are_of_all_topics_and_kinds_and_no_slot_is_left():
    news = generate_topics(600, 5)
    assert set(news["gold"][:]) == set(range(len(CLASS_NAMES)))
    assert set(news["reason"][:]) == set(REASONS)
    assert not any("{" in text or "  " in text or " ," in text for text in news["text"])
    assert len(set(news["text"][:])) > 590


def test_a_guest_is_of_another_topic():
    news = generate_topics(300, 3)
    for row in news.filter(lambda row: row["reason"] == "guest"):
        others = {name for k, topic in enumerate(CLASS_NAMES) if k != row["gold"] for name in TOPICS[topic]["name"]}
        assert any(name.lower() in row["text"].lower() for name in others)


@pytest.mark.parametrize(
    ("sources", "coverage", "error"), [(distant_labels, (0.45, 0.65), (0.3, 0.5)), (readers, (1, 1), (0.22, 0.38))]
)
def test_cheap_labels_are_wrong_for_the_reasons_that_are_named(sources, coverage, error):
    news = generate_topics(800, 11)
    gold, reason = np.array(news["gold"][:]), np.array(news["reason"][:])
    labels = hard_labels(majority_vote(votes_of(apply_labeling_functions(news, sources())), len(CLASS_NAMES)))
    spoken, wrong = labels >= 0, (labels != gold) & (labels >= 0)
    assert coverage[0] <= spoken.mean() <= coverage[1]
    assert error[0] <= wrong[spoken].mean() <= error[1]
    plain = spoken & (reason == "plain")
    assert wrong[plain].mean() < 0.2 < wrong[spoken & ~plain].mean()


def test_a_list_lacks_names_and_a_reader_always_answers_the_same():
    assert all(set(known_names(topic)) < set(TOPICS[topic]["name"]) for topic in CLASS_NAMES)
    text = SimpleNamespace(text="Nothing was said.")
    assert [reader(text) for reader in readers()] == [reader(text) for reader in readers()]


def test_the_rule_in_place_of_a_model_is_surer_where_there_is_more_to_go_by():
    little, much = (simulated_answers(text, 0) for text in ("A fever.", "Fever, infection, therapy and a diet."))
    assert CLASS_NAMES[much.argmax()] == CLASS_NAMES[little.argmax()] == "health"
    assert little.max() < much.max() < 1
    assert simulated_answers("Hm.", 0) == pytest.approx(np.full(5, 0.2))


# --- a language model ---


def test_answers_vote_where_they_are_sure():
    rows = [[Answer("b", 0.6), Answer("b", 0.59)], [Answer(None, 0.0), Answer("a", 1.0)]]
    assert votes_of_answers(rows, ["a", "b"], 0.6).tolist() == [[1, -1], [-1, 0]]
    with pytest.raises(ValueError, match="row 0: 'c' is no class"):
        votes_of_answers([[Answer("c", 1.0)]], ["a", "b"])
    with pytest.raises(ValueError, match="expected one a wording"):
        votes_of_answers([[Answer("a", 1.0)], []], ["a", "b"])
    with pytest.raises(ValueError, match="confidence=60"):
        votes_of_answers(rows, ["a", "b"], 60)


def test_the_longest_name_that_an_answer_begins_with_counts():
    assert named_class('"Sport news."', ["sport", "sport news"]) == "sport news"
    assert named_class("no sport", ["sport"]) is None


def test_answers_are_kept_by_who_gave_them(tmp_path):
    path = tmp_path / "folder" / "answers.jsonl"
    Answers(path, "one").add(["x", "y"], [[Answer("a", 0.9)], [Answer(None, 0.0)]])
    assert Answers(path, "one").of(["y", "x"]) == [[Answer(None, 0.0)], [Answer("a", 0.9)]]
    assert Answers(path, "two").missing(["x", "z", "x"]) == ["x", "z"]
    assert Answers(path).missing(["x", "z"]) == ["z"]
    with pytest.raises(ValueError, match=r"no answer about 1 of 2 texts, first 'z'"):
        Answers(path).of(["x", "z"])
    path.write_text('{"text": "x"}\n')
    with pytest.raises(ValueError, match=r"answers.jsonl, line 1"):
        Answers(path)


@pytest.mark.slow
def test_a_classifier_of_entailment_is_asked_once_in_each_wording(tmp_path):
    texts, classes = ["the coach left", "profit fell"], ["sport", "business"]
    words = [*texts, "This text is about sport business.", "It is"]
    for part in small_encoder(words, ("contradiction", "entailment"), max_length=32):
        part.save_pretrained(tmp_path)
    state = torch.get_rng_state()
    answers = ask(str(tmp_path), texts, classes, wordings=["This text is about {}.", "It is {}."])
    assert torch.equal(torch.get_rng_state(), state)
    assert [len(row) for row in answers] == [2, 2]
    assert all(answer.label in classes and 0.5 <= answer.confidence <= 1 for row in answers for answer in row)
    with pytest.raises(ValueError, match=r"wording 'It is.': expected {} in it"):
        ask(str(tmp_path), texts, classes, wordings=["It is."])


@pytest.mark.slow
def test_a_generator_votes_for_what_most_of_its_answers_begin_with(tmp_path):
    classes = ["sport", "business"]
    _, tokenizer = small_encoder(["sport business"], max_length=64)
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=1, n_positions=96, eos_token_id=3)
    ).save_pretrained(tmp_path)
    wordings = ["{text} {classes}"]
    found = [
        ask(
            str(tmp_path),
            ["sport", "business"],
            classes,
            task="text-generation",
            wordings=wordings,
            samples=8,
            seed=seed,
        )
        for seed in (0, 0)
    ]
    assert found[0] == found[1]
    for ((answer,),) in zip(found[0], strict=True):
        assert answer.label in (*classes, None)
        assert answer.confidence * 8 == int(answer.confidence * 8)
    with pytest.raises(ValueError, match="samples=0"):
        ask(str(tmp_path), ["x"], classes, task="text-generation", samples=0)
    with pytest.raises(ValueError, match="Did you mean 'text-generation'"):
        ask(str(tmp_path), ["x"], classes, task="text_generation")


# --- the recipes ---


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "sources"), [("readers", "reader_of_last_cue"), ("distant", "names_of_sport")])
def test_topics_prints_the_table_and_saves_five_classes(labels, sources, few_rows, tmp_path, capsys):
    loaded("topics").Topics.main([*TINY, "--labels", labels, "--output_dir", str(tmp_path)])
    shown = capsys.readouterr().out
    assert sources in shown
    assert list(table_of(tmp_path))[-3:] == [PLAIN, "auto on weak labels", CEILING]
    assert "Snorkel's label model" in table_of(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert tuple(model.config.id2label.values()) == CLASS_NAMES


def test_topics_refuses_labels_that_nobody_gives():
    with pytest.raises(ValueError, match="labels='reader'.*Did you mean 'readers'"):
        loaded("topics").Topics.main(["--labels", "reader"])


@pytest.mark.slow
def test_low_resource_learns_from_as_many_clean_rows_as_it_says(few_rows, tmp_path, capsys):
    recipe = loaded("low_resource")
    recipe.EMBEDDED_ROWS = 60
    words = [*TINY, "--clean_rows", "12", "--max_train_rows", "60", "--output_dir", str(tmp_path)]
    recipe.LowResource.main(words)
    assert "glc reads the true labels of 12 validation rows" in capsys.readouterr().out
    table = table_of(tmp_path)
    assert {"glc on weak labels and clean rows", recipe.ALONE, recipe.TOGETHER, PLAIN, CEILING} < set(table)


def test_no_checkpoint_is_chosen_by_the_wrong_label_of_a_clean_row(few_rows, tmp_path):
    recipe = loaded("low_resource")
    recipe.EMBEDDED_ROWS = 60
    given, args = parse_arguments(
        [recipe.LowResourceArguments, recipe.LowResourceTrainingArguments],
        arguments=["--clean_rows", "12", "--max_train_rows", "60", "--output_dir", str(tmp_path)],
    )
    data, _ = recipe.LowResource(given, args).data(0)
    assert len(data.clean) == 12
    assert data.clean["labels"][:] == data.clean["gold"][:]
    assert not set(data.clean["id"][:]) & set(data.valid["id"][:])
    settings, _ = recipe.LowResource(given, args).trainings(args, data)[recipe.ALONE]
    assert settings.num_train_epochs == pytest.approx(args.num_train_epochs * len(data.weak) / 12)


def test_clean_rows_are_those_of_the_corpus_where_its_validation_rows_have_no_vote():
    rows = generate_topics(40, 1)
    voted = apply_labeling_functions(rows, readers())
    silent = rows.add_column("weak_labels", [[-1, -1, -1]] * 40)
    data, _ = gather(Corpus("news", CLASS_NAMES, train=voted, valid=silent, test=voted), 0, say=lambda text: None)
    assert len(data.valid) == 4  # of train, with the labels that were given
    assert len(data.clean) == 40
    assert set(data.clean["given"][:]) == {-1}
    with pytest.raises(ValueError, match="no source votes on any of 36 training rows"):
        gather(Corpus("news", CLASS_NAMES, train=silent, test=voted), 0, say=lambda text: None)


@pytest.mark.slow
def test_llm_labels_asks_about_a_text_once(few_rows, tmp_path, monkeypatch, capsys):
    recipe = loaded("llm_labels")
    monkeypatch.setattr(recipe, "TOPIC_ROWS", ROWS)
    words = [*TINY, "--output_dir", str(tmp_path)]
    recipe.LanguageModelLabels.main(words)
    assert f"{recipe.RULE} labels 60 texts" in capsys.readouterr().out
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(lines) == sum(ROWS.values())
    assert {line["by"] for line in lines} == {recipe.RULE}
    assert {len(line["answers"]) for line in lines} == {len(WORDINGS)}
    first = table_of(tmp_path)
    recipe.LanguageModelLabels.main(words)
    assert recipe.RULE not in capsys.readouterr().out
    assert table_of(tmp_path) == first


@pytest.mark.slow
def test_llm_labels_takes_answers_from_a_file_and_no_vote_of_the_corpus(tmp_path, capsys):
    recipe = loaded("llm_labels")
    rows = [
        {"label": k % 2, "data": {"text": f"{word} {k}"}, "weak_labels": [1 - k % 2]}
        for k, word in enumerate(["profit", "coach"] * 20)
    ]
    corpus, answers = wrench(tmp_path / "corpus", rows), tmp_path / "answers.jsonl"
    told = [(row["data"]["text"], ("business", "sport")[row["label"]]) for row in rows]
    lines = [
        {"text": text, "answers": [{"label": name, "confidence": 0.9 if k % 4 else 0.2}]}
        for k, (text, name) in enumerate(told)
    ]
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = [*TINY, "--data", str(corpus), "--answers", str(answers), "--output_dir", str(tmp_path / "out")]
    recipe.LanguageModelLabels.main(words)
    assert table_of(tmp_path / "out")["weak labels"] == {"coverage": 0.75, "error": 0.0}
    answers.write_text(json.dumps(lines[0]) + "\n")
    with pytest.raises(ValueError, match="no answer about 39 of 40 texts"):
        recipe.LanguageModelLabels.main(words)


@pytest.mark.slow
def test_llm_labels_takes_the_votes_of_a_corpus_as_recorded_where_nobody_else_labels_it(tmp_path, capsys):
    recipe = loaded("llm_labels")
    corpus = SHARED / "trec"
    if not corpus.is_dir():
        pytest.skip("no folder ../shared/data/trec")
    recipe.LanguageModelLabels.main([*TINY, "--data", str(corpus), "--output_dir", str(tmp_path / "out")])
    assert "its own votes are taken as recorded" in capsys.readouterr().out
    assert 0.8 < table_of(tmp_path / "out")["weak labels"]["coverage"] <= 1
    assert not (tmp_path / "out" / "answers.jsonl").exists()


def test_llm_labels_refuses_a_task_and_a_labeler_that_are_not_there(tmp_path):
    recipe = loaded("llm_labels")
    with pytest.raises(FileNotFoundError, match="labeler='./nowhere': no such folder"):
        recipe.LanguageModelLabels.main([*TINY, "--labeler", "./nowhere", "--output_dir", str(tmp_path / "out")])
    with pytest.raises(ValueError, match="task='zero-shot'"):
        recipe.LanguageModelLabels.main(["--task", "zero-shot"])


@pytest.mark.slow
def test_a_recipe_of_your_own_overrides_a_step(tmp_path):
    class Own(Recipe):
        def corpus(self, seed):
            rows = apply_labeling_functions(generate_topics(30, seed), readers())
            return Corpus("own", CLASS_NAMES, train=rows, valid=rows, test=rows)

        def source_names(self):
            return ["first", "all", "last"]

        def trainings(self, args, data):
            every = super().trainings(args, data)
            return {title: every[title] for title in (PLAIN, self.robust)}

    Own.main([*TINY, "--output_dir", str(tmp_path), "--noise_method", "elr"])
    assert list(table_of(tmp_path))[-2:] == [PLAIN, "elr on weak labels"]


# --- settings in files ---


def test_every_method_has_a_file_of_settings_and_no_file_is_left_over():
    files = {path.stem for path in CONFIGS.glob("*.yaml")}
    assert files == {*METHODS, "sentiment"}


@pytest.mark.parametrize("name", METHODS)
def test_a_file_of_settings_is_the_codes_and_parses(name):
    path = CONFIGS / f"{name}.yaml"
    assert path.read_text() == config_of(name), "run python recipes/write_configs.py"
    _, args = parse_arguments([RecipeArguments, RecipeTrainingArguments], arguments=["--config", str(path)])
    defaults = json.loads(json.dumps(METHODS[name].parameters))
    assert (args.noise_method, args.method_parameters) == (name, defaults)
    assert args.output_dir == f"output/{name}"
    assert len(build_methods(name, args.noise_kwargs)) == 1


def test_the_file_of_the_first_recipe_parses():
    path = CONFIGS / "sentiment.yaml"
    _, args = parse_arguments([RecipeArguments, RecipeTrainingArguments], arguments=["--config", str(path)])
    assert args.noise_method == "auto"


def test_files_for_the_launcher_are_read_by_it():
    from accelerate.commands.config.config_args import load_config_from_file

    found = {path.stem: load_config_from_file(str(path)) for path in (CONFIGS / "accelerate").glob("*.yaml")}
    assert set(found) == {"one_gpu", "several_gpus", "cpu_two_processes"}
    assert found["one_gpu"].num_processes == 1
    assert {found[name].distributed_type for name in ("several_gpus", "cpu_two_processes")} == {"MULTI_GPU"}
    assert not any(yaml.safe_load(path.read_text())["use_cpu"] for path in (CONFIGS / "accelerate").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="its two processes would share a GPU")
def test_two_processes_on_a_cpu_know_of_each_other(tmp_path):
    script = tmp_path / "world.py"
    script.write_text(
        "from accelerate import PartialState\n"
        "state = PartialState(cpu=True)\n"
        "print(f'world {state.num_processes}\\n', end='', flush=True)\n"
        "state.wait_for_everyone()\n"  # gloo's peers may still be connecting, and fail when one of them has gone
        "state.destroy_process_group()\n"
    )
    command = [str(Path(sys.executable).parent / "accelerate"), "launch", "--main_process_port", "0"]
    command += ["--config_file", str(CONFIGS / "accelerate" / "cpu_two_processes.yaml"), str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.stdout.count("world 2") == 2, done.stdout + done.stderr
