"""Build the optimizers, and save and load their state as named tensors.

adamw      Loshchilov & Hutter 2019, "Decoupled weight decay regularization"
adam       Kingma & Ba 2015, "Adam: a method for stochastic optimization"
rmsprop    Tieleman & Hinton 2012, lecture 6.5
sgd        with Nesterov's momentum (Sutskever, Martens, Dahl & Hinton 2013)
adagrad    Duchi, Hazan & Singer 2011
muon       Jordan et al. 2024, for the matrices of the cells, a cell's stacked gates as one; all
           other parameters use adamw
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn, optim

from charrnn.errors import UsageError

BETAS = (0.9, 0.99)
MOMENTUM = 0.9
RMSPROP_ALPHA = 0.95

Optimizers = Sequence[optim.Optimizer]
"""Optimizers that together hold every parameter once."""

_AnyOptimizer = TypeVar("_AnyOptimizer", bound=optim.Optimizer)

_ADAM_STATE = {"step": False, "exp_avg": True, "exp_avg_sq": True}
_STATE = {
    "AdamW": _ADAM_STATE,
    "Adam": _ADAM_STATE,
    "RMSprop": {"step": False, "square_avg": True},
    "SGD": {"momentum_buffer": True},
    "Adagrad": {"step": False, "sum": True},
    "Muon": {"momentum_buffer": True},
}
"""Each optimizer's state for a parameter: True for a tensor of its shape, False for one number."""

_BEGIN_WITH_STATE = ("Adagrad",)
"""The optimizers that have their state before the first step."""


def build_optimizers(model: nn.Module, name: str, weight_decay: float) -> Optimizers:
    """Build the optimizers of a name; weight decay applies to matrices only, not to vectors.

    The caller sets the learning rate before each step.

    Raises:
        UsageError: this build of torch has no such optimizer.
    """
    if name == "muon":
        return _build_muon(model, weight_decay)
    parameters = list(model.parameters())
    return [_build(name, parameters, weight_decay)]


def name_optimizer_tensors(model: nn.Module, optimizers: Optimizers) -> dict[str, Tensor]:
    """Name the optimizers' tensors quantity.parameter; most have none before the first step.

    After it, a parameter that has had no gradient yet, for example because a window is too short
    to reach it, gets the zeros that its optimizer will start with.
    """
    kept = {
        f"{quantity}.{name}": tensor
        for name, parameter in model.named_parameters()
        for optimizer in optimizers
        for quantity, tensor in optimizer.state.get(parameter, {}).items()
    }
    zeros = {
        full_name: torch.zeros(_shape(optimizer, parameter, quantity), dtype=torch.float32)
        for full_name, (optimizer, parameter, quantity) in _places(model, optimizers).items()
        if optimizer.state and full_name not in kept
    }
    return {**kept, **zeros}


def load_optimizers(
    model: nn.Module, optimizers: Optimizers, named: Mapping[str, Tensor], *, begun: bool
) -> None:
    """Restore the tensors that :func:`name_optimizer_tensors` returned.

    A fused optimizer writes past the end of a tensor that is too small, so each tensor is checked
    against its parameter first.

    Args:
        model: the model that the optimizers train.
        optimizers: over its parameters; their present state is dropped.
        named: the tensors, by name.
        begun: True if at least one step had been taken.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape or type.
    """
    places = _places(model, optimizers)
    expected = {
        full_name
        for full_name, (optimizer, _, _) in places.items()
        if begun or type(optimizer).__name__ in _BEGIN_WITH_STATE
    }
    odd = sorted(set(named) ^ expected)
    if odd:
        raise ValueError(f"the optimizer has missing or unknown tensors: {', '.join(odd)[:200]}")
    for optimizer in optimizers:
        optimizer.state.clear()
    for full_name, tensor in named.items():
        optimizer, parameter, quantity = places[full_name]
        shape = _shape(optimizer, parameter, quantity)
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise ValueError(f"the optimizer's {full_name} is not float32 of {tuple(shape)}")
        # Only a fused optimizer counts its steps on the device.
        on_device = _kept_by(optimizer)[quantity] or optimizer.defaults.get("fused")
        device = parameter.device if on_device else "cpu"
        optimizer.state[parameter][quantity] = tensor.to(device, copy=True)


def _build(name: str, parameters: Sequence[Tensor], weight_decay: float) -> optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    fused = parameters[0].device.type != "mps"
    match name:
        case "adamw":
            return _uncompiled(optim.AdamW)(groups, betas=BETAS, fused=fused)
        case "adam":
            return _uncompiled(optim.Adam)(groups, betas=BETAS, fused=fused)
        case "rmsprop":
            return _uncompiled(optim.RMSprop)(groups, alpha=RMSPROP_ALPHA)
        case "sgd":
            return _uncompiled(optim.SGD)(groups, momentum=MOMENTUM, nesterov=True)
        case "adagrad":
            return _uncompiled(optim.Adagrad)(groups)
        case _:
            raise ValueError(f"no optimizer is called {name!r}")


def _build_muon(model: nn.Module, weight_decay: float) -> Optimizers:
    if not hasattr(optim, "Muon"):
        raise UsageError(
            f"is muon, which needs a newer torch than {torch.__version__}; it came with 2.9",
            settings=("optimizer",),
        )
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_inner = name.startswith("cells.") and parameter.ndim == 2
        (matrices if is_inner else rest).append(parameter)
    # Updates of AdamW's size (Liu et al. 2025) allow one learning rate for both.
    muon = _uncompiled(optim.Muon)(
        matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, _build("adamw", rest, weight_decay)]


def _uncompiled(kind: type[_AnyOptimizer]) -> type[_AnyOptimizer]:
    """Return torch's optimizer without the decorators by which it imports torch's compiler.

    That import takes longer than that of torch itself, and where nothing is compiled the decorators
    do no more than turn gradients off.
    """
    methods = {
        "add_param_group": inspect.unwrap(kind.add_param_group),
        "step": torch.no_grad()(inspect.unwrap(kind.step)),
    }
    return type(kind.__name__, (kind,), methods)


def _kept_by(optimizer: optim.Optimizer) -> Mapping[str, bool]:
    return _STATE[type(optimizer).__name__]


def _shape(optimizer: optim.Optimizer, parameter: Tensor, quantity: str) -> torch.Size:
    return parameter.shape if _kept_by(optimizer)[quantity] else torch.Size()


def _places(
    model: nn.Module, optimizers: Optimizers
) -> dict[str, tuple[optim.Optimizer, nn.Parameter, str]]:
    """Map each tensor name to its optimizer, parameter and quantity."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{quantity}.{names[parameter]}": (optimizer, parameter, quantity)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
        for quantity in _kept_by(optimizer)
    }
