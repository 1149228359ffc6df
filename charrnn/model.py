"""Embedding -> layers of cells -> logits. The caller owns the state."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from charrnn.cells import REGISTRY
from charrnn.cells.contract import Cell, State
from charrnn.config import ModelConfig

States = Sequence[State]
"""One state for each layer, the lowest first."""

Masks = Sequence[Tensor]
"""Dropout masks: one for the embedding's output, then one for each layer's, each (1, B, size)."""


class CharModel(nn.Module):
    """A character-level language model.

    Args:
        alphabet_size: number of characters (V).
        embedding: length of a character's vector (E).
        cells: recurrent layers, the lowest first; the first takes E inputs.
        normalise: whether each layer's output is normalised (Ba, Kiros & Hinton 2016).
    """

    def __init__(
        self, alphabet_size: int, embedding: int, cells: Sequence[Cell], normalise: bool
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(alphabet_size, embedding)
        self.cells = nn.ModuleList(cells)
        self.norms = nn.ModuleList(
            nn.LayerNorm(cell.hidden) if normalise else nn.Identity() for cell in cells
        )
        self.head = nn.Linear(cells[-1].hidden, alphabet_size)

    def initial_states(self, batch: int) -> tuple[State, ...]:
        """The states before any text."""
        return tuple(cell.initial_state(batch) for cell in self._layers())

    def forward(
        self, ids: Tensor, states: States, masks: Masks | None = None
    ) -> tuple[Tensor, tuple[State, ...]]:
        """Predict what follows each character.

        Args:
            ids: characters read, (T, B), int64.
            states: one for each layer, from :meth:`initial_states` or an earlier call.
            masks: from :meth:`draw_masks`; None drops nothing.

        Returns:
            Logits (T, B, V) of the character after each one, and the states after the last.
        """
        y = self.embedding(ids)
        if masks is not None:
            y = y * masks[0]
        after = []
        for layer, (cell, norm) in enumerate(zip(self.cells, self.norms, strict=True)):
            y, state = cell(y, states[layer])
            y = norm(y)
            if masks is not None:
                y = y * masks[layer + 1]
            after.append(state)
        return self.head(y), tuple(after)

    def draw_masks(self, batch: int, dropout: float, generator: torch.Generator) -> Masks | None:
        """Masks for one window of locked dropout: a unit is dropped for the whole window or not.

        They are drawn on the CPU whatever the model's device, so that the generator's state is the
        same everywhere. Source: Gal & Ghahramani 2016; Merity, Keskar & Socher 2018.

        Returns:
            None when nothing is dropped.
        """
        if not dropout:
            return None
        sizes = [self.embedding.embedding_dim] + [cell.hidden for cell in self._layers()]
        weight = self.head.weight
        return [
            (torch.rand(1, batch, size, generator=generator) >= dropout).to(weight) / (1 - dropout)
            for size in sizes
        ]

    def _layers(self) -> list[Cell]:
        return [cell for cell in self.cells if isinstance(cell, Cell)]


def build_model(config: ModelConfig, alphabet_size: int, seed: int = 0) -> CharModel:
    """The network that a configuration describes, its weights drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        cell = REGISTRY[config.cell]
        sizes = [config.embedding] + [config.hidden] * (config.layers - 1)
        cells = [cell(size, config.hidden) for size in sizes]
        return CharModel(alphabet_size, config.embedding, cells, config.norm == "layer")


def count_parameters(model: nn.Module) -> int:
    """Numbers that training adjusts."""
    return sum(parameter.numel() for parameter in model.parameters())
