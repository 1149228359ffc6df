"""A run's request as its checkpoint tells of it: read back, or refused."""

from typing import Any

import pytest

from charrnn.checkpoints.checkpoint import TRAINING, read_header
from charrnn.errors import CheckpointError
from charrnn.training.run_config import parse_request
from tests.support import GOLDEN

LAST = GOLDEN / "format-2" / "lstm-last.safetensors"


def request_for(*paths: str) -> tuple[str, ...]:
    """The paths of a sound run's request that names these."""
    kind, header = read_header(LAST)
    assert kind == TRAINING
    changed: dict[str, Any] = {**header, "source": {**header["source"], "paths": list(paths)}}
    return parse_request(LAST, kind, changed)[0].source.paths


@pytest.mark.parametrize(
    "path", ["/tmp/a text.txt", "tales", "corpus-0123456789ab-0-stdin.txt", "..novel", "a\\b"]
)
def test_a_run_remembers_absolute_paths_and_names(path: str) -> None:
    assert request_for(path) == (path,)


@pytest.mark.parametrize(
    "path", ["../../../../dev/zero", "a/b", "./a", "a/", "..", ".", "", "runs/../../etc/passwd"]
)
def test_a_path_that_leads_elsewhere_from_where_the_program_stands_is_refused(path: str) -> None:
    with pytest.raises(CheckpointError, match="neither an absolute path nor a name"):
        request_for("tales", path)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ("x", "no list"),
        ([{"bytes": 1}], "FileFacts"),
        ([{"bytes": 1, "modified_ns": "x"}], "modified_ns"),
        ([None, None, None], "more or fewer"),
    ],
)
def test_facts_of_files_that_no_run_has_are_refused(files: object, reason: str) -> None:
    kind, header = read_header(LAST)
    with pytest.raises(CheckpointError, match=reason):
        parse_request(LAST, kind, {**header, "files": files})


def test_a_run_remembers_the_facts_of_its_files_and_an_older_one_has_none() -> None:
    kind, header = read_header(LAST)
    assert parse_request(LAST, kind, header)[0].files == ()
    facts = {"bytes": 5, "modified_ns": 2**60}
    found = parse_request(LAST, kind, {**header, "files": [facts]})[0].files
    assert [one and one.to_dict() for one in found] == [facts]
