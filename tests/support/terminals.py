"""The real program at a real terminal, and a person who types and reads there."""

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.support.program import COMMAND

_PATIENCE = 60.0
_MOMENT = 2.0


class Terminal:
    """charrnn at a terminal of its own, which is its controlling one, as in a shell.

    Args:
        arguments: of the program.
        cwd: where it runs.
        environment: more variables; one that is empty is unset.
        stdout: where its output goes instead, if anywhere.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        stdout: int | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        variables = {
            **os.environ,
            "TERM": "xterm-256color",
            "NO_COLOR": "",
            "COLUMNS": "",
            "HOME": str(cwd),
            "XDG_STATE_HOME": "",
            **(environment or {}),
        }
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=cwd,
            env={name: value for name, value in variables.items() if value},
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
            start_new_session=True,
            # Ctrl-C comes from a controlling terminal only; a child has no threads yet.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.shown = ""
        self._read_to = 0

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    def type(self, keys: str) -> None:
        """Press keys; a line ends with \\r, Ctrl-C is \\x03, Ctrl-D \\x04."""
        os.write(self._ours, keys.encode())

    def interrupt_until(self, text: str) -> None:
        """Press Ctrl-C until a text is shown.

        One that comes in the moment before Python waits for keys is seen with the next key only.
        """
        for _ in range(int(_PATIENCE / _MOMENT)):
            self.type("\x03")
            with suppress(AssertionError):
                self.wait_for(text, _MOMENT)
                return
        raise AssertionError(f"{text!r} is not among {self.shown[self._read_to :][-2000:]!r}")

    def wait_for(self, text: str, patience: float = _PATIENCE) -> str:
        """Read on until a text is shown; what has been shown since the last one, it included."""
        ends = time.monotonic() + patience
        while (found := self.shown.find(text, self._read_to)) < 0:
            if time.monotonic() > ends or not self._read(ends):
                raise AssertionError(
                    f"{text!r} is not among {self.shown[self._read_to :][-2000:]!r}"
                )
        seen = self.shown[self._read_to : found + len(text)]
        self._read_to = found + len(text)
        return seen

    def terminate(self, times: int = 1) -> int:
        """Send SIGTERM, again if the program has not ended after a while; the exit code."""
        for _ in range(times):
            self.process.send_signal(signal.SIGTERM)
            self._drain(_PATIENCE / times)
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout=_PATIENCE / times)
        raise AssertionError(f"SIGTERM has not ended the program; it shows {self.shown[-2000:]!r}")

    def leave(self) -> int:
        """Read to the end; the exit code."""
        self._drain(_PATIENCE)
        return self.process.wait(timeout=_PATIENCE)

    def _drain(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and self._read(ends):
            pass

    def _read(self, ends: float) -> bool:
        left = max(ends - time.monotonic(), 0)
        if not select.select([self._ours], [], [], left)[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        self.shown += self._decoder.decode(data)
        return bool(data)
