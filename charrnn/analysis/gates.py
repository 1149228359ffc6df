"""Saturation of gates: the share of steps at which each is below 0.1 (shut) or above 0.9 (open).

A forget gate that is always open keeps its cell from ever forgetting; a gate that is never
saturated always mixes. Source of the measure: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and
understanding recurrent networks", figure 2.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from charrnn.analysis.activations import read_records
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.errors import UsageError
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.cells.base import State
from charrnn.models.char_model import CharModel

SHUT, OPEN = 0.1, 0.9

MOST_CHARACTERS = 100_000
"""Characters of a text, from its beginning, that are read."""

_WINDOW = 1024


@dataclass(frozen=True)
class Saturation:
    """One kind of gate in one layer.

    Attributes:
        layer: counted from 1, the lowest.
        gate: the name of the kind.
        shut: for each gate of the kind, the share of the layer's steps at which it is below SHUT.
        open: the share of steps at which it is above OPEN.
    """

    layer: int
    gate: str
    shut: tuple[float, ...]
    open: tuple[float, ...]


def measure_saturation(
    model: CharModel, text: EncodedText, on_progress: Callable[[int], None] | None = None
) -> list[Saturation]:
    """Measure the saturation of all gates while a text is read from its beginning.

    Args:
        model: on any device.
        text: of more than MOST_CHARACTERS the first are read.
        on_progress: called with the number of characters that have been read.

    Raises:
        UsageError: the cells have no gates.
    """
    text = text[:MOST_CHARACTERS]
    counts: dict[tuple[int, str], _Count] = {}
    done = 0

    def watch(layer: int) -> Any:
        def hook(cell: Any, inputs: tuple[Tensor, State], output: tuple[Tensor, State]) -> None:
            nonlocal done
            x, state = inputs
            outputs = torch.cat((state[0][None], output[0]))
            for name, gate in cell.gates(x, outputs).items():
                counts.setdefault((layer, name), _Count()).add(gate)
            if layer == 1 and on_progress is not None:
                # Records are read side by side, each as long as the longest.
                done = min(done + x.shape[0] * x.shape[1], len(text))
                on_progress(done)

        return hook

    cores: list[nn.Module] = [cell.core for cell in model.layers()]
    watches = [core.register_forward_hook(watch(layer)) for layer, core in enumerate(cores, 1)]
    try:
        _read(model, text)
    finally:
        for handle in watches:
            handle.remove()
    if not counts:
        raise UsageError("the model's cells have no gates; those of every kind but rnn have")
    return [
        Saturation(layer, gate, count.share(count.shut), count.share(count.open))
        for (layer, gate), count in counts.items()
    ]


def _read(model: CharModel, text: EncodedText) -> None:
    """Let a model read a text."""
    match text:
        case RecordText():
            deque(read_records(TorchBackend(model), text), maxlen=0)
        case ContinuousText(ids):
            read = torch.from_numpy(ids.astype(np.int64))[:, None]
            states = model.initial_states(1)
            with torch.inference_mode():
                for window in torch.split(read.to(model.head.weight.device), _WINDOW):
                    _, states = model(window, states)


class _Count:
    """The numbers of steps at which each gate of a kind is shut or open."""

    def __init__(self) -> None:
        self.steps = 0
        self.shut: Tensor | float = 0.0
        self.open: Tensor | float = 0.0

    def add(self, gates: Tensor) -> None:
        """Take in the values of the gates, shape (T, B, number of gates)."""
        self.steps += gates.shape[0] * gates.shape[1]
        self.shut = self.shut + (gates < SHUT).double().sum((0, 1))
        self.open = self.open + (gates > OPEN).double().sum((0, 1))

    def share(self, counted: Tensor | float) -> tuple[float, ...]:
        """Divide the numbers of each gate by that of all steps."""
        return tuple((torch.as_tensor(counted) / self.steps).tolist())
