"""A pyramid's slow layer: a cell that runs once for every so many characters."""

from __future__ import annotations

import torch
from torch import Tensor

from charrnn.models.cells.base import Cell, State


class SlowLayer(Cell):
    """A cell run at a fraction of the rate of its input.

        stride s = 2, 4, 8 ...       characters per step of the cell
        at characters t with (t + 1) divisible by s: cell input [x_{t - s/2}, x_t]
        y_t = the cell's latest output; its initial one before the first pair is complete

    A layer that predicts must be causal: a pair counts once its second output is there, and until
    the next pair is complete the layer's output stays. The output at character t therefore depends
    on characters up to t alone.

    The state is (*the cell's own state, earlier, phase): earlier (B, D) is the waiting first half
    of a pair, phase (B,) the characters read since the last complete pair. Rows of a batch may be
    in different phases.

    Shapes: those of its cell.

    Source: Chan, Jaitly, Le & Vinyals 2016, "Listen, attend and spell", whose layers at level j
    read two consecutive outputs of the layer below and so run at half its rate:
    h_i = cell([h_2i, h_2i+1] of level j - 1, h_{i-1}).

    Args:
        cell: takes 2D inputs, puts out H.
        stride: characters per step of the cell, a power of 2.

    Example:
        >>> import torch
        >>> from charrnn.config.model import ModelConfig
        >>> from charrnn.models.char_model import build_cell
        >>> cell = SlowLayer(build_cell(ModelConfig(cell="gru", hidden=5), input_size=6), stride=2)
        >>> y, (h, earlier, phase) = cell(torch.zeros(7, 2, 3), cell.initial_state(2))
        >>> tuple(y.shape), tuple(h.shape), tuple(earlier.shape), phase.tolist()
        ((7, 2, 5), (2, 5), (2, 3), [1.0, 1.0])
    """

    def __init__(self, cell: Cell, stride: int) -> None:
        super().__init__(cell.input_size // 2, cell.hidden)
        self.cell = cell
        self.stride = stride

    @property
    def period(self) -> int:
        return self.stride

    @property
    def core(self) -> Cell:
        return self.cell

    @property
    def parts(self) -> tuple[str, ...]:
        return (*self.cell.parts, "earlier")

    def initial_state(self, batch: int) -> State:
        waiting = self._zeros(batch, self.input_size)
        return (*self.cell.initial_state(batch), waiting, waiting.new_zeros(batch))

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        phases = torch.unique(state[-1])
        if len(phases) == 1:
            return self._run(x, state, int(phases))
        rows = [torch.nonzero(state[-1] == phase)[:, 0] for phase in phases]
        parts = [
            self._run(x[:, some], tuple(part[some] for part in state), int(phase))
            for some, phase in zip(rows, phases, strict=True)
        ]
        back = torch.cat(rows).argsort()
        y = torch.cat([y for y, _ in parts], dim=1)[:, back]
        after = zip(*(state for _, state in parts), strict=True)
        return y, tuple(torch.cat(part)[back] for part in after)

    def _run(self, x: Tensor, state: State, phase: int) -> tuple[Tensor, State]:
        """Run rows that have all read ``phase`` characters since their last complete pair."""
        *inner, earlier, phases = state
        phase %= self.stride  # A state from a file may hold any number.
        half = self.stride // 2
        read = phase + torch.arange(1, len(x) + 1, device=x.device)
        pairs = (phase + len(x)) // self.stride
        waiting = phase >= half
        firsts = torch.cat(
            (earlier[None], x[half - 1 - phase + self.stride * waiting :: self.stride])
        )
        seconds = x[self.stride - 1 - phase :: self.stride]
        outputs = inner[0][None]
        if pairs:
            begin = 0 if waiting else 1
            both = torch.cat((firsts[begin : begin + pairs], seconds), dim=-1)
            y, after = self.cell(both, tuple(inner))
            outputs, inner = torch.cat((outputs, y)), list(after)
        ahead = torch.full_like(phases, (phase + len(x)) % self.stride)
        return outputs.index_select(0, read // self.stride), (*inner, firsts[-1], ahead)
