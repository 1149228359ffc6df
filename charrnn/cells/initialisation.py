"""How the weights of a recurrence start.

uniform       from +-1/sqrt(H), as torch's own layers do.
orthogonal    each gate's recurrent matrix orthogonal, so that no direction grows or shrinks
              (Saxe, McClelland & Ganguli 2014); the input's weights uniform.
identity      the recurrent matrix the identity, so that the state stays until something changes it;
              the input's weights normal with deviation 0.001 (Le, Jaitly & Hinton 2015, "A simple
              way to initialize recurrent networks of rectified linear units"). A gain below 1, as
              they use for speech, lets it fade: a state that is carried through a whole text and
              never fades grows without bound as soon as training makes W a little larger.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

IDENTITY_INPUT_DEVIATION = 1e-3


@torch.no_grad()
def initialise(input_weight: Tensor, recurrent_weight: Tensor, init: str, gain: float) -> None:
    """Draw the weights of a recurrence in place; where only shapes are wanted, do nothing.

    Args:
        input_weight: (G * H, D), one block of H rows for each of G gates.
        recurrent_weight: (G * H, H), likewise.
        init: "uniform", "orthogonal" or "identity".
        gain: the recurrent weights are multiplied by it.
    """
    if recurrent_weight.is_meta:
        return
    hidden = recurrent_weight.shape[1]
    uniform_(input_weight, hidden)
    match init:
        case "uniform":
            uniform_(recurrent_weight, hidden)
        case "orthogonal":
            for gate in torch.split(recurrent_weight, hidden):
                nn.init.orthogonal_(gate)
        case "identity":
            nn.init.normal_(input_weight, std=IDENTITY_INPUT_DEVIATION)
            nn.init.eye_(recurrent_weight)
        case _:
            raise ValueError(f"no initialisation is called {init!r}")
    recurrent_weight.mul_(gain)


def uniform_(weight: Tensor, hidden: int) -> None:
    """Fill with uniform draws from +-1/sqrt(hidden)."""
    nn.init.uniform_(weight, -(hidden**-0.5), hidden**-0.5)
