"""The moving average of a model's weights."""

import torch

from charrnn.config.model import ModelConfig
from charrnn.models.char_model import build_model
from charrnn.training.weight_average import WeightAverage


def test_the_first_averages_forget_the_random_start() -> None:
    model = build_model(ModelConfig(hidden=4, embedding=4), 3)
    average = WeightAverage(model, 0.999)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    for step in range(20):
        average.update(step)
    assert all(torch.allclose(p, torch.ones_like(p), atol=1e-3) for p in average.model.parameters())


def test_an_average_moves_by_its_share() -> None:
    model = build_model(ModelConfig(hidden=4, embedding=4), 3)
    average = WeightAverage(model, 0.9)
    before = average.model.head.weight.clone()
    with torch.no_grad():
        model.head.weight.add_(1.0)
    average.update(step=10_000)
    torch.testing.assert_close(average.model.head.weight, before + 0.1)
