"""Characters per second: training and sampling, each beside the same thing over torch.nn.LSTM."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from charrnn.config.inference import SampleConfig
from charrnn.config.model import ModelConfig
from charrnn.config.processors import count_processors
from charrnn.config.training import TrainConfig
from charrnn.data.alphabet import Alphabet, encode_default_prime
from charrnn.data.batches import ContinuousStreams, RecordStreams, Shape, Streams
from charrnn.data.encoded_text import ContinuousText, RecordText
from charrnn.inference.native_backend import NativeBackend, build_network
from charrnn.inference.sampling import sample
from charrnn.models.char_model import build_model
from charrnn.models.device import Compute, choose_precision, prepare_process
from charrnn.training.native_step import choose_step
from charrnn.training.optimizers import build_optimizers
from charrnn.training.schedule import Schedule
from charrnn.training.train_state import TrainState
from charrnn.training.trainer import Trainer
from charrnn.training.validation import HeldOut
from charrnn.training.weight_average import WeightAverage
from tests.benchmarks.measure import Rate, interleave

CPU = torch.device("cpu")
CHARACTERS = 65
PRODUCTS = "torch.mm"
RECORD = 7
"""Characters of a record, where records are learned."""

_DRAWN = 1_000
_STREAMS = 64
_AS_FAST = 6  # As one, about; it makes them take as long.
_PRODUCTS = 10


class Plain(nn.Module):
    """The network that anyone would write first: embedding, torch.nn.LSTM or GRU, linear."""

    def __init__(self, layer: type[nn.LSTM | nn.GRU], layers: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CHARACTERS, hidden)
        self.recurrent = layer(hidden, hidden, layers)
        self.head = nn.Linear(hidden, CHARACTERS)


def training_steps(
    config: ModelConfig, shape: Shape, steps: int, precision: str = "auto", *, records: bool = False
) -> Callable[[], int]:
    """Some training steps of a network on random characters, to be run again and again."""
    prepare_process(None)
    end = CHARACTERS - 1
    ids = np.random.default_rng(0).integers(end, size=1_000_000).astype(np.uint8)
    streams: Streams = ContinuousStreams(ContinuousText(ids), shape, seed=1)
    if records:
        ids[:: RECORD + 1] = end
        streams = RecordStreams(RecordText(ids, end=end), shape, seed=1)
    train = TrainConfig()
    model = build_model(config, CHARACTERS)
    step = choose_step(
        model,
        WeightAverage(model, train.average),
        build_optimizers(model, train.optimizer, train.weight_decay),
        Compute(CPU, choose_precision(precision, CPU, config)),
        clip=train.clip,
        clip_value=train.clip_value,
    )
    train_state = TrainState(step, batch=shape.batch, dropout=0.0, weight_drop=0.0, seed=1)
    trainer = Trainer(
        train_state,
        streams,
        HeldOut(ContinuousText(ids[:0]), config),
        Schedule(train.learning_rate, train.warmup, None),
        seconds=None,
        evaluations=1,
        goes_back=False,
    )
    events = trainer.fit()

    def run() -> int:
        for _ in range(steps):
            next(events)
        return round(steps * streams.characters_per_window)

    return run


def plain_steps(
    layer: type[nn.LSTM | nn.GRU], layers: int, hidden: int, shape: Shape, steps: int, *, bf16: bool
) -> Callable[[], int]:
    """The same number of steps of the network that anyone would write first."""
    model = Plain(layer, layers, hidden)
    optimizer = torch.optim.AdamW(model.parameters())
    ids = torch.randint(CHARACTERS, (shape.window + 1, shape.batch))

    def run() -> int:
        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                y, _ = model.recurrent(model.embedding(ids[:-1]))
                logits = model.head(y).flatten(0, 1)
            loss = nn.functional.cross_entropy(logits.float(), ids[1:].flatten())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return steps * shape.batch * shape.window

    return run


def products(precision: torch.dtype) -> Callable[[], int]:
    """Large matrix products: floating-point operations."""
    left, right = (torch.randn(2048, 2048).to(precision) for _ in range(2))

    def run() -> int:
        for _ in range(_PRODUCTS):
            left @ right
        return _PRODUCTS * 2 * 2048**3

    return run


def training(
    layers: int, hidden: int, shape: Shape, steps: int, *, bfloat16: bool
) -> dict[str, Rate]:
    """One training step all included, charrnn's cells beside torch's layers, characters/s.

    Besides, the machine's own rate of products in the same precision, in operations per second.

    Args:
        layers: of the network, as those that follow.
        hidden: units of a layer.
        shape: batch and window.
        steps: of a round.
        bfloat16: whether charrnn multiplies in it; torch's layers are then shown with both.
    """
    size: dict[str, Any] = {"layers": layers, "hidden": hidden, "embedding": hidden}
    cells: dict[str, dict[str, Any]] = {
        "lstm": {},
        "gru": {},
        "gru, reset before": {"gru_reset": "before"},
        "rnn": {},
    }
    records = shape.window == RECORD + 1
    if records:
        cells = {"lstm": {}}
    precision = "bf16" if bfloat16 else "fp32"
    ours = {
        f"charrnn {name}": partial(
            training_steps,
            ModelConfig(cell=name.partition(",")[0], **size, **own),
            shape,
            steps,
            precision,
            records=records,
        )
        for name, own in cells.items()
    }
    theirs = {
        f"torch.nn.{layer.__name__}{', bfloat16' if low else ''}": partial(
            plain_steps, layer, layers, hidden, shape, steps, bf16=low
        )
        for layer in (nn.LSTM, nn.GRU)
        for low in (False, True)[: 1 + bfloat16]
    }
    kind = torch.bfloat16 if bfloat16 else torch.float32
    return interleave({**ours, **theirs, PRODUCTS: partial(products, kind)})


def count_operations(layers: int, hidden: int, gates: int) -> int:
    """Floating-point operations of all products with a recurrent network's matrices, in training.

    The first layer's inputs are looked up; the way back costs twice the way forward.
    """
    return 3 * 2 * gates * hidden**2 * (2 * layers - 1)


def sample_steps(
    layers: int, hidden: int, count: int, threads: int, weights: str = "bf16"
) -> Callable[[], int]:
    """Draw characters from an LSTM at temperature 1 through the native network."""
    alphabet = Alphabet.of(map(chr, range(65, 65 + CHARACTERS)))
    config = ModelConfig(layers=layers, hidden=hidden, embedding=hidden)
    arrays = {
        name: tensor.numpy()
        for name, tensor in build_model(config, CHARACTERS).state_dict().items()
    }
    network = build_network(config, arrays, bfloat16=weights == "bf16")
    backend = NativeBackend(network, threads)
    # About as many seconds for every size and count.
    at_once = min(count, _AS_FAST)
    settings = SampleConfig(length=_DRAWN * 20 * 128 // hidden * at_once // count, count=count)

    def run() -> int:
        pieces = sample(backend, alphabet, settings, encode_default_prime(alphabet), seed=0)
        return sum(len(piece.symbols) for piece in pieces)

    return run


def plain_sample_steps(layers: int, hidden: int) -> Callable[[], int]:
    """The loop over torch.nn.LSTM that anyone would write first, one thread."""
    torch.set_num_threads(1)
    model = Plain(nn.LSTM, layers, hidden)

    @torch.inference_mode()
    def run() -> int:
        ids, state = torch.zeros(1, 1, dtype=torch.long), None
        for _ in range(_DRAWN):
            y, state = model.recurrent(model.embedding(ids), state)
            ids = torch.multinomial(model.head(y)[0].softmax(-1), 1)
        return _DRAWN

    return run


def sampling(layers: int, hidden: int) -> dict[str, Rate]:
    """Drawing at temperature 1: one stream, many, and a loop over torch.nn.LSTM."""
    return interleave(
        {
            "charrnn, one": partial(sample_steps, layers, hidden, 1, 1),
            "charrnn, one, fp32": partial(sample_steps, layers, hidden, 1, 1, "fp32"),
            f"charrnn, {_STREAMS}": partial(
                sample_steps, layers, hidden, _STREAMS, count_processors()
            ),
            "torch.nn.LSTM": partial(plain_sample_steps, layers, hidden),
        }
    )
