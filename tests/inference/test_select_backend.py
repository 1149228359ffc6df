"""The choice of a backend: native where it serves, its weights by purpose, torch for the rest."""

import numpy as np
import pytest
import torch

from charrnn.checkpoints.model_file import CorpusFacts, ModelFile
from charrnn.data.alphabet import Alphabet
from charrnn.errors import UsageError
from charrnn.inference import native_backend
from charrnn.inference.backend import Backend
from charrnn.inference.native_backend import NativeBackend
from charrnn.inference.quantization import round_weights
from charrnn.inference.select_backend import Purpose, load_backend, load_native
from charrnn.inference.torch_backend import TorchBackend
from charrnn.kernels.network import Floats
from tests.support.arrangements import configure
from tests.support.networks import arrays_of, backend_of, make_model, needs_library, random_ids

ALPHABET = Alphabet.of("abcdefghi \n")
FACTS = CorpusFacts("herons", "0" * 64, 1234, 0.1)


def model_file(arrangement: str = "lstm") -> ModelFile:
    config = configure(arrangement, hidden=19, embedding=8)
    return ModelFile(config, ALPHABET, FACTS, None, arrays_of(make_model(arrangement)))


def logits_of(backend: Backend) -> Floats:
    return backend.predict(random_ids(9, 2), backend.initial_state(2))[0]


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_backend, "load_kernels", lambda: None)


@needs_library
@pytest.mark.parametrize(
    ("purpose", "weights", "bfloat16"),
    [
        ("sampling", "auto", True),
        ("scoring", "auto", False),
        ("sampling", "fp32", False),
        ("scoring", "bf16", True),
    ],
)
def test_weights_that_are_left_open_are_fast_to_sample_and_exact_to_score(
    purpose: Purpose, weights: str, bfloat16: bool
) -> None:
    chosen = load_backend(model_file(), purpose, weights=weights)
    assert isinstance(chosen, NativeBackend)
    expected = backend_of("native", "lstm", bfloat16=bfloat16)
    np.testing.assert_array_equal(logits_of(chosen), logits_of(expected))


@pytest.mark.parametrize("purpose", ["sampling", "scoring"])
@pytest.mark.usefixtures("without_library")
def test_through_torch_weights_that_are_left_open_are_exact(purpose: Purpose) -> None:
    chosen = load_backend(model_file(), purpose)
    assert isinstance(chosen, TorchBackend)
    np.testing.assert_array_equal(logits_of(chosen), logits_of(backend_of("torch", "lstm")))


@pytest.mark.parametrize("weights", ["bf16", "int8"])
@pytest.mark.usefixtures("without_library")
def test_through_torch_other_weights_are_rounded(weights: str) -> None:
    saved = model_file()
    rounded = saved.with_weights(round_weights(saved.weights, weights))
    found = logits_of(load_backend(saved, "scoring", weights=weights))
    np.testing.assert_array_equal(found, logits_of(load_backend(rounded, "scoring")))
    assert (found != logits_of(load_backend(saved, "scoring"))).any()


@pytest.mark.parametrize("arrangement", ["stack", "list", "pyramid of lstm"])
def test_models_that_the_native_network_does_not_run_go_through_torch(arrangement: str) -> None:
    assert load_native(model_file(arrangement)) is None
    assert isinstance(load_backend(model_file(arrangement), "sampling"), TorchBackend)


@pytest.mark.parametrize(("purpose", "threads"), [("sampling", 1), ("scoring", 2)])
@pytest.mark.usefixtures("without_library")
def test_torch_draws_with_one_thread_unless_told_otherwise(purpose: Purpose, threads: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        load_backend(model_file(), purpose)
        assert torch.get_num_threads() == threads
        load_backend(model_file(), purpose, threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("choice", [{"weights": "fp64"}, {"threads": 0}, {"device": "abacus"}])
def test_an_impossible_choice_is_a_mistake(choice: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        load_backend(model_file(), "scoring", **choice)  # type: ignore[arg-type]
