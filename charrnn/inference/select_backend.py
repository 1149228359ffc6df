"""Load a model into the native backend if it supports the model, else into the torch backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from charrnn.checkpoints.model_file import ModelFile
from charrnn.config.inference import UseConfig
from charrnn.config.processors import count_usual_threads
from charrnn.folders import check_current_folder
from charrnn.inference.backend import Backend
from charrnn.inference.native_backend import NativeBackend, build_network, can_serve
from charrnn.inference.quantization import round_weights

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
    """Load a model into the native backend, without torch, if possible; else into torch.

    Args:
        model: the model.
        purpose: the use of the backend, which the defaults depend on. Torch draws samples with one
            thread by default, so that they depend on the seed alone.
        device: "cpu", "cuda", "mps" or "auto".
        threads: number of threads, of which at most one per row is used; None is all.
        weights: "fp32", "bf16", "int8", or "auto": bf16 to sample natively, else fp32.

    Raises:
        UsageError: the device, the threads or the weights are not valid, or not available.
    """
    use = UseConfig(weights=weights, threads=threads)
    native = load_native(
        model,
        device=device,
        threads=use.threads,
        weights=settle_weights(use.weights, purpose, is_native=True),
    )
    if native is not None:
        return native
    from charrnn.inference.torch_backend import TorchBackend

    # On more threads a matrix product may sum in another order.
    fewest = 1 if purpose == "sampling" else None
    network = load_torch_network(
        model, device=device, threads=use.threads or fewest, weights=use.weights
    )
    return TorchBackend(network, model.expert)


def settle_weights(weights: str, purpose: Purpose, *, is_native: bool) -> str:
    """Return the precision of the weights that a choice comes to."""
    if weights != "auto":
        return weights
    return "bf16" if purpose == "sampling" and is_native else "fp32"


def load_native(
    model: ModelFile, *, device: str = "cpu", threads: int | None = None, weights: str = "auto"
) -> NativeBackend | None:
    """Load a model into the native backend; None if that does not support it.

    The arguments are those of :func:`load_backend`, with "auto" weights meaning fp32.
    """
    if not can_serve(model.model) or not _is_cpu(device):
        return None
    bfloat16 = weights == "bf16"
    arrays = model.weights if bfloat16 else round_weights(model.weights, _named(weights))
    network = build_network(model.model, arrays, bfloat16=bfloat16, expert=model.expert)
    return NativeBackend(network, threads or count_usual_threads())


def load_torch_network(
    model: ModelFile, *, device: str, threads: int | None, weights: str = "auto"
) -> CharModel:
    """Load a model into torch, on a device, with its weights rounded; "auto" is fp32.

    Raises:
        StorageError: the current folder has been removed.
        UsageError: the device is not valid, or not available.
    """
    check_current_folder()
    from charrnn.inference.torch_backend import restore_network
    from charrnn.models.device import choose_device, prepare_process

    prepare_process(threads)
    rounded = model.with_weights(round_weights(model.weights, _named(weights)))
    return restore_network(rounded, choose_device(device))


def _named(weights: str) -> str:
    return "fp32" if weights == "auto" else weights


def _is_cpu(device: str) -> bool:
    if device == "cpu":
        return True
    from charrnn.models.device import choose_device

    return choose_device(device).type == "cpu"
