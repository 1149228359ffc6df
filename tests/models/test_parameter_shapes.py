"""The shapes that a model file is held against."""

import subprocess
import sys

import pytest

from charrnn.config.model import ModelConfig
from charrnn.models.char_model import build_model
from charrnn.models.char_model import count_parameters as count_in_torch
from charrnn.models.parameter_shapes import count_parameters_by_part, list_parameter_shapes
from tests.support.arrangements import ARRANGEMENTS, configure


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_shapes_are_those_of_the_network(arrangement: str) -> None:
    settings = configure(arrangement, hidden=6, embedding=4).to_dict()
    for norm in ("layer", "batch", "none"):
        config = ModelConfig(**{**settings, "norm": norm})
        state = build_model(config, 9).state_dict()
        assert list_parameter_shapes(config, 9) == {
            name: tuple(tensor.shape) for name, tensor in state.items()
        }


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_parameters_are_those_that_torch_counts(arrangement: str) -> None:
    config = configure(arrangement, hidden=7, embedding=5)
    counts = count_parameters_by_part(config, 11)
    assert sum(counts.values()) == count_in_torch(build_model(config, 11))
    layers = [f"layer {layer}" for layer in range(1, config.layers + 1)]
    assert sorted(counts) == sorted(["embedding", *layers, "head"])


def test_shapes_are_known_without_torch_and_numpy() -> None:
    code = (
        "import sys\n"
        "from charrnn.config.model import ModelConfig\n"
        "from charrnn.models.parameter_shapes import list_parameter_shapes\n"
        "list_parameter_shapes(ModelConfig(cell='stack'), 9)\n"
        "print({'torch', 'numpy'} & set(sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout == b"set()\n"
