"""Handling of Ctrl-C and SIGTERM: immediate, or deferred to a moment at which all is saved."""

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
    """A signal asked the program to end; the exit code is 128 + the number of the signal.

    KeyboardInterrupt will not do, because Typer handles that itself.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.saved = False
        self.by_keyboard = number == signal.SIGINT


class Stop:
    """Records a signal that asks the program to end; a second one ends it immediately."""

    def __init__(self) -> None:
        self._number: int | None = None

    def request(self, number: int) -> None:
        """Record a signal; end the program if there was one before."""
        if self._number is not None:
            os._exit(128 + number)
        self.record(number)

    def record(self, number: int) -> None:
        """Record a signal that may be repeated."""
        self._number = number

    def defer(self) -> None:
        """Only record signals from now on; the program ends when it calls :meth:`check`."""
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.request(number)

    def check(self) -> None:
        """Raise Interrupted if a signal has been recorded; called when all is saved."""
        if self._number is not None:
            raise Interrupted(self._number)

    def __bool__(self) -> bool:
        return self._number is not None


def install() -> None:
    """Make both signals raise Interrupted, or end the program where an exception would be lost."""
    for number in SIGNALS:
        signal.signal(number, _leave)
    sys.unraisablehook = _leave_if_unraisable


def uninstall() -> None:
    """Restore the default handlers, which end the program silently."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def deferrable() -> Iterator[Stop]:
    """Yield a Stop that only records signals once :meth:`Stop.defer` has been called."""
    stop = Stop()
    with _restored():
        yield stop


@contextmanager
def noted() -> Iterator[Stop]:
    """Yield a Stop that records signals: Ctrl-C any number of times, SIGTERM once."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            stop.record(number)
        else:
            stop.request(number)

    with _restored():
        for number in SIGNALS:
            signal.signal(number, handle)
        yield stop


@contextmanager
def _restored() -> Iterator[None]:
    """Restore the handlers of both signals at the end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    # A module that is being imported may catch the exception or turn it into another one; and
    # during imports there is nothing to save or to remove.
    if _is_importing(frame):
        os._exit(128 + number)
    raise Interrupted(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORT_SYSTEM):
            return True
        frame = frame.f_back
    return False


def _leave_if_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """End the program if a signal arrived where no exception can propagate, as in a finalizer."""
    if isinstance(unraisable.exc_value, Interrupted):
        os._exit(unraisable.exc_value.exit_code)
    sys.__unraisablehook__(unraisable)
