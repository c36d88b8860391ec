"""A moving average of a model's weights, which is a better model than the last of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from utils.optimizer_state import check_weights


class AveragedWeights:
    """The exponential moving average of a model's weights over the updates that change them.

    After an update average = d average + (1 - d) weights, where d = min(decay, (1 + n) / (10 + n))
    after n updates before it: the first weights, which are random, are soon forgotten. The running
    statistics of a batch norm are averaged as weights are, for they belong to them; what is
    counted is taken over.

    The model itself holds the average, which is what is evaluated, saved and used; only while it
    is trained it holds the weights that are. As a part that a checkpoint keeps, this is the
    weights in training: the average is the checkpoint's model.

    Args:
        model: with the average so far, or with the first weights.
        decay: how much of the average remains, between 0 and 1.

    Source: Polyak and Juditsky 1992; the growing decay is that of TensorFlow's
    ExponentialMovingAverage, its argument num_updates.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self._own: dict[str, torch.Tensor] = model.state_dict()  # the very memory of the model
        # Weights that a model uses twice are in its state twice, and in memory once.
        copies = {_place(value): value.clone() for value in self._own.values()}
        self._other = {name: copies[_place(value)] for name, value in self._own.items()}
        self._pairs = [
            (value, copies.pop(_place(value)))
            for value in self._own.values()
            if _place(value) in copies
        ]
        self._in_training = False

    @contextmanager
    def training(self) -> Iterator[None]:
        """Have the model hold the weights in training as long as the block lasts."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take the weights of the model in training into the average.

        Args:
            updates: those that were averaged before.
        """
        decay = min(self.decay, (1 + updates) / (10 + updates))
        weights, averages = [], []
        for weight, average in self._pairs:
            if weight.is_floating_point():
                weights.append(weight)
                averages.append(average)
            else:
                average.copy_(weight)
        get_ema_multi_avg_fn(decay)(averages, weights, updates)

    def average(self) -> dict[str, torch.Tensor]:
        """The averaged weights by name."""
        return self._other if self._in_training else self._own

    def state_dict(self) -> dict[str, Any]:
        """The weights in training by name."""
        return self._own if self._in_training else self._other

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the weights in training; the model has the average already.

        Raises:
            CheckpointError: they are another model's.
        """
        check_weights(self.model, state)
        for name, value in self.state_dict().items():
            value.copy_(state[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        """Let the model hold the other weights, in the memory that it has."""
        for own, other in self._pairs:
            held = own.clone()
            own.copy_(other)
            other.copy_(held)
        self._in_training = not self._in_training


def _place(value: torch.Tensor) -> tuple[int, torch.Size]:
    """What two tensors have in common only if they are the same memory."""
    return value.data_ptr(), value.shape
