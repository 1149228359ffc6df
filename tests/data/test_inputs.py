"""Sources are named as the user typed them, and kept where they can be read again."""

import os
from pathlib import Path

import pytest

from charrnn.data.inputs import derive_corpus_name, gather_sources
from charrnn.folders import TemporaryFolder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, reached through a link named shelf, with texts, links and a pipe."""
    blobs = tmp_path / "9f86d081884c7d659a2feaa0c55ad015"
    blobs.mkdir()
    (blobs / "e3b0c44298fc1c149afbf4c8996fb924").write_text("text")
    os.mkfifo(blobs / "pipe.txt")
    folder = tmp_path / "d41d8cd98f00b204"
    (folder / "poems.d").mkdir(parents=True)
    (folder / "novel.txt").symlink_to(blobs / "e3b0c44298fc1c149afbf4c8996fb924")
    (folder / "chain.txt").symlink_to("novel.txt")
    (folder / "fifo.txt").symlink_to(blobs / "pipe.txt")
    (folder / "blobs").symlink_to(blobs)
    (tmp_path / "shelf").symlink_to(folder)
    monkeypatch.chdir(tmp_path / "shelf")
    monkeypatch.setenv("PWD", str(tmp_path / "shelf"))
    return folder


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("novel.txt", "novel"),
        ("./novel.txt", "novel"),
        ("poems.d/../novel.txt", "novel"),
        ("chain.txt", "chain"),
        ("fifo.txt", "fifo"),
        ("blobs", "blobs"),
        ("blobs/", "blobs"),
        ("blobs/.", "blobs"),
        ("poems.d", "poems.d"),
        (".", "shelf"),
        ("./", "shelf"),
        ("poems.d/..", "shelf"),
        ("blobs/e3b0c44298fc1c149afbf4c8996fb924", "e3b0c44298fc1c149afbf4c8996fb924"),
        ("-", "stdin"),
        ("/dev/stdin", "stdin"),
        ("/", "corpus"),
        ("tales", "tales"),
    ],
)
def test_a_corpus_is_called_what_the_user_typed(here: Path, source: str, name: str) -> None:
    assert derive_corpus_name(source) == name


def test_the_folder_above_is_called_by_its_own_name(here: Path) -> None:
    assert derive_corpus_name("..") == here.parent.name
    # Here the two dots lead to the folder above the link's target.
    assert derive_corpus_name("blobs/..") == here.parent.name


def test_a_working_folder_that_the_shell_misnames_is_called_by_its_own_name(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("/nowhere", "/", "", "shelf"):
        monkeypatch.setenv("PWD", wrong)
        assert derive_corpus_name(".") == here.name
    monkeypatch.delenv("PWD")
    assert derive_corpus_name(".") == here.name


def test_a_removed_working_folder_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert derive_corpus_name(".")


def test_a_pipe_of_the_shell_is_called_by_its_descriptor(here: Path) -> None:
    reading, writing = os.pipe()
    try:
        assert derive_corpus_name(f"/dev/fd/{reading}") == str(reading)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(
    ("typed", "name"),
    [("a\nb.txt", "a_b"), ("x\udcff.txt", "x_"), ("\u202enovel.txt", "_novel"), (".txt", "txt")],
)
def test_a_name_that_cannot_be_shown_is_made_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(typed).write_text("text")
    assert derive_corpus_name(typed) == name


def test_a_file_that_has_no_place_any_more_is_copied(tmp_path: Path) -> None:
    file = tmp_path / "novel.txt"
    file.write_text("text")
    with file.open() as stream, TemporaryFolder() as copies:
        source = f"/dev/fd/{stream.fileno()}"
        assert gather_sources([source], copies) == ([Path(source)], {})
        file.unlink()
        paths, names = gather_sources([source], copies)
        assert (paths[0].read_text(), names) == ("text", {paths[0]: source})
