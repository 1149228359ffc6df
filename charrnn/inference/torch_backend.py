"""What is kept -> the network, in torch.

Sampling through torch, from any model on any device; see ``drawing.py``.

Reading and writing by turns through torch, with any model on any device; see ``playing.py``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.checkpoints.model_file import ModelFile
from charrnn.config.inference import SampleConfig
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet, Ids, opening
from charrnn.errors import NOT_FINITE, CheckpointError
from charrnn.evaluation.torch_scorer import _rows_at_once, _score, _tensor
from charrnn.inference.sampling import Piece, StopScanner, draw, filter_distribution
from charrnn.models.cells.base import restore_states, select_states
from charrnn.models.char_model import CharModel, States, build_model


def restore(model: ModelFile, device: torch.device | str = "cpu") -> CharModel:
    """The network with its weights, on a device and ready to predict."""
    with torch.device("meta"):
        network = build_model(model.model, len(model.alphabet))
    weights = {name: torch.from_numpy(array.copy()) for name, array in model.weights.items()}
    network.load_state_dict(weights, assign=True)
    return network.to(device).eval().requires_grad_(False)


def check_states(
    config: ModelConfig, alphabet_size: int, batch: int, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Hold saved states against a run's before room is made for them: no weight vouches for theirs.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape or type.
    """
    with torch.device("meta"):
        states = build_model(config, alphabet_size).initial_states(batch)
    restore_states(states, {name: torch.from_numpy(array) for name, array in arrays.items()})


class TorchReader:
    """The network as a :class:`charrnn.inference.backend.Reader`.

    Args:
        model: on any device, in any floating type.
    """

    def __init__(self, model: CharModel) -> None:
        self._model = model
        self.characters = model.head.out_features

    def fresh(self, rows: int) -> States:
        """The states before any text."""
        return self._model.initial_states(rows)

    def score(
        self, ids: NDArray[Any], targets: NDArray[Any], states: States
    ) -> tuple[NDArray[np.float64], States]:
        """Nats (T, R) of targets (T, R), what follows each of ids (T, R); the states after."""
        steps = max(_rows_at_once(self._model) // ids.shape[1], 1)
        found = []
        for begin in range(0, len(ids), steps):
            block = slice(begin, begin + steps)
            nats, states = _score(self._model, _tensor(ids[block]), _tensor(targets[block]), states)
            found.append(nats.numpy())
        return np.concatenate(found), states

    def predict(self, ids: NDArray[Any], states: States) -> tuple[NDArray[np.float32], States]:
        """Logits (T, R, V) of what follows each of ids (T, R); the states after."""
        with torch.inference_mode():
            logits, after = self._model(_tensor(ids).to(self._model.head.weight.device), states)
            return logits.float().cpu().numpy(), after


TILE = 4
"""Samples drawn side by side. A matrix product rounds differently for another number of rows, so a
single sample fills a whole tile too: sample i is the same whatever the count."""


def sample(
    model: CharModel, alphabet: Alphabet, config: SampleConfig, prime: Ids, seed: int
) -> Iterator[Piece]:
    """Draw ``config.count`` samples, yielding each one's symbols as they come.

    Sample i depends on the model, the prime, the settings, the seed and i alone. Samples of one
    tile are drawn together, their pieces interleaved; tiles follow one another.

    Args:
        model: on any device.
        alphabet: the model's.
        config: how to draw, how much and how often.
        prime: ids the model reads first, shape (N,); if empty it reads a newline (else a blank,
            else its first character), as at the beginning of a line.
        seed: at least 0.

    Raises:
        CheckpointError: the model's predictions are not finite.
    """
    if not len(prime):
        prime = opening(alphabet)
    for first in range(0, config.count, TILE):
        samples = range(first, min(first + TILE, config.count))
        yield from _sample_tile(model, alphabet, config, prime, seed, samples)


def _sample_tile(
    model: CharModel,
    alphabet: Alphabet,
    config: SampleConfig,
    prime: Ids,
    seed: int,
    samples: range,
) -> Iterator[Piece]:
    started = time.perf_counter()
    device = model.head.weight.device
    generators = [np.random.default_rng([seed, number]) for number in samples]
    scanners = [StopScanner([alphabet.symbols(stop) for stop in config.stop]) for _ in samples]
    active = set(range(len(samples)))
    ids = torch.from_numpy(prime.astype(np.int64))[:, None].to(device)
    states = model.initial_states(1)
    with torch.inference_mode():
        logits, states = model(ids, states)
        states = select_states(states, torch.zeros(TILE, dtype=torch.long, device=device))
        logits = logits[-1:].expand(1, TILE, -1)
    drawn = np.zeros(TILE, dtype=np.int64)
    for position in range(config.length):
        rows = logits[0].cpu().double().numpy()
        if not np.isfinite(rows).all():
            raise CheckpointError(NOT_FINITE)
        for row in sorted(active):
            probabilities = filter_distribution(rows[row], config)
            drawn[row] = draw(probabilities, generators[row].random())
            scanner = scanners[row]
            text = scanner.feed(alphabet.characters[drawn[row]])
            last = scanner.stopped or position + 1 == config.length
            if last:
                text += scanner.flush()
                active.discard(row)
            if text or last:
                yield Piece(samples[row], text, last, time.perf_counter() - started)
        if not active:
            return
        with torch.inference_mode():
            logits, states = model(torch.from_numpy(drawn)[None].to(device), states)
    for row in sorted(active):
        yield Piece(samples[row], "", True, time.perf_counter() - started)


_MOST_AT_ONCE = 4096


class TorchPlace(NamedTuple):
    """The states before the last id, and that id: shape (1,), or (0,) before any text."""

    states: States
    unread: Ids


class TorchVoice:
    """A :class:`charrnn.inference.interactive.Voice` through torch.

    Args:
        model: on any device.
        alphabet: the model's.
    """

    def __init__(self, model: CharModel, alphabet: Alphabet) -> None:
        self._model = model
        self._opening = opening(alphabet)

    def beginning(self) -> TorchPlace:
        """The place before any text."""
        return TorchPlace(self._model.initial_states(1), self._opening[:0])

    def read(self, place: TorchPlace, ids: Ids) -> TorchPlace:
        """The place after some more ids, shape (N,)."""
        states = place.states
        ids = np.concatenate([place.unread, ids])
        for begin in range(0, len(ids) - 1, _MOST_AT_ONCE):
            _, states = self._step(ids[:-1][begin : begin + _MOST_AT_ONCE], states)
        return TorchPlace(states, ids[-1:])

    def write(
        self, place: TorchPlace, config: SampleConfig, generator: np.random.Generator
    ) -> Iterator[tuple[Ids, TorchPlace]]:
        """Draw ids, one at a time."""
        unread = place.unread if len(place.unread) else self._opening
        states = place.states
        for _ in range(config.length):
            logits, states = self._step(unread, states)
            row = logits[-1, 0].cpu().double().numpy()
            if not np.isfinite(row).all():
                raise CheckpointError(NOT_FINITE)
            unread = np.array([draw(filter_distribution(row, config), generator.random())])
            yield unread, TorchPlace(states, unread)

    def _step(self, ids: Ids, states: States) -> tuple[Tensor, States]:
        """The logits (N, 1, V) and the states after some ids (N,)."""
        inputs = torch.from_numpy(ids.astype(np.int64))[:, None]
        with torch.inference_mode():
            logits, states = self._model(inputs.to(self._model.head.weight.device), states)
        return logits, states
