"""Recurrent cells, one file each; the registry (``charrnn/config/cells.py``) names them."""

from __future__ import annotations

from importlib import import_module

from charrnn.config.cells import CELLS
from charrnn.models.cells.base import Cell


def cell_class(name: str) -> type[Cell]:
    """Import the class of a cell of the registry."""
    module, _, attribute = CELLS[name].path.partition(".")
    found: type[Cell] = getattr(import_module(f"{__name__}.{module}"), attribute)
    return found
