"""A cell whose window the native library runs where it can, and torch elsewhere."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from charrnn.kernels.recurrence import Inputs, can_run
from charrnn.models.cells.base import GatedCell, State


class NativeCell(GatedCell):
    """A gated cell that runs natively or through torch; the two agree up to rounding.

    Its arguments are those of :class:`GatedCell`.
    """

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if can_run(len(x), self.recurrent_weight):
            return self.run_native(Inputs(self.project(x)), state)
        return self.run_torch(x, state)

    def run_characters(self, vectors: Tensor, ids: Tensor, state: State) -> tuple[Tensor, State]:
        # Batch normalization and forward hooks need the text and not the table; projecting a table
        # longer than the text is more work than projecting the text.
        by_text = self.input_norm is not None or self._forward_hooks or len(vectors) > ids.numel()
        if not by_text and can_run(len(ids), self.recurrent_weight):
            return self.run_native(Inputs(self.project(vectors), ids), state)
        return super().run_characters(vectors, ids, state)

    @abstractmethod
    def run_native(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:
        """Compute :meth:`forward` through the native library, from projected inputs."""

    @abstractmethod
    def run_torch(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Compute :meth:`forward` through torch."""
