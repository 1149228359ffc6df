"""The torch backend, which runs every model on any device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.checkpoints.model_file import ModelFile
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Ids
from charrnn.errors import PredictionError
from charrnn.inference.sampling import draw_index, filter_distribution
from charrnn.kernels.network import Doubles, Filters, Floats
from charrnn.models.cells.base import State, count_numbers, restore_states, select_states
from charrnn.models.char_model import CharModel, build_model
from charrnn.models.ngram_expert import NgramExpert

TILE = 4
"""The number of rows that are always drawn in parallel. The rounding of a matrix product depends on
the number of rows, so fewer rows are padded to a tile: a row's sample does not depend on others."""

JOINED = 1e-5
"""The largest difference of two states that agree, relative to the largest value in a layer.
It is somewhat more than the rounding difference of products of different numbers of rows."""

_LOGITS_AT_ONCE = 1 << 22
_MOST_CHARACTERS_AT_ONCE = 4096


def restore_network(model: ModelFile, device: torch.device | str = "cpu") -> CharModel:
    """Build the network of a model with its weights, on a device, in evaluation mode."""
    with torch.device("meta"):
        network = build_model(model.model, len(model.alphabet))
    weights = {name: torch.from_numpy(array.copy()) for name, array in model.weights.items()}
    network.load_state_dict(weights, assign=True)
    return network.to(device).eval().requires_grad_(False)


def check_states(
    config: ModelConfig, alphabet_size: int, batch: int, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Check the shapes of saved states before memory is allocated for states of that shape.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape or type.
    """
    with torch.device("meta"):
        states = build_model(config, alphabet_size).initial_states(batch)
    restore_states(states, {name: torch.from_numpy(array) for name, array in arrays.items()})


def take_ids(ids: Ids, positions: NDArray[np.int64]) -> Tensor:
    """Take the ids (N,) at some positions, as an int64 tensor of the positions' shape."""
    return _tensor(ids[positions])


def _tensor(ids: NDArray[Any]) -> Tensor:
    return torch.from_numpy(ids.astype(np.int64))


class TorchState(NamedTuple):
    """The state of R rows.

    Attributes:
        layers: the layers' states, on the model's device.
        histories: the last characters that the rows have read (R, K - 1), where there is an expert.
    """

    layers: tuple[State, ...]
    histories: NDArray[np.int32] | None = None


class TorchBackend:
    """The torch network as a :class:`charrnn.inference.backend.Backend`.

    Rounding may depend on the number of rows.

    Args:
        model: the network in evaluation mode, on any device, of any floating-point type.
        expert: joined with the network's predictions; None for none.
    """

    rows_to_draw = TILE

    def __init__(self, model: CharModel, expert: NgramExpert | None = None) -> None:
        self._model, self._expert = model, expert
        self._device = model.head.weight.device
        self.characters = model.head.out_features
        self.alignment = max(cell.period for cell in model.layers())
        self.state_size = count_numbers(self.initial_state(1).layers)

    def initial_state(self, rows: int) -> TorchState:
        """Return the initial state, before any text."""
        histories = None if self._expert is None else self._expert.fresh_histories(rows)
        return TorchState(self._model.initial_states(rows), histories)

    def select(self, state: TorchState, rows: NDArray[np.int64]) -> TorchState:
        """Return the state of the rows with these indices (R,)."""
        layers = select_states(state.layers, torch.from_numpy(rows).to(self._device))
        return TorchState(layers, None if state.histories is None else state.histories[rows])

    def joined(self, state: TorchState, other: TorchState) -> NDArray[np.bool_]:
        """Return for each row whether its two states agree up to rounding, (R,)."""
        parts = [
            _largest(one - another) <= JOINED * _largest(another)
            for layer, other_layer in zip(state.layers, other.layers, strict=True)
            for one, another in zip(layer, other_layer, strict=True)
        ]
        joined: NDArray[np.bool_] = torch.stack(parts).all(0).cpu().numpy()
        if state.histories is not None and other.histories is not None:
            joined &= (state.histories == other.histories).all(1)
        return joined

    def hidden(self, state: TorchState) -> dict[str, NDArray[np.float32]]:
        """Return the parts of every layer's state by name: (L, R, H) each."""
        parts = [cell.parts for cell in self._model.layers()]
        return {
            name: np.stack(
                [
                    layer[names.index(name)].float().cpu().numpy()
                    for names, layer in zip(parts, state.layers, strict=True)
                ]
            )
            for name in ("h", "c")
            if all(name in names for names in parts)
        }

    def read(self, ids: NDArray[Any], state: TorchState) -> TorchState:
        """Read ids (T, R), and return the state after them."""
        for block in self._blocks(ids):
            state = self._read(ids[block], state)[1]
        return state

    def predict(self, ids: NDArray[Any], state: TorchState) -> tuple[Floats, TorchState]:
        """Return the logits (T, R, V) after each of ids (T, R), and the state after the last."""
        logits, after = self._run(ids, state)
        return logits.astype(np.float32, copy=False), after

    def score(
        self, ids: NDArray[Any], targets: NDArray[Any], state: TorchState
    ) -> tuple[Doubles, TorchState]:
        """Return the losses (T, R) in nats of targets (T, R), and the state after ids (T, R)."""
        nats = np.empty(ids.shape)
        for block in self._blocks(ids):
            logits, state = self._run(ids[block], state)
            likelihoods = torch.from_numpy(logits).double().log_softmax(-1)
            chosen = likelihoods.gather(-1, _tensor(targets[block])[..., None])
            nats[block] = -chosen[..., 0].numpy()
        return nats, state

    def draw(
        self, last: NDArray[Any], uniforms: Doubles, state: TorchState, filters: Filters
    ) -> tuple[Ids, TorchState]:
        """Draw ids (R, n) after ``last`` (R,), R at most TILE; return them and the state.

        The state is the one before the last id drawn.

        Raises:
            PredictionError: the model's predictions are not finite.
        """
        rows, count = uniforms.shape
        filled = np.minimum(np.arange(TILE), rows - 1)
        state = self.select(state, filled)
        drawn = np.empty((rows, count), np.int32)
        for n in range(count):
            logits, state = self._run(last[filled][None], state)
            found = logits[0, :rows].astype(np.float64)
            if not np.isfinite(found).all():
                raise PredictionError
            last = drawn[:, n]
            for row in range(rows):
                last[row] = draw_index(filter_distribution(found[row], filters), uniforms[row, n])
        return drawn, self.select(state, np.arange(rows))

    def _run(self, ids: NDArray[Any], state: TorchState) -> tuple[NDArray[Any], TorchState]:
        """Return the logits (T, R, V) after ids (T, R), and the state after the last.

        The logits are float32, or float64 where the model is.
        """
        logits, after = self._read(ids, state)
        found = (logits if logits.dtype == torch.float64 else logits.float()).cpu().numpy()
        if self._expert is not None and state.histories is not None:
            found = self._expert.join(found, state.histories, ids)
        return found, after

    @torch.inference_mode()
    def _read(self, ids: NDArray[Any], state: TorchState) -> tuple[Tensor, TorchState]:
        """Return the logits of the network alone, on its device, and the state after the last."""
        logits, layers = self._model(_tensor(ids).to(self._device), state.layers)
        histories = state.histories
        if self._expert is not None and histories is not None:
            histories = self._expert.follow(histories, ids)
        return logits, TorchState(layers, histories)

    def _blocks(self, ids: NDArray[Any]) -> list[slice]:
        """Divide ids (T, R) into blocks whose logits fit in memory together."""
        most = min(_MOST_CHARACTERS_AT_ONCE, max(_LOGITS_AT_ONCE // self.characters, 64))
        steps = max(most // ids.shape[1], 1)
        return [slice(begin, begin + steps) for begin in range(0, len(ids), steps)]


def _largest(part: Tensor) -> Tensor:
    """Return the largest absolute value in each row of (R, ...)."""
    return part.reshape(len(part), -1).abs().amax(1)
