"""The standard library's source as a text."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from charrnn.data.catalogue import find_library_files, read_library
from charrnn.errors import CorpusError


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


def test_declared_encodings_are_honoured_and_line_ends_are_newlines(library: Path) -> None:
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
