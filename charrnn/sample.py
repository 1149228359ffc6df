"""Sampling through torch, from any model on any device; see ``drawing.py``."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch

from charrnn.alphabet import Alphabet, Ids
from charrnn.cells.contract import select_states
from charrnn.config import SampleConfig
from charrnn.drawing import Piece, StopScanner, draw, filter_distribution, opening
from charrnn.errors import CheckpointError
from charrnn.model import CharModel
from charrnn.tally import NOT_FINITE

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
