"""Texts that no file holds: copied for the run, read again from the copy, named as the user did."""

import json
import re
import shutil
from pathlib import Path

import pytest

from charrnn.checkpoints.model_file import read_model
from charrnn.data.alphabet import Alphabet
from charrnn.data.catalogue import Generated, read_catalogue
from charrnn.data.corpus import encode_corpus
from charrnn.data.inputs import gather_sources, name_copies
from charrnn.errors import CorpusError, UnknownCharacterError
from charrnn.folders import TemporaryFolder
from tests.support.forked import forked
from tests.support.program import SMALL, explain

SHORT = ("--steps", "5", "--evaluations", "1", *SMALL)


def text_of(name: str) -> str:
    entry = read_catalogue()[name]
    assert isinstance(entry, Generated)
    return entry.text()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of a generated corpus in runs/anbn."""
    folder = tmp_path_factory.mktemp("anbn")
    result = forked("train", "anbn", *SHORT, cwd=folder)
    assert result.returncode == 0, explain(result)
    assert f"anbn: {len(text_of('anbn')):,} characters, 2 different" in result.stderr.decode()
    return folder


@pytest.fixture
def folder(begun: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(begun / "runs", tmp_path / "runs")
    return tmp_path


@pytest.mark.slow
def test_a_run_keeps_its_copy_of_a_generated_text(begun: Path) -> None:
    (copy,) = (begun / "runs/anbn").glob("corpus-*.txt")
    facts = read_model(begun / "runs/anbn/best.safetensors").corpus
    assert copy.name == f"corpus-{facts.digest[:12]}-0-anbn.txt"
    assert copy.read_text() == text_of("anbn")
    assert facts.name == "anbn"


@pytest.mark.parametrize("arguments", [(), ("anbn",)])
def test_a_run_of_a_generated_text_is_resumed(folder: Path, arguments: tuple[str, ...]) -> None:
    result = forked("train", "--resume", *arguments, cwd=folder)
    assert result.returncode == 0, explain(result)
    assert b"the run is complete" in result.stderr


@pytest.mark.slow
def test_a_lost_copy_is_made_again_where_the_text_is_named(folder: Path) -> None:
    (copy,) = (folder / "runs/anbn").glob("corpus-*.txt")
    copy.unlink()
    assert forked("train", "--resume", cwd=folder).returncode == 3
    other = forked("train", "--resume", "runs/anbn", "anb2n", cwd=folder)
    assert (other.returncode, b"has changed" in other.stderr) == (3, True)
    again = forked("train", "--resume", "runs/anbn", "anbn", cwd=folder)
    assert again.returncode == 0, explain(again)


@pytest.mark.slow
def test_the_held_out_end_and_the_whole_of_a_generated_text_are_scored(begun: Path) -> None:
    length = len(text_of("anbn"))
    held_out = json.loads(forked("eval", "--json", cwd=begun).stdout)
    whole = json.loads(forked("eval", "runs/anbn", "anbn", "--json", cwd=begun).stdout)
    assert held_out["characters"] == length - int(length * 0.9)
    assert (whole["characters"], whole["source"]) == (length, "anbn")


@pytest.mark.slow
def test_generated_texts_go_together_with_files(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("abba" * 100)
    result = forked("train", "anb2n", "more.txt", "anb2n", "--run", "r", *SHORT, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    names = sorted(copy.name.split("-", 2)[2] for copy in (tmp_path / "r").glob("corpus-*.txt"))
    assert names == ["0-anb2n.txt", "2-anb2n.txt"]
    characters = 2 * len(text_of("anb2n")) + 400
    assert read_model(tmp_path / "r/best.safetensors").corpus.characters == characters
    assert forked("train", "--resume", "r", cwd=tmp_path).returncode == 0


def test_a_generated_text_is_named_as_the_user_did(begun: Path) -> None:
    result = forked("eval", "runs/anbn", "anbncn", cwd=begun)
    assert result.returncode == 3
    assert result.stderr.decode().startswith("charrnn: anbncn: 'c' (U+0063)")


def test_copies_are_named_by_what_they_are_copies_of(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a")
    with TemporaryFolder() as folder:
        paths, names = gather_sources([str(tmp_path / "one.txt"), "anbn"], folder)
        assert paths == [tmp_path / "one.txt", folder.path / "1-anbn"]
        assert names == {paths[1]: "anbn"}
        copy = folder.path / "0"
        assert name_copies(["-"], [copy], folder) == {copy: "standard input"}
        with pytest.raises(UnknownCharacterError, match=r"^anbn: 'a'"):
            encode_corpus(paths[1:], Alphabet.of("xy"), names=names)
        with pytest.raises(CorpusError, match=rf"^{re.escape(str(paths[0]))}, anbn: none of its"):
            encode_corpus(paths, Alphabet.of("xy"), names=names, unknown="skip")
