"""Python's standard library as a text: some twelve megabytes of source code on every machine."""

from __future__ import annotations

import os
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path

from charrnn.errors import CorpusError

# Tests are most of the library and repeat it; packages are whatever somebody has installed.
_LEFT_OUT = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages"})
_WRITTEN_BY_A_BUILD = "_sysconfigdata"


def source_files() -> list[Path]:
    """The library's own files, tests left out, in the order of their paths.

    Raises:
        CorpusError: this Python has no library in files, as when it comes in an archive.
    """
    library = Path(sysconfig.get_path("stdlib"))
    files: list[Path] = []
    for folder, folders, names in os.walk(library):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        files += [
            Path(folder, name)
            for name in names
            if name.endswith(".py") and not name.startswith(_WRITTEN_BY_A_BUILD)
        ]
    if not files:
        raise CorpusError(f"{library}: holds no source of Python's standard library")
    return sorted(files)


def read_source() -> Iterator[str]:
    """The text of each file, in the encoding that it declares, its line ends as newlines.

    Raises:
        CorpusError: a file that cannot be read.
    """
    for path in source_files():
        try:
            with tokenize.open(path) as stream:
                yield stream.read()
        except (OSError, SyntaxError, UnicodeError) as problem:
            raise CorpusError(f"{path}: cannot be read: {problem}") from problem
