"""A checkpoint is untrusted: what is damaged or forged is refused, and crashes no reader."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np

from charrnn.checkpoints.checkpoint import TRAINING, CheckpointFile, encode_checkpoint
from charrnn.checkpoints.migrations import FORMAT
from charrnn.checkpoints.model_file import CorpusFacts, ModelFile, Scores, load_model
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet
from charrnn.data.encoded_text import ContinuousText
from charrnn.errors import CheckpointError, PredictionError
from charrnn.evaluation.evaluate import evaluate
from charrnn.inference.select_backend import load_native
from charrnn.models.parameter_shapes import list_parameter_shapes
from charrnn.training.run_config import check_run
from tests.robustness.hostile import HOSTILE, read_while_it_changes, refuse_hostile_files
from tests.robustness.mutations import (
    disturb_bytes,
    disturb_parts,
    put_together,
    respell,
    take_apart,
)
from tests.robustness.promise import Promise, Trials
from tests.robustness.taken_up import take_up_forged_runs
from tests.support import GOLDEN

FILE = Path("file")
_LONGEST_MESSAGE = 400


@cache
def subjects() -> dict[str, bytes]:
    """Sound files: a model of the present format, and a model and a run of old ones."""
    config = ModelConfig(cell="gru", layers=2, hidden=3, embedding=2, connect="sum")
    alphabet = Alphabet.of('ab\n"\u00fc\U0001f98a')
    draw = np.random.default_rng(1)
    weights = {
        name: draw.normal(size=shape).astype(np.float32)
        for name, shape in list_parameter_shapes(config, len(alphabet)).items()
    }
    facts = CorpusFacts("herons", "0" * 64, 1234, 0.1)
    checkpoint = ModelFile(
        config, alphabet, facts, Scores(30, 1.25, 0.1, 1.5, None), weights
    ).to_checkpoint()
    envelope = {"format": FORMAT, "kind": checkpoint.kind, **checkpoint.header}
    return {
        "a model": encode_checkpoint(envelope, weights),
        "a model of format 1": (GOLDEN / "format-1/rnn-best.safetensors").read_bytes(),
        "a run of format 2": (GOLDEN / "format-2/lstm-last.safetensors").read_bytes(),
    }


def load(data: bytes) -> tuple[CheckpointFile, ModelFile]:
    """Read a file as far as one can without its text."""
    file = CheckpointFile(FILE, BytesIO(data))
    model = load_model(file)
    if file.kind == TRAINING:
        check_run(file)
    return file, model


def refuses(data: bytes) -> str | None:
    """Return the problem with the reading of a damaged file; None if it is refused properly."""
    for read in (load, lambda data: CheckpointFile(FILE, BytesIO(data)).verify()):
        try:
            read(data)
        except CheckpointError as problem:
            message = str(problem)
            if len(message) > _LONGEST_MESSAGE or not message.startswith("file: "):
                return f"refused at length: {message:.200}"
        except Exception as crash:  # noqa: BLE001
            return f"{type(crash).__name__}: {crash!s:.200}"
        else:
            return "taken for a sound file"
    return None


def is_sound_or_refused(data: bytes) -> str | None:
    """Return the problem with the reading of a forged file whose digest is true; None if none.

    Its contents may be sound after all. Then the file must be usable.
    """
    try:
        # A warning would be a line on the user's terminal.
        with warnings.catch_warnings(action="error"):
            _, model = load(data)
            _use(model)
        if not _is_sound(model):
            return "an unsound model was read"
    except (CheckpointError, PredictionError) as problem:
        return None if len(str(problem)) <= _LONGEST_MESSAGE else f"refused at length: {problem}"
    except Exception as crash:  # noqa: BLE001
        return f"{type(crash).__name__}: {crash!s:.200}"
    return None


def _use(model: ModelFile) -> None:
    """Score a text with a model that was read, in each precision that the native library has."""
    for precision in ("fp32", "bf16", "int8"):
        backend = load_native(model, weights=precision)
        if backend is not None:
            text = ContinuousText(np.arange(9) % len(model.alphabet))
            evaluate(backend, text, model.alphabet)


def _is_sound(model: ModelFile) -> bool:
    characters = model.alphabet.characters
    shapes = {name: weight.shape for name, weight in model.weights.items()}
    return (
        len(set(characters)) == len(characters) > 0
        and not any("\ud800" <= character <= "\udfff" for character in characters)
        and shapes == list_parameter_shapes(model.model, len(characters))
        and all(np.isfinite(weight).all() for weight in model.weights.values())
        and 0 < model.model.layers <= 64
        and 0 < model.model.hidden <= 16384
    )


def _length_of_head(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def _flip(data: bytes, bit: int) -> bytes:
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def _every(
    text: str, places: Callable[[bytes], range], damage: Callable[[bytes, int], bytes]
) -> Promise:
    """A promise of files that are damaged at every place of some."""
    cases = [(name, place) for name, data in subjects().items() for place in places(data)]

    def trials(count: int, seed: int) -> Iterator[str | None]:
        for name, place in Random(seed).sample(cases, min(count, len(cases))):
            wrong = refuses(damage(subjects()[name], place))
            yield wrong and f"{name}, {place}: {wrong}"

    return Promise(text, trials, len(cases))


def _drawn(change: Callable[[Random], bytes], wrong_with: Callable[[bytes], str | None]) -> Trials:
    """Trials of files that are drawn, each from the seed and its number alone."""

    def trials(count: int, seed: int) -> Iterator[str | None]:
        sound = set(subjects().values())
        for number in range(count):
            data = change(Random(f"{seed}/{number}"))
            wrong = None if data in sound else wrong_with(data)
            yield wrong and f"seed {seed}, number {number}: {wrong}"

    return trials


def _flip_data(draw: Random) -> bytes:
    data = draw.choice(list(subjects().values()))
    return _flip(data, draw.randrange(8 * _length_of_head(data), 8 * len(data)))


def _lengthen(draw: Random) -> bytes:
    data = draw.choice(list(subjects().values()))
    return data + draw.choice((bytes(draw.randint(1, 64)), draw.randbytes(9), data))


def _swap_blocks(draw: Random) -> bytes:
    data = bytearray(draw.choice(list(subjects().values())))
    size = draw.randint(1, len(data) // 2)
    one = draw.randrange(0, len(data) - 2 * size + 1)
    two = draw.randrange(one + size, len(data) - size + 1)
    data[one : one + size], data[two : two + size] = (
        data[two : two + size],
        data[one : one + size],
    )
    return bytes(data)


def _fuzz(draw: Random) -> bytes:
    data, other = draw.choices(list(subjects().values()), weights=(20, 6, 1), k=2)
    return disturb_bytes(draw, data, other) if draw.random() < 0.6 else respell(draw, data)


def _forge(draw: Random) -> bytes:
    data = draw.choices(list(subjects().values()), weights=(20, 6, 1))[0]
    parts = take_apart(data)
    disturb_parts(draw, parts)
    return put_together(parts)


PROMISES = (
    _every(
        "A checkpoint with any one bit of its header flipped is refused",
        lambda data: range(8 * _length_of_head(data)),
        _flip,
    ),
    Promise(
        "A checkpoint with a bit of its data flipped is refused",
        _drawn(_flip_data, refuses),
        10_000,
    ),
    _every(
        "A checkpoint cut short at any length is refused",
        lambda data: range(len(data)),
        lambda data, length: data[:length],
    ),
    Promise("A checkpoint with bytes after its end is refused", _drawn(_lengthen, refuses), 10_000),
    Promise(
        "A checkpoint with two blocks swapped is refused", _drawn(_swap_blocks, refuses), 20_000
    ),
    Promise(
        "A fuzzed checkpoint is refused, and crashes no reader", _drawn(_fuzz, refuses), 800_000
    ),
    Promise(
        "A forged checkpoint, its digest true, is refused or sound, and crashes no reader",
        _drawn(_forge, is_sound_or_refused),
        300_000,
    ),
    Promise("A forged run, its digest true, is refused or goes on", take_up_forged_runs, 2_000),
    Promise(
        "A checkpoint that changes while it is read is refused or read whole",
        read_while_it_changes,
        5_000,
    ),
    Promise(
        "A file made to do harm gets one line, exit code 4 and little memory",
        refuse_hostile_files,
        len(HOSTILE),
    ),
)
