"""charrnn: character-level recurrent language models of a person's own text.

    import charrnn

    model = charrnn.load("novel")
    print(model.generate("It was", length=300, temperature=0.8, seed=1))

What is exported here is public, and everything else is private. Importing this package imports
neither torch nor numpy: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charrnn import errors
    from charrnn.api import Model, Run, fetch, load, resume, train
    from charrnn.data.alphabet import Alphabet
    from charrnn.evaluation.results import Evaluation

__version__ = "0.1.0"

_PLACES = {
    "Alphabet": "charrnn.data.alphabet",
    "Evaluation": "charrnn.evaluation.results",
    "Model": "charrnn.api",
    "Run": "charrnn.api",
    "fetch": "charrnn.api",
    "load": "charrnn.api",
    "resume": "charrnn.api",
    "train": "charrnn.api",
}

__all__ = ["Alphabet", "Evaluation", "Model", "Run", "errors", "fetch", "load", "resume", "train"]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("charrnn.errors")
    if name not in _PLACES:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
