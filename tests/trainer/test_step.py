"""Tests one step without a Trainer (a linear model, a criterion, a callback), and one batch through all parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from conftest import ONE_STEP, tiny_model, token_dataset
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.trainer_callback import CallbackHandler, DefaultFlowCallback

from hf_noisy import CoTeaching, CrossEntropy, NoiseCallback, NoisyTrainer, NoisyTrainingArguments
from hf_noisy.models.batch import Batch
from hf_noisy.models.networks import network_logits, side_by_side
from hf_noisy.trainer.clean_rows import CleanDataset
from hf_noisy.trainer.evaluation import Evaluation
from hf_noisy.trainer.method_set import MethodSet
from hf_noisy.trainer.parts import Parts
from hf_noisy.trainer.progress import REAL, Progress
from hf_noisy.trainer.step import Step
from hf_noisy.trainer.survey import RowPass
from hf_noisy.trainer.training_rows import TrainingRows


class Linear(nn.Module):
    """logits = x W', without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 2))

    def forward(self, x: torch.Tensor) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=x @ self.weight.T)


class HalfTheFirst(NoiseCallback):
    """Weighs the first row of a batch by one half."""

    def supervise(self, supervision, predictions, batch):
        return supervision.weighted(torch.where(batch.index == 0, 0.5, 1.0))


def test_a_step_of_a_linear_model_has_the_gradient_that_is_worked_by_hand():
    model, x = Linear(), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    batch = Batch.from_labels(torch.tensor([0, 1]), classes=2)
    loss, _ = Step(CrossEntropy(), [HalfTheFirst()]).loss(model, {"x": x}, batch)
    loss.backward()
    # weights zero: p = 1/2 for both classes; d(-log p_y)/d logits = p - y; divided by the two rows
    residuals = torch.tensor([[-0.5, 0.5], [0.5, -0.5]]) * torch.tensor([[0.5], [1.0]]) / 2
    assert torch.allclose(loss, torch.tensor(1.5 / 2 * np.log(2), dtype=torch.float32))
    assert torch.allclose(model.weight.grad, residuals.T @ x)


def test_rows_without_a_label_have_no_gradient_and_still_count_as_rows():
    model, x = Linear(), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    batch = Batch.from_labels(torch.tensor([0, -100]), classes=2)
    Step(CrossEntropy(), []).loss(model, {"x": x}, batch)[0].backward()
    assert torch.allclose(model.weight.grad, torch.tensor([[-0.5], [0.5]]) @ x[:1] / 2)


def test_the_loss_is_divided_by_the_rows_of_the_whole_step_and_averaged_over_processes():
    model, inputs = Linear(), {"x": torch.ones(2, 2)}
    batch = Batch.from_labels(torch.tensor([0, 1]), classes=2)
    alone = Step(CrossEntropy(), []).loss(model, inputs, batch)[0]
    of_eight = Step(CrossEntropy(), [], processes=2).loss(model, inputs, batch, rows=8)[0]
    assert torch.allclose(of_eight, alone * 2 / 8 * 2)


def test_one_batch_passes_through_every_part_with_the_shapes_that_are_promised():
    rows, classes, size, length, peers = 10, 3, 4, 6, 2
    config = tiny_model(classes).config

    # rows: from a dataset to checked labels with numbers
    known = TrainingRows(clean=CleanDataset(token_dataset(2, seed=5)))
    dataset = known.read(token_dataset(rows), config)
    assert known.labels.shape == (rows,)
    assert set(dataset.column_names) == {"input_ids", "attention_mask", "labels", "hf_noisy_row"}
    assert known.one_hot(classes).shape == (rows, classes)
    joined = known.join_clean(True, config, ["input_ids", "attention_mask"])
    assert (len(joined), known.trusted.sum()) == (rows + 2, 2)
    assert known.join_clean(False, config, ["input_ids", "attention_mask"]) is dataset

    # methods: co-teaching needs two networks
    methods = MethodSet()
    methods.bind(CallbackHandler([CoTeaching(), DefaultFlowCallback()], None, None, None, None))
    methods.build(NoisyTrainingArguments("unused", use_cpu=True))
    model = side_by_side(tiny_model(classes), methods.num_networks, methods.make_channels(None), seed=0)
    assert len(model.networks) == methods.num_networks == peers

    # progress: the batch is the third of its epoch
    progress = Progress()
    progress.begin_training(updates_per_epoch=3, rows=rows, drawn=12, batch=size)
    assert progress.begin_epoch(0, accumulated=1) == 0
    assert [progress.begin_step(1) for _ in range(3)] == [0, 1, 2]
    tensors = {name: torch.tensor(dataset[8:10][name]) for name in dataset.column_names}
    count = progress.mark_repetitions(
        [tensors], 2, rank=0, processes=1, batch_size=size, gather=lambda value: value, device=torch.device("cpu")
    )
    assert int(count) == 2
    assert tensors.pop(REAL).tolist() == [True, True]

    # context, and the batch that methods read
    parts = Parts(known, methods, progress)
    parts.context = parts_context(known, methods, classes, peers)
    methods.setup(parts.context, None, compiled=False)
    labels, index = tensors.pop("labels"), tensors.pop("hf_noisy_row")
    batch = parts.batch(index, labels, None, step=2, steps=9, accumulated=1, gather=lambda value: value)
    assert batch.given.shape == (2, classes)
    assert batch.epoch == 2 / 3
    assert batch.gathered_index.tolist() == [8, 9]

    # step: views -> forward -> supervise -> loss
    model.train()
    step = Step(methods.criterion, methods.callbacks, rows=rows)
    views = step.views(tensors, batch)
    assert [view["input_ids"].shape for view in views] == [(2, length)]
    predictions, outputs = step.forward(model, model, views, batch)
    assert outputs.logits.shape == (peers, 2, classes)
    assert predictions.clean_log_probs.shape == (peers, 1, 2, classes)
    supervision = step.supervise(predictions.detached(), batch)
    assert supervision.targets.shape == (peers, 2, classes)
    assert supervision.weights.shape == (peers, 2)
    total = step.weighted_sum(predictions, supervision, batch)
    assert total.shape == ()
    assert total.requires_grad
    loss, _ = step.loss(model, tensors, replace(batch, key=(0, 2, 1)))
    assert loss.shape == ()

    # survey and evaluation
    loader = torch.utils.data.DataLoader(dataset.with_format("torch"), batch_size=size)
    found = RowPass(model).log_probs(loader, rows)
    assert found.shape == (peers, rows, classes)
    assert RowPass(model).vectors(loader, rows, model.networks[0]).shape == (rows, 16)
    evaluation = Evaluation()
    evaluation.begin(torch.device("cpu"))
    model.eval()
    outputs = model(**tensors)
    assert outputs.logits.shape == (2, classes)
    assert network_logits(outputs).shape == (peers, 2, classes)
    assert evaluation.count(outputs.logits, network_logits(outputs), labels, lambda value: value).shape == ()


def parts_context(known, methods, classes, networks):
    from by_hand import context

    found = context(len(known.labels), classes, networks=networks, labels=known.labels)
    return replace(found, criterion=methods.criterion)


def test_a_subclass_may_have_attributes_of_any_name(tmp_path):
    class Mine(NoisyTrainer):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            for name in TAKEN:
                setattr(self, name, "mine")

    args = NoisyTrainingArguments(
        str(tmp_path), report_to="none", use_cpu=True, **ONE_STEP, disable_tqdm=True, noise_method="co_teaching"
    )
    trainer = Mine(tiny_model(), args, train_dataset=token_dataset(8), eval_dataset=token_dataset(6, seed=1))
    trainer.train()
    trainer.save_model()
    trainer.create_model_card()
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    assert trainer.survey().log_probs.shape == (2, 8, 3)
    assert len(trainer.example_report()) == len(trainer.noise.labels) == 8
    assert trainer.noise.criterion == CrossEntropy()
    assert [getattr(trainer, name) for name in TAKEN] == ["mine"] * len(TAKEN)


TAKEN = (
    "labels",
    "votes",
    "criterion",
    "networks",
    "trusted",
    "gold",
    "channels",
    "rows",
    "methods",
    "step",
    "context",
)
TAKEN += (
    "_labels",
    "_gold",
    "_context",
    "_epoch",
    "_dynamics",
    "_record",
    "_start",
    "_parameters",
    "_methods",
    "_batch",
)
