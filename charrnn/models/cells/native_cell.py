"""A cell whose window the native library runs where it can, and torch elsewhere."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from charrnn.kernels.recurrence import Inputs, can_run
from charrnn.models.cells.base import GatedCell, State


class CompiledCell(GatedCell):
    """A gated cell with two ways of running, which agree up to rounding."""

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if can_run(len(x), self.recurrent_weight):
            return self.run_compiled(Inputs(self.project(x)), state)
        return self.run_torch(x, state)

    def run_characters(self, vectors: Tensor, ids: Tensor, state: State) -> tuple[Tensor, State]:
        # Batch normalisation, and whoever watches the cell, look at the text and not at the table;
        # a table longer than the text is more work than the text.
        by_text = self.input_norm is not None or self._forward_hooks or len(vectors) > ids.numel()
        if not by_text and can_run(len(ids), self.recurrent_weight):
            return self.run_compiled(Inputs(self.project(vectors), ids), state)
        return super().run_characters(vectors, ids, state)

    @abstractmethod
    def run_compiled(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:
        """What :meth:`forward` does, through the native library; the inputs are projected."""

    @abstractmethod
    def run_torch(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """What :meth:`forward` does, through torch."""
