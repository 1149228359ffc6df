"""Texts that no file holds: copied for the run, read again from the copy, named as the user did."""

import json
import shutil
from pathlib import Path

import pytest

from charrnn.checkpoints.model_file import read_model
from charrnn.data.catalogue import Generated, entries
from charrnn.data.inputs import naming_copies
from charrnn.errors import CorpusError, UnknownCharacterError
from tests.support.program import SMALL, charrnn, explain

SHORT = ("--steps", "5", "--evaluations", "1", *SMALL)


def text_of(name: str) -> str:
    entry = entries()[name]
    assert isinstance(entry, Generated)
    return entry.text()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of a generated corpus in runs/anbn."""
    folder = tmp_path_factory.mktemp("anbn")
    result = charrnn("train", "anbn", *SHORT, cwd=folder)
    assert result.returncode == 0, explain(result)
    assert f"anbn: {len(text_of('anbn')):,} characters, 2 different" in result.stderr.decode()
    return folder


@pytest.fixture
def folder(begun: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(begun / "runs", tmp_path / "runs")
    return tmp_path


def test_a_run_keeps_its_copy_of_a_generated_text(begun: Path) -> None:
    (copy,) = (begun / "runs/anbn").glob("corpus-*.txt")
    facts = read_model(begun / "runs/anbn/best.safetensors").corpus
    assert copy.name == f"corpus-{facts.digest[:12]}-0-anbn.txt"
    assert copy.read_text() == text_of("anbn")
    assert facts.name == "anbn"


@pytest.mark.parametrize("arguments", [(), ("anbn",)])
def test_a_run_of_a_generated_text_is_resumed(folder: Path, arguments: tuple[str, ...]) -> None:
    result = charrnn("train", "--resume", *arguments, cwd=folder)
    assert result.returncode == 0, explain(result)
    assert b"the run is complete" in result.stderr


def test_a_lost_copy_is_made_again_where_the_text_is_named(folder: Path) -> None:
    (copy,) = (folder / "runs/anbn").glob("corpus-*.txt")
    copy.unlink()
    assert charrnn("train", "--resume", cwd=folder).returncode == 3
    other = charrnn("train", "--resume", "runs/anbn", "anb2n", cwd=folder)
    assert (other.returncode, b"has changed" in other.stderr) == (3, True)
    again = charrnn("train", "--resume", "runs/anbn", "anbn", cwd=folder)
    assert again.returncode == 0, explain(again)


def test_the_held_out_end_and_the_whole_of_a_generated_text_are_scored(begun: Path) -> None:
    length = len(text_of("anbn"))
    held_out = json.loads(charrnn("eval", "--json", cwd=begun).stdout)
    whole = json.loads(charrnn("eval", "runs/anbn", "anbn", "--json", cwd=begun).stdout)
    assert held_out["characters"] == length - int(length * 0.9)
    assert (whole["characters"], whole["text"]) == (length, "anbn")


def test_generated_texts_go_together_with_files(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("abba" * 100)
    result = charrnn("train", "anb2n", "more.txt", "anb2n", "--run", "r", *SHORT, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    names = sorted(copy.name.split("-", 2)[2] for copy in (tmp_path / "r").glob("corpus-*.txt"))
    assert names == ["0-anb2n.txt", "2-anb2n.txt"]
    characters = 2 * len(text_of("anb2n")) + 400
    assert read_model(tmp_path / "r/best.safetensors").corpus.characters == characters
    assert charrnn("train", "--resume", "r", cwd=tmp_path).returncode == 0


def test_a_generated_text_is_named_as_the_user_did(begun: Path) -> None:
    result = charrnn("eval", "runs/anbn", "anbncn", cwd=begun)
    assert result.returncode == 3
    assert result.stderr.decode().startswith("charrnn: anbncn: 'c' (U+0063)")


def test_copies_are_named_in_errors_by_what_they_are_copies_of() -> None:
    sources = ["one.txt", "pipe", "-", "anbn", *["more"] * 6, "eleventh"]
    message = "/tmp/x/1, /tmp/x/2: and /tmp/x/3-anbn: with /tmp/x/10 but not /tmp/y/1"
    with pytest.raises(UnknownCharacterError) as raised, naming_copies("/tmp/x", sources):
        raise UnknownCharacterError(message)
    assert str(raised.value) == ("pipe, standard input: and anbn: with eleventh but not /tmp/y/1")
    with pytest.raises(CorpusError, match="as it is"), naming_copies("/tmp/x", sources):
        raise CorpusError("as it is")
