"""NoisyTrainer: labels of all kinds, one gradient however the rows are split, and the Trainer that users know."""

from __future__ import annotations

import pickle
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from conftest import (
    ONE_STEP,
    flat_weights,
    gradient,
    make_trainer,
    relative_difference,
    tiny_model,
    token_dataset,
)
from transformers import AutoModelForSequenceClassification, BertConfig, TrainerCallback, TrainingArguments

from hf_noisy import (
    METHODS,
    CoTeaching,
    CrossEntropy,
    GeneralizedCrossEntropy,
    NoiseCallback,
    NoisyTrainer,
    NoisyTrainingArguments,
    TruncatedGCE,
    compute_metrics,
)
from hf_noisy.data import labels as labels_module
from hf_noisy.data.labels import label_dataset
from hf_noisy.methods import SupervisionRecord
from hf_noisy.methods.logged_names import is_known
from hf_noisy.trainer import evaluation_sets, method_set


def soft_rows(rows: int, classes: int = 3, seed: int = 0) -> list[list[float]]:
    values = np.random.default_rng(seed).dirichlet(np.ones(classes), size=rows)
    return values.astype(np.float32).tolist()


# ---- loss scaling


@pytest.mark.parametrize("kind", ["hard", "soft", "abstained"])
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"gce_truncated", "mentornet_pd", "mentornet_dd", "glc"}))
def test_accumulated_batches_give_the_gradient_of_one_large_batch(tmp_path, kind, method):
    labels = {"hard": None, "soft": soft_rows(16), "abstained": [0, -1, 2, 1] * 4}[kind]
    dataset = token_dataset(16, labels)
    whole = gradient(tmp_path, dataset, per_device_train_batch_size=16, noise_method=method)
    parts = gradient(
        tmp_path, dataset, per_device_train_batch_size=4, gradient_accumulation_steps=4, noise_method=method
    )
    assert relative_difference(parts, whole) < 1e-6


def test_the_gradient_is_that_of_the_mean_cross_entropy_over_all_rows(tmp_path):
    dataset = token_dataset(16)
    model = tiny_model()
    logits = model(**{k: torch.tensor(v) for k, v in dataset.to_dict().items() if k != "labels"}).logits
    torch.nn.functional.cross_entropy(logits, torch.tensor(dataset["labels"][:])).backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    found = gradient(tmp_path, dataset, per_device_train_batch_size=8, gradient_accumulation_steps=2)
    assert relative_difference(found, expected) < 1e-6


def test_an_uneven_last_accumulated_batch_weighs_each_row_alike(tmp_path):
    dataset = token_dataset(10)
    whole = gradient(tmp_path, dataset, per_device_train_batch_size=10)
    parts = gradient(tmp_path, dataset, per_device_train_batch_size=4, gradient_accumulation_steps=3)
    assert relative_difference(parts, whole) < 1e-6


def test_abstained_rows_teach_nothing_but_count_as_rows(tmp_path):
    labelled = token_dataset(8)
    abstained = token_dataset(8, [-100] * 8, seed=1)
    both = datasets.concatenate_datasets([labelled, abstained])
    half = gradient(tmp_path, labelled, per_device_train_batch_size=8) / 2
    found = gradient(tmp_path, both, per_device_train_batch_size=16)
    assert relative_difference(found, half) < 1e-6


def test_the_logged_loss_is_the_mean_over_rows(tmp_path):
    trainer = make_trainer(
        tmp_path, token_dataset(16), **ONE_STEP, per_device_train_batch_size=4, gradient_accumulation_steps=4
    )
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(np.log(3), rel=0.1)


# ---- labels


def test_hard_labels_and_their_one_hot_rows_train_alike(tmp_path):
    hard = token_dataset(12)
    one_hot = np.eye(3, dtype=np.float32)[hard["labels"][:]].tolist()
    soft = hard.remove_columns("labels").add_column("labels", one_hot)
    weights = []
    for dataset in (hard, soft):
        trainer = make_trainer(tmp_path, dataset)
        trainer.train()
        weights.append(flat_weights(trainer.model))
    assert torch.allclose(*weights, atol=1e-6)


def test_a_training_set_that_is_replaced_is_labelled_again(tmp_path):
    trainer = make_trainer(tmp_path, rows=8)
    trainer.train_dataset = token_dataset(12, seed=1)
    trainer.train()
    assert trainer.example_report()["seen"][:] == [2] * 12


def test_votes_reach_the_methods_by_row(tmp_path):
    votes = np.random.default_rng(0).integers(-1, 3, size=(8, 2))

    class Watch(NoiseCallback):
        def supervise(self, supervision, predictions, batch):
            assert batch.votes.tolist() == votes[batch.index].tolist()
            return supervision

    make_trainer(tmp_path, token_dataset(8).add_column("weak_labels", votes.tolist()), callbacks=[Watch()]).train()


def test_every_row_has_its_own_memory_however_rows_are_ordered_and_loaded(tmp_path):
    rows = token_dataset(30).shuffle(seed=1).filter(lambda row: row["input_ids"][1] % 3 > 0)
    for settings in ({"train_sampling_strategy": "group_by_length"}, {"dataloader_num_workers": 2}):
        trainer = make_trainer(tmp_path, rows, model=tiny_model(), learning_rate=0.0, num_train_epochs=1, **settings)
        trainer.train()
        expected = -(trainer.survey().log_probs[0] * trainer.survey().given).sum(-1)
        assert np.allclose(trainer.example_report()["loss"][:], expected, atol=1e-5)


def test_an_epoch_that_ends_early_is_followed_by_the_next(tmp_path):
    class EndsEarly(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_epoch_stop = state.global_step == 2

    recorder = Recorder()
    make_trainer(tmp_path, rows=16, callbacks=[recorder, EndsEarly()], num_train_epochs=3).train()
    assert [event for event in recorder.events if "begin" in event] == [f"begin_epoch {k}" for k in range(3)]


def test_class_names_survive_model_init(tmp_path):
    trainer = make_trainer(tmp_path, token_dataset(20, ["c", "b", "a", "c"] * 5), model_init=lambda: tiny_model())
    trainer.train()
    assert trainer.model.config.id2label[0] == "a"


# ---- events


class Recorder(NoiseCallback):
    """Writes down which event came when."""

    def __init__(self):
        self.events = []
        self.index = []

    def setup(self, context):
        self.events.append("setup")
        self.context = context

    def begin_epoch(self, epoch, survey):
        self.events.append(f"begin_epoch {epoch}")
        self.survey = survey()

    def views(self, inputs, batch):
        self.events.append("views")
        return [inputs, inputs]

    def supervise(self, supervision, predictions, batch):
        assert not torch.is_grad_enabled()
        self.events.append("supervise")
        self.shapes = (
            tuple(predictions.clean_log_probs.shape),
            tuple(supervision.targets.shape),
            tuple(supervision.weights.shape),
        )
        self.index += batch.index.tolist()
        return supervision

    def penalty(self, predictions, supervision, batch):
        assert predictions.clean_log_probs.requires_grad
        self.events.append("penalty")
        return predictions.clean_log_probs.sum() * 0


def test_events_come_in_order_and_see_the_shapes_that_the_design_names(tmp_path):
    recorder = Recorder()
    trainer = make_trainer(tmp_path, rows=8, callbacks=[recorder])
    trainer.train()
    step = ["views", "supervise", "penalty"]
    epoch = [*step, *step]
    assert recorder.events == ["setup", "begin_epoch 0", *epoch, "begin_epoch 1", *epoch]
    assert recorder.shapes == ((1, 2, 4, 3), (1, 4, 3), (1, 4))
    assert sorted(recorder.index) == sorted([*range(8)] * 2)
    assert recorder.context.rows == 8
    assert recorder.context.epochs == 2


def test_the_survey_is_in_row_order_and_disturbs_nothing(tmp_path):
    weights = []
    for callbacks in ([], [Recorder()]):
        trainer = make_trainer(tmp_path, rows=10, model=tiny_model(dropout=0.5), callbacks=callbacks)
        if callbacks:
            callbacks[0].views = lambda inputs, batch: [inputs]
        trainer.train()
        weights.append(flat_weights(trainer.model))
    assert torch.equal(*weights)
    survey = trainer.survey()
    trainer.model.eval()
    rows = trainer.train_dataset.select_columns(["input_ids", "attention_mask"]).with_format("torch")[:]
    assert torch.allclose(survey.log_probs[0], trainer.model(**rows).logits.log_softmax(-1), atol=1e-6)
    assert survey.given.argmax(-1).tolist() == trainer.noise.labels.tolist()


def test_a_scalar_penalty_counts_once_a_row_and_a_vector_once_each(tmp_path):
    class Penalty(NoiseCallback):
        def __init__(self, scalar):
            self.scalar = scalar

        def penalty(self, predictions, supervision, batch):
            squares = predictions.clean_log_probs.square().sum((0, 1, 3))
            return squares.mean() if self.scalar else squares

    scalar, vector = (
        gradient(tmp_path, token_dataset(8), per_device_train_batch_size=8, callbacks=[Penalty(kind)])
        for kind in (True, False)
    )
    assert torch.allclose(scalar, vector, atol=1e-6)


def test_evaluation_and_saving_see_the_deployed_weights(tmp_path):
    from contextlib import contextmanager

    class Zeroed(NoiseCallback):
        @contextmanager
        def deployed(self, model):
            kept = model.classifier.weight.data.clone()
            model.classifier.weight.data.zero_()
            yield
            model.classifier.weight.data.copy_(kept)

    trainer = make_trainer(tmp_path, callbacks=[Zeroed()], eval_dataset=token_dataset(6))
    trainer.train()
    assert np.ptp(trainer.predict(token_dataset(6)).predictions, axis=0).max() == 0
    trainer.save_model(str(tmp_path))
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path).classifier.weight.abs().max() == 0
    assert trainer.model.classifier.weight.abs().max() > 0


def test_random_draws_of_a_step_depend_on_the_step_and_the_purpose_alone(tmp_path):
    class Draws(NoiseCallback):
        def setup(self, context):
            self.seen = []

        def supervise(self, supervision, predictions, batch):
            self.seen.append([float(torch.rand((), generator=batch.generator(p))) for p in ("a", "b")])
            return supervision

    runs = []
    for _ in range(2):
        draws = Draws()
        make_trainer(tmp_path, callbacks=[draws], gradient_accumulation_steps=2).train()
        runs.append(draws.seen)
    assert runs[0] == runs[1]
    assert len({value for pair in runs[0] for value in pair}) == 2 * len(runs[0])


def test_dynamics_hold_what_the_predictions_said(tmp_path):
    trainer = make_trainer(
        tmp_path, token_dataset(6, [0, 1, 2, -1, 0, 1]), learning_rate=0.0, num_train_epochs=3, criterion=CrossEntropy()
    )
    trainer.train()
    trainer.model.eval()
    rows = trainer.train_dataset.select_columns(["input_ids", "attention_mask"]).with_format("torch")[:]
    logits = trainer.model(**rows).logits.detach()
    report = trainer.example_report().to_pandas()
    assert report["index"].tolist() == list(range(6))
    assert report["seen"].tolist() == [3] * 6
    assert report["prediction"].tolist() == logits.argmax(-1).tolist()
    for row, label in enumerate([0, 1, 2, None, 0, 1]):
        if label is None:
            assert np.isnan(report["loss"][row])
            assert np.isnan(report["margin"][row])
            assert report["disagreements"][row] == 0
            continue
        others = np.delete(logits[row].numpy(), label)
        assert report["loss"][row] == pytest.approx(-float(logits[row].log_softmax(-1)[label]), rel=1e-4)
        assert report["margin"][row] == pytest.approx(float(logits[row, label] - others.max()), abs=1e-4)
        assert report["disagreements"][row] == 3 * (int(logits[row].argmax()) != label)


# ---- methods by name


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_name_trains_and_reports(tmp_path, method):
    trainer = make_trainer(tmp_path, noise_method=method)
    result = trainer.train()
    assert np.isfinite(result.training_loss)
    logged = {name for entry in trainer.state.log_history for name in entry} - {"step"}
    assert {name for name in logged if not is_known(name)} == set()
    assert len(trainer.example_report()) == (32 if method == "glc" else 20)  # and 12 trusted rows


def test_parameters_reach_the_named_method(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="gce", noise_kwargs='{"q": 0.5}')
    assert trainer.noise.criterion == GeneralizedCrossEntropy(q=0.5)


def test_plain_training_arguments_work_too(tmp_path):
    args = TrainingArguments(str(tmp_path), report_to="none", use_cpu=True, num_train_epochs=1, disable_tqdm=True)
    trainer = NoisyTrainer(tiny_model(), args, train_dataset=token_dataset(8), callbacks=[TruncatedGCE()])
    trainer.train()
    assert trainer.noise.criterion == GeneralizedCrossEntropy(q=0.7)
    assert "kept" in trainer.example_report().column_names


def test_truncated_gce_leaves_out_what_the_model_does_not_believe(tmp_path):
    method = TruncatedGCE(k=0.5, warmup=0.5)
    trainer = make_trainer(tmp_path, rows=40, callbacks=[method], num_train_epochs=20, save_strategy="no")
    trainer.train()
    before = [entry["kept_share"] for entry in trainer.state.log_history if entry.get("epoch", 99) <= 10]
    assert set(before) == {1.0}
    believed = (trainer.survey().given * trainer.survey().probs).sum(-1)
    kept = torch.tensor(trainer.example_report()["kept"][:])
    assert 0 < kept.float().mean() < 1 or believed.min() > 0.5
    assert believed[kept].mean() > believed[~kept].mean() if (~kept).any() else True


def test_truncated_gce_weighs_by_a_look_worked_by_hand():
    from hf_noisy import Context, Survey

    method = TruncatedGCE(k=0.5, warmup=0.0)
    labels = torch.tensor([0, 0, 1, -100])
    method.setup(Context(4, 2, 1, labels, None, method.criterion, 2, 0, torch.device("cpu")))
    log_probs = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7], [0.9, 0.1]]).log()
    given = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    method.begin_epoch(0, lambda: Survey(log_probs.unsqueeze(0), given))
    assert method.kept.values.tolist() == [True, False, True, False]


# ---- the Trainer that users know


def test_evaluation_is_plain_cross_entropy_over_labelled_rows(tmp_path):
    evaluation = token_dataset(10, [0, 1, 2, -1, -1, -1, -100, 1, 1, 2])
    trainer = make_trainer(
        tmp_path,
        eval_dataset=evaluation,
        noise_method="gce",
        per_device_eval_batch_size=4,
        compute_metrics=compute_metrics,
    )
    report = trainer.evaluate()
    logits = torch.tensor(trainer.predict(evaluation).predictions)
    labels = torch.tensor(evaluation["labels"][:])
    covered = labels >= 0
    expected = torch.nn.functional.cross_entropy(logits[covered], labels[covered])
    assert report["eval_loss"] == pytest.approx(float(expected), rel=1e-5)
    assert report["eval_accuracy"] == pytest.approx(
        float((logits[covered].argmax(-1) == labels[covered]).float().mean())
    )


def test_evaluation_touches_no_state(tmp_path):
    trainer = make_trainer(tmp_path, eval_dataset=token_dataset(6))
    trainer.train()
    before = trainer.example_report().to_dict()
    trainer.evaluate()
    trainer.predict(trainer.train_dataset)
    assert str(trainer.example_report().to_dict()) == str(before)


def test_predict_works_without_labels_and_with_a_stray_index(tmp_path):
    trainer = make_trainer(tmp_path)
    unlabelled = token_dataset(6).remove_columns("labels")
    plain = trainer.predict(unlabelled).predictions
    assert plain.shape == (6, 3)
    assert np.array_equal(plain, trainer.predict(unlabelled.add_column("index", [9] * 6)).predictions)


def test_a_test_set_whose_labels_are_all_hidden_can_be_predicted(tmp_path):
    assert make_trainer(tmp_path).predict(token_dataset(6, [-1] * 6)).predictions.shape == (6, 3)


def test_the_best_checkpoint_is_loaded_at_the_end(tmp_path):
    trainer = make_trainer(
        tmp_path,
        eval_dataset={"a": token_dataset(6), "b": token_dataset(6)},
        compute_metrics=compute_metrics,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_a_accuracy",
        num_train_epochs=3,
    )
    trainer.train()
    best = AutoModelForSequenceClassification.from_pretrained(trainer.state.best_model_checkpoint)
    assert torch.equal(flat_weights(best), flat_weights(trainer.model))


@pytest.mark.slow
def test_hyperparameter_search_changes_the_method(tmp_path):
    built = []

    class Watch(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            built.append((args.noise_method, repr(trainer.noise.criterion)))

    trainer = make_trainer(
        tmp_path,
        model_init=lambda: tiny_model(),
        eval_dataset=token_dataset(6),
        compute_metrics=compute_metrics,
        num_train_epochs=1,
        callbacks=[Watch()],
    )
    methods = iter(["gce", "mae", "gce_truncated"])
    trainer.hyperparameter_search(
        lambda trial: {"noise_method": trial.suggest_categorical("noise_method", [next(methods)])},
        n_trials=1,
        direction="maximize",
        backend="optuna",
    )
    assert built == [("gce", "GeneralizedCrossEntropy(q=0.7)")]


def test_tensorboard_gets_the_loss_and_what_the_method_logs(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    make_trainer(tmp_path, noise_method="gce_truncated", report_to="tensorboard").train()
    events = EventAccumulator(str(next(tmp_path.rglob("events.out*")).parent))
    events.Reload()
    assert {"train/loss", "train/kept_share"} <= set(events.Tags()["scalars"])


def test_a_trainer_pickles_its_arguments_and_criteria(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="sce")
    assert pickle.loads(pickle.dumps(trainer.noise.criterion)) == trainer.noise.criterion
    assert pickle.loads(pickle.dumps(trainer.args)).noise_method == "sce"


def test_subclassing_needs_no_knowledge_of_the_seam(tmp_path):
    class Mine(NoisyTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            return (loss[0] * 2, loss[1]) if return_outputs else loss * 2

    args = NoisyTrainingArguments(str(tmp_path), report_to="none", use_cpu=True, **ONE_STEP, disable_tqdm=True)
    trainer = Mine(tiny_model(), args, train_dataset=token_dataset(8))
    before = flat_weights(trainer.model)
    trainer.train()
    twice = before - flat_weights(trainer.model)
    assert torch.allclose(twice, 2 * gradient(tmp_path, token_dataset(8), per_device_train_batch_size=8), atol=1e-6)


# ---- the card


def test_every_save_writes_a_card_with_method_parameters_and_metrics(tmp_path):
    trainer = make_trainer(
        tmp_path,
        noise_method="gce",
        noise_kwargs={"q": 0.5},
        eval_dataset=token_dataset(6),
        compute_metrics=compute_metrics,
        eval_strategy="epoch",
        save_strategy="epoch",
    )
    trainer.train()
    trainer.save_model()
    for folder in [tmp_path, *tmp_path.glob("checkpoint-*")]:
        card = (Path(folder) / "README.md").read_text()
        assert "noisy-labels" in card
        assert "GeneralizedCrossEntropy(q=0.5)" in card
        assert "- `gce`: `q=0.5`" in card
        assert "eval_accuracy" in card
        assert "Zhang and Sabuncu" in card
        assert str(tmp_path) not in card


def card_of(folder) -> str:
    return (Path(folder) / "README.md").read_text(encoding="utf-8")


def test_the_card_tells_the_estimated_noise_the_labels_and_the_whole_set_of_parameters(tmp_path):
    dataset = token_dataset(20, ["a", "b", "c", ""] * 5)
    matrix = [[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 0.9]]
    trainer = make_trainer(
        tmp_path, dataset, noise_method="forward+elr", noise_kwargs={"matrix": matrix, "elr": {"lam": 2.0}}
    )
    trainer.train()
    trainer.save_model(str(tmp_path / "out"))
    card = card_of(tmp_path / "out")
    assert "20 rows, 75.0% of them with a label (hard)" in card
    assert "| `estimated_noise_rate` |" in card
    assert "| a | 0.800 | 0.200 | 0.000 |" in card
    assert "- `elr`: `beta=0.7`, `lam=2.0`" in card  # the default beside what was set
    assert "Patrini et al." in card.split("## Citation")[1]
    assert "Early-Learning Regularization" in card.split("## Citation")[1]


def test_the_card_names_the_class_of_a_number_that_is_of_one(tmp_path):
    trainer = make_trainer(tmp_path, token_dataset(12, ["ham", "ox", "rye"] * 4), callbacks=[SupervisionRecord()])
    trainer.train()
    trainer.create_model_card()
    card = (tmp_path / "README.md").read_text()
    assert "| `weight_class_1` | 1 | mean weight of the examples that are labelled ox |" in card


def test_the_card_of_a_method_with_a_parameter_of_its_own_name(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="neighbours", noise_kwargs={"neighbours": 3})
    trainer.save_model()
    assert "`neighbours=3`" in (tmp_path / "README.md").read_text()


def test_the_code_of_the_card_makes_these_arguments_again(tmp_path):
    trainer = make_trainer(
        tmp_path, noise_method="sce", noise_kwargs={"alpha": 0.2}, weight_decay=0.1, lr_scheduler_type="cosine"
    )
    trainer.save_model(str(tmp_path / "out"))
    code = card_of(tmp_path / "out").split("```python\n")[1].split("```")[0]
    namespace: dict = {}
    exec(code[: code.index("trainer = ")], namespace)
    for name in ("noise_method", "noise_kwargs", "learning_rate", "weight_decay", "lr_scheduler_type", "seed", "optim"):
        assert getattr(namespace["args"], name) == getattr(trainer.args, name), name


def test_methods_passed_as_objects_are_cited_and_tagged_too(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[CoTeaching(forget_rate=0.2)], criterion=GeneralizedCrossEntropy(0.6))
    trainer.save_model(str(tmp_path / "out"))
    card = card_of(tmp_path / "out")
    assert "Han et al., Co-teaching" in card
    assert "Zhang and Sabuncu" in card
    assert "- co_teaching\n" in card
    assert "criterion=GeneralizedCrossEntropy(q=0.6), callbacks=[CoTeaching(...)]" in card


def test_a_card_before_any_training_says_so_little(tmp_path):
    make_trainer(tmp_path).save_model(str(tmp_path / "out"))
    card = card_of(tmp_path / "out")
    assert "Nothing was measured" in card
    assert "log no estimate about the labels" in card
    assert "No method of a paper" in card


def test_a_readme_of_yours_is_not_written_over(tmp_path):
    (tmp_path / "README.md").write_text("my project")
    trainer = make_trainer(tmp_path)
    trainer.save_model()
    assert (tmp_path / "README.md").read_text() == "my project"


@pytest.fixture
def hub(monkeypatch):
    """A Hub that keeps what is uploaded: one dictionary an upload, with the files as they then were."""
    uploads: list[dict] = []

    def upload_folder(self, **kwargs):
        folder = Path(kwargs["folder_path"])
        files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        uploads.append({**kwargs, "files": files, "card": files.get("README.md", b"").decode()})
        done = Future()
        done.set_result(None)
        return done

    def create_repo(self, name, **kwargs):
        return type("Repo", (), {"repo_id": f"me/{name}"})()

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", create_repo)
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", upload_folder)
    for replaced in (create_repo, upload_folder):  # older releases of Transformers import the functions
        monkeypatch.setattr(f"transformers.trainer.{replaced.__name__}", partial(replaced, None), raising=False)
    return uploads


def test_pushing_to_the_hub_sends_our_card(tmp_path, hub):
    trainer = make_trainer(tmp_path / "robust", noise_method="mae", hub_token="x", hub_model_id="robust")
    trainer.train()
    trainer.push_to_hub(tags=["mine"], language="en", dataset_tags="me/reviews")
    (sent,) = hub
    assert sent["repo_id"] == "me/robust"
    assert "MeanAbsoluteError()" in sent["card"]
    head = sent["card"].split("---")[1]
    assert all(f"- {part}\n" in head for part in ("mine", "hf_noisy", "noisy-labels", "mae", "me/reviews"))
    assert "model.safetensors" in sent["files"]


def test_each_save_while_training_pushes_a_model_its_card_and_a_checkpoint_to_resume_from(tmp_path, hub):
    trainer = make_trainer(
        tmp_path / "robust",
        noise_method="co_teaching",
        push_to_hub=True,
        hub_strategy="checkpoint",
        hub_token="secret",
        save_strategy="epoch",
        eval_dataset=token_dataset(6),
        eval_strategy="epoch",
    )
    trainer.train()
    models = [sent for sent in hub if "path_in_repo" not in sent]
    checkpoints = [sent for sent in hub if "path_in_repo" in sent]
    assert len(models) >= len(checkpoints) == 2
    for sent in hub:
        assert "Han et al., Co-teaching" in sent["card"]
        assert "secret" not in sent["card"]
    assert {"noise_state.safetensors", "network-1/model.safetensors"} <= set(checkpoints[0]["files"])
    (tmp_path / "pulled").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "pulled" / name).write_bytes(models[-1]["files"][name])
    pulled = AutoModelForSequenceClassification.from_pretrained(tmp_path / "pulled")
    assert torch.equal(flat_weights(pulled), flat_weights(trainer.noise.deployed_model))


@pytest.mark.parametrize(("method", "said"), [("gce", True), ("auto", True), ("glc", False)])
def test_trusted_rows_that_no_method_reads_are_not_passed_over_in_silence(tmp_path, monkeypatch, method, said):
    texts: list[str] = []
    monkeypatch.setattr(method_set.logger, "warning", texts.append)
    clean = token_dataset(12, [0, 1] * 6, seed=7).add_column("given", [0, 1, 1, 0, -1, 1] * 2)
    make_trainer(tmp_path, noise_method=method, clean_dataset=clean, num_train_epochs=1).train()
    assert any("clean_dataset is not read" in text and "glc" in text for text in texts) == said


def test_a_method_that_returns_nothing_is_named(tmp_path):
    class Forgetful(NoiseCallback):
        def supervise(self, supervision, predictions, batch):
            supervision.trusting(batch.covered)

    with pytest.raises(
        TypeError, match=r"Forgetful.supervise gives NoneType: expected a Supervision. Is a `return` missing\?"
    ):
        make_trainer(tmp_path, callbacks=[Forgetful()]).train()


def test_the_card_says_what_auto_took_and_why(tmp_path):
    trainer = make_trainer(tmp_path, rows=60, noise_method="auto", num_train_epochs=1)
    trainer.train()
    trainer.create_model_card()
    name, _, reason = next(callback.choice for callback in trainer.noise.callbacks if hasattr(callback, "choice"))
    assert f"- `auto` took `{name}`, since {reason}" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("labelled", [True, False])
def test_an_evaluation_set_without_labels_is_said_to_be_one(tmp_path, monkeypatch, labelled):
    texts: list[str] = []
    monkeypatch.setattr(evaluation_sets.logger, "warning", texts.append)
    rows = token_dataset(6)
    make_trainer(tmp_path, eval_dataset=rows if labelled else rows.rename_column("labels", "target"))
    assert any("eval_dataset has no label column" in text for text in texts) != labelled


@pytest.mark.parametrize(
    ("given", "classes", "said"),
    [
        (
            {"labels": [0, 1] * 4, "label": [1, 0] * 4},
            2,
            "has columns 'labels' and 'label': the labels are those of 'labels'",
        ),
        ({"labels": [0, 2] * 4}, 3, "no row is of class 1, which the model has (3 classes). Check num_labels"),
        ({"labels": [1] * 8}, 2, "all labels are of one class"),
        ({"labels": [0, 1, 2, -1] * 2}, 3, None),
    ],
)
def test_labels_that_are_seldom_meant_so_are_said(given, classes, said, monkeypatch):
    texts = []
    monkeypatch.setattr(labels_module.logger, "warning", texts.append)
    config = BertConfig(num_labels=classes)
    rows = datasets.Dataset.from_dict({"input_ids": [[1, 2]] * 8, **given})
    label_dataset(rows, config, where="train_dataset", with_index=True)
    assert [said in text for text in texts] == ([True] if said else [])
    texts.clear()
    label_dataset(rows, config, where="eval_dataset", with_index=False)  # a part of the classes is nothing odd there
    assert texts == []


# ---- what changes between construction and a step


@pytest.mark.parametrize("method", ["gce", "co_teaching", "noise_adaptation"])
def test_a_model_that_a_search_released_is_made_anew(tmp_path, method):
    trainer = make_trainer(tmp_path, model=None, model_init=lambda: tiny_model(), noise_method=method)
    trainer.train()
    trainer.model = trainer.model_wrapped = None  # as Transformers does after each trial
    trainer.train()
    assert len(trainer.noise.networks) == (2 if method == "co_teaching" else 1)


def test_a_method_that_is_removed_in_training_is_not_asked_again(tmp_path):
    class Counting(NoiseCallback):
        asked = 0

        def supervise(self, supervision, predictions, batch):
            self.asked += 1
            return supervision

    class Removes(TrainerCallback):
        def on_epoch_begin(self, args, state, control, **kwargs):
            if state.epoch >= 1:
                trainer.remove_callback(method)

    method = Counting()
    trainer = make_trainer(tmp_path, rows=8, num_train_epochs=2, callbacks=[Removes(), method])
    trainer.train()
    assert method.asked == trainer.state.global_step / 2


def test_class_names_that_a_user_sets_later_stay(tmp_path):
    rows = token_dataset(6, labels=[0] * 6).remove_columns("labels").add_column("labels", ["bad", "good", "so"] * 2)
    trainer = make_trainer(tmp_path, rows)
    assert trainer.model.config.id2label == {0: "bad", 1: "good", 2: "so"}
    trainer.model.config.id2label = {0: "NEG", 1: "POS", 2: "NEUTRAL"}
    trainer.train()
    assert trainer.model.config.id2label[0] == "NEG"


def test_what_is_shown_as_noise_is_the_present_state(tmp_path):
    trainer = make_trainer(tmp_path)
    noise = trainer.noise
    assert len(noise.networks) == 1
    trainer.args.noise_method = "co_teaching"
    trainer.train()
    assert len(noise.networks) == 2
    assert noise.deployed_model in noise.networks
