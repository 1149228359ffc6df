"""A word for a corpus is a path first, a name second, and otherwise a helpful error."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import pytest

from charrnn.data.catalogue import (
    Built,
    Bundled,
    Download,
    Entry,
    Generated,
    find_entry,
    find_library_files,
    locate_entry,
    locate_source,
    read_catalogue,
    read_library,
)
from charrnn.data.formal_languages import LANGUAGES
from charrnn.errors import CorpusError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, so that no file of the project is found or suggested."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def path_of(source: str) -> Path:
    found = locate_source(source)
    assert isinstance(found, Path)
    return found


def test_tales_is_found_by_name_and_is_a_hundred_thousand_characters_of_ascii() -> None:
    text = path_of("tales").read_text(encoding="ascii")
    assert len(text) >= 100_000


def test_every_quatrain_has_four_lines_of_five_or_seven_characters() -> None:
    poems = path_of("quatrains").read_text(encoding="utf-8").splitlines()
    assert len(poems) == len(set(poems)) == 81
    for poem in poems:
        lines, marks = re.findall(r"\w+", poem), re.sub(r"\w", "", poem)
        assert [len(line) for line in lines] in ([5] * 4, [7] * 4)
        assert marks == "\uff0c\u3002" * 2


@pytest.mark.parametrize(("name", "entry"), read_catalogue().items(), ids=read_catalogue())
def test_every_named_corpus_is_described_with_its_licence(name: str, entry: Entry) -> None:
    assert entry.name == name
    assert entry.licence
    assert entry.description.endswith(".")
    assert entry.size > 0
    # A run's copy of a text that is made is recognised in messages by such a name.
    assert re.fullmatch(r"\w+", name)


@pytest.mark.slow
def test_bundled_texts_are_there_and_others_can_be_made() -> None:
    for name, entry in read_catalogue().items():
        if isinstance(entry, Bundled):
            assert path_of(name) == entry.path
            assert entry.path.stat().st_size == entry.size
        if isinstance(entry, Generated):
            assert locate_source(name) == entry
            assert entry.characters <= len(entry.text()) < entry.characters + 200
            assert b"".join(entry.chunks()) == entry.text().encode("ascii")


def test_python_is_built_from_the_machine_in_utf_8() -> None:
    entry = locate_source("python")
    assert isinstance(entry, Built)
    data = b"".join(entry.chunks())
    assert "class OrderedDict(dict):" in data.decode("utf-8")
    assert entry.size == pytest.approx(len(data), rel=0.01)


def test_downloads_are_pinned_to_a_size_a_digest_and_a_safe_way() -> None:
    downloads = [entry for entry in read_catalogue().values() if isinstance(entry, Download)]
    assert {"tinyshakespeare", "text8", "enwik8"} <= {entry.name for entry in downloads}
    for entry in downloads:
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.bytes > 0
        assert entry.url.startswith("https://")
        # On GitHub a branch's files may change: an address must name a commit.
        assert "github" not in entry.url or re.search("/[0-9a-f]{40}/", entry.url)


def test_a_download_must_be_fetched_before_it_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.folders.user_cache_path", lambda *_, **__: tmp_path)
    entry = read_catalogue()["names"]
    assert isinstance(entry, Download)
    with pytest.raises(CorpusError, match=r"charrnn.fetch\('names'\)"):
        locate_source("names")
    entry.path.parent.mkdir(parents=True)
    entry.path.write_bytes(bytes(entry.size))
    with pytest.raises(CorpusError, match="not the text of the catalogue"):
        locate_source("names")


def test_a_bundled_text_that_was_altered_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = read_catalogue()["tales"]
    assert isinstance(entry, Bundled)
    text = entry.path.read_bytes()
    monkeypatch.setattr("charrnn.data.catalogue.bundled_folder", lambda: tmp_path)
    entry.path.write_bytes(text)
    assert locate_entry(entry) == entry.path
    for altered in (text[:-1], b"x" + text[1:]):
        entry.path.write_bytes(altered)
        with pytest.raises(CorpusError, match="not the text of the catalogue") as raised:
            locate_entry(entry)
        assert "nstall charrnn again" in str(raised.value)


def test_an_entry_is_found_by_its_name_alone(empty_folder: Path) -> None:
    (empty_folder / "tales").write_text("mine")
    assert find_entry("tales") == read_catalogue()["tales"]
    with pytest.raises(CorpusError, match=r"talse: is not a corpus; did you mean tales\?"):
        find_entry("talse")


def test_every_formal_language_is_a_corpus_of_its_own_name() -> None:
    generated = {
        name: e.language for name, e in read_catalogue().items() if isinstance(e, Generated)
    }
    assert generated == {name: name for name in LANGUAGES}


@pytest.mark.parametrize("name", ["tale", "tails", "talse", "tales.txt"])
def test_a_misspelled_name_suggests_the_nearest(name: str) -> None:
    with pytest.raises(CorpusError, match=r"did you mean tales\?"):
        locate_source(name)


def test_a_misspelled_file_suggests_the_nearest(empty_folder: Path) -> None:
    (empty_folder / "herons.txt").write_text("heron")
    (empty_folder / "mice.txt").write_text("mouse")
    with pytest.raises(CorpusError, match=r"did you mean herons\.txt\?"):
        locate_source("heron.txt")


def test_a_misspelled_file_in_another_folder_is_suggested_with_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "birds"
    folder.mkdir()
    (folder / "herons.txt").write_text("heron")
    with pytest.raises(CorpusError) as raised:
        locate_source(str(folder / "heron.txt"))
    assert f"did you mean {folder / 'herons.txt'}?" in str(raised.value)


@pytest.mark.parametrize("source", ["quagmire", "nowhere/quagmire", "nul\0nul"])
def test_a_word_like_no_other_lists_the_names(source: str) -> None:
    with pytest.raises(CorpusError) as raised:
        locate_source(source)
    assert "did you mean" not in str(raised.value)
    assert str(raised.value).endswith(f"Corpora by name: {', '.join(read_catalogue())}.")


def test_a_link_to_nowhere_does_not_suggest_itself(empty_folder: Path) -> None:
    (empty_folder / "herons.txt").symlink_to("gone.txt")
    with pytest.raises(CorpusError) as raised:
        locate_source("herons.txt")
    assert "did you mean herons.txt" not in str(raised.value)


def test_a_file_wins_over_a_corpus_of_its_name(empty_folder: Path) -> None:
    (empty_folder / "tales").write_text("mine")
    assert path_of("tales").read_text() == "mine"


def test_a_folder_wins_over_a_corpus_of_its_name(empty_folder: Path) -> None:
    (empty_folder / "tales").mkdir()
    assert path_of("tales").is_dir()


def test_a_file_wins_over_a_generated_corpus_of_its_name(empty_folder: Path) -> None:
    (empty_folder / "anbn").write_text("mine")
    assert path_of("anbn").read_text() == "mine"


def test_the_empty_word_is_not_the_current_folder() -> None:
    # What an unset shell variable in quotes gives; it must not train on whatever lies around.
    with pytest.raises(CorpusError):
        locate_source("")


def test_a_word_too_long_for_a_file_name_is_not_found() -> None:
    # What pasting the text itself in place of its file's name gives.
    with pytest.raises(CorpusError):
        locate_source("Once upon a time " * 30)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small library instead of Python's."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    return tmp_path


def write(library: Path, name: str, data: bytes) -> None:
    path = library / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_pythons_own_library_is_megabytes_of_code() -> None:
    text = "".join(read_library())
    assert len(text) > 5_000_000
    assert "class OrderedDict(dict):" in text


def test_tests_packages_and_what_a_build_writes_are_left_out(library: Path) -> None:
    for name in ("b.py", "a/z.py", "a/b.py", "a.py"):
        write(library, name, b"x = 1\n")
    for name in ("test/a.py", "a/tests/b.py", "site-packages/p/c.py", "dist-packages/d.py"):
        write(library, name, b"y = 2\n")
    write(library, "_sysconfigdata__linux_.py", b"PATH = '/home/me'\n")
    write(library, "a/notes.txt", b"no code")
    found = [path.relative_to(library).as_posix() for path in find_library_files()]
    assert found == ["a/b.py", "a/z.py", "a.py", "b.py"]


def test_declared_encodings_are_honored_and_line_ends_are_newlines(library: Path) -> None:
    write(library, "a.py", "# -*- coding: latin-1 -*-\n# \u00e9\n".encode("latin-1"))
    write(library, "b.py", b"\xef\xbb\xbf# \xc3\xa9\r\n")
    assert list(read_library()) == ["# -*- coding: latin-1 -*-\n# \u00e9\n", "# \u00e9\n"]


def test_a_library_without_files_says_so(library: Path) -> None:
    with pytest.raises(CorpusError, match="holds no source"):
        find_library_files()


def test_a_file_that_is_not_what_it_says_is_named(library: Path) -> None:
    write(library, "bad.py", b"# coding: utf-8\n\xff\n")
    with pytest.raises(CorpusError, match=r"bad\.py: cannot be read"):
        list(read_library())
