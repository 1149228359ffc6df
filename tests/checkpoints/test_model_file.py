"""The model file: a model that comes back as it was, and every reason not to trust one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from torch import Tensor

from charrnn import __version__
from charrnn.checkpoints.checkpoint import (
    MODEL,
    TRAINING,
    Arrays,
    Checkpoint,
    CheckpointFile,
    open_checkpoint,
    read_checkpoint,
    read_header,
    write_checkpoint,
)
from charrnn.checkpoints.migrations import FORMAT
from charrnn.checkpoints.model_file import CorpusFacts, ModelFile, Scores, read_model
from charrnn.config.inference import SampleConfig
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet
from charrnn.data.encoded_text import ContinuousText
from charrnn.errors import CheckpointError, PredictionError, UsageError
from charrnn.evaluation.evaluate import evaluate
from charrnn.inference.sampling import sample
from charrnn.inference.torch_backend import TorchBackend, restore_network
from charrnn.models.cells.base import State
from charrnn.models.cells.stack_rnn import StackRNN
from charrnn.models.char_model import build_model
from tests.support.arrangements import ARRANGEMENTS, configure

CONFIG = ModelConfig(cell="gru", layers=2, hidden=16, embedding=8)
ALPHABET = Alphabet.of("\n abcdefgüß狐🦊")
FACTS = CorpusFacts("herons", "0" * 64, 1234, 0.1)
SCORES = Scores(30, 1.25, 0.1, 1 / 3, None)

Header = dict[str, Any]


def weights_of(config: ModelConfig, alphabet: Alphabet, seed: int = 3) -> Arrays:
    state = build_model(config, len(alphabet), seed).state_dict()
    return {name: tensor.numpy() for name, tensor in state.items()}


def model_file(config: ModelConfig = CONFIG, alphabet: Alphabet = ALPHABET) -> ModelFile:
    return ModelFile(config, alphabet, FACTS, SCORES, weights_of(config, alphabet))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound model file."""
    path = tmp_path / "best.safetensors"
    write_checkpoint(path, model_file().to_checkpoint())
    return path


def rewrite(path: Path, change: Callable[[Header, Arrays], object]) -> None:
    """Change what a checkpoint holds, its digest included, as an attacker would."""
    checkpoint = read_checkpoint(path)
    change(checkpoint.header, checkpoint.arrays)
    write_checkpoint(path, checkpoint)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_model(path)
    assert caught.value.exit_code == 4
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def refusal_of(
    path: Path, place: tuple[str, ...], value: object, saved: ModelFile | None = None
) -> str:
    """The refusal of a model file, sound but for one value of its header."""
    checkpoint = (saved or model_file()).to_checkpoint()
    *parts, name = place
    header = checkpoint.header
    for part in parts:
        header = header[part]
    header[name] = value
    write_checkpoint(path, checkpoint)
    return refusal(path)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_a_model_comes_back_as_it_was(tmp_path: Path, arrangement: str) -> None:
    saved = model_file(configure(arrangement, hidden=16, embedding=8))
    write_checkpoint(tmp_path / "m", saved.to_checkpoint())
    found = read_model(tmp_path / "m")
    with open_checkpoint(tmp_path / "m") as file:
        assert replace(found, weights={}) == replace(saved, weights={}, digest=str(file.digest))
    assert set(found.weights) == set(saved.weights)
    for name, weight in saved.weights.items():
        np.testing.assert_array_equal(found.weights[name], weight)


def test_alphabet_and_scores_of_every_sort_come_back(tmp_path: Path) -> None:
    for alphabet in (ALPHABET, Alphabet.bytes_alphabet()):
        for scores in (None, SCORES, replace(SCORES, valid_nats_per_char=1.5)):
            saved = replace(model_file(alphabet=alphabet), scores=scores)
            write_checkpoint(tmp_path / "m", saved.to_checkpoint())
            found = read_model(tmp_path / "m")
            assert (found.alphabet, found.scores) == (alphabet, scores)


def test_the_network_read_back_predicts_what_the_saved_one_did(path: Path) -> None:
    ids = torch.arange(12).reshape(6, 2) % len(ALPHABET)

    def logits(network: torch.nn.Module) -> Tensor:
        result: Tensor = network(ids, build_model(CONFIG, 2).initial_states(2))[0]
        return result

    network = restore_network(read_model(path))
    expected = logits(build_model(CONFIG, len(ALPHABET), seed=3))
    torch.testing.assert_close(logits(network), expected, rtol=0, atol=0)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_model_file_says_which_charrnn_wrote_it(path: Path) -> None:
    kind, header = read_header(path)
    assert (kind, header["charrnn"]) == (MODEL, __version__)


def test_a_training_checkpoint_gives_its_averaged_weights(path: Path) -> None:
    average, raw = weights_of(CONFIG, ALPHABET, seed=5), weights_of(CONFIG, ALPHABET, seed=6)
    arrays = {
        **{f"average.{name}": array for name, array in average.items()},
        **{f"model.{name}": array for name, array in raw.items()},
        **{f"optimizer.exp_avg.{name}": array for name, array in raw.items()},
    }
    _, header = read_header(path)
    write_checkpoint(path, Checkpoint(TRAINING, header, arrays))
    found = read_model(path)
    assert set(found.weights) == set(average)
    for name, weight in average.items():
        np.testing.assert_array_equal(found.weights[name], weight)
    assert found.scores is None


def test_a_training_checkpoint_without_averaged_weights_is_refused(path: Path) -> None:
    checkpoint = read_checkpoint(path)
    write_checkpoint(path, replace(checkpoint, kind=TRAINING))
    assert "missing" in refusal(path)


BIAS, HEAD = "cells.0.bias", "head.weight"


CHANGES: dict[str, Callable[[Arrays], object]] = {
    "missing": lambda arrays: arrays.pop(HEAD),
    "none": lambda arrays: arrays.clear(),
    "unknown": lambda arrays: arrays.update({"head.odd": arrays[HEAD]}),
    "a layer too many": lambda arrays: arrays.update({"cells.2.bias": arrays[BIAS]}),
    "transposed": lambda arrays: arrays.update({HEAD: np.ascontiguousarray(arrays[HEAD].T)}),
    "too short": lambda arrays: arrays.update({BIAS: arrays[BIAS][:-1]}),
    "too deep": lambda arrays: arrays.update({BIAS: arrays[BIAS][None]}),
    "a scalar": lambda arrays: arrays.update({BIAS: np.zeros((), np.float32)}),
    "float64": lambda arrays: arrays.update({BIAS: arrays[BIAS].astype(np.float64)}),
    "uint8": lambda arrays: arrays.update({BIAS: arrays[BIAS].astype(np.uint8)}),
}


def test_tensors_that_are_not_the_models_are_refused(path: Path) -> None:
    for change in CHANGES.values():
        checkpoint = model_file().to_checkpoint()
        change(checkpoint.arrays)
        write_checkpoint(path, checkpoint)
        refusal(path)


@pytest.mark.parametrize("name", [HEAD, "head.odd"])
def test_a_missing_or_unknown_tensor_is_named(path: Path, name: str) -> None:
    def toggle(_: Header, arrays: Arrays) -> None:
        if arrays.pop(name, None) is None:
            arrays[name] = np.zeros(1, np.float32)

    rewrite(path, toggle)
    assert name in refusal(path)


def test_an_alphabet_that_is_not_the_models_is_refused(path: Path) -> None:
    for alphabet in (
        Alphabet.of("ab").to_dict(),
        Alphabet(ALPHABET.characters + "x").to_dict(),
        Alphabet.bytes_alphabet().to_dict(),
        {"kind": "text", "characters": ""},
        {"kind": "text", "characters": "a" * len(ALPHABET)},
        {"kind": "text", "characters": "\ud800" + ALPHABET.characters[1:]},
        {"kind": "text", "characters": list(ALPHABET.characters)},
        {"kind": "runes", "characters": ALPHABET.characters},
        {"kind": ["text"], "characters": ALPHABET.characters},
        {"kind": "bytes", "characters": ALPHABET.characters},
        {"characters": ALPHABET.characters},
        ALPHABET.characters,
        None,
    ):
        refusal_of(path, ("alphabet",), alphabet)


ODD_SETTINGS: dict[str, list[object]] = {
    "layers": [10**9, 10**400, 3, 1, 0, -1, 2.0, True, "2", None],
    "hidden": [10**9, 17, 0, -16, "16", [16]],
    "embedding": [10**9, 9, 0, {}],
    "cell": ["lstm", "transformer", "", 1, ["gru"], {}, None],
    "norm": ["none", "batch", None],
    "dropout": [1.0, -0.1, 10**400, "0"],
    "heads": [8],
    "pyramid": [1, 2, 16, 17, -1, 10**9, 1.0, True, "1", None],
    "connect": ["sideways", "", 1, ["stack"], None],
    "init": ["identity", "ones", "torch.nn.init.eye_", 0, None],
    "init_gain": [-0.5, 101.0, 10**400, "1", None],
    "activation": ["tanh", "os.system", "__import__", 1, ["tanh"]],
    "gru_reset": ["before", "during", 0, None],
    "lstm_gates": ["separate", "open"],
    "forget_bias": [1.0, 10**400],
    "stacks": [1, 10, 10**9],
    "stack_depth": [200, 10**9],
    "stack_only": [False, True],
    "stack_noop": [False, True],
    "stack_round": [False, True],
}


@pytest.mark.parametrize("name", ODD_SETTINGS)
def test_a_configuration_that_is_not_the_models_is_refused(path: Path, name: str) -> None:
    for value in ODD_SETTINGS[name]:
        refusal_of(path, ("model", name), value)


ODD_OWN_SETTINGS: dict[str, dict[str, list[object]]] = {
    "stack": {
        "stacks": [2, 1024, 1025, 0, -1, 10**9, 10**400, 3.0, True, "3", None],
        "stack_depth": [1, 0, 65537, 10**9, 10**400, 5.0, "5", None],
        "stack_only": [True, 0, "no", None],
        "stack_noop": [True, 0, "no", None],
        "stack_round": [1, "yes", None],
        "activation": ["os.system", "softmax", "", 0, ["tanh"], None],
        "pyramid": [1, 16],
    },
    "lstm": {
        "lstm_gates": ["coupled", "open", 0, ["separate"], None],
        "forget_bias": [21.0, -21.0, 10**400, True, "1", None],
        "activation": ["tanh"],
    },
    "rnn": {
        "activation": ["os.system", "Tanh", "tanh\n", 1, ["tanh"], {"tanh": 1}, None],
        "init_gain": [None],
    },
    "batch norm": {"norm": ["layer", "none", "group", None]},
    "pyramid of gru": {"pyramid": [0, 2, 16, None], "connect": ["stack", "residual", None]},
    "residual": {"pyramid": [1], "connect": [None], "layers": [1]},
}


@pytest.mark.parametrize("arrangement", ODD_OWN_SETTINGS)
def test_a_setting_that_is_not_the_arrangements_is_refused(path: Path, arrangement: str) -> None:
    saved = model_file(configure(arrangement, hidden=16, embedding=8))
    for name, values in ODD_OWN_SETTINGS[arrangement].items():
        for value in values:
            refusal_of(path, ("model", name), value, saved)


def test_a_setting_that_is_not_finite_is_refused(path: Path) -> None:
    for arrangement, name in (("lstm", "forget_bias"), ("gru", "init_gain"), ("gru", "dropout")):
        for number in ("NaN", "Infinity", "-Infinity"):
            saved = model_file(configure(arrangement, hidden=16, embedding=8)).to_checkpoint()
            saved.header["model"][name] = float(number)
            envelope = {"format": FORMAT, "kind": MODEL, **saved.header, "sha256": "0" * 64}
            text = json.dumps(envelope, separators=(",", ":"))
            assert f'"{name}":{number}' in text
            path.write_bytes(save(saved.arrays, metadata={"charrnn": text}))
            refusal(path)


def test_stacks_take_no_room_until_the_model_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Their size stands in the header alone; no tensor of the file vouches for it.
    write_checkpoint(tmp_path / "m", model_file(ModelConfig(cell="stack")).to_checkpoint())

    def refuse(cell: StackRNN, batch: int) -> State:
        raise AssertionError("the stacks were made")

    monkeypatch.setattr(StackRNN, "initial_state", refuse)
    network = restore_network(read_model(tmp_path / "m"))
    with pytest.raises(AssertionError, match="the stacks were made"):
        network.initial_states(1)


def test_a_variance_below_zero_is_found_out_when_the_model_is_used(tmp_path: Path) -> None:
    saved = model_file(configure("batch norm", hidden=16, embedding=8))
    write_checkpoint(tmp_path / "m", saved.to_checkpoint())
    name = "cells.0.input_norm.running_var"
    rewrite(tmp_path / "m", lambda _, arrays: arrays.update({name: -arrays[name]}))
    backend = TorchBackend(restore_network(read_model(tmp_path / "m")))
    ids = np.zeros(20, dtype=np.uint8)
    with pytest.raises(PredictionError, match="not finite"):
        evaluate(backend, ContinuousText(ids), ALPHABET)
    with pytest.raises(PredictionError, match="not finite"):
        list(sample(backend, ALPHABET, SampleConfig(length=3), ids, seed=1))


def test_a_stack_models_rounding_can_be_chosen_anew() -> None:
    for wanted in (True, False):
        saved = model_file(configure("stack", hidden=16, embedding=8))
        assert saved.rounding(wanted).model.stack_round is wanted
        assert saved.rounding(wanted).weights is saved.weights
        assert saved.rounding(None) is saved


def test_a_model_without_stacks_has_nothing_to_round() -> None:
    for wanted in (True, False):
        assert model_file().rounding(None).model == CONFIG
        with pytest.raises(UsageError, match=r"^stack_round applies to stack or list, not to gru"):
            model_file().rounding(wanted)


def test_a_configuration_within_bounds_is_held_against_the_file_before_anything_is_allocated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = torch.nn.init.uniform_

    def guarded(tensor: Tensor, *given: Any, **named: Any) -> Tensor:
        assert tensor.is_meta or tensor.numel() < 10**6
        return fill(tensor, *given, **named)

    monkeypatch.setattr(torch.nn.init, "uniform_", guarded)
    rewrite(path, lambda header, _: header["model"].update(layers=64, hidden=1024))
    refusal(path)


def test_a_header_with_a_part_of_another_sort_is_refused(path: Path) -> None:
    others: tuple[object, ...] = (None, [], "text", {})
    for value in others:
        for part in ("model", "alphabet", "corpus"):
            refusal_of(path, (part,), value)


def test_a_header_without_a_part_is_refused(path: Path) -> None:
    for part in ("model", "alphabet", "corpus"):
        checkpoint = model_file().to_checkpoint()
        del checkpoint.header[part]
        write_checkpoint(path, checkpoint)
        refusal(path)


ODD_CORPORA: tuple[tuple[str, object], ...] = (
    ("name", ""),
    ("name", "x" * 1025),
    ("digest", ""),
    ("digest", "0" * 63),
    ("digest", "g" * 64),
    ("digest", "0" * 64 + "\n"),
    ("characters", 0),
    ("characters", -1),
    ("characters", 10**400),
    ("characters", 1.5),
    ("valid", -0.1),
    ("valid", 1.0),
    ("valid", 10**400),
)


def test_a_corpus_that_no_text_can_be_is_refused(path: Path) -> None:
    for name, value in ODD_CORPORA:
        assert len(refusal_of(path, ("corpus", name), value)) < 300


def test_a_header_that_describes_another_model_is_refused_before_the_tensors_are_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: CheckpointFile) -> Arrays:
        raise AssertionError("tensors were read")

    monkeypatch.setattr(CheckpointFile, "read", refuse)
    with pytest.raises(AssertionError, match="tensors were read"):
        read_model(path)
    content = path.read_bytes()
    for whole, changed in ((b'"hidden\\":16', b'"hidden\\":64'), (b"\\udd8a", b"\\ud800")):
        path.write_bytes(content.replace(whole, changed))
        assert path.read_bytes() != content
        refusal(path)


ODD_SCORES: tuple[object, ...] = (
    [],
    {},
    {**SCORES.to_dict(), "step": "30"},
    {**SCORES.to_dict(), "epoch": None},
    {**SCORES.to_dict(), "odd": 1},
    {**SCORES.to_dict(), "step": -1},
    {**SCORES.to_dict(), "step": 10**13},
    {**SCORES.to_dict(), "epoch": -0.5},
    {**SCORES.to_dict(), "train_seconds": 10**400},
)


def test_scores_of_another_sort_are_refused(path: Path) -> None:
    for scores in ODD_SCORES:
        assert "scores" in refusal_of(path, ("scores",), scores)
