"""The training state and the training step: model, averaged weights, optimizers, hidden states.

The averaged weights are an exponential moving average, which is less noisy than the weights.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.data.batches import Window
from charrnn.errors import DivergedError
from charrnn.kernels.cross_entropy import mean_nats
from charrnn.models.cells.base import detach_states, name_states, restore_states
from charrnn.models.char_model import CharModel, States
from charrnn.models.device import Compute
from charrnn.models.weight_dropout import drop_weights
from charrnn.training.optimizers import Optimizers, load_optimizers, name_optimizer_tensors

PARTS = ("model", "average", "optimizer", "state", "random")
"""The prefixes of the names of a training state's tensors."""


class TrainState:
    """A model in training, with its averaged weights, optimizers, hidden states and random state.

    Args:
        model: trained in place, on ``compute``'s device.
        average: the averaged weights, which are evaluated and saved as the model.
        optimizers: over the model's parameters.
        compute: device and precision of the training step.
        batch: B, the batch size.
        clip: largest norm of the gradient; 0 is no limit.
        clip_value: largest absolute value of each gradient component; 0 is no limit.
        dropout: dropout probability of units.
        weight_drop: dropout probability of recurrent weights.
        seed: seed of the dropout masks.
    """

    def __init__(
        self,
        model: CharModel,
        average: WeightAverage,
        optimizers: Optimizers,
        compute: Compute,
        *,
        batch: int,
        clip: float,
        clip_value: float,
        dropout: float,
        weight_drop: float,
        seed: int,
    ) -> None:
        self.model = model
        self.average = average
        self.optimizers = optimizers
        self.compute = compute
        self.batch = batch
        self.clip = clip
        self.clip_value = clip_value
        self.dropout = dropout
        self.weight_drop = weight_drop
        self.generator = torch.Generator().manual_seed(seed)
        self.states = model.initial_states(batch)
        self._parameters = list(model.parameters())

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
        statistics = [buffer.clone() for buffer in self.model.buffers()]
        nats, states = self._backpropagate(window, before)
        norm = self._clip()
        if not (math.isfinite(nats) and math.isfinite(norm)):
            # The forward pass has updated the running statistics already.
            for buffer, kept in zip(self.model.buffers(), statistics, strict=True):
                buffer.copy_(kept)
            raise DivergedError(
                f"at step {step + 1:,} the loss is {nats:.4g} and its gradient norm {norm:.4g}: "
                "training has diverged; the step was not applied to the weights"
            )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self.average.update(step)
        self.states = tuple(
            tuple(tensor.float() for tensor in state) for state in detach_states(states)
        )
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
        self.states = restore_states(self.states, parts["state"])

    def _backpropagate(self, window: Window, states: States) -> tuple[float, States]:
        """Compute the gradients of a window's loss; return the loss and the states after it."""
        masks = self.model.draw_masks(self.batch, self.dropout, self.generator)
        inputs, targets = (torch.from_numpy(ids).to(self.compute.device) for ids in window)
        self.model.train()
        for parameter in self._parameters:
            parameter.grad = None
        with drop_weights(self.model.recurrent_weights(), self.weight_drop, self.generator):
            with self.compute.autocast():
                logits, states = self.model(inputs, states, masks)
            loss = mean_nats(logits, targets)
            torch.autograd.backward(loss)
        return loss.item(), states

    def _clip(self) -> float:
        """Clip the gradients by norm and by value, and return their norm before."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.clip:
            nn.utils.clip_grads_with_norm_(self._parameters, self.clip, norm)
        if self.clip_value:
            nn.utils.clip_grad_value_(self._parameters, self.clip_value)
        return norm.item()


class WeightAverage:
    """An exponential moving average of a model's weights, as a second model in evaluation mode.

    After step t (from 0) the average moves towards the weights by a share of 1 - decay, or of
    9 / (t + 10) while that is larger, so that the initial weights soon lose their influence.

    Args:
        model: the model in training; its weights are the start of the average.
        decay: share of the average that is kept at each step.
    """

    def __init__(self, model: CharModel, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay
        self._pairs = list(zip(_numbers(self.model), _numbers(model), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the model's weights after a step, counted from 0."""
        share = 1 - min(self.decay, (step + 1) / (step + 10))
        for average, current in self._pairs:
            average.lerp_(current, share)


def _numbers(model: CharModel) -> Iterator[Tensor]:
    """Iterate over the weights and the running statistics.

    The average of the statistics approximates the statistics of the averaged weights; the two
    agree once the learning rate is small.
    """
    return chain(model.parameters(), model.buffers())
