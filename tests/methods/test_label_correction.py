"""Label correction against SELC's formula and a count of disagreements; and its memory by example."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import StopAt, flat_weights, make_trainer, tiny_model, token_dataset
from datasets import Dataset

from hf_noisy import CoTeaching, GeneralizedCrossEntropy, NoiseCallback, Predictions, Supervision
from hf_noisy.methods.label_correction import LabelCorrection

P = np.array([[0.8, 0.2], [0.1, 0.9], [0.6, 0.4]])
LABELS = [0, 0, -1]


def ready(*, labels=LABELS, networks: int = 1, epochs: float = 6, classes: int = 2, **arguments) -> LabelCorrection:
    method = LabelCorrection(**arguments)
    method.setup(context(len(labels), classes, labels=labels, networks=networks, epochs=epochs))
    return method


def taught(method, probs, *, epoch: float, labels=LABELS) -> list[list[float]]:
    """The targets of the first network."""
    probs = np.array(probs)
    return supervise(method, predictions(probs), batch(labels, probs.shape[1], epoch=epoch)).targets[0].tolist()


# ---- soft ----------------------------------------------------------------------------------------------------------


def test_after_the_warm_up_the_target_follows_the_predictions_as_in_the_paper():
    method = ready(momentum=0.9, warmup=1 / 3)  # two of six epochs
    target = np.eye(2)[[0, 0]]
    for epoch, probs in enumerate((P, P[::-1], P, P[::-1], P)):
        if epoch >= 2:
            target = 0.9 * target + 0.1 * probs[:2]
        found = taught(method, probs, epoch=epoch + 0.5)
        assert np.allclose(found[:2], target, atol=1e-6)
        assert found[2] == [0, 0]  # without a label it stays without


@pytest.mark.parametrize(("epochs", "warmup"), [(3, 1 / 3), (6, 1 / 3), (10, 0.3), (5, 0.0), (2.5, 0.4)])
def test_the_default_momentum_leaves_a_label_half_in_the_middle_and_a_quarter_at_the_end(epochs, warmup):
    method = ready(labels=[0], epochs=epochs, warmup=warmup)
    first, last = round(warmup * epochs), int(np.ceil(epochs))
    shares = [taught(method, [[0.0, 1.0]], epoch=epoch, labels=[0])[0][0] for epoch in range(last)]
    assert shares[:first] == [1] * first
    assert shares[-1] == pytest.approx(0.25)
    if (last - first) % 2 == 0:
        assert shares[first + (last - first) // 2 - 1] == pytest.approx(0.5)


def test_an_example_that_a_sampler_repeats_counts_once_an_epoch():
    method = ready(momentum=0.5, warmup=0.0)
    once = taught(method, P, epoch=0.1)
    assert taught(method, P[::-1], epoch=0.7) == once
    assert taught(method, P, epoch=1.1) != once


def test_it_goes_by_row_number_and_not_by_position():
    method = ready(momentum=0.5, warmup=0.0)
    rows = batch([0, 0], 2, index=[1, 0], epoch=0.0)
    supervise(method, predictions([[0.2, 0.8], [1.0, 0.0]]), rows)
    assert np.allclose(method.targets.values[:, 0], [[1, 0], [0.6, 0.4], [0, 0]])


def test_each_network_follows_its_own_predictions():
    method = ready(momentum=0.5, warmup=0.0, networks=2)
    found = supervise(method, predictions(P, P[:, ::-1].copy()), batch(LABELS, 2, epoch=0.0)).targets
    assert np.allclose(found[0, :2], [[0.9, 0.1], [0.55, 0.45]])
    assert np.allclose(found[1, :2], [[0.6, 0.4], [0.95, 0.05]])
    assert method.report()["label_trust"].shape == (3, 2)


def test_soft_labels_move_too():
    method = ready(labels=[[0.6, 0.4], [0.0, 0.0]], momentum=0.5, warmup=0.0)
    rows = batch([[0.6, 0.4], [0.0, 0.0]], 2, epoch=0.0)
    found = supervise(method, predictions([[0.2, 0.8], [0.2, 0.8]]), rows)
    assert np.allclose(found.targets[0], [[0.4, 0.6], [0, 0]])
    assert found.weights.tolist() == [[1, 0]]
    report = method.report()
    assert report["corrected_label"].tolist() == [1, -1]
    assert np.allclose(report["label_trust"], [0.4, np.nan], equal_nan=True)
    assert float(method.metrics()["corrected_share"]) == 1


def test_only_the_first_view_counts():
    method = ready(momentum=0.0, warmup=0.0)
    views = torch.tensor(np.stack([P, P[:, ::-1]])).float().log().unsqueeze(0)
    assert np.allclose(supervise(method, Predictions(views), batch(LABELS, 2)).targets[0, :2], P[:2])


# ---- hard ----------------------------------------------------------------------------------------------------------


def hard_by_hand(label: int, predicted: list[int], needed: int) -> list[int]:
    """The label after each epoch."""
    labels = []
    for epoch in range(len(predicted)):
        run = predicted[max(0, epoch - needed + 1) : epoch + 1]
        # a run counts from the last correction on, which cannot be longer ago than the run is long
        changed = [k for k in range(1, epoch + 1) if labels[k - 1] != ([label, *labels][k - 1])]
        since = max(changed, default=0)
        if epoch - since + 1 >= needed and len(set(run)) == 1 and run[0] != label:
            label = run[0]
        labels.append(label)
    return labels


@pytest.mark.parametrize("needed", [1, 2, 3])
def test_hard_labels_change_after_k_epochs_of_one_other_class(needed):
    rng = np.random.default_rng(needed)
    predicted = rng.integers(0, 3, (200, 12))
    predicted[:, 4:8] = predicted[:, 4:5]  # runs
    labels = rng.integers(0, 3, 200).tolist()
    method = ready(labels=labels, classes=3, kind="hard", disagreements=needed, warmup=0.0, epochs=12)
    found = [
        np.argmax(taught(method, 0.1 + 0.7 * np.eye(3)[predicted[:, epoch]], epoch=epoch, labels=labels), -1)
        for epoch in range(12)
    ]
    expected = [hard_by_hand(label, row.tolist(), needed) for label, row in zip(labels, predicted, strict=True)]
    assert np.array_equal(np.stack(found, 1), expected)
    assert (np.array(expected)[:, -1] != labels).any()


def test_hard_correction_by_an_example():
    """Label 0. Twice class 1 in a row corrects it; 1 then 2 does not; the new label can be corrected again."""
    method = ready(labels=[0], classes=3, kind="hard", disagreements=2, warmup=0.2, epochs=10)
    said = [1, 1, 2, 1, 0, 1, 1, 2, 2, 2]  # the first two are of the warm-up
    found = [taught(method, 0.1 + 0.7 * np.eye(3)[[k]], epoch=e, labels=[0])[0].index(1) for e, k in enumerate(said)]
    assert found == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]


def test_hard_leaves_a_soft_label_as_it_is_until_it_is_overruled():
    soft = [[0.6, 0.3, 0.1]]
    method = ready(labels=soft, classes=3, kind="hard", disagreements=2, warmup=0.0)
    for epoch in (0, 1, 2):  # agreement does not sharpen it
        assert np.allclose(taught(method, [[0.8, 0.1, 0.1]], epoch=epoch, labels=soft), soft)
    assert np.allclose(taught(method, [[0.1, 0.8, 0.1]], epoch=3, labels=soft), soft)
    assert np.allclose(taught(method, [[0.1, 0.8, 0.1]], epoch=3.5, labels=soft), soft)  # the same epoch again
    assert taught(method, [[0.1, 0.8, 0.1]], epoch=4, labels=soft) == [[0, 1, 0]]


# ---- with other methods --------------------------------------------------------------------------------------------


class Pseudo(NoiseCallback):
    """As PseudoLabeling: the first row is doubted and taught class 1, the second doubted, the third given class 1."""

    def supervise(self, supervision, predictions, batch):
        taken = torch.tensor([True, False, True])
        targets = torch.where(taken.unsqueeze(-1), torch.tensor([0.0, 1.0]), supervision.targets)
        weights = torch.where(taken, 0.5, supervision.weights * torch.tensor([1.0, 0.0, 1.0]))
        return replace(supervision, targets=targets, weights=weights).trusting(taken)


@pytest.mark.parametrize("order", ["pseudo-labels first", "pseudo-labels last"])
def test_pseudo_labels_win_and_weights_stay(order):
    method, rows = ready(momentum=0.5, warmup=0.0), batch(LABELS, 2, epoch=0.0)
    supervision = Supervision(rows.given.unsqueeze(0), rows.covered.float().unsqueeze(0))
    for callback in [Pseudo(), method] if order == "pseudo-labels first" else [method, Pseudo()]:
        supervision = callback.supervise(supervision, predictions(P), rows)
    assert np.allclose(supervision.targets[0], [[0, 1], [0.55, 0.45], [0, 1]])
    assert supervision.weights.tolist() == [[0.5, 0, 0.5]]
    assert np.allclose(
        method.targets.values[:, 0], [[0.9, 0.1], [0.55, 0.45], [0, 0]]
    )  # predictions count all the same


def test_trusted_rows_keep_their_label_and_are_not_counted():
    trusted = torch.tensor([True, False, False])
    method = LabelCorrection(momentum=0.0, warmup=0.0)
    method.setup(replace(context(3, 2, labels=LABELS), trusted=trusted))
    rows = replace(batch(LABELS, 2, epoch=0.0), trusted=trusted)
    given = Supervision(rows.given.unsqueeze(0), rows.covered.float().unsqueeze(0), trusted=trusted.unsqueeze(0))
    found = method.supervise(given, predictions(1 - P), rows)
    assert np.allclose(found.targets[0], [[1, 0], [0.9, 0.1], [0, 0]])
    assert float(method.metrics()["corrected_share"]) == 0
    assert method.report()["corrected_label"].tolist() == [0, 0, -1]


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_it_combines_with_another_criterion_and_co_teaching(tmp_path, kind):
    method = LabelCorrection(kind, disagreements=1)
    others = [CoTeaching(forget_rate=0.2)] if kind == "hard" else []
    trainer = make_trainer(
        tmp_path, rows=12, callbacks=[method, *others], criterion=GeneralizedCrossEntropy(), num_train_epochs=3
    )
    assert np.isfinite(trainer.train().training_loss)
    assert torch.isfinite(flat_weights(trainer.model)).all()
    assert 0 <= trainer.state.log_history[-2]["corrected_share"] <= 1
    assert len(trainer.example_report()["label_trust"][:]) == 12


@pytest.mark.slow
def test_labels_that_contradict_what_is_learned_are_corrected_in_training(tmp_path):
    """Negative control: with the labels right, none changes."""
    for wrong in (4, 0):
        dataset = token_dataset(60, classes=2)
        labels = [1 - label if row < wrong else label for row, label in enumerate(dataset["labels"])]
        dataset = dataset.remove_columns("labels").add_column("labels", labels)
        method = LabelCorrection(warmup=0.5)
        trainer = make_trainer(
            tmp_path,
            dataset,
            model=tiny_model(2, dropout=0.1),
            callbacks=[method],
            num_train_epochs=10,
            per_device_train_batch_size=10,
            lr_scheduler_type="constant",
        )
        trainer.train()
        trust = np.asarray(trainer.example_report()["label_trust"][:])
        if wrong:
            assert trust[:wrong].mean() < trust[wrong:].mean() - 0.2
        else:
            assert (np.asarray(trainer.example_report()["corrected_label"][:]) == labels).all()


# ---- memory by example ---------------------------------------------------------------------------------------------


class ByContent(NoiseCallback):
    """Reckons each example's target by the tokens of its text, whatever its number is, once an epoch."""

    def __init__(self, labels: dict[tuple[int, ...], int], alpha: float, first: int) -> None:
        self.targets = {text: np.eye(3)[label] for text, label in labels.items()}
        self.alpha, self.first = alpha, first
        self.epochs: dict[tuple[int, ...], list[int]] = {text: [] for text in labels}

    def views(self, inputs, batch):
        pairs = zip(inputs["input_ids"].tolist(), inputs["attention_mask"].tolist(), strict=True)
        self.texts = [tuple(t for t, real in zip(ids, mask, strict=True) if real) for ids, mask in pairs]
        return [inputs]

    def supervise(self, supervision, predictions, batch):
        if batch.epoch >= self.first:
            for text, probs in zip(self.texts, predictions.probs.double().numpy(), strict=True):
                if int(batch.epoch) not in self.epochs[text]:
                    self.targets[text] = self.alpha * self.targets[text] + (1 - self.alpha) * probs
                    self.epochs[text].append(int(batch.epoch))
        return supervision


def padded(features: list[dict]) -> dict[str, torch.Tensor]:
    """A collator of rows that differ in length."""
    longest = max(len(row["input_ids"]) for row in features)
    return {
        name: torch.tensor([row[name] + [0] * (longest - len(row[name])) for row in features])
        if isinstance(features[0][name], list)
        else torch.tensor([row[name] for row in features])
        for name in features[0]
    }


def rows_of_many_lengths() -> Dataset:
    rng = np.random.default_rng(3)
    texts = [[first, *rng.integers(1, 40, rng.integers(1, 9)).tolist()] for first in range(1, 31)]  # each its own first
    return Dataset.from_dict(
        {
            "input_ids": texts,
            "attention_mask": [[1] * len(text) for text in texts],
            "labels": rng.integers(0, 3, 30).tolist(),
        }
    )


LOADED = {
    "as they are": {},
    "shuffled and filtered": {},
    "by length": {"train_sampling_strategy": "group_by_length"},
    "by workers": {"dataloader_num_workers": 1},
    "accumulated": {"gradient_accumulation_steps": 2},
    "resumed": {},
    "resumed by length": {"train_sampling_strategy": "group_by_length"},
}
SLOW = ("by workers", "resumed", "resumed by length")


@pytest.mark.parametrize("how", [pytest.param(how, marks=[pytest.mark.slow] * (how in SLOW)) for how in LOADED])
def test_each_example_has_its_own_target_however_rows_are_ordered_and_loaded(tmp_path, how):
    dataset = rows_of_many_lengths()
    if how == "shuffled and filtered":
        dataset = dataset.shuffle(seed=1).filter(lambda row: row["input_ids"][0] % 4 > 0)
    labels = {tuple(row["input_ids"]): row["labels"] for row in dataset}
    watch = ByContent(labels, alpha=0.6, first=1)

    def train(*more, resume=None):
        method = LabelCorrection(momentum=0.6)
        trainer = make_trainer(
            tmp_path,
            dataset,
            model=tiny_model(dropout=0.2),
            callbacks=[watch, method, *more],
            data_collator=padded,
            num_train_epochs=3,
            **LOADED[how],
        )
        trainer.train(resume_from_checkpoint=resume)
        return method

    if how.startswith("resumed"):
        train(StopAt(13))  # 8 steps an epoch: in the middle of the second
        method = train(resume=str(tmp_path / "checkpoint-13"))
    else:
        method = train()
    if how != "resumed by length":  # then Transformers draws another order, so an epoch may repeat rows and miss others
        assert set(map(tuple, watch.epochs.values())) == {(1, 2)}
    report = method.report()
    for row, text in enumerate(dataset["input_ids"]):
        expected = watch.targets[tuple(text)]
        assert np.allclose(method.targets.values[row, 0], expected, atol=1e-5)
        assert report["label_trust"][row] == pytest.approx(expected[labels[tuple(text)]], abs=1e-5)
    trust = report["label_trust"]
    assert len(np.unique(trust.round(6))) > len(trust) // 2  # so that another row's would be seen


# ---- what is kept --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_the_state_goes_on_where_it_stopped_in_the_same_epoch(kind):
    def fresh():
        return ready(kind=kind, momentum=0.5 if kind == "soft" else None, warmup=0.0, epochs=6)

    method, resumed = fresh(), fresh()
    taught(method, 1 - P, epoch=0.2)
    resumed.load_state_dict(pickle.loads(pickle.dumps(method)).state_dict())
    for epoch in (0.6, 1.2):  # the rest of the epoch does not count again
        assert taught(resumed, 1 - P, epoch=epoch) == taught(method, 1 - P, epoch=epoch)
    assert taught(fresh(), 1 - P, epoch=1.2) != taught(method, 1 - P, epoch=1.2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(tmp_path, kind):
    def train(folder, *more, resume=None):
        method = LabelCorrection(kind, warmup=0.0, disagreements=2)
        labels = np.random.default_rng(0).integers(0, 3, 20).tolist()
        trainer = make_trainer(
            folder,
            token_dataset(20, labels),
            model=tiny_model(dropout=0.3),
            callbacks=[method, *more],
            num_train_epochs=3,
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = train(tmp_path / "whole")
    train(tmp_path / "broken", StopAt(8))
    resumed = train(tmp_path / "broken", resume=str(tmp_path / "broken" / "checkpoint-8"))
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    assert str(whole.example_report().to_dict()) == str(resumed.example_report().to_dict())
    report = whole.example_report()
    assert min(report["label_trust"][:]) < 0.5 if kind == "soft" else report["corrected_label"][:] != report["label"][:]


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "sotf"}, "Did you mean 'soft'"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"momentum": 90}, "Did you mean 0.9"),
        ({"warmup": -0.1}, "warmup=-0.1"),
        ({"disagreements": 0}, "disagreements=0: expected a whole number of epochs"),
        ({"disagreements": 1.5}, "disagreements=1.5"),
    ],
)
def test_parameters_outside_their_domain_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LabelCorrection(**arguments)


@pytest.mark.parametrize(
    ("arguments", "epochs", "said"),
    [
        ({}, 1, "0 of 1 epochs are left"),
        ({"kind": "hard", "disagreements": 3}, 3, "2 of 3 epochs are left after warmup=0.333, and 3 needed"),
        ({"kind": "hard"}, 3, None),
    ],
)
def test_a_training_too_short_to_correct_anything_is_warned_about(monkeypatch, arguments, epochs, said):
    from hf_noisy.methods import label_correction as module

    found = []
    monkeypatch.setattr(module.logger, "warning", found.append)
    ready(epochs=epochs, **arguments)
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_another_author_of_targets_and_a_noise_channel_are_refused(tmp_path):
    with pytest.raises(ValueError, match="author of the targets"):
        make_trainer(tmp_path, noise_method="selfmix", callbacks=[LabelCorrection()])
    with pytest.raises(ValueError, match="noise channel"):
        make_trainer(tmp_path, noise_method="noise_adaptation", callbacks=[LabelCorrection()])
