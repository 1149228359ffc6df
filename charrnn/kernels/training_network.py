"""A whole network in training, in the native library: gradients, their norm, and steps of Adam.

Letters as everywhere: T steps, B rows, V characters, E numbers of an embedding, L layers of H
units. The results do not depend on the number of threads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from charrnn.kernels.library import Kernels
from charrnn.kernels.network import CONNECTIONS, FORMS

LAYER_PARAMETERS = (
    "input_weight",
    "recurrent_weight",
    "bias",
    "candidate_bias",
    "gain",
    "shift",
)
"""A layer's parameters in the order of the native library."""


class NetworkParameters(NamedTuple):
    """A network's parameters, or their gradients: float32, contiguous, on the CPU.

    Attributes:
        embedding: (V, E).
        layers: each layer's LAYER_PARAMETERS; None for one that it lacks.
        head: (V, H).
        head_bias: (V).
    """

    embedding: Tensor
    layers: Sequence[Sequence[Tensor | None]]
    head: Tensor
    head_bias: Tensor

    def zeros_like(self) -> NetworkParameters:
        """Return zeros of the same shapes."""

        def zeros(tensor: Tensor) -> Tensor:
            return torch.zeros_like(tensor, requires_grad=False)

        layers = [
            [None if tensor is None else zeros(tensor) for tensor in layer] for layer in self.layers
        ]
        return NetworkParameters(
            zeros(self.embedding), layers, zeros(self.head), zeros(self.head_bias)
        )

    def listed(self) -> list[Tensor | None]:
        """List them in the order of the native library."""
        below = (tensor for layer in self.layers for tensor in layer)
        return [self.embedding, *below, self.head, self.head_bias]


class TrainingNetwork:
    """A network of layers of one cell that computes the gradients of windows.

    It reads the parameters where they lie, so that they may not move.

    Args:
        kernels: the native library.
        parameters: of the network.
        form: one of FORMS.
        connect: one of CONNECTIONS.
        steps: the most steps of a window.
        batch: B.
        bfloat16: whether products are made in bfloat16, with sums in float32; else in float32.

    Attributes:
        gradients: of the parameters, as of the last window.

    Raises:
        ValueError: parameters that the library cannot read.
    """

    def __init__(
        self,
        kernels: Kernels,
        parameters: NetworkParameters,
        *,
        form: str,
        connect: str,
        steps: int,
        batch: int,
        bfloat16: bool,
    ) -> None:
        self._library = kernels.functions
        self._parameters, self.gradients = parameters, parameters.zeros_like()
        self.steps, self.batch = steps, batch
        self.characters, embedding = parameters.embedding.shape
        self.hidden = parameters.head.shape[1]
        self.layers, self.parts = len(parameters.layers), FORMS[form]
        _check_tensors(parameters)
        gradients = [tensor for tensor in self.gradients.listed() if tensor is not None]
        self._of_norm = (len(gradients), _sizes(gradients), _addresses(gradients))
        self._handle = self._library.charrnn_training_new(
            *(int(bfloat16), list(FORMS).index(form), CONNECTIONS.index(connect)),
            int(parameters.layers[0][LAYER_PARAMETERS.index("gain")] is not None),
            *(self.characters, embedding, self.layers, self.hidden, steps, batch),
            _addresses(parameters.listed()),
            _addresses(self.gradients.listed()),
        )

    def __del__(self) -> None:
        if handle := self.__dict__.pop("_handle", None):
            self._library.charrnn_training_free(handle)

    def learn(
        self,
        ids: Tensor,
        targets: Tensor,
        masks: Sequence[Tensor] | None,
        states: Sequence[Sequence[Tensor]],
        threads: int,
    ) -> tuple[float, tuple[tuple[Tensor, ...], ...]]:
        """Compute the gradients of a window's mean loss.

        Args:
            ids: characters read, (T, B), int64.
            targets: the characters that follow, (T, B), int64; a negative one has no loss.
            masks: of each layer's output, (1, B, H), float32; None for none.
            states: before the window, of each layer, (B, H) each.
            threads: at most.

        Returns:
            Nats per character, and the states after the window.

        Raises:
            ValueError: the shapes do not belong together.
            IndexError: there is no such character.
        """
        if ids.dim() != 2 or ids.shape != targets.shape or ids.shape[1] != self.batch:
            raise ValueError(f"a window of {tuple(ids.shape)} and {tuple(targets.shape)}")
        if not 1 <= len(ids) <= self.steps:
            raise ValueError(f"a window of {len(ids)} steps, not of 1 to {self.steps}")
        _check_ids(ids, self.characters, least=0)
        _check_ids(targets, self.characters, least=None)
        before = [part.contiguous() for state in states for part in state]
        self._check(before, self.layers * self.parts, (self.batch, self.hidden))
        factors = None if masks is None else [mask.contiguous() for mask in masks]
        if factors is not None:
            self._check(factors, self.layers, (1, self.batch, self.hidden))
        after = [torch.empty_like(part) for part in before]
        read, wanted = (numbers.to(torch.int32).contiguous() for numbers in (ids, targets))
        nats = ctypes.c_double()
        self._library.charrnn_training_learn(
            *(self._handle, threads, len(ids), read.data_ptr(), wanted.data_ptr()),
            None if factors is None else _addresses(factors),
            *(_addresses(before), _addresses(after), ctypes.byref(nats)),
        )
        parts = self.parts
        return nats.value, tuple(tuple(after[n : n + parts]) for n in range(0, len(after), parts))

    def measure_norm(self, threads: int) -> float:
        """Compute the Euclidean norm of all gradients together."""
        norm = ctypes.c_double()
        self._library.charrnn_gradient_norm(threads, *self._of_norm, ctypes.byref(norm))
        return norm.value

    @staticmethod
    def _check(tensors: Sequence[Tensor], count: int, shape: tuple[int, ...]) -> None:
        found = {(tuple(tensor.shape), tensor.dtype, tensor.device.type) for tensor in tensors}
        if len(tensors) != count or found != {(shape, torch.float32, "cpu")}:
            raise ValueError(f"{len(tensors)} tensors of {found}, not {count} of {shape}")


class AdamSettings(NamedTuple):
    """The settings of a step of Adam or AdamW.

    Attributes:
        rate: learning rate.
        betas: shares of the means of gradients and of their squares that are kept.
        epsilon: added to the root.
        decoupled: whether the weight decay is AdamW's.
        scale: factor on the gradients.
        bound: largest absolute value of a gradient's numbers, after that; 0 for none.
        share: by which the average moves towards the weights.
    """

    rate: float
    betas: tuple[float, float]
    epsilon: float
    decoupled: bool
    scale: float
    bound: float
    share: float


class AdamArrays(NamedTuple):
    """The arrays of a step, one of each for every parameter: float32, contiguous, on the CPU.

    Attributes:
        weights: the parameters.
        gradients: their gradients.
        means: mean gradients.
        squares: mean squares.
        averages: averages of the weights.
        steps: numbers of steps taken, one number each.
        decays: weight decays.
    """

    weights: Sequence[Tensor]
    gradients: Sequence[Tensor]
    means: Sequence[Tensor]
    squares: Sequence[Tensor]
    averages: Sequence[Tensor]
    steps: Sequence[Tensor]
    decays: Sequence[float]


class Adam:
    """Steps of Adam or AdamW on parameters, with an average of them; see ``native/optimizer.h``.

    Args:
        kernels: the native library.
        arrays: read and written where they lie, so that they may not move.

    Raises:
        ValueError: arrays that do not belong together.
    """

    def __init__(self, kernels: Kernels, arrays: AdamArrays) -> None:
        *tensors, decays = arrays
        for weight, *others, step in zip(*tensors, strict=True):
            shapes = {tensor.shape for tensor in others}
            kinds = {(tensor.dtype, tensor.is_contiguous()) for tensor in (weight, *others, step)}
            if shapes != {weight.shape} or kinds != {(torch.float32, True)} or step.numel() != 1:
                raise ValueError(f"the arrays of a weight of shape {tuple(weight.shape)} differ")
        self._library = kernels.functions
        self._arrays = arrays
        self._arguments = (
            *(len(arrays.weights), _sizes(arrays.weights)),
            *(_addresses(each) for each in tensors),
            (ctypes.c_float * len(decays))(*decays),
        )

    def step(self, settings: AdamSettings, threads: int) -> None:
        """Take a step on all parameters, and move their averages."""
        self._library.charrnn_adam(
            *(threads, *self._arguments),
            *(int(settings.decoupled), settings.rate, *settings.betas, settings.epsilon),
            *(settings.scale, settings.bound, settings.share),
        )


def _check_tensors(parameters: NetworkParameters) -> None:
    """Raise ValueError unless the library can read the tensors by their addresses."""
    for tensor in parameters.listed():
        if tensor is None:
            continue
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ValueError(f"a parameter is {tensor.dtype} on {tensor.device}")
        if not tensor.is_contiguous():
            raise ValueError(f"a parameter of shape {tuple(tensor.shape)} is not contiguous")


def _check_ids(ids: Tensor, characters: int, *, least: int | None) -> None:
    lowest, highest = (int(end) for end in torch.aminmax(ids))
    if highest >= characters or (least is not None and lowest < least):
        raise IndexError(f"ids from {lowest} to {highest} of {characters} characters")


def _addresses(tensors: Sequence[Tensor | None]) -> ctypes.Array[ctypes.c_void_p]:
    """Return an array of the addresses of tensors, which the caller must keep alive."""
    addresses = (None if tensor is None else tensor.data_ptr() for tensor in tensors)
    return (ctypes.c_void_p * len(tensors))(*addresses)


def _sizes(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(tensors))(*(tensor.numel() for tensor in tensors))
