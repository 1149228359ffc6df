"""charrnn --version: what computes here, told without importing any of it."""

from __future__ import annotations

import platform
from importlib import metadata

from charrnn import __version__
from charrnn.errors import UsageError
from charrnn.kernels.library import load_kernels


def describe() -> str:
    """The versions of charrnn and of what it computes with, on one line."""
    torch = _torch_version()
    return (
        f"charrnn {__version__}, torch {torch or 'not installed'}, {_device(torch)}, "
        f"Python {platform.python_version()}, {_native_library()}"
    )


def _torch_version() -> str | None:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def _device(torch: str | None) -> str:
    """What ``--device auto`` comes to, as far as a build of torch tells by its name."""
    if torch is None or torch.endswith("+cpu") or platform.system() == "Darwin":
        return "device cpu"
    return "device cuda where torch finds it (charrnn doctor looks), else cpu"


def _native_library() -> str:
    try:
        kernels = load_kernels()
    except UsageError as problem:
        return str(problem)
    return f"native library {kernels.build}" if kernels else "no native library"
