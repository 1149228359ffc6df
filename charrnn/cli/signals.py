"""Ctrl-C and SIGTERM: at once where nothing can be lost, at the next safe moment where it can."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_IMPORT_SYSTEM = "<frozen importlib"


class Interrupted(BaseException):
    """A signal asked the program to end; it exits with 128 + the signal's number.

    No KeyboardInterrupt, since Typer makes of that what it likes.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.saved = False
        self.by_keyboard = number == signal.SIGINT


class Stop:
    """Remembers the signal that asked for an end; a second one leaves the program at once."""

    def __init__(self) -> None:
        self._number: int | None = None

    def request(self, number: int) -> None:
        """Take note of a signal."""
        if self._number is not None:
            os._exit(128 + number)
        self.note(number)

    def note(self, number: int) -> None:
        """Take note of a signal that may come again."""
        self._number = number

    def defer(self) -> None:
        """From now on only remember signals, for the program to end at a moment of its choice."""
        for number in SIGNALS:
            signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.request(number)

    def check(self) -> None:
        """Raise Interrupted if a signal has come: to be called when all is saved."""
        if self._number is not None:
            raise Interrupted(self._number)

    def __bool__(self) -> bool:
        return self._number is not None


def install() -> None:
    """Make both signals raise Interrupted, or leave at once where that would not get through."""
    for number in SIGNALS:
        signal.signal(number, _leave)
    sys.unraisablehook = _leave_after_all


def uninstall() -> None:
    """Let both signals end the program as they do by themselves: without a word."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def deferrable() -> Iterator[Stop]:
    """Within, signals are only remembered once :meth:`Stop.defer` has been called."""
    stop = Stop()
    with _restored():
        yield stop


@contextmanager
def noted() -> Iterator[Stop]:
    """Within, Ctrl-C is only remembered, however often; so is SIGTERM, once."""
    stop = Stop()

    def remember(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            stop.note(number)
        else:
            stop.request(number)

    with _restored():
        for number in SIGNALS:
            signal.signal(number, remember)
        yield stop


@contextmanager
def _restored() -> Iterator[None]:
    """Put the handlers of both signals back at the end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    # A module that is being imported may catch what is raised within it, or make another error of
    # it; and while modules are imported there is nothing to save or to clear away.
    if _is_importing(frame):
        os._exit(128 + number)
    raise Interrupted(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORT_SYSTEM):
            return True
        frame = frame.f_back
    return False


def _leave_after_all(unraisable: sys.UnraisableHookArgs) -> None:
    """Leave if a signal came where nothing can be raised, as in a finaliser."""
    if isinstance(unraisable.exc_value, Interrupted):
        os._exit(unraisable.exc_value.exit_code)
    sys.__unraisablehook__(unraisable)
