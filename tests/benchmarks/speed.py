"""Characters per second: training and sampling, each beside the same thing over torch.nn.LSTM."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from charrnn.alphabet import Alphabet
from charrnn.averaging import WeightAverage
from charrnn.config import SampleConfig, TrainConfig
from charrnn.device import Compute, choose_precision
from charrnn.model import build_model
from charrnn.modelconfig import ModelConfig
from charrnn.optimizer import build_optimizers
from charrnn.sample import TILE, opening, sample
from charrnn.schedule import Schedule
from charrnn.streams import Shape, Streams
from charrnn.train import Trainer
from tests.benchmarks.measure import Rate, interleave

CPU = torch.device("cpu")
CHARACTERS = 65
_DRAWN = 1_000


class PlainLSTM(nn.Module):
    """The network that anyone would write first: embedding, torch.nn.LSTM, linear."""

    def __init__(self, layers: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CHARACTERS, hidden)
        self.lstm = nn.LSTM(hidden, hidden, layers)
        self.head = nn.Linear(hidden, CHARACTERS)


def training_steps(
    config: ModelConfig, shape: Shape, steps: int, precision: str = "auto"
) -> Callable[[], int]:
    """Some training steps of a network on random characters, to be run again and again."""
    ids = np.random.default_rng(0).integers(CHARACTERS, size=1_000_000).astype(np.uint8)
    train = TrainConfig()
    model = build_model(config, CHARACTERS)
    trainer = Trainer(
        model,
        WeightAverage(model, train.average),
        build_optimizers(model, train.optimizer, train.weight_decay),
        Streams(ids, shape, seed=1),
        ids[:0],
        Schedule(train.learning_rate, train.warmup, None),
        Compute(CPU, choose_precision(precision, CPU, config)),
        seconds=None,
        clip=train.clip,
        clip_value=train.clip_value,
        dropout=0.0,
        weight_drop=0.0,
        evaluations=1,
        seed=1,
    )
    events = trainer.fit()

    def run() -> int:
        for _ in range(steps):
            next(events)
        return steps * shape.batch * shape.window

    return run


def _plain_steps(layers: int, hidden: int, shape: Shape, steps: int) -> Callable[[], int]:
    model = PlainLSTM(layers, hidden)
    optimizer = torch.optim.AdamW(model.parameters())
    ids = torch.randint(CHARACTERS, (shape.window + 1, shape.batch))

    def run() -> int:
        for _ in range(steps):
            y, _ = model.lstm(model.embedding(ids[:-1]))
            loss = nn.functional.cross_entropy(model.head(y).flatten(0, 1), ids[1:].flatten())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return steps * shape.batch * shape.window

    return run


def training(layers: int, hidden: int, shape: Shape, steps: int) -> dict[str, Rate]:
    """One training step all included, charrnn's cells beside torch.nn.LSTM in float32."""
    contenders = {
        f"charrnn {cell}": training_steps(
            ModelConfig(cell=cell, layers=layers, hidden=hidden, embedding=hidden), shape, steps
        )
        for cell in ("lstm", "gru", "rnn")
    }
    return interleave({**contenders, "torch.nn.LSTM": _plain_steps(layers, hidden, shape, steps)})


def sampling(layers: int, hidden: int) -> dict[str, Rate]:
    """Drawing at temperature 1: one stream, a tile of streams, and a loop over torch.nn.LSTM."""
    alphabet = Alphabet.of(map(chr, range(65, 65 + CHARACTERS)))
    config = ModelConfig(layers=layers, hidden=hidden, embedding=hidden)
    model = build_model(config, CHARACTERS).eval().requires_grad_(False)
    plain = PlainLSTM(layers, hidden)

    def charrnn(count: int) -> Callable[[], int]:
        settings = SampleConfig(length=_DRAWN, count=count)

        def run() -> int:
            pieces = sample(model, alphabet, settings, opening(alphabet), seed=0)
            return sum(len(piece.symbols) for piece in pieces)

        return run

    @torch.inference_mode()
    def loop() -> int:
        ids, state = torch.zeros(1, 1, dtype=torch.long), None
        for _ in range(_DRAWN):
            y, state = plain.lstm(plain.embedding(ids), state)
            ids = torch.multinomial(plain.head(y)[0].softmax(-1), 1)
        return _DRAWN

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rates = interleave(
        {"charrnn, one": charrnn(1), f"charrnn, {TILE}": charrnn(TILE), "torch.nn.LSTM": loop}
    )
    torch.set_num_threads(threads)
    return rates
