"""The program called within the test's own process, which costs no start."""

import io
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

from charrnn.cli.main import run


def called(
    *arguments: str | Path, cwd: Path, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Call the program in a folder and return its exit code and output, as of a process."""
    words = tuple(map(str, arguments))
    streams = [io.TextIOWrapper(io.BytesIO(data), encoding="utf-8") for data in (stdin, b"", b"")]
    before = Path.cwd()
    os.chdir(cwd)
    try:
        with (
            patch.multiple(sys, stdin=streams[0], stdout=streams[1], stderr=streams[2]),
            patch.object(sys, "argv", ["charrnn", *words]),
            patch.object(sys, "excepthook", sys.excepthook),
        ):
            code = run()
    finally:
        os.chdir(before)
    stdout, stderr = (_content(stream) for stream in streams[1:])
    return subprocess.CompletedProcess(words, code, stdout, stderr)


def _content(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()
