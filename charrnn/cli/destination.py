"""The destination of output that ``-o`` names: a file, a device, a pipe, or standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from charrnn.cli import terminal
from charrnn.errors import Remedy, StorageError, UsageError
from charrnn.files import find_descriptor, find_replaced, is_folder, write_output

STDOUT = "-"
"""The name of standard output."""

_STDOUT_NUMBER = 1


def parse_output_path(named: str) -> Path:
    """Parse the path of a file to write to.

    Raises:
        UsageError: it is empty, or only a folder that is missing can have it.
    """
    only_a_folder = os.path.split(named)[1] in ("", os.curdir, os.pardir)
    if not named or (only_a_folder and not is_folder(Path(named))):
        raise UsageError(f"{named!r:.200} names no file to write to", Remedy("name a file"))
    return Path(named)


class Destination:
    """A place to write to.

    Args:
        named: a path, or ``-`` for standard output.

    Attributes:
        path: as named.
        is_stdout: True for standard output under any name; nothing else may then be written there.

    Raises:
        UsageError: the path is empty, or only a folder that is missing can have it.
    """

    def __init__(self, named: str) -> None:
        self.path = parse_output_path(named)
        self.is_stdout = named == STDOUT or find_descriptor(self.path) == _STDOUT_NUMBER

    def find_replaced(self) -> Path | None:
        """Find the file that :meth:`write` would replace; None if there is none.

        Raises:
            StorageError: nothing can be written there.
        """
        return None if self.is_stdout else find_replaced(self.path)

    def write(self, chunks: Iterable[bytes], like: Path | None = None) -> None:
        """Write the output, and nothing besides.

        Args:
            chunks: the output.
            like: the file that a new one gets its permissions from; None for the user's umask.

        Raises:
            StorageError: the system refused.
            BrokenPipeError: nobody reads the pipe any more.
        """
        if self.is_stdout:
            for chunk in chunks:
                with terminal.guard_stdout():
                    sys.stdout.buffer.write(chunk)
            return
        try:
            write_output(self.path, chunks, like)
        except StorageError as problem:
            if isinstance(problem.__cause__, BrokenPipeError):
                raise problem.__cause__ from None
            raise
