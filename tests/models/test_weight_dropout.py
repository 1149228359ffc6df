"""DropConnect drops a share of the recurrent weights, and restores them."""

import pytest
import torch
from torch import nn

from charrnn.models.weight_dropout import drop_weights


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("share", [0.003, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("shape", [(300, 100), (301, 99)])
def test_the_share_is_dropped_and_the_mean_is_kept(share: float, shape: tuple[int, int]) -> None:
    weight = nn.Parameter(torch.ones(shape))
    with drop_weights([weight], share, seeded()):
        zeros = (weight == 0).float().mean().item()
        kept = weight[weight != 0]
    deviation = (share * (1 - share) / weight.numel()) ** 0.5
    assert zeros == pytest.approx(share, abs=4 * deviation)
    assert kept.min() == kept.max()
    assert kept[0].item() == pytest.approx(1 / (1 - share), rel=2e-4)


def test_neighbors_are_dropped_independently() -> None:
    weight = nn.Parameter(torch.ones(200_000))
    with drop_weights([weight], 0.5, seeded()):
        gone = (weight == 0).float()
    for distance in range(1, 9):
        together = (gone[:-distance] * gone[distance:]).mean().item()
        assert together == pytest.approx(0.25, abs=0.005)


def test_weights_come_back_and_gradients_are_those_of_what_was_kept() -> None:
    start = torch.arange(1.0, 41.0).view(8, 5)
    weight = nn.Parameter(start.clone())
    with drop_weights([weight], 0.5, seeded()):
        factors = (weight / start).detach()
        torch.autograd.backward((weight * 3).sum())
    assert torch.equal(weight.detach(), start)
    assert weight.grad is not None
    assert torch.equal(weight.grad, 3 * factors)
    assert {0.0, 2.0} == set(factors.flatten().tolist())


def test_weights_come_back_after_an_error() -> None:
    weight = nn.Parameter(torch.ones(10, 10))
    with pytest.raises(RuntimeError, match="within"), drop_weights([weight], 0.5, seeded()):
        raise RuntimeError("within")
    assert torch.equal(weight.detach(), torch.ones(10, 10))


def test_nothing_is_drawn_where_nothing_is_dropped() -> None:
    generator = seeded()
    with drop_weights([nn.Parameter(torch.ones(4))], 0.0, generator):
        pass
    assert torch.equal(generator.get_state(), seeded().get_state())
