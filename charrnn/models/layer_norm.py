"""What becomes of a layer's output before the next one reads it: normalised, units dropped.

    y' = mask * (gain * (y - mean(y)) / sqrt(var(y) + eps) + shift)

Ba, Kiros & Hinton 2016, "Layer normalization", of the outputs rather than of the sums within the
recurrence; Gal & Ghahramani 2016 for masks that stay the same for a whole window.
"""

from __future__ import annotations

from torch import Tensor, nn

from charrnn.kernels import layer_norm


class OutputNorm(nn.LayerNorm):
    """Layer normalisation and dropout, by two ways that agree up to rounding.

    Args:
        hidden: length H of an output vector.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__(hidden, eps=layer_norm.EPSILON)

    def forward(self, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """Outputs (T, B, H) and a mask (1, B, H), or None, to what the next layer reads."""
        if layer_norm.can_run(y, self.weight):
            return layer_norm.layer_norm(y, self.weight, self.bias, mask)
        return _masked(super().forward(y), mask)


class NoNorm(nn.Module):
    """Dropout alone."""

    def forward(self, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """As :meth:`OutputNorm.forward`, not normalised."""
        return _masked(y, mask)


def _masked(y: Tensor, mask: Tensor | None) -> Tensor:
    # In the output's own type: float32 would make what follows float32 as well.
    return y if mask is None else y * mask.to(y.dtype)
