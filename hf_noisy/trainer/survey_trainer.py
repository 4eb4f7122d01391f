"""A Trainer that looks at all its training rows between steps, and draws no random number that training would have drawn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from hf_noisy.common.randomness import forked_generators
from hf_noisy.data.columns import INDEX
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.models.adapters import classifier
from hf_noisy.models.context import Survey
from hf_noisy.models.networks import network_logits
from hf_noisy.trainer.fresh_start import all_rows_at_once
from hf_noisy.trainer.networks_trainer import NetworksTrainer
from hf_noisy.trainer.sharding import check_encoder


class SurveyTrainer(NetworksTrainer):
    """What `NoisyTrainer` needs to see examples without learning from them: predictions, and vectors of its encoder."""

    @contextlib.contextmanager
    def _deployed(self) -> Iterator[None]:
        """Inside, the weights are those that users will get."""
        yield

    def survey(self) -> Survey:
        """Log-probabilities and given labels of all training examples in row order, seen without dropout.

        Costs one forward over the training set; draws no random number that training would have drawn.
        """
        labels = one_hot(torch.from_numpy(self.labels), self.model.config.num_labels).to(self.args.device)
        return Survey(self._look_at(self.get_test_dataloader(self.train_dataset), len(labels)), labels)

    def encode(self) -> Tensor:
        """(rows, width) float32: the mean of each training example's last hidden states, padding left out.

        By the encoder of the first network as it now is, without dropout: before training, a pretrained encoder's view
        of the texts, with its adapters where it has some. Of an encoder-decoder the decoder is left out. A model that embeds and classifies in one piece is refused.

        Raises:
            ValueError: the model has no base model that gives hidden states, or its weights are split (FSDP).
        """
        check_encoder(self.args)
        network: Any = classifier(self.networks[0])
        encoder = network.base_model.get_encoder() if network.config.is_encoder_decoder else network.base_model

        def vectors(inputs: dict[str, Any]) -> Tensor:
            states = getattr(encoder(**inputs), "last_hidden_state", None)
            if states is None:
                raise ValueError(
                    f"{type(network).__name__}: its base model gives no last_hidden_state, so examples have no vectors. "
                    "Expected a Transformers model for sequence classification, or vectors of your own."
                )
            states, mask = states.float(), inputs.get("attention_mask")  # a sum in 16 bits is rounded, or overflows
            present = torch.ones_like(states[..., :1]) if mask is None else mask.unsqueeze(-1).float()
            return (states * present).sum(1) / present.sum(1).clamp_min(1)

        return self._over_rows(self.get_test_dataloader(self.train_dataset), len(self.labels), vectors)

    def _get_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader[Any]:
        """As the parent's, but `dataloader_drop_last` is for training: a survey or an evaluation leaves no row out."""
        drop_last = self.args.dataloader_drop_last
        self.args.dataloader_drop_last = drop_last and kwargs.get("is_training", False)
        try:
            return super()._get_dataloader(*args, **kwargs)
        finally:
            self.args.dataloader_drop_last = drop_last

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """As the parent's; an epoch before which a callback ends the training has no step."""
        if not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)

    def _look_at(self, dataloader: DataLoader[Any], rows: int) -> Tensor:
        """(networks, rows, classes) log-probabilities of the rows that `dataloader` numbers."""

        def log_probs(inputs: dict[str, Any]) -> Tensor:
            return network_logits(self.model(**inputs)).float().log_softmax(-1).transpose(0, 1)

        return self._over_rows(dataloader, rows, log_probs).transpose(0, 1)

    @torch.no_grad()
    def _over_rows(self, dataloader: DataLoader[Any], rows: int, look: Callable[[dict[str, Any]], Tensor]) -> Tensor:
        """(rows, ...) what `look` says of each batch, by the numbers of its rows."""
        table: Tensor | None = None
        was_training = self.model.training
        self.model.eval()
        with forked_generators(), self._deployed(), all_rows_at_once(self.args):
            for inputs in dataloader:
                inputs = self._prepare_inputs(dict(inputs))
                index = self._gather(inputs.pop(INDEX))
                inputs.pop("labels", None)
                with self.compute_loss_context_manager():
                    found = self._gather(look(inputs))
                if table is None:
                    table = found.new_zeros((rows, *found.shape[1:]))
                table[index] = found
        self.model.train(was_training)
        assert table is not None  # a training set without rows was refused
        return table
