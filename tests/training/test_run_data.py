"""The text that a run names is read again; a stranger's run makes nothing else be read."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoints.model_file import CorpusFacts, read_model
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.data.corpus import Corpus, fit_corpus
from charrnn.data.text_reader import FileFacts
from charrnn.errors import CorpusError, Remedy
from charrnn.training import run_data
from charrnn.training.run_config import Request, read_request
from charrnn.training.run_data import TEXT, RunData, examine_sources, reread_corpus
from tests.support import GOLDEN

LAST = GOLDEN / "format-4" / "gru-last.safetensors"
BEST = GOLDEN / "format-4" / "gru-best.safetensors"
WORDS = "the heron stood\n" * 20


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """An empty run directory, and a current folder beside it."""
    for name in ("run", "here", "outside"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def outside(run: RunDirectory) -> Path:
    """A text that lies neither in the run nor in the current folder."""
    path = run.path.parent / "outside" / "text.txt"
    path.write_text(WORDS)
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that are given to be opened."""
    opened: list[Path] = []

    def watch(paths: list[Path], *others: object) -> Corpus:
        opened.extend(paths)
        return fit_corpus(paths)

    monkeypatch.setattr(run_data, "fit_corpus", watch)
    return opened


def naming(*paths: str | Path, files: tuple[FileFacts | None, ...] = ()) -> Request:
    """The request of a run that names these paths as its text."""
    request, _ = read_request(LAST)
    source = replace(request.source, paths=tuple(map(str, paths)))
    return replace(request, source=source, files=files)


def facts() -> CorpusFacts:
    return read_model(BEST).corpus


def examine(path: Path) -> FileFacts:
    found = examine_sources([str(path)])[0]
    assert found is not None
    return found


def reread(run: RunDirectory, request: Request) -> Corpus:
    return reread_corpus(run, request, facts(), Remedy("name it", "resume", str(run.path), TEXT))


def assert_unread(run: RunDirectory, request: Request, read: list[Path], reason: str) -> None:
    with pytest.raises(CorpusError, match=reason):
        reread(run, request)
    assert read == []


def test_a_text_outside_that_is_what_the_run_recorded_is_read(
    run: RunDirectory, outside: Path, read: list[Path]
) -> None:
    corpus = reread(run, naming(outside, files=(examine(outside),)))
    assert len(corpus) == len(WORDS)
    assert read == [outside]


def test_a_folder_outside_is_read_while_nothing_was_added_to_it(
    run: RunDirectory, outside: Path, read: list[Path]
) -> None:
    request = naming(outside.parent, files=(examine(outside.parent),))
    assert len(reread(run, request)) == len(WORDS)
    read.clear()
    (outside.parent / "another.txt").write_text("more")
    assert_unread(run, request, read, "outside")


@pytest.mark.parametrize("known", ["nothing", "another time", "another size", "no file"])
def test_a_text_outside_that_the_run_cannot_know_is_not_read(
    run: RunDirectory, outside: Path, read: list[Path], known: str
) -> None:
    true = examine(outside)
    files: dict[str, tuple[FileFacts | None, ...]] = {
        "nothing": (),
        "another time": (replace(true, modified_ns=true.modified_ns + 1),),
        "another size": (replace(true, bytes=true.bytes + 1),),
        "no file": (None,),
    }
    reason = "has changed" if known == "another size" else "lies outside"
    assert_unread(run, naming(outside, files=files[known]), read, reason)


def test_the_way_out_is_to_name_the_text(run: RunDirectory, outside: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        reread(run, naming(outside))
    remedy = caught.value.remedies[0]
    assert (remedy.means, remedy.values) == ("resume", (str(run.path), str(outside)))
    named = naming(outside, files=examine_sources([str(outside)]))
    assert len(reread(run, named)) == len(WORDS)


@pytest.mark.parametrize("place", ["here", "run"])
def test_a_text_in_the_current_folder_or_in_the_run_is_read(
    run: RunDirectory, read: list[Path], place: str
) -> None:
    path = run.path.parent / place / "text.txt"
    path.write_text(WORDS)
    for named in (path, path.name):
        reread(run, naming(named))
    assert [found.resolve() for found in read] == [path, path]


def test_a_text_that_has_another_size_is_refused_before_it_is_read(
    run: RunDirectory, read: list[Path]
) -> None:
    path = Path("text.txt").resolve()
    path.write_text(WORDS)
    request = naming(path, files=(examine(path),))
    path.write_text(WORDS + "more")
    assert_unread(run, request, read, "has changed since the run began .then 320 bytes, now 324")


LINKS: dict[str, Callable[[Path, Path, Path], object]] = {
    "a copy of the run's": lambda run, here, end: (run / "text.txt").symlink_to(end),
    "a file in the current folder": lambda run, here, end: (here / "text.txt").symlink_to(end),
}


@pytest.mark.parametrize("what", LINKS)
def test_a_link_that_leads_outside_is_not_followed(
    run: RunDirectory, outside: Path, read: list[Path], what: str
) -> None:
    LINKS[what](run.path, Path.cwd(), outside)
    assert_unread(run, naming("text.txt"), read, "lies outside")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("place", ["here", "run", "outside"])
def test_a_pipe_is_not_opened(run: RunDirectory, read: list[Path], place: str) -> None:
    path = run.path.parent / place / "text.txt"
    os.mkfifo(path)
    for named in (path, path.name) if place == "here" else (path,):
        assert_unread(run, naming(named), read, "no longer there")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system has no /proc")
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/zero", "no longer there"),
        ("/dev/stdin", "no longer there|lies outside"),
        ("/proc/self/environ", "lies outside"),
        ("/proc", "lies outside"),
        ("/", "lies outside"),
        ("/proc/self/root/etc/hostname", "lies outside"),
        ("/proc/self/cwd/../outside/text.txt", "lies outside"),
        ("/loop", "no longer there"),
        ("/" + "n" * 300, "no longer there"),
        ("/nul\0", "no longer there"),
    ],
)
def test_what_no_run_is_trained_on_is_not_opened(
    run: RunDirectory, outside: Path, read: list[Path], path: str, reason: str
) -> None:
    for files in ((), (FileFacts(0, 0),)):
        assert_unread(run, naming(path, files=files), read, f"{reason}|has changed")


def test_the_root_is_no_working_tree(
    run: RunDirectory, outside: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path.anchor)
    assert_unread(run, naming(outside), read, "lies outside")


@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove a current folder")
def test_a_current_folder_that_was_removed_holds_nothing(
    run: RunDirectory, outside: Path, read: list[Path]
) -> None:
    Path.cwd().rmdir()
    assert_unread(run, naming(outside), read, "lies outside")


def test_the_text_of_a_model_is_found_by_the_same_rule(
    run: RunDirectory, outside: Path, read: list[Path]
) -> None:
    model = read_model(BEST)
    data = RunData(run.best, model)
    data.accept(naming(outside), model.corpus)
    with pytest.raises(CorpusError, match="lies outside"):
        data.split  # noqa: B018
    assert read == []
