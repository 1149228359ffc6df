"""Folders that the system does not provide are told, with the way out."""

import pwd
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn.api import describe_corpus, load
from charrnn.errors import StorageError, UsageError
from charrnn.folders import (
    TemporaryFolder,
    check_current_folder,
    expand_user,
    find_cache_folder,
    find_home,
    find_state_folder,
)
from tests.support import GOLDEN


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom neither a variable nor the system's list of users gives a home."""

    def refuse(_: object) -> None:
        raise KeyError("no such user")

    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "USERPROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", refuse)
    monkeypatch.setattr(pwd, "getpwnam", refuse)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(
    ("find", "said"),
    [
        (find_home, "Set HOME to"),
        (find_cache_folder, "Set HOME or XDG_CACHE_HOME to"),
        (find_state_folder, "Set HOME or XDG_STATE_HOME to"),
    ],
)
def test_a_user_without_a_home_is_told_what_to_set(find: Callable[[], Path], said: str) -> None:
    with pytest.raises(StorageError, match=said):
        find()


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("named", ["~/kept.txt", "~nosuch/kept.txt", "a\0b", "\0", "~nosuch"])
def test_a_name_that_no_file_can_have_is_the_mistake_of_a_user(named: str) -> None:
    with pytest.raises(UsageError):
        expand_user(named)


def test_the_current_folder_may_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_current_folder()
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StorageError, match="Change to a folder that exists"):
        check_current_folder()


def test_a_temporary_folder_is_made_when_it_is_needed_and_then_removed() -> None:
    with TemporaryFolder() as folder:
        assert not folder.holds(Path("/tmp/a"))
        (folder.path / "a").touch()
        assert folder.holds(folder.path / "a")
    assert not folder.path.exists()


def test_only_a_text_that_must_be_copied_needs_a_temporary_folder(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(text_file.parent / "missing"))
    assert describe_corpus(text_file).layout.lines.count > 0
    model = load(GOLDEN / "format-1" / "lstm-best.safetensors")
    assert model.evaluate(text_file, unknown="skip").characters > 0
    with pytest.raises(StorageError, match="Set TMPDIR to a folder"):
        describe_corpus("anbn")
