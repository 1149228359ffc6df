"""The training state: model, averaged weights, optimizers, hidden states, random state."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.data.batches import Window
from charrnn.errors import DivergedError
from charrnn.models.cells.base import name_states, restore_states
from charrnn.models.weight_dropout import drop_weights
from charrnn.training.optimizers import load_optimizers, name_optimizer_tensors
from charrnn.training.torch_step import TorchStep

PARTS = ("model", "average", "optimizer", "state", "random")
"""The prefixes of the names of a training state's tensors."""


class TrainState:
    """A model in training, with its averaged weights, optimizers, hidden states and random state.

    Args:
        step: the training step, with the model that is trained in place, its optimizers, and the
            averaged weights, which are evaluated and saved as the model.
        batch: B, the batch size.
        dropout: dropout probability of units.
        weight_drop: dropout probability of recurrent weights.
        seed: seed of the dropout masks.
    """

    def __init__(
        self,
        step: TorchStep,
        *,
        batch: int,
        dropout: float,
        weight_drop: float,
        seed: int,
    ) -> None:
        self.step = step
        self.model, self.average, self.optimizers = step.model, step.average, step.optimizers
        self.batch = batch
        self.dropout = dropout
        self.weight_drop = weight_drop
        self.generator = torch.Generator().manual_seed(seed)
        self.states = self.model.initial_states(batch)
        self._buffers = list(self.model.buffers())

    def learn(self, window: Window, *, fresh: bool, step: int, rate: float) -> tuple[float, float]:
        """Take a training step on a window, and carry the hidden states to the next.

        Args:
            window: input ids and target ids, (T, B) each.
            fresh: True to start from initial states, as at the beginning of an epoch.
            step: the step's number, from 0.
            rate: the learning rate.

        Returns:
            The loss in nats per character, and the norm of the gradient before clipping.

        Raises:
            DivergedError: the loss or the norm is not finite; the weights are unchanged.
        """
        before = self.model.initial_states(self.batch) if fresh else self.states
        statistics = [buffer.clone() for buffer in self._buffers]
        with self.step.context():
            masks = self.model.draw_masks(self.batch, self.dropout, self.generator)
            weights = self.model.recurrent_weights()
            with drop_weights(weights, self.weight_drop, self.generator):
                nats, states = self.step.backpropagate(window, before, masks)
            norm = self.step.norm()
            if not (math.isfinite(nats) and math.isfinite(norm)):
                # The forward pass has updated the running statistics already.
                for buffer, kept in zip(self._buffers, statistics, strict=True):
                    buffer.copy_(kept)
                raise DivergedError(
                    f"at step {step + 1:,} the loss is {nats:.4g} and its gradient norm "
                    f"{norm:.4g}: training has diverged; the step was not applied to the weights"
                )
            self.step.update(norm, step=step, rate=rate)
        self.states = states
        return nats, norm

    def load_weights(self, weights: Arrays) -> None:
        """Load a model's weights, of the same names and shapes, into the model and the average."""
        tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
        for model in (self.model, self.average.model):
            model.load_state_dict(tensors)

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor of the state by name; they share memory with it."""
        return {
            **{f"model.{name}": tensor for name, tensor in self.model.state_dict().items()},
            **{f"average.{name}": t for name, t in self.average.model.state_dict().items()},
            **{
                f"optimizer.{name}": tensor
                for name, tensor in name_optimizer_tensors(self.model, self.optimizers).items()
            },
            **{f"state.{name}": tensor for name, tensor in name_states(self.states).items()},
            "random.masks": self.generator.get_state(),
        }

    def check_finite(self) -> None:
        """Raise DivergedError if a value of the state is not finite."""
        for name, tensor in self.tensors().items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise DivergedError(f"{name} holds values that are not finite: it has diverged")

    def restore(self, tensors: dict[str, Tensor], *, begun: bool) -> None:
        """Restore the state that :meth:`tensors` returned.

        Args:
            tensors: the tensors, by name.
            begun: True if at least one step had been taken.

        Raises:
            ValueError: the tensors do not belong to such a state.
        """
        parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
        for full_name, tensor in tensors.items():
            part, _, name = full_name.partition(".")
            if part not in parts:
                raise ValueError(f"tensor {full_name:.80} belongs to no part of a run")
            parts[part][name] = tensor
        masks = parts["random"].pop("masks", None)
        if masks is None or parts["random"] or masks.dtype != torch.uint8:
            raise ValueError("the random state is missing or not valid")
        try:
            self.model.load_state_dict(parts["model"])
            self.average.model.load_state_dict(parts["average"])
            self.generator.set_state(masks)
        except RuntimeError as problem:
            raise ValueError(str(problem)) from problem
        load_optimizers(self.model, self.optimizers, parts["optimizer"], begun=begun)
        self.step.renew()
        self.states = restore_states(self.states, parts["state"])
