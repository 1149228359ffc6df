"""Check the reference cells' forward passes: against one another, and where the answer is plain.

Finite differences tell that a gradient belongs to its forward pass, not that the forward pass is
the right one. Here the variants are brought to cases in which they must equal a cell that was
written independently, and the stacks to cases that can be worked out without the cell.

Letters: T time steps, B batch rows, D input size, H hidden units, S stacks, N cells in each,
K actions. Time comes first.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.reference import gru, gru_before, lstm, lstm_capped, lstm_coupled, rnn, stack

Array = NDArray[np.float64]
Arrays = dict[str, Array]

STEPS, BATCH, INPUTS, HIDDEN = 5, 2, 3, 4
STACKS, DEPTH = 2, 3
PUSH, POP, NOOP = 0, 1, 2

# A score so far above the others that softmax and sigmoid round to 1.
CERTAIN = 1000.0


def normal(*shape: int, seed: int) -> Array:
    """Draw a random array, always the same one for the same seed."""
    return np.random.default_rng(seed).normal(size=shape)


def gated(blocks: int) -> Arrays:
    """Draw the arguments of a gated cell without memory, with so many blocks of rows."""
    return {
        "x": normal(STEPS, BATCH, INPUTS, seed=1),
        "h0": normal(BATCH, HIDDEN, seed=2),
        "input_weight": normal(blocks * HIDDEN, INPUTS, seed=3),
        "recurrent_weight": normal(blocks * HIDDEN, HIDDEN, seed=4),
        "bias": normal(blocks * HIDDEN, seed=5),
    }


def remembering(blocks: int) -> Arrays:
    """Draw the arguments of a cell with memory."""
    return {**gated(blocks), "c0": normal(BATCH, HIDDEN, seed=6)}


def on_rows(arguments: Arrays, change: Callable[[Array], Array]) -> Arrays:
    """Change the rows of all three weights alike."""
    changed = ["input_weight", "recurrent_weight", "bias"]
    return {**arguments, **{key: change(arguments[key]) for key in changed}}


def assert_same(got: Arrays, expected: Arrays) -> None:
    """Compare arrays by name, up to rounding."""
    assert got.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_allclose(got[key], array, rtol=1e-12, atol=1e-13, err_msg=key)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("tanh", [-0.7615941559557649, 0.0, 0.9640275800758169]),
        ("relu", [0.0, 0.0, 2.0]),
        ("sigmoid", [0.2689414213699951, 0.5, 0.8807970779778823]),
    ],
)
def test_plain_cell_applies_the_named_activation(activation: str, expected: list[float]) -> None:
    """With weights of one and zero the cell shows the activation itself at -1, 0 and 2."""
    x = np.array([[[-1.0], [0.0], [2.0]]])
    one, zero = np.ones((1, 1)), np.zeros((1, 1))

    y, _ = rnn.forward(x, np.zeros((3, 1)), one, zero, np.zeros(1), activation=activation)

    np.testing.assert_allclose(y[0, :, 0], expected, rtol=1e-15)


def test_plain_cell_is_a_tanh_cell_unless_told_otherwise() -> None:
    """Leaving the activation out is naming tanh."""
    arguments = gated(1)

    y, _ = rnn.forward(**arguments, activation="tanh")
    by_default, _ = rnn.forward(
        arguments["x"],
        arguments["h0"],
        arguments["input_weight"],
        arguments["recurrent_weight"],
        arguments["bias"],
    )

    np.testing.assert_array_equal(by_default, y)


def test_relu_has_slope_zero_at_its_kink() -> None:
    """Where everything is zero nothing is carried back."""
    zeros = {key: np.zeros_like(array) for key, array in gated(1).items()}
    y, trace = rnn.forward(**zeros, activation="relu")

    gradients = rnn.backward(trace, np.ones_like(y), np.ones((BATCH, HIDDEN)))

    assert_same(gradients, zeros)


def test_unknown_activation_is_refused() -> None:
    """A name that is none of the three is an error, not a tanh."""
    with pytest.raises(ValueError, match="tanh, relu or sigmoid"):
        rnn.forward(**gated(1), activation="gelu")
    with pytest.raises(ValueError, match="tanh, relu or sigmoid"):
        stack.forward(**stacked(3), activation="gelu")


def test_resetting_before_equals_resetting_after_if_units_do_not_mix() -> None:
    """A diagonal product lets the reset gate through, so both forms are then one function."""
    arguments = gated(3)
    arguments["recurrent_weight"][2 * HIDDEN :] *= np.eye(HIDDEN)
    grad_y, grad_h = normal(STEPS, BATCH, HIDDEN, seed=7), normal(BATCH, HIDDEN, seed=8)

    after, after_trace = gru.forward(**arguments, candidate_bias=np.zeros(HIDDEN))
    before, before_trace = gru_before.forward(**arguments)
    after_gradients = gru.backward(after_trace, grad_y, grad_h)
    before_gradients = gru_before.backward(before_trace, grad_y, grad_h)

    del after_gradients["candidate_bias"]
    for gradients in (after_gradients, before_gradients):
        # Off the diagonal the weights are zero, but what would change with them is not the same.
        gradients["recurrent_weight"][2 * HIDDEN :] *= np.eye(HIDDEN)
    assert_same({"y": before}, {"y": after})
    assert_same(before_gradients, after_gradients)


def test_resetting_before_differs_from_resetting_after() -> None:
    """With units that mix, the two forms of the gated unit are different functions."""
    after, _ = gru.forward(**gated(3), candidate_bias=np.zeros(HIDDEN))
    before, _ = gru_before.forward(**gated(3))

    assert np.abs(before - after).max() > 1e-2


def negated_forget_gate_first(rows: Array) -> Array:
    """Put -f in front of f, o, g: sigmoid(-a) = 1 - sigmoid(a), the coupled input gate."""
    return np.concatenate([-rows[:HIDDEN], rows], axis=0)


def test_coupled_gates_equal_an_input_gate_tied_to_the_forget_gate() -> None:
    """An input gate with the forget gate's weights negated is 1 - f."""
    arguments = remembering(3)

    y, c, _ = lstm_coupled.forward(**arguments)
    tied_y, tied_c, _ = lstm.forward(**on_rows(arguments, negated_forget_gate_first))

    assert_same({"y": y, "c": c}, {"y": tied_y, "c": tied_c})


def moved_input_gate(distance: float) -> Callable[[Array], Array]:
    """Move the input gate's bias by so much, and leave the weights."""

    def change(rows: Array) -> Array:
        moved = rows.copy()
        if rows.ndim == 1:
            moved[:HIDDEN] += distance
        return moved

    return change


def test_capped_gate_below_its_cap_is_a_separate_gate() -> None:
    """Where i < 1 - f throughout, the cap is not there, going forward or backward."""
    arguments = on_rows(remembering(4), moved_input_gate(-20.0))
    grads = [normal(STEPS, BATCH, HIDDEN, seed=7), *normal(2, BATCH, HIDDEN, seed=8)]

    y, c, trace = lstm_capped.forward(**arguments)
    free_y, free_c, free_trace = lstm.forward(**arguments)

    assert_same({"y": y, "c": c}, {"y": free_y, "c": free_c})
    assert_same(lstm_capped.backward(trace, *grads), lstm.backward(free_trace, *grads))


def test_capped_gate_above_its_cap_is_a_coupled_gate() -> None:
    """Where i > 1 - f throughout, only the forget gate counts, going forward or backward."""
    arguments = on_rows(remembering(4), moved_input_gate(20.0))
    coupled_arguments = on_rows(arguments, lambda rows: rows[HIDDEN:])
    grads = [normal(STEPS, BATCH, HIDDEN, seed=7), *normal(2, BATCH, HIDDEN, seed=8)]

    y, c, trace = lstm_capped.forward(**arguments)
    coupled_y, coupled_c, coupled_trace = lstm_coupled.forward(**coupled_arguments)
    gradients = lstm_capped.backward(trace, *grads)
    coupled_gradients = lstm_coupled.backward(coupled_trace, *grads)

    assert_same({"y": y, "c": c}, {"y": coupled_y, "c": coupled_c})
    nothing = on_rows(arguments, lambda rows: np.zeros_like(rows[:HIDDEN]))
    for key in ["input_weight", "recurrent_weight", "bias"]:
        coupled_gradients[key] = np.concatenate([nothing[key], coupled_gradients[key]], axis=0)
    assert_same(gradients, coupled_gradients)


def test_capped_gate_shares_its_gradient_at_a_tie() -> None:
    """Exactly at the kink the gradient is the mean of those on either side."""
    grads = [normal(1, BATCH, HIDDEN, seed=7), *normal(2, BATCH, HIDDEN, seed=8)]

    def gradients(distance: float) -> Arrays:
        def tied(rows: Array) -> Array:
            return np.concatenate([np.zeros_like(rows[: 2 * HIDDEN]), rows[2 * HIDDEN :]], axis=0)

        arguments = on_rows(on_rows(remembering(4), tied), moved_input_gate(distance))
        _, _, trace = lstm_capped.forward(**{**arguments, "x": arguments["x"][:1]})
        return lstm_capped.backward(trace, *grads)

    below, tie, above = gradients(-1e-9), gradients(0.0), gradients(1e-9)

    assert np.abs(below["bias"] - above["bias"]).max() > 1e-2
    for key, gradient in tie.items():
        np.testing.assert_allclose(
            gradient, (below[key] + above[key]) / 2.0, atol=1e-8, err_msg=key
        )


def stacked(actions: int) -> Arrays:
    """Draw the arguments of the stack cell, all that are arrays."""
    return {
        **gated(1),
        "stacks0": normal(BATCH, STACKS, DEPTH, seed=6),
        "stack_weight": normal(HIDDEN, 2 * STACKS, seed=7),
        "action_weight": normal(actions * STACKS, HIDDEN, seed=8),
        "push_weight": normal(STACKS, HIDDEN, seed=9),
    }


def one_unit_always_on(actions: int, taken: list[int]) -> Arrays:
    """Make every stack take one action for certain, by a first unit that is 1 whatever happens.

    Args:
        actions: K, 2 or 3.
        taken: The action of each stack.
    """
    arguments = stacked(actions)
    arguments["bias"][0] = CERTAIN
    arguments["action_weight"][:] = 0.0
    for which, action in enumerate(taken):
        arguments["action_weight"][which * actions + action, 0] = CERTAIN
    return arguments


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_stack_cell_that_reads_no_stack_is_a_plain_cell(activation: str) -> None:
    """Without the product of what was read the stacks have no say."""
    arguments = stacked(3)
    arguments["stack_weight"][:] = 0.0

    y, _, _ = stack.forward(**arguments, activation=activation)
    plain, _ = rnn.forward(**gated(1), activation=activation)

    assert_same({"y": y}, {"y": plain})


def test_stack_cell_without_recurrence_has_a_recurrent_weight_of_zero() -> None:
    """None and a zero matrix are the same function."""
    arguments = stacked(3)
    arguments["recurrent_weight"][:] = 0.0
    without = {key: array for key, array in arguments.items() if key != "recurrent_weight"}
    grads = [
        normal(STEPS, BATCH, HIDDEN, seed=10),
        normal(BATCH, HIDDEN, seed=11),
        normal(BATCH, STACKS, DEPTH, seed=12),
    ]

    y, stacks, trace = stack.forward(**arguments, activation="tanh")
    bare_y, bare_stacks, bare_trace = stack.forward(
        **without, recurrent_weight=None, activation="tanh"
    )
    gradients = stack.backward(trace, *grads)

    del gradients["recurrent_weight"]
    assert_same({"y": bare_y, "stacks": bare_stacks}, {"y": y, "stacks": stacks})
    assert_same(stack.backward(bare_trace, *grads), gradients)


@pytest.mark.parametrize("actions", [2, 3])
def test_certain_actions_move_the_stacks_as_a_whole(actions: int) -> None:
    """PUSH moves down and loses the last cell; POP moves up and brings in -1; NO-OP keeps."""
    taken = [PUSH, POP] if actions == 2 else [POP, NOOP]
    arguments = one_unit_always_on(actions, taken)
    arguments["x"] = arguments["x"][:1]
    before = arguments["stacks0"]

    y, after, _ = stack.forward(**arguments, activation="sigmoid")

    value = 1.0 / (1.0 + np.exp(-(y[0] @ arguments["push_weight"].T)))  # (B, S)
    expected = np.empty_like(before)  # (B, S, N)
    for which, action in enumerate(taken):
        value_here, cells = value[:, which], before[:, which]  # (B), (B, N)
        outcomes = {
            PUSH: [value_here, cells[:, 0], cells[:, 1]],
            POP: [cells[:, 1], cells[:, 2], -np.ones(BATCH)],
            NOOP: [cells[:, 0], cells[:, 1], cells[:, 2]],
        }
        expected[:, which] = np.stack(outcomes[action], axis=1)
    assert_same({"stacks": after}, {"stacks": expected})


def test_popping_long_enough_leaves_an_empty_stack() -> None:
    """After as many POPs as there are cells nothing but -1 is left."""
    arguments = one_unit_always_on(3, [POP, NOOP])

    _, after, _ = stack.forward(**{**arguments, "x": arguments["x"][:DEPTH]}, activation="sigmoid")

    np.testing.assert_allclose(after[:, 0], -1.0, rtol=1e-12)
    np.testing.assert_allclose(after[:, 1], arguments["stacks0"][:, 1], rtol=1e-12)


def test_the_two_top_cells_before_the_step_are_read_stack_by_stack() -> None:
    """The columns of the stack weight are the first and second cell of each stack in turn."""
    nothing = {key: np.zeros_like(array) for key, array in stacked(3).items()}
    arguments = {**nothing, "stack_weight": np.eye(HIDDEN), "stacks0": stacked(3)["stacks0"]}
    before = arguments["stacks0"]

    y, _, _ = stack.forward(**{**arguments, "x": arguments["x"][:1]}, activation="tanh")

    read = [before[:, 0, 0], before[:, 0, 1], before[:, 1, 0], before[:, 1, 1]]
    np.testing.assert_allclose(y[0], np.tanh(np.stack(read, axis=1)), rtol=1e-12)


def test_a_stack_too_shallow_to_be_read_is_refused() -> None:
    """Two cells are read, so two there must be."""
    arguments = stacked(3)
    arguments["stacks0"] = arguments["stacks0"][:, :, :1]

    with pytest.raises(ValueError, match="at least 2 cells"):
        stack.forward(**arguments, activation="tanh")
