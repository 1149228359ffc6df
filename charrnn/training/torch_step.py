"""A training step through torch: for every model, on every device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from charrnn.data.batches import Window
from charrnn.kernels.cross_entropy import mean_nats
from charrnn.models.cells.base import State, detach_states
from charrnn.models.char_model import CharModel, Masks, States
from charrnn.models.device import Compute
from charrnn.training.optimizers import Optimizers
from charrnn.training.weight_average import WeightAverage


class TorchStep:
    """The gradients of a model, their norm, and the change of its weights.

    Args:
        model: trained in place, on ``compute``'s device.
        average: its averaged weights.
        optimizers: over its parameters.
        compute: device and precision.
        clip: largest norm of the gradient; 0 is no limit.
        clip_value: largest absolute value of each gradient component; 0 is no limit.
    """

    def __init__(
        self,
        model: CharModel,
        average: WeightAverage,
        optimizers: Optimizers,
        compute: Compute,
        *,
        clip: float,
        clip_value: float,
    ) -> None:
        self.model = model
        self.average = average
        self.optimizers = optimizers
        self.compute = compute
        self.clip, self.clip_value = clip, clip_value
        self.parameters = list(model.parameters())

    def context(self) -> AbstractContextManager[object]:
        """Return the context of all that torch computes in a step."""
        return nullcontext()

    def backpropagate(
        self, window: Window, states: States, masks: Masks | None
    ) -> tuple[float, tuple[State, ...]]:
        """Compute the gradients of a window's loss; return the loss and the states after it.

        Args:
            window: input ids and target ids, (T, B) each.
            states: before the window.
            masks: of dropout; see :meth:`CharModel.draw_masks`.
        """
        inputs, targets = (torch.from_numpy(ids).to(self.compute.device) for ids in window)
        self.model.train()
        for parameter in self.parameters:
            parameter.grad = None
        with self.compute.autocast():
            logits, after = self.model(inputs, states, masks)
        loss = mean_nats(logits, targets)
        torch.autograd.backward(loss)
        return loss.item(), tuple(
            tuple(tensor.float() for tensor in state) for state in detach_states(after)
        )

    def norm(self) -> float:
        """Compute the norm of the gradient."""
        return nn.utils.get_total_norm(self._gradients()).item()

    def update(self, norm: float, *, step: int, rate: float) -> None:
        """Clip the gradient of that norm, and change the weights and their average.

        Args:
            norm: from :meth:`norm`.
            step: the step's number, from 0.
            rate: the learning rate.
        """
        if self.clip:
            total = torch.tensor(norm, device=self.compute.device)
            nn.utils.clip_grads_with_norm_(self.parameters, self.clip, total)
        if self.clip_value:
            nn.utils.clip_grad_value_(self.parameters, self.clip_value)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self.average.update(step)

    def renew(self) -> None:
        """Let go of what was gathered of the optimizers' state: others have taken its place."""

    def _gradients(self) -> list[torch.Tensor]:
        return [p.grad for p in self.parameters if p.grad is not None]
