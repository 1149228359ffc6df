"""Gated recurrent unit that resets the state first, with gradients derived by hand.

This is the form that applies the reset gate to the state before the recurrent product (Cho et
al. 2014, arXiv 1406.1078), not the one that resets the product (PyTorch's form, gru.py); the
two are different functions.

Letters: T time steps, B batch rows, D input size, H hidden units. Time comes first.

Steps are counted t = 1 .. T. An array with one entry per step keeps step t at index t - 1
(x_t is x[t - 1], y_t is y[t - 1]); an array of states also holds the initial one, so it has
T + 1 entries and keeps h_t at index t, with h_0 at index 0.

Products are written for batch rows: x_t has one row per batch entry, so the textbook's
"U x_t" for a single column vector becomes x_t @ U^T. A bias is added to every row.

    x_t  (B, D)     input of step t
    h_t  (B, H)     state after step t; h_0 is the initial state
    y_t  (B, H)     output of step t
    U    (3H, D)    input_weight, U_r, U_z, U_n one below the other, each (H, D)
    W    (3H, H)    recurrent_weight, W_r, W_z, W_n one below the other, each (H, H)
    b    (3H)       bias, b_r, b_z, b_n one after the other, each (H)

The order r, z, n (reset gate, update gate, candidate) holds throughout.

Forward, for t = 1 .. T ("*" is element by element, sigmoid(a) = 1 / (1 + exp(-a))):

    s_t = x_t @ U^T + b                          (B, 3H), columns [s_r | s_z | s_n]
    r_t = sigmoid(s_r + h_{t-1} @ W_r^T)         (B, H)
    z_t = sigmoid(s_z + h_{t-1} @ W_z^T)         (B, H)
    g_t = r_t * h_{t-1}                          (B, H)
    n_t = tanh(s_n + g_t @ W_n^T)                (B, H)
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}        (B, H)
    y_t = h_t                                    (B, H)

Backward. L is the scalar being differentiated and d_v stands for dL/dv, in the shape of v.
L depends on h_t through y_t, through step t + 1 and, for t = T only, through whatever uses
the last state outside. The last two are what step t is "handed", k_t:

    k_T = grad_h_last                            (B, H)

for t = T .. 1, using tanh'(a) = 1 - tanh(a)^2 and sigmoid'(a) = sigmoid(a) (1 - sigmoid(a)),
and writing a_r, a_z, a_n for what goes into the three nonlinearities:

    d_h_t   = grad_y_t + k_t                     (B, H)
    d_n_t   = d_h_t * (1 - z_t)                  (B, H)
    d_z_t   = d_h_t * (h_{t-1} - n_t)            (B, H)
    d_a_n   = d_n_t * (1 - n_t^2)                (B, H)

The candidate sees the old state only through g_t, and r_t enters nowhere else:

    d_g_t   = d_a_n @ W_n                        (B, H)
    d_r_t   = d_g_t * h_{t-1}                    (B, H)
    d_a_z   = d_z_t * z_t * (1 - z_t)            (B, H)
    d_a_r   = d_r_t * r_t * (1 - r_t)            (B, H)
    d_s_t   = [d_a_r | d_a_z | d_a_n]            (B, 3H)

    d_x_t   = d_s_t @ U                          (B, D)

h_{t-1} is used four times: kept by z_t, reset into g_t, and in the products of both gates:

    k_{t-1} = d_h_t * z_t + d_g_t * r_t + d_a_r @ W_r + d_a_z @ W_z
                                                 (B, H)

and, as the same weights serve every step and every row, sums over t = 1 .. T:

    d_U   = sum_t  d_s_t^T @ x_t                 (3H, D)
    d_W_r = sum_t  d_a_r^T @ h_{t-1}             (H, H)
    d_W_z = sum_t  d_a_z^T @ h_{t-1}             (H, H)
    d_W_n = sum_t  d_a_n^T @ g_t                 (H, H)
    d_b   = sum_t  (sum of the rows of d_s_t)    (3H)
    d_h_0 = k_0                                  (B, H)
"""

from dataclasses import dataclass

import numpy as np

from tests.reference.numerics import Array, check, sigmoid

__all__ = ["Trace", "backward", "forward"]


# No generated equality: comparing arrays with == gives an array, so it could only raise.
@dataclass(frozen=True, eq=False)
class Trace:
    """What the backward pass needs to know about a forward pass.

    Attributes:
        x: Inputs, (T, B, D).
        h: States, the initial one first, (T + 1, B, H).
        r: Reset gates, (T, B, H).
        z: Update gates, (T, B, H).
        n: Candidates, (T, B, H).
        input_weight: U, (3H, D).
        recurrent_weight: W, (3H, H).
    """

    x: Array
    h: Array
    r: Array
    z: Array
    n: Array
    input_weight: Array
    recurrent_weight: Array


def forward(
    x: Array,
    h0: Array,
    input_weight: Array,
    recurrent_weight: Array,
    bias: Array,
) -> tuple[Array, Trace]:
    """Run the cell over all time steps.

    Args:
        x: Inputs, (T, B, D).
        h0: Initial state, (B, H).
        input_weight: U, rows in the order r, z, n, (3H, D).
        recurrent_weight: W, rows in the order r, z, n, (3H, H).
        bias: b, in the order r, z, n, (3H).

    Returns:
        The outputs y, (T, B, H), and the trace for `backward`.

    Raises:
        TypeError: If an array is not float64.
        ValueError: If the shapes do not fit together.
    """
    steps, batch, inputs = x.shape
    hidden = h0.shape[-1]
    check("x", x, (steps, batch, inputs))
    check("h0", h0, (batch, hidden))
    check("input_weight", input_weight, (3 * hidden, inputs))
    check("recurrent_weight", recurrent_weight, (3 * hidden, hidden))
    check("bias", bias, (3 * hidden,))
    w_r, w_z, w_n = np.split(recurrent_weight, 3, axis=0)  # (H, H) each

    h = np.empty((steps + 1, batch, hidden), dtype=np.float64)  # (T + 1, B, H)
    r = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    z = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    n = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    h[0] = h0
    for t in range(1, steps + 1):
        x_t = x[t - 1]  # (B, D)
        s_t = x_t @ input_weight.T + bias  # (B, 3H)
        s_r, s_z, s_n = np.split(s_t, 3, axis=1)  # (B, H) each

        r_t = sigmoid(s_r + h[t - 1] @ w_r.T)  # (B, H)
        z_t = sigmoid(s_z + h[t - 1] @ w_z.T)  # (B, H)
        g_t = r_t * h[t - 1]  # (B, H)
        n_t = np.tanh(s_n + g_t @ w_n.T)  # (B, H)

        h[t] = (1.0 - z_t) * n_t + z_t * h[t - 1]

        r[t - 1] = r_t
        z[t - 1] = z_t
        n[t - 1] = n_t

    # Copies, so that a caller who later changes an array in place cannot spoil the gradients.
    trace = Trace(
        x=x.copy(),
        h=h,
        r=r,
        z=z,
        n=n,
        input_weight=input_weight.copy(),
        recurrent_weight=recurrent_weight.copy(),
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
        input_weight (3H, D), recurrent_weight (3H, H), bias (3H).

    Raises:
        TypeError: If an array is not float64.
        ValueError: If the shapes do not fit the trace.
    """
    steps, batch, _ = trace.x.shape
    hidden = trace.h.shape[-1]
    check("grad_y", grad_y, (steps, batch, hidden))
    check("grad_h_last", grad_h_last, (batch, hidden))
    w_r, w_z, w_n = np.split(trace.recurrent_weight, 3, axis=0)  # (H, H) each

    d_x = np.empty_like(trace.x)  # (T, B, D)
    d_input_weight = np.zeros_like(trace.input_weight)  # (3H, D)
    d_w_r = np.zeros_like(w_r)  # (H, H)
    d_w_z = np.zeros_like(w_z)  # (H, H)
    d_w_n = np.zeros_like(w_n)  # (H, H)
    d_bias = np.zeros(3 * hidden, dtype=np.float64)  # (3H)

    handed_h = grad_h_last.copy()  # (B, H), k_t
    for t in range(steps, 0, -1):
        x_t = trace.x[t - 1]  # (B, D)
        h_before = trace.h[t - 1]  # (B, H)
        r_t = trace.r[t - 1]  # (B, H)
        z_t = trace.z[t - 1]  # (B, H)
        n_t = trace.n[t - 1]  # (B, H)
        g_t = r_t * h_before  # (B, H)

        d_h = grad_y[t - 1] + handed_h  # (B, H)
        d_n = d_h * (1.0 - z_t)  # (B, H)
        d_z = d_h * (h_before - n_t)  # (B, H)
        d_a_n = d_n * (1.0 - n_t * n_t)  # (B, H)
        d_g = d_a_n @ w_n  # (B, H)
        d_r = d_g * h_before  # (B, H)
        d_a_z = d_z * z_t * (1.0 - z_t)  # (B, H)
        d_a_r = d_r * r_t * (1.0 - r_t)  # (B, H)
        d_s = np.concatenate([d_a_r, d_a_z, d_a_n], axis=1)  # (B, 3H)

        d_x[t - 1] = d_s @ trace.input_weight
        handed_h = d_h * z_t + d_g * r_t + d_a_r @ w_r + d_a_z @ w_z  # (B, H), k_{t-1}

        d_input_weight += d_s.T @ x_t
        d_w_r += d_a_r.T @ h_before
        d_w_z += d_a_z.T @ h_before
        d_w_n += d_a_n.T @ g_t
        d_bias += d_s.sum(axis=0)

    return {
        "x": d_x,
        "h0": handed_h,
        "input_weight": d_input_weight,
        "recurrent_weight": np.concatenate([d_w_r, d_w_z, d_w_n], axis=0),
        "bias": d_bias,
    }
