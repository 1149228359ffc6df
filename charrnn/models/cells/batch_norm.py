"""Batch normalization of the input's part in a cell's gates.

Running averages of the mean and of the unbiased variance stand in outside training, where one long
pass therefore equals the same text in chunks. In training it does not: every prediction depends on
the whole window through its mean and variance, and a call moves the averages.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOMENTUM = 0.1
"""Weight of a new window in the running averages."""

EPSILON = 1e-5
"""Added to the variance."""


class InputBatchNorm(nn.Module):
    """Batch normalization as a scale and a shift of U x, which fold into the weights.

        a = U x                                           the input's part in the gates
        a' = gain * (a - mean(a)) / sqrt(var(a) + eps)

    The input-to-hidden path alone is normalized, by the mean and variance of each row over all
    steps and streams of a window; the gate's bias serves as the shift.

    Parameters: gain (rows). Buffers: running_mean and running_var (rows).

    Source: Laurent, Pereyra, Brakel, Zhang & Bengio 2015, "Batch normalized recurrent neural
    networks"; Ioffe & Szegedy 2015, "Batch normalization".

    Args:
        rows: of the input weight U (rows, D).

    Example:
        >>> import torch
        >>> norm = InputBatchNorm(rows=6)
        >>> x, weight = torch.randn(7, 2, 3), torch.randn(6, 3)
        >>> scale, shift = norm(x, weight)
        >>> mean = (scale * (x @ weight.T) + shift).mean((0, 1))
        >>> tuple(scale.shape), bool(mean.abs().max() < 1e-5)
        ((6,), True)
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(rows))
        self.register_buffer("running_mean", torch.zeros(rows))
        self.register_buffer("running_var", torch.ones(rows))

    def forward(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the scale and shift (rows) such that scale * (U x) + shift is normalized.

        Args:
            x: inputs (T, B, D).
            weight: U (rows, D).
        """
        with torch.autocast(x.device.type, enabled=False):
            if self.training:
                mean, var = _moments(x.to(weight.dtype).flatten(0, -2), weight)
                steps = x.shape[:-1].numel()
                self._remember(mean, var * (steps / max(steps - 1, 1)))
            else:
                mean, var = self.running_mean, self.running_var
            scale = self.gain * torch.rsqrt(var + EPSILON)
            return scale, -scale * mean

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor) -> None:
        self.running_mean.lerp_(mean, MOMENTUM)
        self.running_var.lerp_(var, MOMENTUM)


def _moments(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and variance of U x over the rows of x (N, D) without forming U x (N, rows)."""
    mean = x.mean(0)
    centered = x - mean
    covariance = centered.T @ centered / len(x)
    var = ((weight @ covariance) * weight).sum(1)
    # Rounding may take a small variance below 0.
    return weight @ mean, var.clamp_min(0)
