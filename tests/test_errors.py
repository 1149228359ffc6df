"""The errors, and the exit code that each kind leaves behind."""

import re

import pytest

from charrnn import errors
from charrnn.errors import (
    CharrnnError,
    CheckpointError,
    CorpusError,
    PredictionError,
    UnknownCharacterError,
)

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, CharrnnError)
]
DOCUMENTED = {
    name: int(code) for name, code in re.findall(r"(\w+Error) +(\d+) ", errors.__doc__ or "")
}


def test_exit_codes_are_those_that_the_tree_in_the_docstring_shows() -> None:
    assert DOCUMENTED["CheckpointError"] == 4
    assert {name: vars(errors)[name].exit_code for name in DOCUMENTED} == DOCUMENTED


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_in_the_tree_and_is_no_programmers_error(
    kind: type[CharrnnError],
) -> None:
    assert kind.__name__ in (errors.__doc__ or "")
    assert not issubclass(kind, ValueError | OSError)


def test_every_direct_kind_has_an_exit_code_of_its_own_that_says_failure() -> None:
    codes = [kind.exit_code for kind in KINDS if kind.__bases__ in ((Exception,), (CharrnnError,))]
    assert len(codes) == len(DOCUMENTED)
    # A model of no use is one of no use, whether its file is unsound or its weights are.
    assert PredictionError.exit_code == CheckpointError.exit_code
    codes.remove(PredictionError.exit_code)
    assert sorted(set(codes)) == sorted(codes)
    # A shell uses 126 and above for itself and for signals.
    assert all(0 < code < 126 for code in codes)


def test_an_unknown_character_is_a_mistake_in_the_corpus() -> None:
    assert issubclass(UnknownCharacterError, CorpusError)
    assert UnknownCharacterError.exit_code == CorpusError.exit_code == 3
