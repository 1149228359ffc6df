"""Check the reference cells: gradients against finite differences, and hand-over of the state.

Letters: T time steps, B batch rows, D input size, H hidden units. Time comes first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.reference import gru, lstm, rnn

Array = NDArray[np.float64]
Arrays = dict[str, Array]

# From the gradients of y, h and c (those a cell has) to the gradients of its arguments.
Backward = Callable[[Arrays], Arrays]

RELATIVE_TOLERANCE = 1e-7
STEP = 1e-3


@dataclass(frozen=True)
class Sizes:
    """One choice of T, B, D and H."""

    steps: int
    batch: int
    inputs: int
    hidden: int


@dataclass(frozen=True)
class Cell:
    """One way to call all three cells.

    Attributes:
        shapes: The shape of every argument, by name.
        run: From the arguments to the outputs y (T, B, H), h (B, H) and, if the cell has a
            memory, c (B, H), with the backward pass that belongs to them.
    """

    shapes: Callable[[Sizes], dict[str, tuple[int, ...]]]
    run: Callable[[Arrays], tuple[Arrays, Backward]]


def rnn_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Give the shape of every argument of rnn.forward."""
    return {
        "x": (sizes.steps, sizes.batch, sizes.inputs),
        "h0": (sizes.batch, sizes.hidden),
        "input_weight": (sizes.hidden, sizes.inputs),
        "recurrent_weight": (sizes.hidden, sizes.hidden),
        "bias": (sizes.hidden,),
    }


def run_rnn(arguments: Arrays) -> tuple[Arrays, Backward]:
    """Call rnn.forward the way Cell.run describes."""
    y, trace = rnn.forward(**arguments)

    def backward(grads: Arrays) -> Arrays:
        return rnn.backward(trace, grads["y"], grads["h"])

    return {"y": y, "h": y[-1]}, backward


def lstm_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Give the shape of every argument of lstm.forward."""
    return {
        "x": (sizes.steps, sizes.batch, sizes.inputs),
        "h0": (sizes.batch, sizes.hidden),
        "c0": (sizes.batch, sizes.hidden),
        "input_weight": (4 * sizes.hidden, sizes.inputs),
        "recurrent_weight": (4 * sizes.hidden, sizes.hidden),
        "bias": (4 * sizes.hidden,),
    }


def run_lstm(arguments: Arrays) -> tuple[Arrays, Backward]:
    """Call lstm.forward the way Cell.run describes."""
    y, c_last, trace = lstm.forward(**arguments)

    def backward(grads: Arrays) -> Arrays:
        return lstm.backward(trace, grads["y"], grads["h"], grads["c"])

    return {"y": y, "h": y[-1], "c": c_last}, backward


def gru_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Give the shape of every argument of gru.forward."""
    return {
        "x": (sizes.steps, sizes.batch, sizes.inputs),
        "h0": (sizes.batch, sizes.hidden),
        "input_weight": (3 * sizes.hidden, sizes.inputs),
        "recurrent_weight": (3 * sizes.hidden, sizes.hidden),
        "bias": (3 * sizes.hidden,),
        "candidate_bias": (sizes.hidden,),
    }


def run_gru(arguments: Arrays) -> tuple[Arrays, Backward]:
    """Call gru.forward the way Cell.run describes."""
    y, trace = gru.forward(**arguments)

    def backward(grads: Arrays) -> Arrays:
        return gru.backward(trace, grads["y"], grads["h"])

    return {"y": y, "h": y[-1]}, backward


CELLS = {
    "rnn": Cell(shapes=rnn_shapes, run=run_rnn),
    "lstm": Cell(shapes=lstm_shapes, run=run_lstm),
    "gru": Cell(shapes=gru_shapes, run=run_gru),
}

# Four different sizes, so that no transposed product fits by accident; then a single step and
# a single unit, where the ends of the loops meet.
SIZES = [Sizes(5, 2, 3, 4), Sizes(1, 3, 2, 1)]

GRADIENTS = [(cell, key) for cell in CELLS for key in CELLS[cell].shapes(SIZES[0])]


def draw(shapes: dict[str, tuple[int, ...]], seed: int) -> Arrays:
    """Draw one random array per shape, always the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    return {key: rng.normal(size=shape) for key, shape in shapes.items()}


def shapes_of(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    """Give the shape of every array."""
    return {key: array.shape for key, array in arrays.items()}


def functional(cell: Cell, arguments: Arrays, coefficients: Arrays) -> float:
    """Weigh every output element with its coefficient and add them up."""
    outputs, _ = cell.run(arguments)
    return sum(float((coefficients[key] * outputs[key]).sum()) for key in outputs)


def finite_differences(cell: Cell, arguments: Arrays, coefficients: Arrays, key: str) -> Array:
    """Estimate the functional's gradient with respect to one argument, element by element."""
    estimate = np.empty_like(arguments[key])
    for position in np.ndindex(*estimate.shape):

        def moved(distance: float, position: tuple[int, ...] = position) -> float:
            array = arguments[key].copy()
            array[position] += distance
            return functional(cell, {**arguments, key: array}, coefficients)

        # The central difference of order four: its error shrinks so fast with the step that
        # the step can stay large, and a large step keeps rounding out of the estimate.
        near = moved(STEP) - moved(-STEP)
        far = moved(2.0 * STEP) - moved(-2.0 * STEP)
        estimate[position] = (8.0 * near - far) / (12.0 * STEP)
    return estimate


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(("cell_name", "key"), GRADIENTS)
def test_gradient_matches_finite_differences(cell_name: str, key: str, sizes: Sizes) -> None:
    """Every element of every gradient agrees with its estimate from the forward pass alone."""
    cell = CELLS[cell_name]
    arguments = draw(cell.shapes(sizes), seed=1)
    outputs, backward = cell.run(arguments)
    coefficients = draw(shapes_of(outputs), seed=2)

    gradient = backward(coefficients)[key]

    # assert_allclose would broadcast, and so would accept a gradient that lacks an axis.
    assert gradient.shape == arguments[key].shape
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(
        gradient,
        finite_differences(cell, arguments, coefficients, key),
        rtol=RELATIVE_TOLERANCE,
    )


@pytest.mark.parametrize("cell_name", CELLS)
def test_every_argument_has_a_gradient(cell_name: str) -> None:
    """The gradients are named exactly like the arguments of the forward pass."""
    cell = CELLS[cell_name]
    arguments = draw(cell.shapes(SIZES[0]), seed=1)
    outputs, backward = cell.run(arguments)

    assert backward(outputs).keys() == arguments.keys()


@pytest.mark.parametrize("first_steps", [1, 2, 4])
@pytest.mark.parametrize("cell_name", CELLS)
def test_two_chunks_equal_one_pass(cell_name: str, first_steps: int) -> None:
    """Cutting the sequence changes neither the outputs nor the gradients."""
    cell = CELLS[cell_name]
    arguments = draw(cell.shapes(SIZES[0]), seed=3)
    outputs, backward = cell.run(arguments)
    coefficients = draw(shapes_of(outputs), seed=4)
    gradients = backward(coefficients)
    # From the name of a state at the end of a pass to its name at the beginning.
    states = {key: f"{key}0" for key in outputs if key != "y"}

    early_outputs, early_backward = cell.run({**arguments, "x": arguments["x"][:first_steps]})
    handed_state = {states[key]: early_outputs[key] for key in states}
    late_outputs, late_backward = cell.run(
        {**arguments, "x": arguments["x"][first_steps:], **handed_state}
    )
    late_gradients = late_backward({**coefficients, "y": coefficients["y"][first_steps:]})
    handed_gradient = {key: late_gradients[states[key]] for key in states}
    early_gradients = early_backward({"y": coefficients["y"][:first_steps], **handed_gradient})

    joined_outputs = {**late_outputs, "y": np.concatenate([early_outputs["y"], late_outputs["y"]])}
    joined_gradients = {}
    for key in gradients:
        if key == "x":
            joined_gradients[key] = np.concatenate([early_gradients[key], late_gradients[key]])
        elif key in states.values():
            joined_gradients[key] = early_gradients[key]
        else:
            # Both chunks use the same weights, so their shares add up.
            joined_gradients[key] = early_gradients[key] + late_gradients[key]

    for key, output in outputs.items():
        np.testing.assert_allclose(joined_outputs[key], output, rtol=1e-12, err_msg=key)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(
            joined_gradients[key], gradient, rtol=1e-12, atol=1e-13, err_msg=key
        )
