"""Gated recurrent unit, one time step after another, with gradients derived by hand.

This is the form that applies the reset gate after the recurrent product (PyTorch's form), not
the one that resets the state before it; the two are different functions.

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
    v    (H)        candidate_bias, the one inside the reset

The order r, z, n (reset gate, update gate, candidate) holds throughout.

Forward, for t = 1 .. T ("*" is element by element, sigmoid(a) = 1 / (1 + exp(-a))):

    s_t = x_t @ U^T + b                          (B, 3H), columns [s_r | s_z | s_n]
    p_t = h_{t-1} @ W^T                          (B, 3H), columns [p_r | p_z | p_n]
    r_t = sigmoid(s_r + p_r)                     (B, H)
    z_t = sigmoid(s_z + p_z)                     (B, H)
    q_t = p_n + v                                (B, H)
    n_t = tanh(s_n + r_t * q_t)                  (B, H)
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
    d_r_t   = d_a_n * q_t                        (B, H)
    d_q_t   = d_a_n * r_t                        (B, H)
    d_a_z   = d_z_t * z_t * (1 - z_t)            (B, H)
    d_a_r   = d_r_t * r_t * (1 - r_t)            (B, H)

The gates add s and p as they are, so both receive the gate's gradient; the candidate's p_n
only enters through q_t, so it receives d_q_t where s_n receives d_a_n:

    d_s_t   = [d_a_r | d_a_z | d_a_n]            (B, 3H)
    d_p_t   = [d_a_r | d_a_z | d_q_t]            (B, 3H)

    d_x_t   = d_s_t @ U                          (B, D)
    k_{t-1} = d_h_t * z_t + d_p_t @ W            (B, H)

and, as the same weights serve every step and every row, sums over t = 1 .. T:

    d_U   = sum_t  d_s_t^T @ x_t                 (3H, D)
    d_W   = sum_t  d_p_t^T @ h_{t-1}             (3H, H)
    d_b   = sum_t  (sum of the rows of d_s_t)    (3H)
    d_v   = sum_t  (sum of the rows of d_q_t)    (H)
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
        q: What the reset gates multiply, (T, B, H).
        n: Candidates, (T, B, H).
        input_weight: U, (3H, D).
        recurrent_weight: W, (3H, H).
    """

    x: Array
    h: Array
    r: Array
    z: Array
    q: Array
    n: Array
    input_weight: Array
    recurrent_weight: Array


def forward(
    x: Array,
    h0: Array,
    input_weight: Array,
    recurrent_weight: Array,
    bias: Array,
    candidate_bias: Array,
) -> tuple[Array, Trace]:
    """Run the cell over all time steps.

    Args:
        x: Inputs, (T, B, D).
        h0: Initial state, (B, H).
        input_weight: U, rows in the order r, z, n, (3H, D).
        recurrent_weight: W, rows in the order r, z, n, (3H, H).
        bias: b, in the order r, z, n, (3H).
        candidate_bias: v, added to the recurrent product inside the reset, (H).

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
    check("candidate_bias", candidate_bias, (hidden,))

    h = np.empty((steps + 1, batch, hidden), dtype=np.float64)  # (T + 1, B, H)
    r = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    z = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    q = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    n = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    h[0] = h0
    for t in range(1, steps + 1):
        x_t = x[t - 1]  # (B, D)
        s_t = x_t @ input_weight.T + bias  # (B, 3H)
        p_t = h[t - 1] @ recurrent_weight.T  # (B, 3H)
        s_r, s_z, s_n = np.split(s_t, 3, axis=1)  # (B, H) each
        p_r, p_z, p_n = np.split(p_t, 3, axis=1)  # (B, H) each

        r_t = sigmoid(s_r + p_r)  # (B, H)
        z_t = sigmoid(s_z + p_z)  # (B, H)
        q_t = p_n + candidate_bias  # (B, H)
        n_t = np.tanh(s_n + r_t * q_t)  # (B, H)

        h[t] = (1.0 - z_t) * n_t + z_t * h[t - 1]

        r[t - 1] = r_t
        z[t - 1] = z_t
        q[t - 1] = q_t
        n[t - 1] = n_t

    # Copies, so that a caller who later changes an array in place cannot spoil the gradients.
    trace = Trace(
        x=x.copy(),
        h=h,
        r=r,
        z=z,
        q=q,
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
        input_weight (3H, D), recurrent_weight (3H, H), bias (3H), candidate_bias (H).

    Raises:
        TypeError: If an array is not float64.
        ValueError: If the shapes do not fit the trace.
    """
    steps, batch, _ = trace.x.shape
    hidden = trace.h.shape[-1]
    check("grad_y", grad_y, (steps, batch, hidden))
    check("grad_h_last", grad_h_last, (batch, hidden))

    d_x = np.empty_like(trace.x)  # (T, B, D)
    d_input_weight = np.zeros_like(trace.input_weight)  # (3H, D)
    d_recurrent_weight = np.zeros_like(trace.recurrent_weight)  # (3H, H)
    d_bias = np.zeros(3 * hidden, dtype=np.float64)  # (3H)
    d_candidate_bias = np.zeros(hidden, dtype=np.float64)  # (H)

    handed_h = grad_h_last.copy()  # (B, H), k_t
    for t in range(steps, 0, -1):
        x_t = trace.x[t - 1]  # (B, D)
        h_before = trace.h[t - 1]  # (B, H)
        r_t = trace.r[t - 1]  # (B, H)
        z_t = trace.z[t - 1]  # (B, H)
        q_t = trace.q[t - 1]  # (B, H)
        n_t = trace.n[t - 1]  # (B, H)

        d_h = grad_y[t - 1] + handed_h  # (B, H)
        d_n = d_h * (1.0 - z_t)  # (B, H)
        d_z = d_h * (h_before - n_t)  # (B, H)
        d_a_n = d_n * (1.0 - n_t * n_t)  # (B, H)
        d_r = d_a_n * q_t  # (B, H)
        d_q = d_a_n * r_t  # (B, H)
        d_a_z = d_z * z_t * (1.0 - z_t)  # (B, H)
        d_a_r = d_r * r_t * (1.0 - r_t)  # (B, H)

        d_s = np.concatenate([d_a_r, d_a_z, d_a_n], axis=1)  # (B, 3H)
        d_p = np.concatenate([d_a_r, d_a_z, d_q], axis=1)  # (B, 3H)

        d_x[t - 1] = d_s @ trace.input_weight
        handed_h = d_h * z_t + d_p @ trace.recurrent_weight  # (B, H), k_{t-1}

        d_input_weight += d_s.T @ x_t
        d_recurrent_weight += d_p.T @ h_before
        d_bias += d_s.sum(axis=0)
        d_candidate_bias += d_q.sum(axis=0)

    return {
        "x": d_x,
        "h0": handed_h,
        "input_weight": d_input_weight,
        "recurrent_weight": d_recurrent_weight,
        "bias": d_bias,
        "candidate_bias": d_candidate_bias,
    }
