"""An expert in a model file: it comes back as it was, and what is not one is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoints.checkpoint import Arrays, write_checkpoint
from charrnn.checkpoints.model_file import read_model
from charrnn.checkpoints.packed_ngrams import pack_expert, unpack_expert
from charrnn.models.ngram_expert import NgramExpert
from tests.checkpoints.test_packed_weights import change, model_file
from tests.support.networks import make_expert

V = 7


def assert_same(one: NgramExpert | None, other: NgramExpert) -> None:
    assert one is not None
    np.testing.assert_array_equal(one.of_network, other.of_network)
    np.testing.assert_array_equal(one.of_ngrams, other.of_ngrams)
    for strings, others in zip(one.ngrams.orders, other.ngrams.orders, strict=True):
        for array, expected in zip(strings, others, strict=True):
            np.testing.assert_array_equal(array, expected)
            assert array.dtype == expected.dtype


@pytest.mark.parametrize("characters", [V, 300, 70_000])
def test_an_expert_comes_back_as_it_was(characters: int) -> None:
    expert = make_expert(characters)
    packed = pack_expert(expert)
    assert_same(unpack_expert(packed, characters), expert)
    widths = {name.split(".")[-1]: array.itemsize for name, array in packed.items()}
    assert widths["counts"] == 1
    assert widths["characters"] == (1 if characters <= 256 else 2 if characters < 2**16 else 4)


@pytest.mark.parametrize("packed", [False, True])
def test_a_model_file_holds_it(tmp_path: Path, packed: bool) -> None:
    expert = make_expert(V)
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, replace(model_file(), expert=expert).to_checkpoint(packed=packed))
    model = read_model(path)
    assert_same(model.expert, expert)
    assert model.weights.keys() == model_file().weights.keys()


def test_a_model_without_one_has_none(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, model_file().to_checkpoint())
    assert read_model(path).expert is None


FORGERIES: dict[str, Callable[[Arrays], Arrays]] = {
    "no exponents": lambda a: {n: a[n] for n in a if n != "expert.of_network"},
    "fewer exponents": lambda a: {**a, "expert.of_ngrams": a["expert.of_ngrams"][1:]},
    "exponents of another type": lambda a: {
        **a,
        "expert.of_ngrams": a["expert.of_ngrams"].astype(np.float64),
    },
    "an exponent that is not finite": lambda a: {
        **a,
        "expert.of_network": np.full_like(a["expert.of_network"], np.nan),
    },
    "an order that is missing": lambda a: {n: a[n] for n in a if not n.startswith("expert.2.")},
    "an order too many": lambda a: {**a, "expert.9.counts": np.ones(3, np.uint8)},
    "followers of no context": lambda a: {
        **a,
        "expert.1.followers": np.append(a["expert.1.followers"], np.uint8(0)),
    },
    "more followers than strings": lambda a: {
        **a,
        "expert.1.followers": a["expert.1.followers"] + np.uint8(1),
    },
    "fewer counts than strings": lambda a: {**a, "expert.1.counts": a["expert.1.counts"][1:]},
    "a count of none": lambda a: {**a, "expert.1.counts": a["expert.1.counts"] * np.uint8(0)},
    "counts that are not integers": lambda a: {
        **a,
        "expert.1.counts": a["expert.1.counts"].astype(np.float32),
    },
    "counts of no text": lambda a: {
        **a,
        "expert.1.counts": np.full(len(a["expert.1.counts"]), 2**31, np.uint32),
    },
    "counts that add up to more than 32 bits hold": lambda a: {
        **a,
        "expert.0.counts": np.append(
            np.ones(len(a["expert.0.counts"]) - 1), 2**31 - len(a["expert.0.counts"])
        ).astype(np.uint32),
    },
    "wider integers than charrnn writes": lambda a: {
        **a,
        "expert.1.counts": a["expert.1.counts"].astype(np.uint16),
    },
    "another shape": lambda a: {**a, "expert.1.counts": a["expert.1.counts"][:, None]},
    "a character that is not of the alphabet": lambda a: {
        **a,
        "expert.0.characters": a["expert.0.characters"] + np.uint8(1),
    },
    "characters out of order": lambda a: {
        **a,
        "expert.0.characters": a["expert.0.characters"][::-1].copy(),
    },
    "the same character twice": lambda a: {
        **a,
        "expert.0.characters": a["expert.0.characters"] * np.uint8(0),
    },
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_no_expert_is_refused(forgery: str) -> None:
    arrays = FORGERIES[forgery](pack_expert(make_expert(V)))
    with pytest.raises(ValueError, match="expert"):
        unpack_expert(arrays, V)


def test_a_file_that_holds_no_expert_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_checkpoint(path, replace(model_file(), expert=make_expert(V)).to_checkpoint())
    assert "expert" in change(path, {"expert.0.counts": np.zeros(V, np.uint8)})
