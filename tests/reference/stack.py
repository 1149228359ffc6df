"""Stack-augmented recurrent cell, one time step after another, with gradients derived by hand.

A plain recurrent cell that also reads and writes stacks whose actions are probabilities, so that
everything can be differentiated (Joulin and Mikolov 2015, arXiv 1503.01007).

Letters: T time steps, B batch rows, D input size, H hidden units, S stacks, N cells in each
stack, K actions (2 or 3). Time comes first.

Steps are counted t = 1 .. T. An array with one entry per step keeps step t at index t - 1
(x_t is x[t - 1], y_t is y[t - 1]); an array of states also holds the initial one, so it has
T + 1 entries and keeps h_t at index t, with h_0 at index 0. The same goes for s_t. The cells of
a stack are counted 0 .. N - 1 from the top; s_t[i] is cell i of all stacks, (B, S).

Products are written for batch rows: x_t has one row per batch entry, so the textbook's
"U x_t" for a single column vector becomes x_t @ U^T. A bias is added to every row.

    x_t  (B, D)       input of step t
    h_t  (B, H)       state after step t; h_0 is the initial state
    s_t  (B, S, N)    stacks after step t; s_0 are the initial ones; an empty one is all -1
    y_t  (B, H)       output of step t
    U    (H, D)       input_weight
    W    (H, H)       recurrent_weight (the paper's R), or none
    P    (H, 2S)      stack_weight; columns stack by stack, within a stack cell 0, cell 1
    b    (H)          bias
    A    (SK, H)      action_weight; rows stack by stack, within a stack PUSH, POP and, if
                      K = 3, NO-OP
    V    (S, H)       push_weight (the paper's D)
    act               activation, element by element: one of

        tanh          tanh(a)
        relu          max(a, 0)
        sigmoid       1 / (1 + exp(-a))

Forward, for t = 1 .. T ("*" is element by element, sigmoid(a) = 1 / (1 + exp(-a))):

    q_{t-1} = the cells 0 and 1 of s_{t-1}, stack by stack
                                                           (B, 2S)
    a_t = x_t @ U^T + h_{t-1} @ W^T + q_{t-1} @ P^T + b    (B, H)
    h_t = act(a_t)                                         (B, H)
    y_t = h_t                                              (B, H)

    l_t = h_t @ A^T, its columns taken apart               (B, S, K)
    p_t = softmax of l_t over the K actions                (B, S, K)
    v_t = sigmoid(h_t @ V^T)                               (B, S)

Without W the second product of a_t is missing: the stacks are then all that carries over.

Each action has an outcome, o_j, the stacks it would leave if it were taken for certain. With -1
below the last cell,

    PUSH   o_0[0] = v_t, o_0[i] = s_{t-1}[i-1]             for i = 1 .. N-1
    POP    o_1[i] = s_{t-1}[i+1], o_1[N-1] = -1            for i = 0 .. N-2
    NO-OP  o_2[i] = s_{t-1}[i]                             for i = 0 .. N-1

(PUSH loses s_{t-1}[N-1]), and the stacks are the mean outcome:

    s_t[i] = sum_j p_t[j] * o_j[i]                         (B, S)

Backward. L is the scalar being differentiated and d_v stands for dL/dv, in the shape of v.
L depends on h_t through y_t, through the actions and values of the same step, through step t + 1
and, for t = T only, through whatever uses the last state outside; the last two are what step t
is "handed", k_t. L depends on s_t only through what is handed: step t + 1, which reads the top
and moves the rest, or whatever uses the last stacks outside, m_t:

    k_T = grad_h_last                                      (B, H)
    m_T = grad_stacks_last                                 (B, S, N)

for t = T .. 1, the stacks come first, for h_t feeds them:

    d_o_j[i] = m_t[i] * p_t[j]                             (B, S)
    d_p_t[j] = sum_i m_t[i] * o_j[i]                       (B, S)
    d_v_t    = d_o_0[0]                                    (B, S)

The softmax has dp[j]/dl[k] = p[j] (1[j = k] - p[k]), so that

    d_l_t[k] = sum_j d_p_t[j] * p_t[j] * (1[j = k] - p_t[k])
             = p_t[k] * (d_p_t[k] - sum_j d_p_t[j] * p_t[j])
                                                           (B, S)

and, with sigmoid'(a) = sigmoid(a) (1 - sigmoid(a)) and u_t = h_t @ V^T,

    d_u_t   = d_v_t * v_t * (1 - v_t)                      (B, S)
    d_h_t   = grad_y_t + k_t + d_l_t @ A + d_u_t @ V       (B, H), d_l_t with columns joined

Each derivative act'(a_t) can be told from the value h_t = act(a_t) alone; call it e_t:

    tanh       e_t = 1 - h_t^2                             (B, H)
    relu       e_t = 1 where h_t > 0, else 0               (B, H)
    sigmoid    e_t = h_t * (1 - h_t)                       (B, H)

(relu has a kink at a = 0, with slope 0 to its left and 1 to its right; 0 is taken there.)

    d_a_t   = d_h_t * e_t                                  (B, H)
    d_x_t   = d_a_t @ U                                    (B, D)
    k_{t-1} = d_a_t @ W, or 0 without W                    (B, H)
    d_q     = d_a_t @ P, its columns taken apart           (B, S, 2)

Cell i of s_{t-1} became cell i + 1 of PUSH's outcome (not the last cell, which was lost), cell
i - 1 of POP's (not the first, which was taken off), cell i of NO-OP's, and was read if i < 2;
a term whose index or action does not exist is left out:

    m_{t-1}[i] = d_o_0[i+1] + d_o_1[i-1] + d_o_2[i] + d_q[i]
                                                           (B, S)

and, as the same weights serve every step and every row, sums over t = 1 .. T:

    d_U   = sum_t  d_a_t^T @ x_t                           (H, D)
    d_W   = sum_t  d_a_t^T @ h_{t-1}                       (H, H)
    d_P   = sum_t  d_a_t^T @ q_{t-1}                       (H, 2S)
    d_b   = sum_t  (sum of the rows of d_a_t)              (H)
    d_A   = sum_t  d_l_t^T @ h_t                           (SK, H)
    d_V   = sum_t  d_u_t^T @ h_t                           (S, H)
    d_h_0 = k_0                                            (B, H)
    d_s_0 = m_0                                            (B, S, N)
"""

from dataclasses import dataclass

import numpy as np

from tests.reference.numerics import Array, activate, check, sigmoid, slope

__all__ = ["Trace", "backward", "forward"]


_READ = 2  # cells read from the top of each stack
_BELOW = -1.0  # what lies below the last cell


# No generated equality: comparing arrays with == gives an array, so it could only raise.
@dataclass(frozen=True, eq=False)
class Trace:
    """What the backward pass needs to know about a forward pass.

    Attributes:
        x: Inputs, (T, B, D).
        h: States, the initial one first, (T + 1, B, H).
        s: Stacks, the initial ones first, (T + 1, B, S, N).
        p: Probabilities of the actions, (T, B, S, K).
        v: Values to push, (T, B, S).
        input_weight: U, (H, D).
        recurrent_weight: W, (H, H), or None.
        stack_weight: P, (H, 2S).
        action_weight: A, (SK, H).
        push_weight: V, (S, H).
        activation: act, "tanh", "relu" or "sigmoid".
    """

    x: Array
    h: Array
    s: Array
    p: Array
    v: Array
    input_weight: Array
    recurrent_weight: Array | None
    stack_weight: Array
    action_weight: Array
    push_weight: Array
    activation: str


def forward(
    x: Array,
    h0: Array,
    stacks0: Array,
    input_weight: Array,
    recurrent_weight: Array | None,
    stack_weight: Array,
    bias: Array,
    action_weight: Array,
    push_weight: Array,
    activation: str,
) -> tuple[Array, Array, Trace]:
    """Run the cell over all time steps.

    Args:
        x: Inputs, (T, B, D).
        h0: Initial state, (B, H).
        stacks0: Initial stacks, the top first, (B, S, N) with N at least 2. Empty ones are
            all -1.
        input_weight: U, (H, D).
        recurrent_weight: W, (H, H), or None for a state that forgets the one before it.
        stack_weight: P, columns stack by stack and from the top, (H, 2S).
        bias: b, (H).
        action_weight: A, rows stack by stack and in the order PUSH, POP and, if there are 3S
            rows, NO-OP, (2S, H) or (3S, H).
        push_weight: V, (S, H).
        activation: act, "tanh", "relu" or "sigmoid".

    Returns:
        The outputs y, (T, B, H), the last stacks s_T, (B, S, N), and the trace for `backward`.

    Raises:
        TypeError: If an array is not float64.
        ValueError: If the shapes do not fit together, a stack has fewer cells than are read, or
            the activation is none of the three.
    """
    steps, batch, inputs = x.shape
    hidden = h0.shape[-1]
    _, stacks, depth = stacks0.shape
    actions = 3 if len(action_weight) == 3 * stacks else 2
    check("x", x, (steps, batch, inputs))
    check("h0", h0, (batch, hidden))
    check("stacks0", stacks0, (batch, stacks, depth))
    check("input_weight", input_weight, (hidden, inputs))
    if recurrent_weight is not None:
        check("recurrent_weight", recurrent_weight, (hidden, hidden))
    check("stack_weight", stack_weight, (hidden, stacks * _READ))
    check("bias", bias, (hidden,))
    check("action_weight", action_weight, (stacks * actions, hidden))
    check("push_weight", push_weight, (stacks, hidden))
    if depth < _READ:
        raise ValueError(f"a stack must have at least {_READ} cells, not {depth}")

    h = np.empty((steps + 1, batch, hidden), dtype=np.float64)  # (T + 1, B, H)
    s = np.empty((steps + 1, batch, stacks, depth), dtype=np.float64)  # (T + 1, B, S, N)
    p = np.empty((steps, batch, stacks, actions), dtype=np.float64)  # (T, B, S, K)
    v = np.empty((steps, batch, stacks), dtype=np.float64)  # (T, B, S)
    h[0] = h0
    s[0] = stacks0
    for t in range(1, steps + 1):
        x_t = x[t - 1]  # (B, D)
        q_before = s[t - 1, :, :, :_READ].reshape(batch, stacks * _READ)  # (B, 2S)
        a_t = x_t @ input_weight.T + q_before @ stack_weight.T + bias  # (B, H)
        if recurrent_weight is not None:
            a_t = a_t + h[t - 1] @ recurrent_weight.T
        h[t] = activate(activation, a_t)

        l_t = (h[t] @ action_weight.T).reshape(batch, stacks, actions)  # (B, S, K)
        p_t = _softmax(l_t)  # (B, S, K)
        v_t = sigmoid(h[t] @ push_weight.T)  # (B, S)

        o_t = _outcomes(s[t - 1], v_t, actions)  # (K, B, S, N)
        s[t] = 0.0
        for j in range(actions):
            s[t] += p_t[:, :, j, np.newaxis] * o_t[j]

        p[t - 1] = p_t
        v[t - 1] = v_t

    # Copies, so that a caller who later changes an array in place cannot spoil the gradients.
    trace = Trace(
        x=x.copy(),
        h=h,
        s=s,
        p=p,
        v=v,
        input_weight=input_weight.copy(),
        recurrent_weight=None if recurrent_weight is None else recurrent_weight.copy(),
        stack_weight=stack_weight.copy(),
        action_weight=action_weight.copy(),
        push_weight=push_weight.copy(),
        activation=activation,
    )
    return h[1:].copy(), s[steps].copy(), trace


def backward(
    trace: Trace,
    grad_y: Array,
    grad_h_last: Array,
    grad_stacks_last: Array,
) -> dict[str, Array]:
    """Carry gradients back through all time steps.

    Args:
        trace: What `forward` returned.
        grad_y: Gradient of L with respect to y, (T, B, H).
        grad_h_last: Gradient reaching h_T from outside, on top of grad_y[T - 1], (B, H).
        grad_stacks_last: Gradient reaching s_T from outside, (B, S, N).

    Returns:
        The gradients of L by argument of `forward`: x (T, B, D), h0 (B, H), stacks0 (B, S, N),
        input_weight (H, D), recurrent_weight (H, H) unless it was None, stack_weight (H, 2S),
        bias (H), action_weight (SK, H), push_weight (S, H).

    Raises:
        TypeError: If an array is not float64.
        ValueError: If the shapes do not fit the trace.
    """
    steps, batch, stacks, actions = trace.p.shape
    hidden = trace.h.shape[-1]
    depth = trace.s.shape[-1]
    check("grad_y", grad_y, (steps, batch, hidden))
    check("grad_h_last", grad_h_last, (batch, hidden))
    check("grad_stacks_last", grad_stacks_last, (batch, stacks, depth))

    d_x = np.empty_like(trace.x)  # (T, B, D)
    d_input_weight = np.zeros_like(trace.input_weight)  # (H, D)
    d_recurrent_weight = np.zeros((hidden, hidden), dtype=np.float64)  # (H, H)
    d_stack_weight = np.zeros_like(trace.stack_weight)  # (H, 2S)
    d_bias = np.zeros(hidden, dtype=np.float64)  # (H)
    d_action_weight = np.zeros_like(trace.action_weight)  # (SK, H)
    d_push_weight = np.zeros_like(trace.push_weight)  # (S, H)

    handed_h = grad_h_last.copy()  # (B, H), k_t
    handed_s = grad_stacks_last.copy()  # (B, S, N), m_t
    for t in range(steps, 0, -1):
        x_t = trace.x[t - 1]  # (B, D)
        h_t = trace.h[t]  # (B, H)
        h_before = trace.h[t - 1]  # (B, H)
        s_before = trace.s[t - 1]  # (B, S, N)
        q_before = s_before[:, :, :_READ].reshape(batch, stacks * _READ)  # (B, 2S)
        p_t = trace.p[t - 1]  # (B, S, K)
        v_t = trace.v[t - 1]  # (B, S)

        # handed_s is m_t before this line and m_{t-1} without its d_q after it.
        d_p, d_v, handed_s = _backward_outcomes(handed_s, s_before, p_t, v_t)
        d_l = p_t * (d_p - (d_p * p_t).sum(axis=2, keepdims=True))  # (B, S, K)
        d_l = d_l.reshape(batch, stacks * actions)  # (B, SK)
        d_u = d_v * v_t * (1.0 - v_t)  # (B, S)

        d_h = grad_y[t - 1] + handed_h  # (B, H)
        d_h = d_h + d_l @ trace.action_weight + d_u @ trace.push_weight  # (B, H)
        d_a = d_h * slope(trace.activation, h_t)  # (B, H)

        d_x[t - 1] = d_a @ trace.input_weight
        handed_h = np.zeros_like(d_h)  # (B, H), k_{t-1}
        if trace.recurrent_weight is not None:
            handed_h = d_a @ trace.recurrent_weight
        d_q = (d_a @ trace.stack_weight).reshape(batch, stacks, _READ)  # (B, S, 2)
        handed_s[:, :, :_READ] += d_q  # (B, S, N), m_{t-1}

        d_input_weight += d_a.T @ x_t
        d_recurrent_weight += d_a.T @ h_before
        d_stack_weight += d_a.T @ q_before
        d_bias += d_a.sum(axis=0)
        d_action_weight += d_l.T @ h_t
        d_push_weight += d_u.T @ h_t

    gradients = {
        "x": d_x,
        "h0": handed_h,
        "stacks0": handed_s,
        "input_weight": d_input_weight,
        "stack_weight": d_stack_weight,
        "bias": d_bias,
        "action_weight": d_action_weight,
        "push_weight": d_push_weight,
    }
    if trace.recurrent_weight is not None:
        gradients["recurrent_weight"] = d_recurrent_weight
    return gradients


def _outcomes(s: Array, v: Array, actions: int) -> Array:
    """Give the stacks that each action would leave if it were taken for certain.

    Args:
        s: Stacks before the action, (B, S, N).
        v: Values to push, (B, S).
        actions: K, 2 for PUSH and POP, 3 to have NO-OP as well.

    Returns:
        The outcomes in the order PUSH, POP, NO-OP, (K, B, S, N).
    """
    outcomes = np.empty((actions, *s.shape), dtype=np.float64)  # (K, B, S, N)
    outcomes[0, :, :, 0] = v
    outcomes[0, :, :, 1:] = s[:, :, :-1]
    outcomes[1, :, :, :-1] = s[:, :, 1:]
    outcomes[1, :, :, -1] = _BELOW
    if actions == 3:
        outcomes[2] = s
    return outcomes


def _backward_outcomes(
    d_s: Array, s_before: Array, p: Array, v: Array
) -> tuple[Array, Array, Array]:
    """Carry the gradient of the stacks back through the mean of the outcomes of one step.

    Args:
        d_s: Gradient of L with respect to the stacks after the step, (B, S, N).
        s_before: Stacks before the step, (B, S, N).
        p: Probabilities of the actions, (B, S, K).
        v: Values to push, (B, S).

    Returns:
        The gradients with respect to p, (B, S, K), to v, (B, S), and, as far as it comes
        through the outcomes, to s_before, (B, S, N).
    """
    actions = p.shape[2]
    o = _outcomes(s_before, v, actions)  # (K, B, S, N)
    d_o = np.empty_like(o)  # (K, B, S, N)
    d_p = np.empty_like(p)  # (B, S, K)
    for j in range(actions):
        d_o[j] = d_s * p[:, :, j, np.newaxis]
        d_p[:, :, j] = (d_s * o[j]).sum(axis=2)

    d_v = d_o[0, :, :, 0]  # (B, S)
    d_s_before = np.zeros_like(s_before)  # (B, S, N)
    d_s_before[:, :, :-1] += d_o[0, :, :, 1:]
    d_s_before[:, :, 1:] += d_o[1, :, :, :-1]
    if actions == 3:
        d_s_before += d_o[2]
    return d_p, d_v, d_s_before


def _softmax(a: Array) -> Array:
    """Compute exp(a) divided by its sum over the last axis.

    Args:
        a: Any array with at least one axis.

    Returns:
        The values, in the shape of a.
    """
    # A number taken from all entries of a cancels out, and with the greatest one taken no exp
    # overflows.
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    value: Array = e / e.sum(axis=-1, keepdims=True)
    return value
