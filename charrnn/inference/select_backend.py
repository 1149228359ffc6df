"""Which network a command uses: the native one where it serves, else torch's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from charrnn.checkpoints.model_file import ModelFile
from charrnn.config.inference import UseConfig
from charrnn.inference.backend import Reader
from charrnn.inference.native_backend import NativeReader, build_network, can_serve
from charrnn.inference.quantization import round_weights
from charrnn.kernels.network import Network, all_threads

if TYPE_CHECKING:
    from charrnn.models.char_model import CharModel


def native_network(model: ModelFile, *, device: str, weights: str) -> Network | None:
    """The native network, which needs no torch; None where it does not serve.

    Args:
        model: what was read.
        device: as the user named it.
        weights: "fp32", "bf16" or "int8".
    """
    if not can_serve(model.model) or not _is_cpu(device):
        return None
    if weights == "bf16":
        return build_network(model.model, model.weights, bfloat16=True)
    return build_network(model.model, round_weights(model.weights, weights))


def torch_network(
    model: ModelFile, *, device: str, threads: int | None, weights: str = "fp32"
) -> CharModel:
    """The network in torch, on a device, its weights rounded.

    Raises:
        UsageError: no such device, or not here.
    """
    from charrnn.inference.torch_backend import restore
    from charrnn.models.device import choose_device, prepare_process

    prepare_process(threads)
    rounded = model.with_weights(round_weights(model.weights, weights))
    return restore(rounded, choose_device(device))


def network_to_sample(model: ModelFile, *, device: str, use: UseConfig) -> Network | CharModel:
    """The network to draw from: the native one where it serves, else torch's.

    Unless the user says otherwise the one multiplies in bfloat16, the other in float32.
    """
    chosen = "bf16" if use.weights == "auto" else use.weights
    native = native_network(model, device=device, weights=chosen)
    if native is not None:
        return native
    chosen = "fp32" if use.weights == "auto" else use.weights
    # A product's sums may be made in another order on more threads.
    return torch_network(model, device=device, threads=use.threads or 1, weights=chosen)


def reader(model: ModelFile, *, device: str, threads: int | None, weights: str = "fp32") -> Reader:
    """The network as surprisal is measured with it; raises as :func:`torch_network`."""
    native = native_network(model, device=device, weights=weights)
    if native is not None:
        return NativeReader(native, threads or all_threads())
    from charrnn.inference.torch_backend import TorchReader

    return TorchReader(torch_network(model, device=device, threads=threads, weights=weights))


def _is_cpu(device: str) -> bool:
    if device == "cpu":
        return True
    from charrnn.models.device import choose_device

    return choose_device(device).type == "cpu"
