"""The fast layer of the fuzzing: the real methods in a training without a model, whose logits are drawn by lot."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import torch
from fuzz_cases import Case
from fuzz_rows import Place, make_rows
from hypothesis import reject
from torch import Tensor, nn

from hf_noisy import NoiseCallback, Predictions, Supervision
from hf_noisy.common.randomness import keyed_generator
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.methods.building import build_methods, check_roles, choose_criterion
from hf_noisy.methods.parts.dynamics import ExampleDynamics
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.supervision_record import SupervisionRecord
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import CleanRows, Context, Survey
from hf_noisy.trainer.state import load_state, save_state

WIDTH = 4
REFUSED = (  # what a method may say of data that it cannot be used with
    "is absent from the training labels",
    "training rows is unlabeled",
    "training rows have a label: expected at least",
    "the training set has no votes",
    "no row of clean_dataset has an untrusted label",
)


class Head(nn.Module):
    """A model as far as methods look at it: names, weights, a last layer."""

    base_model_prefix = "base"

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(WIDTH, classes)
        self.dropout = nn.Dropout(0.1)
        self.config = SimpleNamespace(num_labels=classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> None:
        raise NotImplementedError


@dataclass
class Seen:
    """What one forward came to."""

    before: list[Supervision] = field(default_factory=list)  # what each callback was given
    after: list[Supervision] = field(default_factory=list)
    total: Tensor = field(default_factory=lambda: torch.zeros(()))
    gradient: Tensor = field(default_factory=lambda: torch.zeros(()))  # (networks, views, batch, classes)
    views: list[dict[str, Tensor]] = field(default_factory=list)


class Training:
    """The callbacks of a case and what the Trainer would do with them."""

    def __init__(self, case: Case, weights: dict[str, Tensor] | None = None) -> None:
        self.case = case
        built = build_methods(case.noise_method, case.methods)
        methods = [part for part in built if isinstance(part, NoiseCallback)]
        self.rows = make_rows(case, trains_on_clean=any(method.trains_on_clean for method in methods))
        self.callbacks: list[NoiseCallback] = [ExampleDynamics(), *methods, SupervisionRecord(self.rows.gold)]
        check_roles(self.callbacks)
        self.criterion = choose_criterion(None, [p for p in built if p not in methods] + methods)
        self.networks = max(case.networks, *(callback.num_networks for callback in self.callbacks))
        self.model = Head(case.classes)
        channels = [callback.make_channel(self.model) for callback in methods for _ in range(self.networks)]
        self.channels = nn.ModuleList(channel for channel in channels if channel is not None)
        self.everything = nn.ModuleList([self.model, self.channels])
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.fill_(0.1)
        if weights is not None:
            self.everything.load_state_dict(weights)
        self._set_up()

    def _set_up(self) -> None:
        case, rows = self.case, self.rows
        context = Context(
            rows=len(rows.labels),
            classes=case.classes,
            networks=self.networks,
            labels=torch.from_numpy(rows.labels),
            votes=None if rows.votes is None else torch.from_numpy(rows.votes.astype(np.int16)),
            criterion=self.criterion,
            epochs=case.epochs,
            seed=case.seed,
            device=torch.device("cpu"),
            clean=self._clean(),
            channels=list(self.channels),
            trusted=None if rows.trusted is None else torch.from_numpy(rows.trusted),
            model=self.model,
            dataset=[{"input_ids": i, "attention_mask": m} for i, m in zip(rows.ids, rows.mask, strict=True)],
            encode=lambda: torch.randn(len(rows.labels), WIDTH, generator=keyed_generator(case.seed, "encoder")),
        )
        try:
            for callback in self.callbacks:
                callback.setup(context)
        except ValueError as error:
            if not any(text in str(error) for text in REFUSED):
                raise
            reject()

    def _clean(self) -> CleanRows | None:
        if not self.case.reads_clean:
            return None
        clean, given = (
            one_hot(torch.from_numpy(part), self.case.classes) for part in (self.rows.clean, self.rows.given)
        )
        return CleanRows(clean, given, lambda: self._said("clean", 1, len(clean))[:, 0].log_softmax(-1))

    def _said(self, name: str, views: int, rows: int, size: int | None = None) -> Tensor:
        """(networks, views, rows, classes) logits, or vectors of `size`."""
        shape = (self.networks, views, rows, size or self.case.classes)
        return torch.randn(shape, generator=keyed_generator(self.case.seed, name)) * self.case.spread

    # ---- events ----

    def begin_epoch(self, epoch: int) -> None:
        rows = len(self.rows.labels)

        def survey() -> Survey:
            given = one_hot(torch.from_numpy(self.rows.labels), self.case.classes)
            return Survey(self._said(f"survey {epoch}", 1, rows)[:, 0].log_softmax(-1), given)

        for callback in self.callbacks:
            callback.begin_epoch(epoch, survey)

    def forward(self, place: Place, order: Tensor | None = None) -> Seen:
        """The loss of a batch and its gradient by the logits; with `order` for its rows in that order."""
        order = torch.arange(len(place.batch.index)) if order is None else order
        batch, seen = place.reordered(order).batch, Seen()
        supervision = None
        if any(callback.peek(batch) for callback in self.callbacks):
            views = len(self._views(replace(batch, peeking=True)))
            logits = self._said(f"{place.name}, peek", views, len(order))[:, :, order]
            supervision = self._fold(Predictions(logits.log_softmax(-1)), batch, seen)
        seen.views = self._views(batch)
        logits = self._said(place.name, len(seen.views), len(order))[:, :, order].requires_grad_()
        vectors = self._said(f"{place.name}, vectors", len(seen.views), len(order), WIDTH)[:, :, order]
        predictions = self._predictions(logits, vectors)
        if supervision is None:
            supervision = self._fold(predictions.detached(), batch, seen)
        if supervision.mix is not None and supervision.mix.where == "vectors":
            predictions = predictions.mixed(supervision.mix)
        seen.total = self._total(predictions, supervision.mixed(), batch)
        trained = [logits, *self.channels.parameters()]
        gradients = torch.autograd.grad(seen.total + 0 * logits.sum(), trained, allow_unused=True)
        assert all(g is None or torch.isfinite(g).all() for g in gradients), "a gradient is not finite"
        seen.gradient, seen.total = gradients[0], seen.total.detach()
        return seen

    def _views(self, batch: Batch) -> list[dict[str, Tensor]]:
        inputs = {
            "input_ids": torch.from_numpy(self.rows.ids)[batch.index],
            "attention_mask": torch.from_numpy(self.rows.mask)[batch.index],
        }
        views = [inputs]
        for callback in self.callbacks:
            views = [view for given in views for view in callback.views(given, batch)]
        return views

    def _predictions(self, logits: Tensor, vectors: Tensor) -> Predictions:
        networks, views, rows, _ = logits.shape
        flat, vectors = logits.flatten(1, 2), vectors.requires_grad_(False)
        outputs = SimpleNamespace(logits=flat if networks > 1 else flat[0])
        if len(self.channels):
            said = [c(one, v) for c, one, v in zip(self.channels, flat, vectors.flatten(1, 2), strict=True)]
            outputs.noisy_log_probs, outputs.channel_matrix = (torch.stack(part) for part in zip(*said, strict=True))
        predictions = Predictions.from_outputs(outputs, views, rows)
        wanted = any(callback.needs_vectors for callback in self.callbacks)
        return replace(predictions, vectors=vectors) if wanted else predictions

    @torch.no_grad()
    def _fold(self, predictions: Predictions, batch: Batch, seen: Seen) -> Supervision:
        taught = batch.covered if batch.real is None else batch.covered & batch.real
        supervision = Supervision(
            batch.given.expand(self.networks, -1, -1),
            taught.float().expand(self.networks, -1),
            trusted=None if batch.trusted is None else batch.trusted.expand(self.networks, -1),
        )
        for callback in self.callbacks:
            seen.before.append(supervision)
            changed = callback.supervise(supervision, predictions, batch)
            supervision = supervision.checked(changed, type(callback).__name__)
            seen.after.append(supervision)
        return supervision

    def _total(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor:
        present = torch.ones(len(batch.index)) if batch.real is None else batch.real.float()
        total = (supervision.losses(self.criterion, predictions) * supervision.weights * present).sum()
        for callback in self.callbacks:
            penalty = callback.penalty(predictions, supervision, batch)
            if penalty is not None:
                total = total + (penalty * present).sum()
        return total

    @torch.no_grad()
    def end_step(self, place: Place) -> None:
        """An optimizer step, of weights that are drawn."""
        for number, parameter in enumerate(self.everything.parameters()):
            generator = keyed_generator(self.case.seed, place.name, "optimizer", number)
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for callback in self.callbacks:
            callback.on_step_end(None, None, None)

    # ---- checkpoints ----

    def resumed(self, epoch: int) -> Training:
        """Another training that has read what this one writes in a checkpoint."""
        weights = self._deployed_weights()
        with tempfile.TemporaryDirectory() as folder:
            save_state(folder, self.callbacks, {}, epoch)
            other = Training(self.case, weights)
            assert load_state(folder, other.callbacks, {}) == epoch
        return other

    def _deployed_weights(self) -> dict[str, Tensor]:
        with contextlib.ExitStack() as stack:
            for callback in self.callbacks:
                stack.enter_context(callback.deployed(self.model))
            return {name: value.clone() for name, value in self.everything.state_dict().items()}

    def remembered(self) -> dict[str, Tensor]:
        """Everything that a checkpoint would hold, and everything that is reported."""
        found = {f"weights.{name}": value for name, value in self.everything.state_dict().items()}
        found |= {f"deployed.{name}": value for name, value in self._deployed_weights().items()}
        for callback in self.callbacks:
            name = type(callback).__name__
            found |= {f"{name}.{key}": value for key, value in callback.state_dict().items()}
            found |= {f"{name} reports {key}": torch.from_numpy(v) for key, v in callback.report().items()}
            found |= {f"{name} logs {key}": torch.tensor(float(v)) for key, v in callback.metrics().items()}
        return found

    def memories(self) -> dict[str, Memory]:
        return {
            f"{type(callback).__name__}.{name}": value
            for callback in self.callbacks
            for name, value in vars(callback).items()
            if isinstance(value, Memory)
        }
