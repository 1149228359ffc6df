"""Handling of Ctrl-C, SIGTERM and SIGHUP: immediate, or deferred to a moment at which all is saved.

Python runs the handler of a signal between any two instructions, those of another handler included.
So each step here is sound on its own: one handler serves the whole program, a change of its
reaction is a single assignment, and a signal is recorded before it is counted.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NamedTuple

SIGNALS = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that ask the program to end; Windows has no SIGHUP."""

_IMPORT_SYSTEM = "<frozen importlib"

Reaction = Callable[[int, FrameType | None], None]
"""Reacts to a signal that has been recorded: its number, and the frame that it interrupts."""


class Interrupted(BaseException):
    """A signal asked the program to end; the exit code is 128 + the number of the signal.

    KeyboardInterrupt will not do, because Typer handles that itself.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.by_keyboard = number == signal.SIGINT


def _exit(number: int, frame: FrameType | None = None) -> None:
    os._exit(128 + number)


def _wait(number: int, frame: FrameType | None) -> None:
    """Do nothing: the program asks for recorded signals when it is ready to end."""


class _Mode(NamedTuple):
    """The present treatment of signals.

    Attributes:
        react: called for each signal once it is recorded.
        keyboard_repeats: True if Ctrl-C may come any number of times.
    """

    react: Reaction
    keyboard_repeats: bool = False


@dataclass
class _Record:
    """The signals that have arrived, and the present treatment of others.

    Attributes:
        ends: the signals of which the second one ends the program immediately.
        interrupts: True if Ctrl-C has arrived where it may be repeated.
        mode: replaced in one piece.
        clear: called before the program ends within an import.
    """

    ends: list[int]
    interrupts: bool
    mode: _Mode
    clear: Callable[[], None] = lambda: None


_record = _Record([], False, _Mode(_exit))


def _handle(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and _record.mode.keyboard_repeats:
        _record.interrupts = True
    else:
        # Recorded first and counted then: of two handlers, one inside the other, the one that is
        # later to record counts both.
        _record.ends.append(number)
        if len(_record.ends) > 1:
            _exit(number)
    _record.mode.react(number, frame)


class Stop:
    """The request to end that recorded signals make; true if there is one."""

    def __bool__(self) -> bool:
        return bool(_record.ends) or _record.interrupts

    def defer(self) -> None:
        """Only record signals from now on; :meth:`deliver` them outside the block."""
        _record.mode = _Mode(_wait)

    def deliver(self) -> None:
        """React to the recorded signals as if they arrived now."""
        if self:
            _record.mode.react(_gravest(_record.ends), None)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Raise Interrupted for signals in this block, and at its beginning for recorded ones."""
        before = _record.mode
        with _treating(before._replace(react=_raise_once(before))):
            self.deliver()
            yield


def install() -> None:
    """Make signals raise Interrupted, or end the program where an exception would be lost.

    A signal that the parent process has this one ignore stays ignored, as nohup and the background
    jobs of a script need.
    """
    _record.ends, _record.interrupts = [], False
    _record.mode = _Mode(_raise_once(_Mode(_exit)))
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    sys.unraisablehook = _leave_if_unraisable


def clear_by(clear: Callable[[], None]) -> None:
    """Set what removes the files that the program leaves where a signal ends it within an import.

    Nothing else can: no exception goes through an import, and so none through what surrounds it.
    """
    _record.clear = clear


def uninstall() -> None:
    """Make signals end the program silently, because nothing is left to be done."""
    _record.mode = _Mode(_exit)


@contextmanager
def deferrable() -> Iterator[Stop]:
    """Yield a Stop that only records signals once :meth:`Stop.defer` has been called.

    A second signal ends the program immediately.
    """
    with _treating(_record.mode), _ending_at_second():
        yield Stop()


@contextmanager
def noted() -> Iterator[Stop]:
    """Yield a Stop that records signals, and deliver them at the end of the block.

    Ctrl-C may come any number of times; of the others a second one ends the program immediately.
    """
    stop = Stop()
    try:
        with _treating(_Mode(_wait, keyboard_repeats=True)):
            yield stop
    finally:
        stop.deliver()


@contextmanager
def _treating(mode: _Mode) -> Iterator[None]:
    """Treat signals in this way until the end of the block."""
    before, _record.mode = _record.mode, mode
    try:
        yield
    finally:
        _record.mode = before


def _raise_once(afterwards: _Mode) -> Reaction:
    """Make a reaction that raises Interrupted once; the other mode holds while it propagates."""

    def leave(number: int, frame: FrameType | None) -> None:
        numbers = [*_record.ends, number]
        while frame is not None:
            # A module that is being imported may catch the exception or turn it into another one;
            # and during imports there is nothing to save.
            if frame.f_code.co_filename.startswith(_IMPORT_SYSTEM):
                _record.clear()
                _exit(number)
            # The exception ends other handlers, which may not have recorded their signals.
            if frame.f_code is _handle.__code__:
                numbers.append(frame.f_locals["number"])
            frame = frame.f_back
        _record.interrupts = False
        _record.mode = afterwards
        raise Interrupted(_gravest(numbers))

    return leave


def _gravest(numbers: Iterable[int]) -> int:
    """Return the first signal that is not Ctrl-C, which a conversation survives."""
    for number in numbers:
        if number != signal.SIGINT:
            return number
    return signal.SIGINT


def _leave_if_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """End the program if a signal arrived where no exception can propagate, as in a finalizer."""
    if isinstance(unraisable.exc_value, Interrupted):
        os._exit(unraisable.exc_value.exit_code)
    sys.__unraisablehook__(unraisable)


@contextmanager
def _ending_at_second() -> Iterator[None]:
    """End the program at the second signal even during one long call of a library.

    Python runs no handler then, but at once it writes the signal's number to a file that a thread
    can read.
    """
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    try:
        # Not threading.Thread, which waits without end for a thread that lacks memory to begin.
        _thread.start_new_thread(_exit_at_second, (source,))
    except RuntimeError:  # No thread can be started; the handler remains.
        os.close(source)
        os.close(sink)
        yield
        return
    before = signal.set_wakeup_fd(sink, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(sink)


def _exit_at_second(source: int) -> None:
    """Read numbers of signals until the file is closed, and end the program at the second one."""
    arrived = 0
    while number := os.read(source, 1):
        arrived += number[0] in SIGNALS
        if arrived > 1:
            _exit(number[0])
    os.close(source)
