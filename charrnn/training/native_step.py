"""A training step through the native library: for LSTM, GRU and simple networks on the CPU.

It agrees with torch's up to rounding. Its results do not depend on the number of threads, so that
this may change from step to step.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import optim

from charrnn.config.processors import count_processors
from charrnn.data.batches import Window
from charrnn.kernels.library import Kernels
from charrnn.kernels.torch_calls import load_shared_kernels
from charrnn.kernels.training_network import (
    Adam,
    AdamArrays,
    AdamSettings,
    TrainingNetwork,
)
from charrnn.models.cells.base import State
from charrnn.models.char_model import CharModel, Masks, States
from charrnn.models.device import Compute
from charrnn.models.native_network import build_training_network, can_train, pair_gradients
from charrnn.models.threads import one_thread
from charrnn.training.optimizers import Optimizers
from charrnn.training.team_size import TeamSize
from charrnn.training.torch_step import TorchStep
from charrnn.training.weight_average import WeightAverage

_CLIP_EPSILON = 1e-6
"""Added to the norm, as in ``torch.nn.utils.clip_grad_norm_``."""


class NativeStep(TorchStep):
    """The gradients of a model, their norm, and the change of its weights, computed natively.

    Optimizers other than one Adam or AdamW step through torch.

    Args:
        arguments: those of :class:`TorchStep`; :func:`can_train` accepts the model.
        settings: likewise.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        kernels = load_shared_kernels()
        if kernels is None:
            raise ValueError("there is no native library")
        self._kernels: Kernels = kernels
        self._team = TeamSize(min(torch.get_num_threads(), count_processors()))
        self._network: TrainingNetwork | None = None
        self._adam: Adam | None = None
        self._characters = 0

    @contextmanager
    def context(self) -> Iterator[None]:
        """Let torch compute on one thread: others would wait on the cores of the library's."""
        started = time.monotonic()
        with one_thread():
            yield
        self._team.record(time.monotonic() - started, self._characters)

    def backpropagate(
        self, window: Window, states: States, masks: Masks | None
    ) -> tuple[float, tuple[State, ...]]:
        """Compute the gradients of a window's loss, as :meth:`TorchStep.backpropagate` does."""
        ids, targets = (torch.from_numpy(numbers) for numbers in window)
        self._characters = ids.numel()
        if self._network is None or len(ids) > self._network.steps:
            self._network, self._adam = self._build(*ids.shape), None
        return self._network.learn(ids, targets, masks, states, self._team.threads)

    def norm(self) -> float:
        """Compute the norm of the gradient."""
        if self._network is None:
            return 0.0
        return self._network.measure_norm(self._team.threads)

    def renew(self) -> None:
        """Gather the optimizer's arrays anew: others have taken their place."""
        self._adam = None

    def update(self, norm: float, *, step: int, rate: float) -> None:
        """Change the weights and their average, as :meth:`TorchStep.update` does."""
        optimizer, *others = self.optimizers
        if others or not isinstance(optimizer, (optim.Adam, optim.AdamW)):
            super().update(norm, step=step, rate=rate)
            return
        for group in optimizer.param_groups:
            group["lr"] = rate
        defaults = optimizer.defaults
        settings = AdamSettings(
            rate=rate,
            betas=defaults["betas"],
            epsilon=defaults["eps"],
            decoupled=isinstance(optimizer, optim.AdamW),
            scale=min(1.0, self.clip / (norm + _CLIP_EPSILON)) if self.clip else 1.0,
            bound=self.clip_value,
            share=self.average.share(step),
        )
        if self._adam is None:
            self._adam = Adam(self._kernels, self._arrays(optimizer))
        self._adam.step(settings, self._team.threads)

    def _arrays(self, optimizer: optim.Optimizer) -> AdamArrays:
        """Gather the arrays of a step, and make those that the optimizer has not made yet."""
        averages = dict(zip(self.parameters, self.average.model.parameters(), strict=True))
        rows = []
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                state = optimizer.state[parameter]
                if not state:
                    state["step"] = torch.zeros(())
                    state["exp_avg"] = torch.zeros_like(parameter)
                    state["exp_avg_sq"] = torch.zeros_like(parameter)
                rows.append(
                    (
                        *(parameter, parameter.grad, state["exp_avg"], state["exp_avg_sq"]),
                        *(averages[parameter], state["step"], group["weight_decay"]),
                    )
                )
        return AdamArrays(*zip(*rows, strict=True))

    def _build(self, steps: int, batch: int) -> TrainingNetwork:
        """Build the native network for windows of up to that many steps."""
        bfloat16 = self.compute.precision == "bf16"
        network = build_training_network(self.model, steps=steps, batch=batch, bfloat16=bfloat16)
        for parameter, gradient in pair_gradients(self.model, network):
            parameter.grad = gradient
        return network


def choose_step(
    model: CharModel,
    average: WeightAverage,
    optimizers: Optimizers,
    compute: Compute,
    *,
    clip: float,
    clip_value: float,
) -> TorchStep:
    """Choose the native training step of a model where there is one, else torch's.

    The arguments are those of :class:`TorchStep`.
    """
    native = compute.device.type == "cpu" and can_train(model)
    make = NativeStep if native else TorchStep
    return make(model, average, optimizers, compute, clip=clip, clip_value=clip_value)
