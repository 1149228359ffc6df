"""Recurrent cells, one file each; the registry (``charrnn/config/model.py``) names them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from charrnn.config.model import CELLS
from charrnn.models.cells.base import Cell


def cell_class(name: str) -> Callable[..., Cell]:
    """The class of the registry's cell of that name."""
    module, _, attribute = CELLS[name].path.partition(".")
    found: Callable[..., Cell] = getattr(import_module(f"{__name__}.{module}"), attribute)
    return found
