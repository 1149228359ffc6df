"""Every cell and arrangement at the same size, after reading the same number of characters.

``python -m tests.benchmarks.arrangements TEXT`` trains each through the program itself, one after
another, and prints a table: held-out nats per character (scored exactly, in one stream), characters
per second of training, parameters. The hidden size is what comes nearest to PARAMETERS; all
compute in float32, since torch has a bfloat16 layer for the plain LSTM alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from charrnn.cli.inputs import gather
from charrnn.corpus import fit_corpus
from charrnn.model import build_model, count_parameters
from charrnn.modelconfig import ModelConfig
from charrnn.settings import option_name
from tests.benchmarks.measure import describe_machine, say
from tests.benchmarks.train_and_score import train_and_score

PARAMETERS = 500_000
EPOCHS = 1
EMBEDDING = 64
COMMON = ("--epochs", str(EPOCHS), "--precision", "fp32")
_HIDDEN_STEP = 4

LSTM, GRU, RNN, STACK, LIST = ({"cell": cell} for cell in ("lstm", "gru", "rnn", "stack", "list"))
ROWS: dict[str, dict[str, Any]] = {
    "rnn, tanh": RNN,
    "rnn, relu": {**RNN, "activation": "relu"},
    "rnn, relu, half the identity": {**RNN, "activation": "relu", "init": "identity"},
    "rnn, tanh, orthogonal": {**RNN, "init": "orthogonal"},
    "rnn, sigmoid": {**RNN, "activation": "sigmoid"},
    "gru, reset after": GRU,
    "gru, reset before": {**GRU, "gru_reset": "before"},
    "lstm": LSTM,
    "lstm, coupled": {**LSTM, "lstm_gates": "coupled"},
    "lstm, capped": {**LSTM, "lstm_gates": "capped"},
    "lstm, forget bias 0": {**LSTM, "forget_bias": 0.0},
    "lstm, orthogonal": {**LSTM, "init": "orthogonal"},
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
    "stack, 1 layer, no-op": {**STACK, "layers": 1, "stack_noop": True},
    "stack, 1 layer, nothing else": {**STACK, "layers": 1, "stack_only": True},
    "list, 1 layer": {**LIST, "layers": 1},
}


def fit_hidden(settings: dict[str, Any], alphabet_size: int) -> int:
    """The hidden size whose network comes nearest to PARAMETERS."""

    def distance(hidden: int) -> int:
        config = ModelConfig(**settings, hidden=hidden, embedding=EMBEDDING)
        with torch.device("meta"):
            return abs(count_parameters(build_model(config, alphabet_size)) - PARAMETERS)

    return min(range(_HIDDEN_STEP, 1024, _HIDDEN_STEP), key=distance)


def as_options(settings: dict[str, Any]) -> list[str]:
    """Settings as the command line takes them."""
    return [
        word
        for name, value in settings.items()
        for word in ((option_name(name),) if value is True else (option_name(name), str(value)))
    ]


def main(text: Path, chosen: list[str]) -> None:
    """Print the table, or the rows whose name is among those chosen."""
    alphabet_size = len(fit_corpus([text]).alphabet)
    say(f"{text.name}, {EPOCHS} epochs, about {PARAMETERS:,} parameters; {describe_machine()}\n")
    say("| | layers x hidden | parameters | held out, nats per character | characters/s |")
    say("|---|---|---|---|---|")
    for name, settings in ROWS.items():
        if chosen and name not in chosen:
            continue
        hidden = fit_hidden(settings, alphabet_size)
        size = {"layers": ModelConfig.layers, **settings, "hidden": hidden, "embedding": EMBEDDING}
        found = train_and_score(text, *as_options(size), *COMMON)
        say(
            f"| {name} | {size['layers']} x {hidden} | {found['parameters']:,} "
            f"| {found['nats_per_char']:.4f} | {found['chars_per_second']:,.0f} |"
        )


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        (learnt,) = gather(sys.argv[1:2] or ["tales"], Path(folder))
        main(learnt, chosen=sys.argv[2:])
