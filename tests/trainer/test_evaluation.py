"""Evaluation with every method: what the stock Trainer gives for the model that users get."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_trainer, token_dataset
from transformers import BertForSequenceClassification, EarlyStoppingCallback, Trainer, TrainingArguments

from hf_noisy import METHODS

SETS = {"near": token_dataset(11, seed=3), "far": token_dataset(7, seed=4)}
METHODS_OF_ONE = sorted(set(METHODS) - {"co_teaching", "co_teaching_plus", "jocor", "dividemix"})


class Seen:
    """A metric function that keeps the shapes that it was given."""

    def __init__(self) -> None:
        self.shapes, self.kept = [], 0.0

    def __call__(self, found, compute_result=None):
        logits = found.predictions if not isinstance(found.predictions, list) else found.predictions[-1]
        given = (found.predictions, found.label_ids, found.inputs, found.losses)
        self.shapes.append([shapes_of(part) for part in given])
        self.kept += float(flat(logits).sum())
        return {"sum": self.kept} if compute_result is not False else {}


def shapes_of(value):
    return [shapes_of(part) for part in value] if isinstance(value, list | tuple) else np.shape(value)


def flat(value) -> np.ndarray:
    return np.concatenate([flat(part) for part in value]) if isinstance(value, list) else np.ravel(value)


FORMS = {
    "as it is": {},
    "inputs and losses": {"include_for_metrics": ["inputs", "loss"]},
    "batch by batch": {"batch_eval_metrics": True},
    "batches apart": {"eval_do_concat_batches": False},
    "loss only": {"prediction_loss_only": True},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["ce", "elr", "gce", "noise_adaptation", "self_training", "model_average", "auto"])
def test_every_form_of_an_evaluation_is_that_of_the_stock_trainer(tmp_path, method, form):
    trainer = make_trainer(
        tmp_path,
        eval_dataset=SETS,
        noise_method=method,
        compute_metrics=Seen(),
        per_device_eval_batch_size=4,
        **FORMS[form],
    )
    trainer.train()
    trainer.compute_metrics = ours = Seen()
    found = trainer.evaluate()
    trainer.save_model(str(tmp_path / "saved"))
    args = TrainingArguments(
        str(tmp_path / "stock"),
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        per_device_eval_batch_size=4,
        **FORMS[form],
    )
    model, metric = BertForSequenceClassification.from_pretrained(tmp_path / "saved"), Seen()
    stock = Trainer(model, args, eval_dataset=SETS, compute_metrics=metric)
    expected = stock.evaluate()
    timed = ("second", "runtime", "_time", "epoch")
    left = {name: value for name, value in expected.items() if not name.endswith(timed)}
    assert {name: found[name] for name in left} == pytest.approx(left, abs=1e-5)
    assert metric.shapes == ours.shapes
    one, other = (each.predict(SETS["near"]) for each in (trainer, stock))
    if form != "loss only":
        assert np.allclose(flat(one.predictions), flat(other.predictions), atol=1e-6)
        assert np.array_equal(flat(one.label_ids), flat(other.label_ids))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_stopping_and_the_best_model_go_by_a_named_set(tmp_path, method):
    """Stopped after the second evaluation that is no better; the best weights are back, and are those that are saved."""
    best = {
        "eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True, "num_train_epochs": 6,
        "metric_for_best_model": "eval_near_loss", "learning_rate": 0.0, "weight_decay": 0.0,
    }  # fmt: skip
    stop = EarlyStoppingCallback(early_stopping_patience=2, early_stopping_threshold=10.0)
    trainer = make_trainer(tmp_path, eval_dataset=SETS, noise_method=method, callbacks=[stop], **best)
    trainer.train()
    losses = [entry["eval_near_loss"] for entry in trainer.state.log_history if "eval_near_loss" in entry]
    assert len(losses) == 3
    assert trainer.state.best_metric == min(losses)
    assert trainer.evaluate()["eval_near_loss"] == pytest.approx(min(losses), abs=1e-5)
    if method in METHODS_OF_ONE:
        trainer.save_model(str(tmp_path / "saved"))
        saved = make_trainer(
            tmp_path, eval_dataset=SETS, model=BertForSequenceClassification.from_pretrained(tmp_path / "saved")
        )
        assert saved.evaluate()["eval_far_loss"] == pytest.approx(trainer.evaluate()["eval_far_loss"], abs=1e-5)
