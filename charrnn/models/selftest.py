"""The native library's self-test: its results on this machine against torch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from charrnn.config.cells import CELLS
from charrnn.config.model import ModelConfig
from charrnn.kernels.cross_entropy import cross_entropy
from charrnn.kernels.layer_norm import EPSILON, layer_norm
from charrnn.kernels.recurrence import Inputs
from charrnn.models.cells.base import State
from charrnn.models.cells.native_cell import NativeCell
from charrnn.models.char_model import build_cell, build_model
from charrnn.models.native_network import build_training_network, pair_gradients

MOST_DIFFERENCE = {"fp32": 1e-5, "bf16": 0.05}
"""The largest difference that rounding explains, by precision, as a share of the largest value."""

_STEPS, _BATCH, _INPUTS, _HIDDEN = 9, 5, 7, 33
_CHARACTERS = 11


def measure_differences(precision: str) -> dict[str, float]:
    """Measure how far the library's cells, layer norm, loss and whole training step are off from
    torch in float32, forward and backward over a small window.

    Args:
        precision: of the library's products, "fp32" or "bf16".

    Returns:
        The largest difference of an output, a state or a gradient, as a share of the largest value
        of its tensor; NaN if one is not a number.

    Raises:
        ValueError: there is no library.
    """
    trained = [name for name, spec in CELLS.items() if spec.native_training]
    cells = {name: _measure_cell(name, precision) for name in trained}
    return {
        **cells,
        "training step": _measure_training(precision),
        "layer norm": _measure_norm(precision),
        "cross entropy": _measure_loss(precision),
    }


def _measure_cell(name: str, precision: str) -> float:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        cell = build_cell(ModelConfig(cell=name, layers=1, hidden=_HIDDEN), _INPUTS)
        x = torch.randn(_STEPS, _BATCH, _INPUTS)
        state = tuple(torch.randn_like(part).tanh() for part in cell.initial_state(_BATCH))
    if not isinstance(cell, NativeCell):
        raise ValueError(f"the library does not run {name}")
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        native = _run(cell, lambda: cell.run_native(Inputs(cell.project(x)), state))
    return _difference(native, _run(cell, lambda: cell.run_torch(x, state)))


def _measure_training(precision: str) -> float:
    config = ModelConfig(cell="gru", layers=2, hidden=_HIDDEN, embedding=_INPUTS)
    model = build_model(config, _CHARACTERS)
    random = torch.Generator().manual_seed(0)
    ids, targets = torch.randint(_CHARACTERS, (2, _STEPS, _BATCH), generator=random)
    states = model.initial_states(_BATCH)
    network = build_training_network(
        model, steps=_STEPS, batch=_BATCH, bfloat16=precision == "bf16"
    )
    nats, _ = network.learn(ids, targets, None, states, torch.get_num_threads())
    gradients = [gradient for _, gradient in pair_gradients(model, network)]
    logits, _ = model(ids, states)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    expected = torch.autograd.grad(loss, list(model.parameters()))
    return _difference([torch.tensor(nats), *gradients], [loss.detach(), *expected])


def _measure_norm(precision: str) -> float:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.randn(_STEPS, _BATCH, _HIDDEN, requires_grad=True)
        gain, shift = (torch.randn(_HIDDEN, requires_grad=True) for _ in range(2))
    mask = (x.detach()[:1] > 0).float()
    rounded = x.bfloat16() if precision == "bf16" else x
    native = layer_norm(rounded, gain, shift, mask)
    plain = nn.functional.layer_norm(x, (_HIDDEN,), gain, shift, EPSILON) * mask
    return _difference(
        *(
            [y.detach(), *torch.autograd.grad(y.float().square().sum(), (x, gain, shift))]
            for y in (native, plain)
        )
    )


def _measure_loss(precision: str) -> float:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        logits = torch.randn(_BATCH, _HIDDEN, requires_grad=True)
        targets = torch.randint(_HIDDEN, (_BATCH,))
    rounded = logits.bfloat16() if precision == "bf16" else logits
    native = cross_entropy(rounded, targets)
    plain = nn.functional.cross_entropy(logits, targets)
    return _difference(
        *([nats.detach(), *torch.autograd.grad(nats, logits)] for nats in (native, plain))
    )


def _difference(native: Sequence[Tensor], plain: Sequence[Tensor]) -> float:
    differences = [
        float((one.float() - other).abs().max() / other.abs().max())
        for one, other in zip(native, plain, strict=True)
    ]
    return math.nan if any(map(math.isnan, differences)) else max(differences)


def _run(cell: NativeCell, forward: Callable[[], tuple[Tensor, State]]) -> list[Tensor]:
    """Compute outputs, the state after them, and the gradients of their sum by every parameter."""
    y, after = forward()
    total = y.float().sum() + sum(part.sum() for part in after)
    gradients = torch.autograd.grad(total, list(cell.parameters()))
    return [y.detach(), *(part.detach() for part in after), *gradients]
