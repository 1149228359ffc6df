"""Progress on stderr: a bar on a terminal, occasional plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from charrnn.cli import terminal
from charrnn.cli.messages import option_name
from charrnn.display import visible
from charrnn.training.progress import (
    Drawn,
    Evaluated,
    Evaluating,
    Note,
    Ready,
    RolledBack,
    RunEvent,
    SettingsChosen,
    Started,
    Step,
)

_SECONDS_BETWEEN_LINES = 5.0

tqdm.monitor_interval = 0  # No thread of its own: every step updates the bar.
# The most important part comes first: a narrow terminal cuts off the end.
_BAR = "{percentage:3.0f}% {desc} left{postfix}, {n_fmt}/{total_fmt} steps |{bar}|"


def open_bar(description: str, total: int | None, unit: str) -> tqdm[Any]:
    """Open a progress bar on stderr; it shows on a terminal only and is erased when closed."""
    return tqdm(
        desc=description,
        total=total,
        unit=unit,
        unit_scale=True,
        leave=False,
        dynamic_ncols=True,
        file=sys.stderr,
        disable=None,
    )


class PassBars:
    """Shows a bar for each pass over a text, or for each of several works, one after another.

    Args:
        unit: the thing that is counted.
    """

    def __init__(self, unit: str = "char") -> None:
        self._title, self._unit = "", unit
        self._bar: tqdm[Any] | None = None

    @terminal.ignore_stderr_errors()
    def show(self, title: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` characters, or other units, of a pass are done."""
        if self._bar is None or title != self._title:
            self.close()
            self._title, self._bar = title, open_bar(title, total, self._unit)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    @terminal.ignore_stderr_errors()
    def close(self) -> None:
        """Erase the bar."""
        if self._bar is not None:
            self._bar.close()


class TrainingView:
    """Shows the progress of training: loss, held-out loss, characters per second, time left.

    Args:
        show_samples: show the text that is drawn at each evaluation.
        on_ready: called just before the run writes its first file.
    """

    def __init__(self, *, show_samples: bool, on_ready: Callable[[], None]) -> None:
        self._show_samples, self._on_ready = show_samples, on_ready
        self._bar: tqdm[Any] | None = None
        self._first: tuple[float, int] | None = None
        self._line_at = time.monotonic()
        self._held_out = ""
        self._mark = ""

    def __enter__(self) -> TrainingView:
        return self

    @terminal.ignore_stderr_errors()
    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Erase the bar, so that further output begins on a line of its own."""
        if self._bar is not None:
            self._bar.close()

    @terminal.ignore_stderr_errors()
    def show(self, event: RunEvent) -> None:
        """Show an event of the run."""
        match event:
            case Ready():
                self._on_ready()
            case Note():
                terminal.note(event.text)
            case SettingsChosen():
                terminal.note(f"chosen settings: {describe_choice(event)}")
            case Started():
                terminal.note(describe_start(event))
                self._mark = " (not new to the base model)" if event.held_out_learnt else ""
                self._open_bar(event)
            case Step():
                self._show_step(event)
            case Evaluating():
                if self._bar is not None and not self._bar.disable:
                    self._bar.set_postfix_str(f"evaluating {event.done / event.total:.0%}")
            case Evaluated():
                self._show_evaluation(event)
            case Drawn() if self._show_samples:
                self._print_above(f"--- drawn after {event.step:,} steps:\n{event.text}\n")
            case RolledBack():
                time_word = ("first", "second", "third")[event.halvings - 1]
                self._print_above(
                    f"{event.reason}\nBack to step {event.step:,}, the learning rate halved for "
                    f"the {time_word} time."
                )

    def _open_bar(self, event: Started) -> None:
        self._bar = tqdm(
            desc=_format_time(event.seconds_left),
            total=event.total,
            initial=event.step,
            bar_format=_BAR,
            dynamic_ncols=True,
            file=sys.stderr,
            disable=None,
        )

    def _show_step(self, event: Step) -> None:
        if self._first is None:
            self._first = (event.seconds, event.characters)
        seconds = event.seconds - self._first[0]
        speed = (event.characters - self._first[1]) / seconds if seconds else 0.0
        state = f"loss {event.nats_per_char:.3f}{self._held_out}, {speed:,.0f} chars/s"
        if self._bar is not None and not self._bar.disable:
            self._bar.total = event.expected_total
            self._bar.set_description_str(_format_time(event.seconds_left), refresh=False)
            self._bar.set_postfix_str(state, refresh=False)
            self._bar.update(event.step - self._bar.n)
        elif time.monotonic() - self._line_at >= _SECONDS_BETWEEN_LINES:
            self._line_at = time.monotonic()
            total = f"/{event.total:,}" if event.total else ""
            left = f"{event.seconds_left:,.0f} s left"
            terminal.note(f"step {event.step:,}{total}, epoch {event.epoch:.2f}, {state}, {left}")

    def _show_evaluation(self, event: Evaluated) -> None:
        if event.valid_nats_per_char is not None:
            self._held_out = f", held out {event.valid_nats_per_char:.3f}{self._mark}"
        if self._bar is None or self._bar.disable:
            best = " (best so far)" if event.improved else ""
            train = event.train_nats_per_char
            loss = "before training" if train is None else f"loss {train:.3f}"
            terminal.note(
                f"step {event.step:,}, epoch {event.epoch:.2f}, {loss}{self._held_out}{best}"
            )

    def _print_above(self, text: str) -> None:
        """Print text above the bar."""
        tqdm.write(visible(text), file=sys.stderr)


def _format_time(seconds: float) -> str:
    return "?" if math.isnan(seconds) else tqdm.format_interval(math.ceil(seconds))


def describe_choice(event: SettingsChosen) -> str:
    """List the chosen settings as options, and the figures that they follow from, on one line."""
    options = " ".join(f"{option_name(name)} {value:g}" for name, value in event.settings.items())
    return (
        f"{options} ({event.characters:,} training characters, about {event.epochs:.1f} epochs, "
        f"{event.operations_per_second / 1e9:,.0f} billion operations per second)"
    )


def describe_start(event: Started) -> str:
    """Describe the text, the network and the length of training on one line."""
    model, compute = event.model, event.compute
    length = f"{event.total:,} steps" if event.total else f"{event.minutes:g} minutes"
    return (
        f"{event.corpus}: {event.characters:,} characters, {event.alphabet:,} different; "
        f"{model.cell} {model.layers} x {model.hidden}, {event.parameters:,} parameters; {length} "
        f"on {compute.device} ({compute.precision}, {compute.threads} threads)"
    )
