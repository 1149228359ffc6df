"""Each cell's docstring tells what it computes, and its example is true."""

import doctest
import inspect
import sys

import pytest

from charrnn.config.cells import CELLS
from charrnn.models.cells import cell_class
from charrnn.models.cells.batch_norm import InputBatchNorm
from charrnn.models.cells.pyramid import SlowLayer

CLASSES = [*map(cell_class, CELLS), SlowLayer, InputBatchNorm]

every_class = pytest.mark.parametrize(
    "described", CLASSES, ids=lambda described: described.__name__
)


@every_class
def test_the_example_is_true(described: type) -> None:
    names = vars(sys.modules[described.__module__])
    (test,) = doctest.DocTestFinder(recurse=False).find(described, globs=dict(names))
    result = doctest.DocTestRunner().run(test)
    assert result.attempted >= 3
    assert result.failed == 0


@every_class
def test_equations_source_and_every_argument_are_told(described: type) -> None:
    told = inspect.getdoc(described) or ""
    assert "' = " in told or "y_t = " in told
    assert "Source: " in told
    if "__init__" in vars(described):
        arguments = list(inspect.signature(described).parameters)
        assert [name for name in arguments if f"\n    {name}: " not in told] == []


@pytest.mark.parametrize("cell", CELLS)
def test_every_parameter_has_its_shape_told(cell: str) -> None:
    described = cell_class(cell)
    told = " ".join((inspect.getdoc(base) or "") for base in described.__mro__[:2])
    for name in CELLS[cell].shapes(1, 1, **CELLS[cell].settings):
        assert name in told, name
