"""Layer normalization and dropout of a layer's output, before the next layer reads it.

    y' = mask * (gain * (y - mean(y)) / sqrt(var(y) + eps) + shift)

Ba, Kiros & Hinton 2016, "Layer normalization", of the outputs rather than of the sums within the
recurrence; Gal & Ghahramani 2016, "A theoretically grounded application of dropout in recurrent
neural networks", for masks that stay the same for a whole window.
"""

from __future__ import annotations

from torch import Tensor, nn

from charrnn.kernels import layer_norm


class LayerNorm(nn.LayerNorm):
    """Layer normalization and dropout, natively or through torch; the two agree up to rounding.

    Args:
        hidden: length H of an output vector.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__(hidden, eps=layer_norm.EPSILON)

    def forward(self, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalize outputs (T, B, H) and apply a mask (1, B, H), if there is one."""
        if layer_norm.can_run(y, self.weight):
            return layer_norm.layer_norm(y, self.weight, self.bias, mask)
        return _masked(super().forward(y), mask)


class NoNorm(nn.Module):
    """Dropout alone."""

    def forward(self, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply the mask alone, as :meth:`LayerNorm.forward` does."""
        return _masked(y, mask)


def _masked(y: Tensor, mask: Tensor | None) -> Tensor:
    # A float32 mask would make the output float32, and all layers above it.
    return y if mask is None else y * mask.to(y.dtype)
