"""What a model's predictions cost: what training lowers."""

from __future__ import annotations

from torch import Tensor, nn

from charrnn.kernels import loss


def mean_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy by two ways that agree up to rounding, whichever is the faster.

    Args:
        logits: (T, B, V).
        targets: the characters that came, (T, B), int64; NO_TARGET where nothing is predicted.

    Returns:
        Nats per character, one number, float32 or float64.
    """
    logits, targets = logits.flatten(0, 1), targets.flatten()
    if loss.can_run(logits) and logits.numel() >= loss.MANY:
        return loss.cross_entropy(logits, targets)
    return nn.functional.cross_entropy(logits.float(), targets)
