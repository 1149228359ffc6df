"""The character model: embedding -> layers of cells -> logits. The caller owns the state.

y_0 = embedding
y_l = norm(cell_l(y_{l-1}))                 stack: the head reads y_L
y_l = norm(cell_l(y_{l-1})) + y_{l-1}       residual, for l > 1 (He et al. 2016)
y_l = norm(cell_l(y_{l-1}))                 sum: the head reads y_1 + ... + y_L
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from charrnn.config.cells import CELLS
from charrnn.config.model import ModelConfig
from charrnn.models.cells import cell_class
from charrnn.models.cells.base import Cell, State
from charrnn.models.cells.pyramid import SlowLayer
from charrnn.models.layer_norm import LayerNorm, NoNorm

States = Sequence[State]
"""One state for each layer, the lowest first."""

Masks = Sequence[Tensor]
"""Dropout masks: one for each layer's output, the lowest first, each (1, B, H)."""


class CharModel(nn.Module):
    """A character-level language model.

    Args:
        alphabet_size: number of characters (V).
        embedding: length of a character's vector (E).
        cells: recurrent layers, the lowest first; the first takes E inputs.
        layer_norm: whether each layer's output is normalized, after the recurrence; Ba, Kiros &
            Hinton 2016, "Layer normalization", normalize the sums within it.
        connect: "stack", "residual" or "sum"; see the equations at the head of this file.
    """

    def __init__(
        self,
        alphabet_size: int,
        embedding: int,
        cells: Sequence[Cell],
        *,
        layer_norm: bool,
        connect: str,
    ) -> None:
        super().__init__()
        self.connect = connect
        self.embedding = _Embedding(alphabet_size, embedding)
        self.cells = nn.ModuleList(cells)
        self.norms = nn.ModuleList(
            LayerNorm(cell.hidden) if layer_norm else NoNorm() for cell in cells
        )
        self.head = nn.Linear(cells[-1].hidden, alphabet_size)

    def initial_states(self, batch: int) -> tuple[State, ...]:
        """Return the states before any text."""
        return tuple(cell.initial_state(batch) for cell in self.layers())

    def forward(
        self, ids: Tensor, states: States, masks: Masks | None = None
    ) -> tuple[Tensor, tuple[State, ...]]:
        """Predict the character that follows each one.

        Args:
            ids: characters read, (T, B), int64.
            states: one for each layer, from :meth:`initial_states` or an earlier call.
            masks: from :meth:`draw_masks`; None drops nothing.

        Returns:
            Logits (T, B, V) of the character after each one, and the states after the last.
        """
        outputs: list[Tensor] = []
        after = []
        for layer, (cell, norm) in enumerate(zip(self.layers(), self.norms, strict=True)):
            if outputs:
                y, state = cell(outputs[-1], states[layer])
            else:
                y, state = cell.run_characters(self.embedding.weight, ids, states[layer])
            y = norm(y, None if masks is None else masks[layer])
            if self.connect == "residual" and layer:
                y = y + outputs[-1]
            outputs.append(y)
            after.append(state)
        read = sum(outputs[1:], outputs[0]) if self.connect == "sum" else outputs[-1]
        return self.head(read), tuple(after)

    def draw_masks(self, batch: int, dropout: float, generator: torch.Generator) -> Masks | None:
        """Draw the masks of locked dropout for one window: a unit is dropped for all of it or not.

        The embedding is left whole: with so few characters, a vector's numbers tell them apart.
        Masks are drawn on the CPU whatever the model's device, so that the generator's state is the
        same everywhere.

        Source: Gal & Ghahramani 2016, "A theoretically grounded application of dropout in recurrent
        neural networks"; Merity, Keskar & Socher 2018, "Regularizing and optimizing LSTM language
        models".

        Args:
            batch: streams side by side (B).
            dropout: share of units dropped.
            generator: of the draws.

        Returns:
            One mask per layer; None when nothing is dropped.
        """
        if not dropout:
            return None
        weight = self.head.weight
        return [
            (torch.rand(1, batch, cell.hidden, generator=generator) >= dropout).to(weight)
            / (1 - dropout)
            for cell in self.layers()
        ]

    def recurrent_weights(self) -> list[nn.Parameter]:
        """List each layer's matrix from its state back to it, where it has one."""
        weights = (getattr(cell.core, "recurrent_weight", None) for cell in self.layers())
        return [weight for weight in weights if weight is not None]

    def layers(self) -> list[Cell]:
        """List the recurrent layers, the lowest first."""
        return [cell for cell in self.cells if isinstance(cell, Cell)]


class _Embedding(nn.Embedding):
    """An embedding that draws nothing on the meta device.

    There torch would import its compiler first, which takes more than a second.
    """

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:
            super().reset_parameters()


def build_model(config: ModelConfig, alphabet_size: int, seed: int = 0) -> CharModel:
    """Build the network that a configuration describes, its weights drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CharModel(
            alphabet_size,
            config.embedding,
            [build_layer(config, layer) for layer in range(config.layers)],
            layer_norm=config.norm == "layer",
            connect=config.connect,
        )


def build_layer(config: ModelConfig, layer: int) -> Cell:
    """Build one layer, counted from 0; the topmost ``config.pyramid`` layers are slow."""
    size = config.hidden if layer else config.embedding
    level = layer - (config.layers - 1 - config.pyramid)
    if level <= 0:
        return build_cell(config, size)
    return SlowLayer(build_cell(config, 2 * size), stride=2**level)


def build_cell(config: ModelConfig, input_size: int) -> Cell:
    """Build a single cell, its weights drawn from torch's own generator."""
    own = config.cell_settings
    make: Callable[..., Cell] = cell_class(config.cell)
    return make(
        input_size,
        config.hidden,
        CELLS[config.cell].shapes(input_size, config.hidden, **own),
        init=config.init,
        init_gain=config.init_gain,
        batch_norm=config.norm == "batch",
        **own,
    )


def count_parameters(model: nn.Module) -> int:
    """Count the numbers that training adjusts."""
    return sum(parameter.numel() for parameter in model.parameters())
