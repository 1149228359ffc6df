"""The shapes that a model file is held against."""

import pytest

from charrnn.model import build_model, count_parameters
from charrnn.shapes import count_trained, shapes_of
from tests.arrangements import ARRANGEMENTS, configure


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("norm", [None, "layer", "batch", "none"])
def test_shapes_are_those_of_the_network(arrangement: str, norm: str | None) -> None:
    config = configure(arrangement, hidden=6, embedding=4)
    if norm:
        config = type(config)(**{**config.to_dict(), "norm": norm})
    model = build_model(config, 9)
    state = model.state_dict()
    assert shapes_of(config, 9) == {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert count_trained(config, 9) == count_parameters(model)
