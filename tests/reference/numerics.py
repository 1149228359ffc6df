"""What every reference cell computes with: nonlinearities, and a guard of its arguments."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "activate", "check", "sigmoid", "slope"]

Array = NDArray[np.float64]


def activate(activation: str, a: Array) -> Array:
    """Compute act(a) element by element.

    Args:
        activation: act, "tanh", "relu" or "sigmoid".
        a: Any array.

    Returns:
        The values, in the shape of a.

    Raises:
        ValueError: If the activation is none of the three.
    """
    value: Array
    match activation:
        case "tanh":
            value = np.tanh(a)
        case "relu":
            value = np.maximum(a, 0.0)
        case "sigmoid":
            value = sigmoid(a)
        case _:
            raise ValueError(f"activation must be tanh, relu or sigmoid, not {activation!r}")
    return value


def slope(activation: str, h: Array) -> Array:
    """Compute act'(a) element by element from h = act(a).

    Args:
        activation: act, "tanh", "relu" or "sigmoid".
        h: Values of act.

    Returns:
        The derivatives, in the shape of h.

    Raises:
        ValueError: If the activation is none of the three.
    """
    value: Array
    match activation:
        case "tanh":
            value = 1.0 - h * h
        case "relu":
            value = np.where(h > 0.0, 1.0, 0.0)
        case "sigmoid":
            value = h * (1.0 - h)
        case _:
            raise ValueError(f"activation must be tanh, relu or sigmoid, not {activation!r}")
    return value


def sigmoid(a: Array) -> Array:
    """Compute 1 / (1 + exp(-a)) element by element.

    Args:
        a: Any array.

    Returns:
        The values, in the shape of a.
    """
    # exp(-a) overflows for very negative a; exp(-|a|) never does, and both branches are the
    # same function: 1 / (1 + exp(-a)) = exp(a) / (1 + exp(a)).
    e = np.exp(-np.abs(a))
    value: Array = np.where(a >= 0.0, 1.0 / (1.0 + e), e / (1.0 + e))
    return value


def check(name: str, array: Array, shape: tuple[int, ...]) -> None:
    """Refuse an array of another precision or shape.

    Args:
        name: What the message calls the array.
        array: The array to look at.
        shape: The shape it must have.

    Raises:
        TypeError: If the array is not float64.
        ValueError: If the array has another shape.
    """
    # NumPy would quietly broadcast a wrong shape and quietly widen float32, and a reference
    # that accepts either hides the very mistakes it is there to reveal.
    if array.dtype != np.float64:
        raise TypeError(f"{name} must be float64, not {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
