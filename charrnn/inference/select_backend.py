"""Choose the backend that runs a model, and the weights that it multiplies with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from charrnn.checkpoints.model_file import ModelFile
from charrnn.config.inference import UseConfig
from charrnn.inference.backend import Backend
from charrnn.inference.native_backend import NativeBackend, build_network, can_serve
from charrnn.inference.quantization import round_weights
from charrnn.kernels.network import all_threads

if TYPE_CHECKING:
    from charrnn.models.char_model import CharModel

Purpose = Literal["sampling", "scoring"]


def load_backend(
    model: ModelFile,
    purpose: Purpose,
    *,
    device: str = "cpu",
    threads: int | None = None,
    weights: str = "auto",
) -> Backend:
    """The native network where it serves the model, which needs no torch; else torch's.

    Args:
        model: what was read.
        purpose: what it is for. Samples depend on a seed and on nothing else, so that torch draws
            them with one thread unless told otherwise.
        device: as the user named it.
        threads: None takes all, of which no more than one for each row are used.
        weights: "fp32", "bf16", "int8", or "auto": bf16 to sample natively, else fp32.

    Raises:
        UsageError: no such device or weights, or not here.
    """
    use = UseConfig(weights=weights, threads=threads)
    native = load_native(
        model,
        device=device,
        threads=use.threads,
        weights="bf16" if (purpose, use.weights) == ("sampling", "auto") else use.weights,
    )
    if native is not None:
        return native
    from charrnn.inference.torch_backend import TorchBackend

    # A product's sums may be made in another order on more threads.
    fewest = 1 if purpose == "sampling" else None
    network = torch_network(
        model, device=device, threads=use.threads or fewest, weights=use.weights
    )
    return TorchBackend(network)


def load_native(
    model: ModelFile, *, device: str = "cpu", threads: int | None = None, weights: str = "auto"
) -> NativeBackend | None:
    """The native network; None where it does not serve. Arguments as :func:`load_backend` has them.

    Of weights, "auto" is fp32.
    """
    if not can_serve(model.model) or not _is_cpu(device):
        return None
    bfloat16 = weights == "bf16"
    arrays = model.weights if bfloat16 else round_weights(model.weights, _named(weights))
    network = build_network(model.model, arrays, bfloat16=bfloat16)
    return NativeBackend(network, threads or all_threads())


def torch_network(
    model: ModelFile, *, device: str, threads: int | None, weights: str = "auto"
) -> CharModel:
    """The network in torch, on a device, its weights rounded; "auto" is fp32.

    Raises:
        UsageError: no such device, or not here.
    """
    from charrnn.inference.torch_backend import restore
    from charrnn.models.device import choose_device, prepare_process

    prepare_process(threads)
    rounded = model.with_weights(round_weights(model.weights, _named(weights)))
    return restore(rounded, choose_device(device))


def _named(weights: str) -> str:
    return "fp32" if weights == "auto" else weights


def _is_cpu(device: str) -> bool:
    if device == "cpu":
        return True
    from charrnn.models.device import choose_device

    return choose_device(device).type == "cpu"
