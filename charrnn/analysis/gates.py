"""How often gates are saturated: all but shut (below 0.1) or all but open (above 0.9).

A forget gate that is always open keeps its cell from ever forgetting; a gate that is never
saturated mixes all the time. Source of the view: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and
understanding recurrent networks", figure 2.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from charrnn.analysis.activations import read_records
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.errors import UsageError
from charrnn.models.cells.base import State
from charrnn.models.char_model import CharModel

SHUT, OPEN = 0.1, 0.9

MOST_CHARACTERS = 100_000
"""Of a text, from its beginning, that are looked at."""

_WINDOW = 1024


@dataclass(frozen=True)
class Saturation:
    """One kind of gate in one layer.

    Attributes:
        layer: counted from 1, the lowest.
        gate: its name.
        shut: for each gate of that kind, the share of the layer's steps at which it is below SHUT.
        open: the same for above OPEN.
    """

    layer: int
    gate: str
    shut: tuple[float, ...]
    open: tuple[float, ...]


def measure_saturation(model: CharModel, text: EncodedText) -> list[Saturation]:
    """Measure the saturation of all gates while a text is read from its beginning.

    Args:
        model: on any device.
        text: of more than MOST_CHARACTERS the first are read.

    Raises:
        UsageError: the cells have no gates.
    """
    counts: dict[tuple[int, str], _Count] = {}

    def watch(layer: int) -> Any:
        def hook(cell: Any, inputs: tuple[Tensor, State], output: tuple[Tensor, State]) -> None:
            x, state = inputs
            outputs = torch.cat((state[0][None], output[0]))
            for name, gate in cell.gates(x, outputs).items():
                counts.setdefault((layer, name), _Count()).add(gate)

        return hook

    cores: list[nn.Module] = [cell.core for cell in model.layers()]
    watches = [core.register_forward_hook(watch(layer)) for layer, core in enumerate(cores, 1)]
    try:
        _read(model, text[:MOST_CHARACTERS])
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
            deque(read_records(model, text), maxlen=0)
        case ContinuousText(ids):
            read = torch.from_numpy(ids.astype(np.int64))[:, None]
            states = model.initial_states(1)
            with torch.inference_mode():
                for window in torch.split(read.to(model.head.weight.device), _WINDOW):
                    _, states = model(window, states)


class _Count:
    """Steps at which each gate of a kind is shut or open."""

    def __init__(self) -> None:
        self.steps = 0
        self.shut: Tensor | float = 0.0
        self.open: Tensor | float = 0.0

    def add(self, gates: Tensor) -> None:
        """Take in how far the gates (T, B, number of gates) are open."""
        self.steps += gates.shape[0] * gates.shape[1]
        self.shut = self.shut + (gates < SHUT).double().sum((0, 1))
        self.open = self.open + (gates > OPEN).double().sum((0, 1))

    def share(self, counted: Tensor | float) -> tuple[float, ...]:
        """The share of the steps, for each gate."""
        return tuple((torch.as_tensor(counted) / self.steps).tolist())
