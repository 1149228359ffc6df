"""Signals get through wherever they come: inside imports, finalizers, and one another."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

from charrnn.cli import entry, signals

SIGNALLED = "import os, signal\nos.kill(os.getpid(), signal.{name})\n"
INSTALLED = "from charrnn.cli import signals\nsignals.install()\n"


def run(code: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    path = [str(Path(__file__).parents[2]), str(folder)]
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {path}\n{INSTALLED}{code}"],
        capture_output=True,
        check=False,
        timeout=60,
    )


each_signal = pytest.mark.parametrize("number", signals.SIGNALS)


@each_signal
def test_a_module_that_catches_everything_does_not_catch_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    body = SIGNALLED.format(name=number.name).replace("\n", "\n    ")
    (tmp_path / "greedy.py").write_text(f"try:\n    {body}\nexcept BaseException:\n    pass\n")
    result = run("import greedy\n", tmp_path)
    assert (result.returncode, result.stderr) == (128 + number, b"")


def test_a_signal_within_an_import_leaves_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.py").write_text(SIGNALLED.format(name="SIGINT"))
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    result = run(
        "from charrnn.folders import TemporaryFolder, remove_temporary_folders\n"
        "signals.clear_by(remove_temporary_folders)\n"
        "with TemporaryFolder() as copies:\n"
        "    (copies.path / 'text').touch()\n"
        "    import slow\n",
        tmp_path,
    )
    assert (result.returncode, result.stderr) == (128 + signal.SIGINT, b"")
    assert not list(folder.iterdir())


@each_signal
def test_a_signal_in_a_finalizer_is_not_lost(tmp_path: Path, number: signal.Signals) -> None:
    body = SIGNALLED.format(name=number.name).replace("\n", "\n        ")
    result = run(f"class Last:\n    def __del__(self):\n        {body}\nLast()\n", tmp_path)
    assert (result.returncode, result.stderr) == (128 + number, b"")


@each_signal
def test_a_signal_that_the_parent_ignores_stays_ignored(
    number: signal.Signals, leaving: None
) -> None:
    signal.signal(number, signal.SIG_IGN)
    signals.install()
    assert signal.getsignal(number) is signal.SIG_IGN
    with signals.noted() as noted, signals.deferrable() as stop:
        stop.defer()
        signal.raise_signal(number)
        assert not stop
        assert not noted


HELD = """
import ctypes, os
with signals.deferrable() as stop:
    stop.defer()
    mutex, library = ctypes.create_string_buffer(64), ctypes.CDLL(None)
    library.pthread_mutex_lock(mutex)
    os.write(1, b"held")
    library.pthread_mutex_lock(mutex)
"""
"""A library that does not return, and in whose function Python runs no handler."""


@pytest.mark.parametrize("second", signals.SIGNALS)
def test_a_second_signal_ends_the_program_within_a_function_of_a_library(
    second: signal.Signals,
) -> None:
    code = f"import sys\nsys.path.insert(0, {str(Path(__file__).parents[2])!r})\n{INSTALLED}{HELD}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"held"
        process.send_signal(signal.SIGINT if second != signal.SIGINT else signal.SIGTERM)
        process.send_signal(second)
        try:
            assert process.wait(60) - 128 in (signal.SIGINT, signal.SIGTERM, second)
        finally:
            process.kill()


TRACED = {signals.__file__, entry.__file__, contextlib.__file__, __file__}
"""The files in which a second signal comes, at every instruction."""


class Left(BaseException):
    """The program has left by os._exit."""


Come = Callable[[], None]
"""Sends the first signal, and fails if two have come and the program goes on all the same."""


def defer(come: Come) -> None:
    """Do as training does."""
    with signals.deferrable() as stop:
        stop.defer()
        come()
    stop.deliver()


def note(come: Come) -> None:
    """Do as a continuation of text does."""
    with signals.noted():
        come()


def be_raised(come: Come) -> None:
    """Do as all other commands do."""
    come()


def converse(turn: Callable[[Come], None], come: Come) -> None:
    """Do as a conversation does, in which Ctrl-C ends a turn and not the program."""
    with signals.noted() as stop:
        try:
            for send in (come, None):
                try:
                    with stop.raising():
                        if send:
                            turn(send)
                except signals.Interrupted as signalled:
                    if not signalled.by_keyboard:
                        raise
        except signals.Interrupted as signalled:
            if signalled.by_keyboard:
                raise AssertionError("Ctrl-C has ended the conversation") from None
            raise


SCENARIOS: dict[str, Callable[[Come], None]] = {
    "deferred": defer,
    "noted": note,
    "raised": be_raised,
    "noted in a conversation": partial(converse, note),
    "raised in a conversation": partial(converse, be_raised),
}


@pytest.fixture
def leaving(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have os._exit raise Left, and give all handlers back afterwards."""

    def leave(code: int) -> None:
        raise Left(code)

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    # Its thread would leave as well.
    monkeypatch.setattr(signals, "_ending_at_second", contextlib.nullcontext)
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def end_with(
    scenario: Callable[[Come], None], first: int | None, second: int, at: int
) -> tuple[int, bytes, bool]:
    """Run the program on a scenario, and send a second signal at one of its instructions.

    Instructions are counted from the first signal on; if there is none, from the beginning. They
    are told apart by the state of the signals in which they run.

    Returns:
        The exit code, the signals that came, and whether there is such an instruction.
    """
    seen = set()
    counting = first is None

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in TRACED:
            return None
        frame.f_trace_opcodes = True
        record = signals._record
        state = (tuple(record.ends), record.interrupts, id(record.mode))
        place = (frame.f_code, event, frame.f_lasti, state)
        if counting and event in ("call", "opcode") and place not in seen:
            seen.add(place)
            if len(seen) == at:
                signal.raise_signal(second)
        return trace

    def come() -> None:
        nonlocal counting
        if first is not None:
            counting = True
            signal.raise_signal(first)
            both = len(seen) >= at and signal.SIGINT not in (first, second)
            assert not both, "two signals have come, and the program goes on"

    def run() -> int:
        caller = sys._getframe().f_back
        assert caller is not None
        assert caller.f_code.co_filename == entry.__file__
        caller.f_trace = trace
        caller.f_trace_opcodes = True
        sys.settrace(trace)
        scenario(come)
        return 0

    program = ModuleType("charrnn.cli.main")
    program.run = run  # type: ignore[attr-defined]
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    os.write(sink, bytes(1))  # So that there is something to read.
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, program.__name__, program)
        before = signal.set_wakeup_fd(sink)
        try:
            entry.main()
        except (SystemExit, Left) as left:
            sys.settrace(None)
            return left.args[0], os.read(source, 99)[1:], len(seen) >= at
        finally:
            sys.settrace(None)
            signal.set_wakeup_fd(before)
            os.close(source)
            os.close(sink)
    raise AssertionError("the program has not come to an end")


PAIRS = [
    *itertools.product((None, signal.SIGINT, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)),
    (signal.SIGTERM, signal.SIGHUP),
]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.usefixtures("leaving")
def test_no_signal_is_lost_whatever_instruction_the_last_one_comes_in(
    scenario: str,
) -> None:
    talking = "conversation" in scenario
    # The first signal of a pair without Ctrl-C ends a conversation as it ends other commands.
    for first, second in (pair for pair in PAIRS if not talking or signal.SIGINT in pair):
        for at in itertools.count(1):
            code, came, reached = end_with(SCENARIOS[scenario], first, second, at)
            if not reached:
                assert at > 30, "too few instructions were seen"
                break
            survived = talking and set(came) == {signal.SIGINT} and code == 0
            assert code in {128 + one for one in came} or survived, (first, second, at)
