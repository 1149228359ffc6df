"""Long short-term memory cell, one time step after another, with gradients derived by hand.

Letters: T time steps, B batch rows, D input size, H hidden units. Time comes first.

Steps are counted t = 1 .. T. An array with one entry per step keeps step t at index t - 1
(x_t is x[t - 1], y_t is y[t - 1]); an array of states also holds the initial one, so it has
T + 1 entries and keeps h_t at index t, with h_0 at index 0. The same goes for c_t.

Products are written for batch rows: x_t has one row per batch entry, so the textbook's
"U x_t" for a single column vector becomes x_t @ U^T. A bias is added to every row.

    x_t  (B, D)     input of step t
    h_t  (B, H)     state after step t; h_0 is the initial state
    c_t  (B, H)     memory after step t; c_0 is the initial memory
    y_t  (B, H)     output of step t
    U    (4H, D)    input_weight, U_i, U_f, U_o, U_g one below the other, each (H, D)
    W    (4H, H)    recurrent_weight, W_i, W_f, W_o, W_g one below the other, each (H, H)
    b    (4H)       bias, b_i, b_f, b_o, b_g one after the other, each (H)

The order i, f, o, g (input gate, forget gate, output gate, candidate) holds throughout; it is
not the order of every library.

Forward, for t = 1 .. T ("*" is element by element, sigmoid(a) = 1 / (1 + exp(-a))):

    a_t = x_t @ U^T + h_{t-1} @ W^T + b          (B, 4H), columns [a_i | a_f | a_o | a_g]
    i_t = sigmoid(a_i)                           (B, H)
    f_t = sigmoid(a_f)                           (B, H)
    o_t = sigmoid(a_o)                           (B, H)
    g_t = tanh(a_g)                              (B, H)
    c_t = f_t * c_{t-1} + i_t * g_t              (B, H)
    h_t = o_t * tanh(c_t)                        (B, H)
    y_t = h_t                                    (B, H)

Backward. L is the scalar being differentiated and d_v stands for dL/dv, in the shape of v.
L depends on h_t through y_t, through step t + 1 and, for t = T only, through whatever uses
the last state outside; the last two are what step t is "handed", k_t. L depends on c_t
through h_t and, again, through step t + 1 or whatever uses the last memory outside, m_t:

    k_T = grad_h_last                            (B, H)
    m_T = grad_c_last                            (B, H)

for t = T .. 1, using tanh'(a) = 1 - tanh(a)^2 and sigmoid'(a) = sigmoid(a) (1 - sigmoid(a)):

    d_h_t   = grad_y_t + k_t                     (B, H)
    d_o_t   = d_h_t * tanh(c_t)                  (B, H)
    d_c_t   = m_t + d_h_t * o_t * (1 - tanh(c_t)^2)
                                                 (B, H)
    d_i_t   = d_c_t * g_t                        (B, H)
    d_f_t   = d_c_t * c_{t-1}                    (B, H)
    d_g_t   = d_c_t * i_t                        (B, H)

    d_a_i   = d_i_t * i_t * (1 - i_t)            (B, H)
    d_a_f   = d_f_t * f_t * (1 - f_t)            (B, H)
    d_a_o   = d_o_t * o_t * (1 - o_t)            (B, H)
    d_a_g   = d_g_t * (1 - g_t^2)                (B, H)
    d_a_t   = [d_a_i | d_a_f | d_a_o | d_a_g]    (B, 4H)

    d_x_t   = d_a_t @ U                          (B, D)
    k_{t-1} = d_a_t @ W                          (B, H)
    m_{t-1} = d_c_t * f_t                        (B, H)

and, as the same weights serve every step and every row, sums over t = 1 .. T:

    d_U   = sum_t  d_a_t^T @ x_t                 (4H, D)
    d_W   = sum_t  d_a_t^T @ h_{t-1}             (4H, H)
    d_b   = sum_t  (sum of the rows of d_a_t)    (4H)
    d_h_0 = k_0                                  (B, H)
    d_c_0 = m_0                                  (B, H)
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
        c: Memories, the initial one first, (T + 1, B, H).
        i: Input gates, (T, B, H).
        f: Forget gates, (T, B, H).
        o: Output gates, (T, B, H).
        g: Candidates, (T, B, H).
        input_weight: U, (4H, D).
        recurrent_weight: W, (4H, H).
    """

    x: Array
    h: Array
    c: Array
    i: Array
    f: Array
    o: Array
    g: Array
    input_weight: Array
    recurrent_weight: Array


def forward(
    x: Array,
    h0: Array,
    c0: Array,
    input_weight: Array,
    recurrent_weight: Array,
    bias: Array,
) -> tuple[Array, Array, Trace]:
    """Run the cell over all time steps.

    Args:
        x: Inputs, (T, B, D).
        h0: Initial state, (B, H).
        c0: Initial memory, (B, H).
        input_weight: U, rows in the order i, f, o, g, (4H, D).
        recurrent_weight: W, rows in the order i, f, o, g, (4H, H).
        bias: b, in the order i, f, o, g, (4H).

    Returns:
        The outputs y, (T, B, H), the last memory c_T, (B, H), and the trace for `backward`.

    Raises:
        TypeError: If an array is not float64.
        ValueError: If the shapes do not fit together.
    """
    steps, batch, inputs = x.shape
    hidden = h0.shape[-1]
    check("x", x, (steps, batch, inputs))
    check("h0", h0, (batch, hidden))
    check("c0", c0, (batch, hidden))
    check("input_weight", input_weight, (4 * hidden, inputs))
    check("recurrent_weight", recurrent_weight, (4 * hidden, hidden))
    check("bias", bias, (4 * hidden,))

    h = np.empty((steps + 1, batch, hidden), dtype=np.float64)  # (T + 1, B, H)
    c = np.empty((steps + 1, batch, hidden), dtype=np.float64)  # (T + 1, B, H)
    i = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    f = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    o = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    g = np.empty((steps, batch, hidden), dtype=np.float64)  # (T, B, H)
    h[0] = h0
    c[0] = c0
    for t in range(1, steps + 1):
        x_t = x[t - 1]  # (B, D)
        a_t = x_t @ input_weight.T + h[t - 1] @ recurrent_weight.T + bias  # (B, 4H)
        a_i, a_f, a_o, a_g = np.split(a_t, 4, axis=1)  # (B, H) each

        i_t = sigmoid(a_i)  # (B, H)
        f_t = sigmoid(a_f)  # (B, H)
        o_t = sigmoid(a_o)  # (B, H)
        g_t = np.tanh(a_g)  # (B, H)

        c[t] = f_t * c[t - 1] + i_t * g_t
        h[t] = o_t * np.tanh(c[t])

        i[t - 1] = i_t
        f[t - 1] = f_t
        o[t - 1] = o_t
        g[t - 1] = g_t

    # Copies, so that a caller who later changes an array in place cannot spoil the gradients.
    trace = Trace(
        x=x.copy(),
        h=h,
        c=c,
        i=i,
        f=f,
        o=o,
        g=g,
        input_weight=input_weight.copy(),
        recurrent_weight=recurrent_weight.copy(),
    )
    return h[1:].copy(), c[steps].copy(), trace


def backward(
    trace: Trace,
    grad_y: Array,
    grad_h_last: Array,
    grad_c_last: Array,
) -> dict[str, Array]:
    """Carry gradients back through all time steps.

    Args:
        trace: What `forward` returned.
        grad_y: Gradient of L with respect to y, (T, B, H).
        grad_h_last: Gradient reaching h_T from outside, on top of grad_y[T - 1], (B, H).
        grad_c_last: Gradient reaching c_T from outside, (B, H).

    Returns:
        The gradients of L by argument of `forward`: x (T, B, D), h0 (B, H), c0 (B, H),
        input_weight (4H, D), recurrent_weight (4H, H), bias (4H).

    Raises:
        TypeError: If an array is not float64.
        ValueError: If the shapes do not fit the trace.
    """
    steps, batch, _ = trace.x.shape
    hidden = trace.h.shape[-1]
    check("grad_y", grad_y, (steps, batch, hidden))
    check("grad_h_last", grad_h_last, (batch, hidden))
    check("grad_c_last", grad_c_last, (batch, hidden))

    d_x = np.empty_like(trace.x)  # (T, B, D)
    d_input_weight = np.zeros_like(trace.input_weight)  # (4H, D)
    d_recurrent_weight = np.zeros_like(trace.recurrent_weight)  # (4H, H)
    d_bias = np.zeros(4 * hidden, dtype=np.float64)  # (4H)

    handed_h = grad_h_last.copy()  # (B, H), k_t
    handed_c = grad_c_last.copy()  # (B, H), m_t
    for t in range(steps, 0, -1):
        x_t = trace.x[t - 1]  # (B, D)
        h_before = trace.h[t - 1]  # (B, H)
        c_before = trace.c[t - 1]  # (B, H)
        i_t = trace.i[t - 1]  # (B, H)
        f_t = trace.f[t - 1]  # (B, H)
        o_t = trace.o[t - 1]  # (B, H)
        g_t = trace.g[t - 1]  # (B, H)
        tanh_c = np.tanh(trace.c[t])  # (B, H)

        d_h = grad_y[t - 1] + handed_h  # (B, H)
        d_o = d_h * tanh_c  # (B, H)
        d_c = handed_c + d_h * o_t * (1.0 - tanh_c * tanh_c)  # (B, H)
        d_i = d_c * g_t  # (B, H)
        d_f = d_c * c_before  # (B, H)
        d_g = d_c * i_t  # (B, H)

        d_a_i = d_i * i_t * (1.0 - i_t)  # (B, H)
        d_a_f = d_f * f_t * (1.0 - f_t)  # (B, H)
        d_a_o = d_o * o_t * (1.0 - o_t)  # (B, H)
        d_a_g = d_g * (1.0 - g_t * g_t)  # (B, H)
        d_a = np.concatenate([d_a_i, d_a_f, d_a_o, d_a_g], axis=1)  # (B, 4H)

        d_x[t - 1] = d_a @ trace.input_weight
        handed_h = d_a @ trace.recurrent_weight  # (B, H), k_{t-1}
        handed_c = d_c * f_t  # (B, H), m_{t-1}

        d_input_weight += d_a.T @ x_t
        d_recurrent_weight += d_a.T @ h_before
        d_bias += d_a.sum(axis=0)

    return {
        "x": d_x,
        "h0": handed_h,
        "c0": handed_c,
        "input_weight": d_input_weight,
        "recurrent_weight": d_recurrent_weight,
        "bias": d_bias,
    }
