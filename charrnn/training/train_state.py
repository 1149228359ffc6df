"""Everything that changes while a model learns, and the one step that changes it.

An exponential average of the weights: steadier than the weights themselves.
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
"""What the names of a learner's tensors begin with."""


class Learner:
    """A model, the average of its weights, its optimisers, its states and its random numbers.

    Args:
        model: trained in place, on ``compute``'s device.
        average: the average of the model's weights: what is evaluated and kept.
        optimizers: over the model's parameters.
        batch: streams that are read side by side.
        clip: largest norm of the gradient; 0 is no limit.
        clip_value: largest value of each part of the gradient; 0 is no limit.
        dropout: share of units dropped.
        weight_drop: share of recurrent weights dropped.
        seed: of the dropout masks.
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
        """Take a step on a window; the states are carried to the next.

        Args:
            window: input ids and the ids that follow them.
            fresh: begin with fresh states, as an epoch does, since its streams begin elsewhere.
            step: its number, from 0.
            rate: the learning rate.

        Returns:
            The loss in nats per character, and the norm of its gradient before it was bounded.

        Raises:
            DivergedError: one of the two is not finite; the weights are those before.
        """
        before = self.model.initial_states(self.batch) if fresh else self.states
        statistics = [buffer.clone() for buffer in self.model.buffers()]
        nats, states = self._descend(window, before)
        norm = self._clip()
        if not (math.isfinite(nats) and math.isfinite(norm)):
            # Running statistics have followed the window by now.
            for buffer, kept in zip(self.model.buffers(), statistics, strict=True):
                buffer.copy_(kept)
            raise DivergedError(
                f"at step {step + 1:,} the loss is {nats:.4g}, its gradient's norm {norm:.4g}: "
                "training has diverged; the weights were not touched by it"
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

    def begin_with(self, weights: Arrays) -> None:
        """Take the weights of a model, of the same names and shapes, in place of those drawn."""
        tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
        for model in (self.model, self.average.model):
            model.load_state_dict(tensors)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that it takes to go on, by name. They share memory with the learner."""
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
        """Raise DivergedError if anything is not finite: then this is no place to go on from."""
        for name, tensor in self.tensors().items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise DivergedError(f"{name} holds values that are not finite: it has diverged")

    def restore(self, tensors: dict[str, Tensor], *, begun: bool) -> None:
        """Go back to where :meth:`tensors` were taken; ``begun``, if a step had been taken then.

        Raises:
            ValueError: the tensors are not those of such a learner.
        """
        parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
        for full_name, tensor in tensors.items():
            part, _, name = full_name.partition(".")
            if part not in parts:
                raise ValueError(f"tensor {full_name:.80} belongs to no part of a run")
            parts[part][name] = tensor
        masks = parts["random"].pop("masks", None)
        if masks is None or parts["random"] or masks.dtype != torch.uint8:
            raise ValueError("the random state is missing or not one")
        try:
            self.model.load_state_dict(parts["model"])
            self.average.model.load_state_dict(parts["average"])
            self.generator.set_state(masks)
        except RuntimeError as problem:
            raise ValueError(str(problem)) from problem
        load_optimizers(self.model, self.optimizers, parts["optimizer"], begun=begun)
        self.states = restore_states(self.states, parts["state"])

    def _descend(self, window: Window, states: States) -> tuple[float, States]:
        """Leave the gradient of a window's loss in the parameters; its nats, the states after."""
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
        """Bound the gradients by their norm or by value; returns their norm before."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.clip:
            nn.utils.clip_grads_with_norm_(self._parameters, self.clip, norm)
        if self.clip_value:
            nn.utils.clip_grad_value_(self._parameters, self.clip_value)
        return norm.item()


class WeightAverage:
    """A second model whose weights follow those of the first; ready to predict, never trained.

    After step t (from 0) the average moves towards the weights by 1 - decay of the way, or by
    9 / (t + 10) while that is more, so that the random start is soon forgotten.

    Args:
        model: followed; copied as the start of the average.
        decay: share of the average that stays at each step.
    """

    def __init__(self, model: CharModel, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay
        self._pairs = list(zip(_numbers(self.model), _numbers(model), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the model's weights after the step of that number."""
        share = 1 - min(self.decay, (step + 1) / (step + 10))
        for average, current in self._pairs:
            average.lerp_(current, share)


def _numbers(model: CharModel) -> Iterator[Tensor]:
    """Weights, and the running statistics that go with them.

    The statistics of averaged weights are not quite the average of their statistics; once the
    learning rate has come down the two agree.
    """
    return chain(model.parameters(), model.buffers())
