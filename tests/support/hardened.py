"""Run odd shapes through a build that checks every access; a program, started with its runtime.

Every array is a block of its own, exactly as large as recurrence.h says, so that one number read
or written beyond it ends the process. Usage: hardened.py LIBRARY
"""

import ctypes
import itertools
import random
import struct
import sys
from collections.abc import Callable

import numpy as np

from charrnn.data.ngrams import count_ngrams
from charrnn.kernels import library

Memory = ctypes.Array[ctypes.c_char]
Maker = Callable[[int], Memory]

PRODUCTS = (4, 3, 4)
"""Numbers of products of an LSTM whose gates are separate, coupled or capped."""

CELLS = (
    *((4, 2, False), (3, 2, False), (4, 2, False)),
    *((3, 1, True), (3, 1, False)),
    *((1, 1, False), (1, 1, False), (1, 1, False)),
)
"""Products, parts of the state and whether there is a second bias, in the library's order."""


EXPERTS: list[list[Memory]] = []
"""The arrays of all experts."""

NUMBERS = 4096
"""Random numbers in all; arrays hold stretches of them."""

DRAWN = struct.pack(f"{NUMBERS}f", *(random.uniform(-2, 2) for _ in range(NUMBERS)))


def floats(count: int) -> Memory:
    begin = 4 * random.randrange(NUMBERS)
    data = (DRAWN * (count // NUMBERS + 2))[begin : begin + 4 * count]
    return ctypes.create_string_buffer(data, len(data))


def halves(count: int) -> Memory:
    """The upper halves of floats."""
    data = bytes(floats(count))
    pairs = b"".join(data[at + 2 : at + 4] for at in range(0, len(data), 4))
    return ctypes.create_string_buffer(pairs, len(pairs))


def rows(count: int, table: int) -> Memory:
    data = struct.pack(f"{count}i", *(random.randrange(table) for _ in range(count)))
    return ctypes.create_string_buffer(data, len(data))


def run_all(functions: ctypes.CDLL, steps: int, batch: int, units: int, threads: int) -> None:
    """Every function over a window, with and without a table and a way back."""
    sizes = (threads, steps, batch, units)
    for precision, table, keeps in itertools.product((0, 1), (0, 3), (0, 1)):
        elements = halves if precision else floats
        run_lstms(functions, precision, sizes, elements, table, keeps)
        run_grus(functions, precision, sizes, elements, table, keeps)
        columns = 3 * units
        stride = columns + columns % 2
        functions.charrnn_add_to_rows(
            *(precision, threads, steps * batch, columns, stride),
            *(elements(steps * batch * stride), rows(steps * batch, 3), floats(3 * columns)),
        )
        run_norms(functions, precision, sizes, elements, masked=bool(table))
        run_cross_entropies(functions, precision, sizes, elements, some_have_none=bool(table))


def run_lstms(
    functions: ctypes.CDLL,
    precision: int,
    sizes: tuple[int, int, int, int],
    elements: Maker,
    table: int,
    keeps: int,
) -> None:
    _, steps, batch, units = sizes
    for gates, products in enumerate(PRODUCTS):
        width = products * units
        weight, inputs, chosen, outputs, memory, saved = window(
            elements, steps, batch, units, products, table, keeps, 4
        )
        functions.charrnn_lstm_forward(
            *(precision, gates, *sizes, inputs, chosen, weight, outputs, memory, saved)
        )
        if keeps:
            functions.charrnn_lstm_backward(
                *(precision, gates, *sizes, weight, memory, saved),
                *(elements(steps * batch * units), elements(steps * batch * (width + width % 2))),
                *(floats(batch * units), floats(batch * units)),
            )


def run_grus(
    functions: ctypes.CDLL,
    precision: int,
    sizes: tuple[int, int, int, int],
    elements: Maker,
    table: int,
    keeps: int,
) -> None:
    _, steps, batch, units = sizes
    width = 3 * units + 3 * units % 2
    for after in (True, False):
        weight, inputs, chosen, outputs, memory, saved = window(
            elements, steps, batch, units, 3, table, keeps, 4 if after else 3
        )
        y_gradient = elements(steps * batch * units)
        gradients = [elements(steps * batch * width) for _ in range(2)]
        h_gradient = floats(batch * units)
        if after:
            functions.charrnn_gru_after_forward(
                *(precision, *sizes, inputs, chosen, weight, floats(units), outputs, memory),
                saved,
            )
        else:
            reset = elements((steps if keeps else 1) * batch * (units + units % 2))
            functions.charrnn_gru_before_forward(
                *(precision, *sizes, inputs, chosen, weight, outputs, reset, memory, saved)
            )
        back = (precision, *sizes, weight, memory, saved, y_gradient)
        if keeps and after:
            functions.charrnn_gru_after_backward(*back, *gradients, h_gradient)
        elif keeps:
            functions.charrnn_gru_before_backward(*back, gradients[0], h_gradient)


def run_norms(
    functions: ctypes.CDLL,
    precision: int,
    sizes: tuple[int, int, int, int],
    elements: Maker,
    *,
    masked: bool,
) -> None:
    threads, steps, batch, units = sizes
    count, stride = steps * batch, units + units % 2
    x, moments = elements(count * stride), floats(2 * count)
    mask = floats(batch * units) if masked else None
    common = (precision, threads, count, batch, units, stride, x, floats(units))
    functions.charrnn_norm_forward(*common, floats(units), mask, elements(count * units), moments)
    functions.charrnn_norm_backward(
        *(*common, mask, moments, elements(count * units), elements(count * units)),
        *(floats(units), floats(units)),
    )


def run_cross_entropies(
    functions: ctypes.CDLL,
    precision: int,
    sizes: tuple[int, int, int, int],
    elements: Maker,
    *,
    some_have_none: bool,
) -> None:
    threads, steps, batch, characters = sizes
    count = steps * batch
    logits, nats = elements(count * characters), ctypes.create_string_buffer(8 * count)
    none = struct.pack("i", -100) * (count // 2 if some_have_none else 0)
    data = none + bytes(rows(count, characters))[len(none) :]
    targets = ctypes.create_string_buffer(data, len(data))
    for gradients in (elements(count * characters), None):
        functions.charrnn_cross_entropy(
            *(precision, threads, count, characters, 1 / count, logits, targets, nats, gradients)
        )


def run_networks(functions: ctypes.CDLL, rows_: int, units: int, threads: int) -> None:
    """Every function of a network of every cell."""
    steps, characters, count = 3, 5, 4
    for cell, precision, layers, connect, normed in itertools.product(
        range(len(CELLS)), (0, 1), (1, 2), (0, 2), (0, 1)
    ):
        products, parts, has_candidate = CELLS[cell]
        width = products * units
        weights = (
            floats(characters * width),
            floats((layers - 1) * width * units),
            floats((layers - 1) * width),
            floats(layers * width * units),
            floats(layers * units) if has_candidate else None,
            *((floats(layers * units), floats(layers * units)) if normed else (None, None)),
            floats(characters * units),
            floats(characters),
        )
        network = functions.charrnn_network_new(
            precision, cell, connect, characters, layers, units, *weights
        )
        ids, targets = (rows(steps * rows_, characters) for _ in range(2))
        states = floats(layers * parts * rows_ * units)
        logits = floats(steps * rows_ * characters)
        nats = ctypes.create_string_buffer(8 * steps * rows_)
        uniforms = struct.pack(
            f"{rows_ * count}d", *(random.random() for _ in range(rows_ * count))
        )
        for orders in (0, 1, 3):
            expert = make_expert(functions, characters, orders) if orders else None
            histories = ints([-1, *range(characters)] * rows_, rows_ * (orders - 1))
            numbers, kept = (threads, steps, rows_), (states, histories if orders else None)
            for wanted in (logits, None):
                functions.charrnn_network_read(network, expert, *numbers, ids, *kept, wanted)
            functions.charrnn_network_score(network, expert, *numbers, ids, targets, *kept, nats)
            functions.charrnn_network_draw(
                *(network, expert, threads, count, rows_, 0.8, 3, 0.9, 0.01),
                *(rows(rows_, characters), ctypes.create_string_buffer(uniforms, len(uniforms))),
                *(*kept, ctypes.create_string_buffer(4 * rows_ * count)),
            )
            if expert:
                functions.charrnn_expert_free(expert)
        functions.charrnn_network_free(network)


def make_expert(functions: ctypes.CDLL, characters: int, orders: int) -> int:
    """An expert of a random text; its arrays are kept as long as the process lives."""
    text = [random.randrange(characters) for _ in range(40)]
    strings = count_ngrams(np.array(text), characters, orders=orders, most=10**6).orders
    tables = [
        [ints(part.tolist(), len(part)) for part in own] for own in zip(*strings, strict=True)
    ]
    EXPERTS.extend(tables)
    pointers = [(ctypes.c_void_p * orders)(*map(ctypes.addressof, own)) for own in tables]
    return int(
        functions.charrnn_expert_new(characters, orders, *pointers, floats(orders), floats(orders))
    )


def ints(values: list[int], count: int) -> Memory:
    data = struct.pack(f"{max(count, 0)}i", *values[: max(count, 0)])
    return ctypes.create_string_buffer(data, len(data))


def window(
    elements: Maker,
    steps: int,
    batch: int,
    units: int,
    products: int,
    table: int,
    keeps: int,
    numbers: int,
) -> tuple[Memory | None, ...]:
    """Weight, inputs, chosen rows, outputs, memory and what is saved, as Window has them."""
    saved = elements(steps * batch * numbers * units) if keeps else None
    return (
        floats(products * units * units),
        elements((table or steps * batch) * products * units),
        rows(steps * batch, table) if table else None,
        elements((steps + 1) * batch * (units + units % 2)),
        floats((steps + 1 if keeps else 1) * batch * units),
        saved,
    )


if __name__ == "__main__":
    functions = ctypes.CDLL(sys.argv[1])
    for name, arguments in library._SIGNATURES.items():
        getattr(functions, name).argtypes = [library._CODES[code] for code in arguments]
        getattr(functions, name).restype = library._RESULTS.get(name, ctypes.c_int)
    for steps, batch, units in itertools.product((2, 3), (1, 9, 25), (1, 2, 3, 16, 17, 33)):
        for threads in (1, 3):
            run_all(functions, steps, batch, units, threads)
    for batch, units, threads in itertools.product((1, 2, 9), (1, 3, 17), (1, 3)):
        run_networks(functions, batch, units, threads)
    sys.stdout.write("sound\n")
