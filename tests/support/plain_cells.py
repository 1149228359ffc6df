"""Every cell written as its equations, one step after another; autograd differentiates it.

None of the package's code runs here, so that what agrees with these was written twice. The letters
and the order of the rows are those of the cells' docstrings.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from charrnn.models.cells.base import State
from tests.support.arrangements import VARIANTS

Weights = dict[str, Tensor]
Map = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Map] = {
    "tanh": torch.tanh,
    "relu": lambda a: a.clamp(min=0),
    "sigmoid": torch.sigmoid,
}

READ = 2
"""Elements read from the top of each stack."""


def leave(x: Tensor) -> Tensor:
    """Round nothing."""
    return x


def step_lstm(gates: str, products: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """From a step's products (B, 3H or 4H) and memory to the next state."""
    *i, f, o, g = torch.split(products, c.shape[1], dim=1)
    f = f.sigmoid()
    match gates:
        case "coupled":
            admitted = 1 - f
        case "capped":
            admitted = torch.minimum(i[0].sigmoid(), 1 - f)
        case _:
            admitted = i[0].sigmoid()
    c = f * c + admitted * g.tanh()
    return o.sigmoid() * c.tanh(), c


def step_gru(
    x: Tensor,
    before: Tensor,
    h: Tensor,
    weight: Tensor,
    candidate_bias: Tensor | None,
    rounded: Map = leave,
    back: Map = leave,
) -> Tensor:
    """From a step's projected input (B, 3H), the state and its rounded form to the next state.

    Args:
        x: projected input.
        before: h as it enters the products.
        h: the state.
        weight: of the products.
        candidate_bias: of the reset after the product; None puts the reset before it.
        rounded: applied to what enters a product.
        back: applied to what leaves one.
    """
    units = h.shape[1]
    gates, candidate = weight[: 2 * units], weight[2 * units :]
    r, z = back(x[:, : 2 * units] + before @ gates.T).sigmoid().chunk(2, dim=1)
    if candidate_bias is None:
        n = back(x[:, 2 * units :] + rounded(r * h) @ candidate.T).tanh()
    else:
        # Its input and its product have gradients of their own: r stands between them.
        n = (back(x[:, 2 * units :]) + r * back(before @ candidate.T + candidate_bias)).tanh()
    return n + z * (h - n)


def step_stack(
    activation: str, recurrent: bool, projected: Tensor, state: State, weights: Weights
) -> State:
    """From a step's projected input (B, H) and the state (h, s) to the next state."""
    h, s = state
    places = s.shape[-1]
    a = projected + s[..., :READ].flatten(1) @ weights["stack_weight"].T
    if recurrent:
        a = a + h @ weights["recurrent_weight"].T
    h = ACTIVATIONS[activation](a)
    scores = h @ weights["action_weight"].T
    shares = scores.view(*s.shape[:2], -1).softmax(-1)
    push, pop, *keep = shares.unbind(-1)
    value = (h @ weights["push_weight"].T).sigmoid()
    below = -torch.ones_like(value)
    after = []
    for i in range(places):
        above = s[..., i - 1] if i else value
        beneath = s[..., i + 1] if i + 1 < places else below
        after.append(push * above + pop * beneath + sum(share * s[..., i] for share in keep))
    return h, torch.stack(after, dim=-1)


def run_plain_cell(variant: str, x: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Run a cell of support.arrangements.VARIANTS: x (T, B, D) -> y (T, B, H) and the last state.

    Args:
        variant: name of the cell and its form.
        x: inputs.
        state: first state.
        weights: the cell's parameters by name.
    """
    settings = {"cell": variant, **VARIANTS[variant]}
    outputs = []
    for x_t in x:
        projected = x_t @ weights["input_weight"].T + weights["bias"]
        match settings["cell"]:
            case "lstm":
                products = projected + state[0] @ weights["recurrent_weight"].T
                state = step_lstm(settings.get("lstm_gates", "separate"), products, state[1])
            case "gru":
                h, weight = state[0], weights["recurrent_weight"]
                state = (step_gru(projected, h, h, weight, weights.get("candidate_bias")),)
            case "rnn":
                products = projected + state[0] @ weights["recurrent_weight"].T
                state = (ACTIVATIONS[settings.get("activation", "tanh")](products),)
            case "stack":
                recurrent = not settings.get("stack_only", False)
                state = step_stack("sigmoid", recurrent, projected, state, weights)
            case cell:
                raise ValueError(f"{cell} is not written here")
        outputs.append(state[0])
    return torch.stack(outputs), state
