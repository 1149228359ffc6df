"""charrnn --version: versions of charrnn and its libraries, found without importing torch."""

from __future__ import annotations

import platform
from importlib import metadata

from charrnn import __version__
from charrnn.errors import UsageError
from charrnn.kernels.library import load_kernels


def describe() -> str:
    """Describe the versions of charrnn, torch, Python and the native library on one line."""
    torch = _find_torch_version()
    return (
        f"charrnn {__version__}, torch {torch or 'not installed'}, {_describe_device(torch)}, "
        f"Python {platform.python_version()}, {_describe_native_library()}"
    )


def _find_torch_version() -> str | None:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def _describe_device(torch: str | None) -> str:
    """Describe the choice of ``--device auto``, as far as the name of the torch build tells."""
    if torch is None or torch.endswith("+cpu") or platform.system() == "Darwin":
        return "device cpu"
    return "device cuda where torch finds it (charrnn doctor looks), else cpu"


def _describe_native_library() -> str:
    try:
        kernels = load_kernels()
    except UsageError as problem:
        return str(problem)
    return f"native library {kernels.build}" if kernels else "no native library"
