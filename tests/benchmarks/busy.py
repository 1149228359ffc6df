"""Training on a machine that has other work: ``python -m tests.benchmarks.busy [NETWORK]...``.

Each network trains as ``charrnn train`` trains it, with the threads that it takes by itself and
with one, in every state of the machine: quiet, beside processes that each keep a core busy, two
runs at once, and with one processor. Each run has a process of its own for each state, so that what
it has learned of the machine is of that state alone. All of a network's runs take turns.

The bars are of the speed over that of one thread and, for two runs at once, over half of the quiet
speed.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from statistics import median
from typing import Any

import torch

from charrnn.kernels.library import load_kernels
from charrnn.training.auto_config import complete_settings
from charrnn.training.preparation import prepare_run
from charrnn.training.progress import Step
from charrnn.training.session import begin_session, build_request
from tests.benchmarks.measure import describe_machine, interleave, say
from tests.benchmarks.speed import products

ROUNDS = 5
_COUNTED_SECONDS = 0.8
_STEPS = 10**6  # More than are taken.
_SPINS = 100_000

TALES = ("tales",)
NAMES = (str(Path(__file__).parents[1] / "support/texts/names.txt"), "line")


def _size(layers: int, hidden: int, cell: str = "lstm") -> dict[str, Any]:
    return {"cell": cell, "layers": layers, "hidden": hidden}


NETWORKS: dict[str, tuple[Sequence[str], dict[str, Any]]] = {
    "1 x 64": (TALES, _size(1, 64)),
    "2 x 128": (TALES, _size(2, 128)),
    "1 x 448": (TALES, _size(1, 448)),
    "2 x 256": (TALES, _size(2, 256)),
    "gru 2 x 128": (TALES, _size(2, 128, "gru")),
    "names 1 x 128": (NAMES, _size(1, 128)),
    "rnn 2 x 128": (TALES, _size(2, 128, "rnn")),
    "stack 1 x 64": (TALES, _size(1, 64, "stack")),
}
"""By name: the text, with the separator of its records, and the settings that are given."""


@dataclass(frozen=True)
class State:
    """A state of the machine.

    Attributes:
        busy: processes beside the run that each keep a core busy.
        runs: runs at once.
        limited: True if the run may use one processor.
        bar: the least that the speed may be of the one that it is compared with.
    """

    busy: int = 0
    runs: int = 1
    limited: bool = False
    bar: float = 0.95


STATES = {
    "quiet": State(bar=1.0),
    "beside 1 busy": State(busy=1),
    "two at once": State(runs=2),
    "beside 2 busy": State(busy=2),
    "beside 3 busy": State(busy=3),
    "beside 4 busy": State(busy=4),
    "one CPU": State(limited=True),
}


@dataclass(frozen=True)
class Side:
    """A way to train.

    Attributes:
        threads: as ``charrnn train`` takes them; None is its own choice.
        first_seconds: seconds of training before the first round.
        settling_seconds: seconds of training in each round before those that count.
    """

    threads: int | None
    first_seconds: float
    settling_seconds: float


SIDES = {"default": Side(None, 2.0, 0.25), "one": Side(1, 0.2, 0.1)}


@contextmanager
def limit_processor() -> Iterator[tuple[Path | None, str]]:
    """Make a control group that may use one processor; or None, and the reason."""
    name = f"charrnn-busy-{os.getpid()}"
    version_1, version_2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    mounted = version_1 if (version_1 / "cpu.cfs_quota_us").exists() else version_2
    quota = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"}
    if mounted is version_2:
        quota = {"cpu.max": "100000 100000"}
    group = mounted / name
    try:
        group.mkdir()
    except OSError as problem:
        yield None, f"no control group can be made in {mounted}: {problem.strerror}"
        return
    try:
        reason = ""
        for file, value in quota.items():
            try:
                (group / file).write_text(value)
            except OSError as problem:
                reason = f"{group / file} cannot be written: {problem.strerror}"
        yield None if reason else group, reason
    finally:
        # Processes leave their group shortly after their end.
        for _ in range(100):
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.02)


def train(
    end: Connection,
    text: Sequence[str],
    settings: Mapping[str, Any],
    threads: int | None,
    group: Path | None,
    *,
    pinned: bool,
) -> None:
    """Train as often as seconds come, and send back the characters per second of the last of them.

    Args:
        end: receives the seconds of training before the ones that count, and those.
        text: a text, and the separator of its records if it has some.
        settings: settings of the network.
        threads: as ``charrnn train`` takes them; None is its own choice.
        group: the control group to run in, from before the threads are chosen.
        pinned: True to move all threads to one core after they are chosen.
    """
    if group:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    complete = complete_settings({**settings, "threads": threads, "steps": _STEPS}, None)
    source, *records = text
    # Nothing is written there.
    run = Path(f"busy-{os.getpid()}")
    with prepare_run([source], run, complete, records=records[0] if records else None) as new:
        request, _ = build_request(new.settings, new.source, new.split, generated=False)
        events = begin_session(request, new.split, new.name).trainer.fit()
    if pinned:
        core = min(os.sched_getaffinity(0))
        for task in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})
    with suppress(EOFError):
        end.send(None)
        while True:
            settling, counted = end.recv()
            _train_for(events, settling)
            started = time.perf_counter()
            characters = _train_for(events, counted)
            end.send(characters / (time.perf_counter() - started))


def _train_for(events: Iterator[Any], seconds: float) -> int:
    """Take at least one training step, and return the characters."""
    over = time.perf_counter() + seconds
    steps: list[Step] = []
    while not steps or time.perf_counter() < over:
        event = next(events)
        if isinstance(event, Step):
            steps.append(event)
    # The first event counts all characters before it too.
    return round(steps[-1].characters * len(steps) / steps[-1].step)


def burn(end: Connection) -> None:
    """Keep a core busy from one word to the next."""
    with suppress(EOFError):
        while True:
            end.recv()
            while not end.poll():
                for _ in range(_SPINS):
                    pass
            end.recv()


@dataclass(frozen=True)
class Figures:
    """A figure of every round."""

    rounds: tuple[float, ...]

    def show(self, form: str) -> str:
        """Show the median and the spread."""
        middle, least, most = (
            format(function(self.rounds), form) for function in (median, min, max)
        )
        return f"{middle} ({least} to {most})"


class Bench:
    """The processes of one network, which take turns.

    Args:
        stack: ends the processes.
        context: starts them.
        network: one of NETWORKS.
        group: a control group that may use one processor; None pins to a core.
        burners: the processes that keep cores busy.
    """

    def __init__(
        self,
        stack: ExitStack,
        context: ForkServerContext,
        network: str,
        group: Path | None,
        burners: Sequence[Connection],
    ) -> None:
        text, settings = NETWORKS[network]
        self.burners = burners
        self.ends = {
            (name, side): [
                start(
                    stack,
                    context,
                    partial(
                        train,
                        text=text,
                        settings=settings,
                        threads=way.threads,
                        group=group if state.limited else None,
                        pinned=state.limited and group is None,
                    ),
                )
                for _ in range(state.runs)
            ]
            for name, state in STATES.items()
            for side, way in SIDES.items()
        }
        for ends in self.ends.values():
            for end in ends:
                end.recv()

    def measure(self) -> tuple[dict[tuple[str, str], Figures], Figures]:
        """Measure the characters per second of each state and side, a run's mean of several.

        Besides, the processors that other programs keep busy, beside one thread on a quiet machine.
        """
        rates: dict[tuple[str, str], list[float]] = {key: [] for key in self.ends}
        others = []
        for counted in range(ROUNDS + 1):
            for key, ends in self.ends.items():
                way = SIDES[key[1]]
                seconds = (
                    (way.settling_seconds, _COUNTED_SECONDS) if counted else (way.first_seconds, 0)
                )
                busy = self.burners[: STATES[key[0]].busy]
                for other in busy:
                    other.send(None)
                started, before = time.perf_counter(), read_busy_seconds()
                for end in ends:
                    end.send(seconds)
                rate = sum([end.recv() for end in ends]) / len(ends)
                used = (read_busy_seconds() - before) / (time.perf_counter() - started)
                for other in busy:
                    other.send(None)
                if counted:
                    rates[key].append(rate)
                if counted and key == ("quiet", "one"):
                    others.append(max(used - 1, 0))
        return {key: Figures(tuple(found)) for key, found in rates.items()}, Figures(tuple(others))


def read_busy_seconds() -> float:
    """Read the seconds that all processors have worked; NaN where the system does not tell."""
    file = Path("/proc/stat")
    if not file.exists():
        return math.nan
    user, nice, system, _, _, *interrupts = map(int, file.read_text().split()[1:9])
    return sum((user, nice, system, *interrupts)) / os.sysconf("SC_CLK_TCK")


def start(stack: ExitStack, context: ForkServerContext, target: Any) -> Connection:
    """Start a process that takes a connection, and return its other end."""
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there,), daemon=True)
    process.start()
    there.close()
    stack.callback(process.join)
    stack.callback(process.kill)
    return here


def compare(found: Mapping[tuple[str, str], Figures], name: str) -> Figures:
    """Compare the speed of a state with what its bar is of, round by round."""
    ours, other, share = found[name, "default"], found[name, "one"], 1.0
    if STATES[name].runs > 1:
        other, share = found["quiet", "default"], 1 / STATES[name].runs
    pairs = zip(ours.rounds, other.rounds, strict=True)
    return Figures(tuple(mine / (theirs * share) for mine, theirs in pairs))


def main(networks: Sequence[str]) -> None:
    """Measure and print the table."""
    # As the entry point of the program sets it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    kinds = {"float32": torch.float32}
    if (kernels := load_kernels()) and kernels.multiplies_bfloat16:
        kinds["bfloat16"] = torch.bfloat16
    rates = interleave({name: partial(products, kind) for name, kind in kinds.items()}, ROUNDS)
    own = ", ".join(f"{rate.median / 1e9:,.0f} in {name}" for name, rate in rates.items())
    say(f"{describe_machine()}; matrix products, 10^9 operations per second: {own}\n")
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.benchmarks.speed", "charrnn.training.session"])
    table: dict[str, dict[str, str]] = {}
    with limit_processor() as (group, reason), ExitStack() as burning:
        if reason:
            say(f"one CPU: {reason}; both threads are pinned to one core after they are chosen\n")
        most = max(state.busy for state in STATES.values())
        burners = [start(burning, context, burn) for _ in range(most)]
        say(f"{'characters per second':<30}{'default':<32}{'one thread':<32}{'ratio':<22} bar")
        for network in networks:
            with ExitStack() as stack:
                found, others = Bench(stack, context, network, group, burners).measure()
            table[network] = {}
            for name, state in STATES.items():
                ratio = compare(found, name)
                verdict = "" if median(ratio.rounds) >= state.bar else "  missed"
                table[network][name] = f"{median(ratio.rounds):.2f}{'*' * bool(verdict)}"
                default, one = (found[name, side].show(",.0f") for side in SIDES)
                say(
                    f"{network:<15}{name:<15}{default:<32}{one:<32}{ratio.show('.2f'):<22}"
                    f" {state.bar:.2f}{verdict}"
                )
            say(f"{network:<15}processors that other programs use: {others.show('.1f')}\n")
    say(f"{'ratios (* below the bar)':<26}" + "".join(f"{name:<15}" for name in STATES))
    for network, ratios in table.items():
        say(f"{network:<26}" + "".join(f"{ratio:<15}" for ratio in ratios.values()))


if __name__ == "__main__":
    main(sys.argv[1:] or list(NETWORKS))
