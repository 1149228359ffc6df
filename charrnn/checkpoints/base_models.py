"""Base models: trained models that are distributed with the package, and found by their names."""

from __future__ import annotations

from pathlib import Path

from charrnn.data.catalogue import bundled_folder

_SUFFIX = ".safetensors"


def find_base_models() -> dict[str, Path]:
    """Find the files of all base models, by their names."""
    return {path.stem: path for path in sorted(bundled_folder().glob(f"*{_SUFFIX}"))}


def name_model(path: Path) -> str:
    """Return the name of a base model's file, or the path of any other."""
    return path.stem if path.parent == bundled_folder() else str(path)
