"""Every cell and arrangement at the same size, after reading the same number of characters.

``python -m tests.benchmarks.arrangements TEXT`` trains each through the program itself, and then
times training steps of all of them, interleaved. It prints a table: held-out nats per character at
the end of the training, characters per second of training (the median of ROUNDS), parameters. The
hidden size is what comes nearest to PARAMETERS. All compute in float32, since torch has a bfloat16
layer for the plain LSTM alone.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from charrnn.config.model import ModelConfig
from charrnn.config.training import TrainConfig
from charrnn.data.batches import Shape
from charrnn.data.corpus import fit_corpus
from charrnn.data.inputs import gather_sources
from charrnn.folders import TemporaryFolder
from charrnn.models.char_model import build_model, count_parameters
from tests.benchmarks.measure import describe_machine, interleave, say
from tests.benchmarks.speed import training_steps
from tests.benchmarks.train_and_score import charrnn
from tests.support.arrangements import as_options

PARAMETERS = 500_000
EPOCHS = 1
EMBEDDING = 64
COMMON = (
    *("--epochs", str(EPOCHS), "--precision", "fp32", "--evaluations", "1", "--threads", "1"),
    *("--lr", "0.006", "--dropout", "0", "--weight-drop", "0", "--experts", "none"),
)
SHAPE = Shape(TrainConfig.batch, TrainConfig.window)
_HIDDEN_STEP = 4
_MOST_HIDDEN = 1024

LSTM, GRU, RNN, STACK, LIST = ({"cell": cell} for cell in ("lstm", "gru", "rnn", "stack", "list"))
ROWS: dict[str, dict[str, Any]] = {
    "rnn, tanh": RNN,
    "rnn, relu, half the identity": {**RNN, "activation": "relu", "init": "identity"},
    "rnn, sigmoid": {**RNN, "activation": "sigmoid"},
    "gru, reset after": GRU,
    "gru, reset before": {**GRU, "gru_reset": "before"},
    "lstm": LSTM,
    "lstm, coupled": {**LSTM, "lstm_gates": "coupled"},
    "lstm, capped": {**LSTM, "lstm_gates": "capped"},
    "lstm, no norm": {**LSTM, "norm": "none"},
    "lstm, batch norm": {**LSTM, "norm": "batch"},
    "lstm, 1 layer": {**LSTM, "layers": 1},
    "lstm, 3 layers": {**LSTM, "layers": 3},
    "lstm, 3 layers, residual": {**LSTM, "layers": 3, "connect": "residual"},
    "lstm, 3 layers, sum": {**LSTM, "layers": 3, "connect": "sum"},
    "lstm, 3 layers, pyramid 1": {**LSTM, "layers": 3, "pyramid": 1},
    "lstm, 3 layers, pyramid 2": {**LSTM, "layers": 3, "pyramid": 2},
    "gru, 3 layers": {**GRU, "layers": 3},
    "gru, 3 layers, pyramid 2": {**GRU, "layers": 3, "pyramid": 2},
    "rnn, 3 layers": {**RNN, "layers": 3},
    "rnn, 3 layers, pyramid 2": {**RNN, "layers": 3, "pyramid": 2},
    "stack, 1 layer": {**STACK, "layers": 1},
    "stack, 1 layer, nothing else": {**STACK, "layers": 1, "stack_only": True},
    "list, 1 layer": {**LIST, "layers": 1},
}


def fit_size(settings: dict[str, Any], alphabet_size: int) -> ModelConfig:
    """The network with these settings whose hidden size brings it nearest to PARAMETERS."""
    return min(
        (
            ModelConfig(**settings, hidden=hidden, embedding=EMBEDDING)
            for hidden in range(_HIDDEN_STEP, _MOST_HIDDEN, _HIDDEN_STEP)
        ),
        key=lambda config: abs(count(config, alphabet_size) - PARAMETERS),
    )


def count(config: ModelConfig, alphabet_size: int) -> int:
    """The network's parameters."""
    with torch.device("meta"):
        return count_parameters(build_model(config, alphabet_size))


def train(text: Path, config: ModelConfig, settings: dict[str, Any]) -> float:
    """Train a network; its held-out nats per character."""
    size = {name: getattr(config, name) for name in ("layers", "hidden", "embedding")}
    with TemporaryDirectory() as folder:
        options = [*as_options({**settings, **size}), *COMMON]
        found = charrnn(folder, "train", str(text.resolve()), "--run", "run", *options)
        loss: float = found["valid_nats_per_char"]
        return loss


def main(text: Path, chosen: list[str]) -> None:
    """Print the table, or the rows whose name is among those chosen."""
    rows = {name: settings for name, settings in ROWS.items() if not chosen or name in chosen}
    alphabet_size = len(fit_corpus([text]).alphabet)
    configs = {name: fit_size(settings, alphabet_size) for name, settings in rows.items()}
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        found = workers.map(lambda name: train(text, configs[name], rows[name]), rows)
        losses = dict(zip(rows, found, strict=True))
    rates = interleave(
        {
            name: partial(training_steps, config, SHAPE, 1, "fp32")
            for name, config in configs.items()
        }
    )
    say(f"{text.name}, {EPOCHS} epochs, about {PARAMETERS:,} parameters; {describe_machine()}\n")
    say("| | layers x hidden | parameters | held out, nats per character | characters/s |")
    say("|---|---|---|---|---|")
    for name, config in configs.items():
        say(
            f"| {name} | {config.layers} x {config.hidden} | {count(config, alphabet_size):,} "
            f"| {losses[name]:.4f} | {rates[name].median:,.0f} |"
        )


if __name__ == "__main__":
    with TemporaryFolder() as folder:
        (learnt,), _ = gather_sources(sys.argv[1:2] or ["tales"], folder)
        main(learnt, chosen=sys.argv[2:])
