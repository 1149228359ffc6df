"""Plain recurrent cell, one time step after another, with its gradients derived by hand.

Letters: T time steps, B batch rows, D input size, H hidden units. Time comes first.

Steps are counted t = 1 .. T. An array with one entry per step keeps step t at index t - 1
(x_t is x[t - 1], y_t is y[t - 1]); an array of states also holds the initial one, so it has
T + 1 entries and keeps h_t at index t, with h_0 at index 0.

Products are written for batch rows: x_t has one row per batch entry, so the textbook's
"U x_t" for a single column vector becomes x_t @ U^T. A bias is added to every row.

    x_t  (B, D)    input of step t
    h_t  (B, H)    state after step t; h_0 is the initial state
    y_t  (B, H)    output of step t
    U    (H, D)    input_weight
    W    (H, H)    recurrent_weight
    b    (H)       bias
    act            activation, element by element: one of

        tanh       tanh(a)
        relu       max(a, 0)
        sigmoid    1 / (1 + exp(-a))

Forward, for t = 1 .. T:

    a_t = x_t @ U^T + h_{t-1} @ W^T + b          (B, H)
    h_t = act(a_t)                               (B, H)
    y_t = h_t                                    (B, H)

Backward. L is the scalar being differentiated and d_v stands for dL/dv, in the shape of v.
L depends on h_t through y_t, through step t + 1 and, for t = T only, through whatever uses
the last state outside. The last two are what step t is "handed", k_t:

    k_T = grad_h_last                            (B, H)

Each derivative act'(a_t) can be told from the value h_t = act(a_t) alone; call it e_t:

    tanh       e_t = 1 - h_t^2                   (B, H)
    relu       e_t = 1 where h_t > 0, else 0     (B, H)
    sigmoid    e_t = h_t * (1 - h_t)             (B, H)

(relu has a kink at a = 0, with slope 0 to its left and 1 to its right; 0 is taken there.)

for t = T .. 1 ("*" is element by element):

    d_h_t   = grad_y_t + k_t                     (B, H)
    d_a_t   = d_h_t * e_t                        (B, H)
    d_x_t   = d_a_t @ U                          (B, D)
    k_{t-1} = d_a_t @ W                          (B, H)

and, as the same weights serve every step and every row, sums over t = 1 .. T:

    d_U   = sum_t  d_a_t^T @ x_t                 (H, D)
    d_W   = sum_t  d_a_t^T @ h_{t-1}             (H, H)
    d_b   = sum_t  (sum of the rows of d_a_t)    (H)
    d_h_0 = k_0                                  (B, H)
"""

from dataclasses import dataclass

import numpy as np

from tests.reference.numerics import Array, activate, check, slope

__all__ = ["Trace", "backward", "forward"]


# No generated equality: comparing arrays with == gives an array, so it could only raise.
@dataclass(frozen=True, eq=False)
class Trace:
    """What the backward pass needs to know about a forward pass.

    Attributes:
        x: Inputs, (T, B, D).
        h: States, the initial one first, (T + 1, B, H).
        input_weight: U, (H, D).
        recurrent_weight: W, (H, H).
        activation: act, "tanh", "relu" or "sigmoid".
    """

    x: Array
    h: Array
    input_weight: Array
    recurrent_weight: Array
    activation: str


def forward(
    x: Array,
    h0: Array,
    input_weight: Array,
    recurrent_weight: Array,
    bias: Array,
    activation: str = "tanh",
) -> tuple[Array, Trace]:
    """Run the cell over all time steps.

    Args:
        x: Inputs, (T, B, D).
        h0: Initial state, (B, H).
        input_weight: U, (H, D).
        recurrent_weight: W, (H, H).
        bias: b, (H).
        activation: act, "tanh", "relu" or "sigmoid".

    Returns:
        The outputs y, (T, B, H), and the trace for `backward`.

    Raises:
        TypeError: If an array is not float64.
        ValueError: If the shapes do not fit together or the activation is none of the three.
    """
    steps, batch, inputs = x.shape
    hidden = h0.shape[-1]
    check("x", x, (steps, batch, inputs))
    check("h0", h0, (batch, hidden))
    check("input_weight", input_weight, (hidden, inputs))
    check("recurrent_weight", recurrent_weight, (hidden, hidden))
    check("bias", bias, (hidden,))

    h = np.empty((steps + 1, batch, hidden), dtype=np.float64)  # (T + 1, B, H)
    h[0] = h0
    for t in range(1, steps + 1):
        x_t = x[t - 1]  # (B, D)
        a_t = x_t @ input_weight.T + h[t - 1] @ recurrent_weight.T + bias  # (B, H)
        h[t] = activate(activation, a_t)

    # Copies, so that a caller who later changes an array in place cannot spoil the gradients.
    trace = Trace(
        x=x.copy(),
        h=h,
        input_weight=input_weight.copy(),
        recurrent_weight=recurrent_weight.copy(),
        activation=activation,
    )
    return h[1:].copy(), trace


def backward(trace: Trace, grad_y: Array, grad_h_last: Array) -> dict[str, Array]:
    """Carry gradients back through all time steps.

    Args:
        trace: What `forward` returned.
        grad_y: Gradient of L with respect to y, (T, B, H).
        grad_h_last: Gradient reaching h_T from outside, on top of grad_y[T - 1], (B, H).

    Returns:
        The gradients of L by argument of `forward`: x (T, B, D), h0 (B, H),
        input_weight (H, D), recurrent_weight (H, H), bias (H).

    Raises:
        TypeError: If an array is not float64.
        ValueError: If the shapes do not fit the trace.
    """
    steps, batch, _ = trace.x.shape
    hidden = trace.h.shape[-1]
    check("grad_y", grad_y, (steps, batch, hidden))
    check("grad_h_last", grad_h_last, (batch, hidden))

    d_x = np.empty_like(trace.x)  # (T, B, D)
    d_input_weight = np.zeros_like(trace.input_weight)  # (H, D)
    d_recurrent_weight = np.zeros_like(trace.recurrent_weight)  # (H, H)
    d_bias = np.zeros(hidden, dtype=np.float64)  # (H)

    handed_h = grad_h_last.copy()  # (B, H), k_t
    for t in range(steps, 0, -1):
        x_t = trace.x[t - 1]  # (B, D)
        h_t = trace.h[t]  # (B, H)
        h_before = trace.h[t - 1]  # (B, H)

        d_h = grad_y[t - 1] + handed_h  # (B, H)
        d_a = d_h * slope(trace.activation, h_t)  # (B, H)

        d_x[t - 1] = d_a @ trace.input_weight
        handed_h = d_a @ trace.recurrent_weight  # (B, H), k_{t-1}

        d_input_weight += d_a.T @ x_t
        d_recurrent_weight += d_a.T @ h_before
        d_bias += d_a.sum(axis=0)

    return {
        "x": d_x,
        "h0": handed_h,
        "input_weight": d_input_weight,
        "recurrent_weight": d_recurrent_weight,
        "bias": d_bias,
    }
