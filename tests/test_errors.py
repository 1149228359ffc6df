"""The errors, and the exit code that each kind leaves behind."""

import re

import pytest

from charrnn import errors
from charrnn.errors import (
    CharrnnError,
    CheckpointError,
    CorpusError,
    PredictionError,
    Remedy,
    UnknownCharacterError,
    UsageError,
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


def test_every_direct_kind_has_an_exit_code_that_says_failure() -> None:
    direct = [kind for kind in KINDS if kind.__bases__ in ((Exception,), (CharrnnError,))]
    assert len(direct) == len(DOCUMENTED)
    # Both mean that the model is of no use.
    codes = [kind.exit_code for kind in direct if kind is not PredictionError]
    assert PredictionError.exit_code == CheckpointError.exit_code
    assert sorted(set(codes)) == sorted(codes)
    # A shell uses 126 and above for itself and for signals.
    assert all(0 < code < 126 for code in codes)


def test_an_unknown_character_is_a_mistake_in_the_corpus() -> None:
    assert issubclass(UnknownCharacterError, CorpusError)
    assert UnknownCharacterError.exit_code == CorpusError.exit_code == 3


def test_a_message_is_said_of_its_settings() -> None:
    problem = UsageError("both bound the gradient", settings=("clip", "clip_value"))
    assert str(problem) == "clip and clip_value both bound the gradient"
    assert problem.describe(str.upper) == "CLIP and CLIP_VALUE both bound the gradient"


def test_remedies_follow_on_a_line_of_their_own() -> None:
    problem = CorpusError("the text is empty", Remedy("name another"))
    assert str(problem) == "the text is empty\nName another"
    problem.remedies += (Remedy("hold less out", "valid", "0"), Remedy("pray"))
    assert str(problem) == "the text is empty\nName another, hold less out (valid=0), or pray"
