"""Progress on stderr: a bar on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm

from charrnn.cli import terminal
from charrnn.display import visible
from charrnn.training.progress import Evaluating, Evaluation, RolledBack, Step

_SECONDS_BETWEEN_LINES = 5.0
# What tells most comes first: a narrow terminal cuts the rest off.
_BAR = "{percentage:3.0f}% {remaining} left{postfix}, {n_fmt}/{total_fmt} steps |{bar}|"


def bar(description: str, total: int | None, unit: str) -> tqdm[Any]:
    """A bar on stderr that is shown on a terminal only and leaves no trace."""
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


class TrainingView:
    """Shows a run as it goes: loss, held-out loss, characters per second and time left.

    Args:
        done: steps taken before, when a run is resumed.
        total: steps of the whole run, if known.
    """

    def __init__(self, done: int, total: int | None) -> None:
        self._bar: tqdm[Any] = tqdm(
            total=total,
            initial=done,
            bar_format=_BAR,
            dynamic_ncols=True,
            file=sys.stderr,
            disable=None,
        )
        self._started: tuple[float, int] | None = None
        self._line_at = time.monotonic()
        self._held_out = ""

    def __enter__(self) -> TrainingView:
        return self

    @terminal.unheard_is_fine()
    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    @terminal.unheard_is_fine()
    def step(self, event: Step) -> None:
        """Show a step."""
        if self._started is None:
            self._started = (event.seconds, event.characters)
        seconds = event.seconds - self._started[0]
        speed = (event.characters - self._started[1]) / seconds if seconds else 0.0
        state = f"loss {event.nats_per_char:.3f}{self._held_out}, {speed:,.0f} chars/s"
        if not self._bar.disable:
            self._bar.total = event.total
            self._bar.set_postfix_str(state, refresh=False)
            self._bar.update(event.step - self._bar.n)
        elif time.monotonic() - self._line_at >= _SECONDS_BETWEEN_LINES:
            self._line_at = time.monotonic()
            total = f"/{event.total:,}" if event.total else ""
            left = ""
            if event.total:
                remaining = (event.total - event.step) * event.seconds / event.step
                left = f", {remaining:,.0f} s left"
            terminal.note(f"step {event.step:,}{total}, epoch {event.epoch:.2f}, {state}{left}")

    @terminal.unheard_is_fine()
    def evaluating(self, event: Evaluating) -> None:
        """Show how far an evaluation is."""
        if not self._bar.disable:
            self._bar.set_postfix_str(f"evaluating {event.done / event.total:.0%}")

    @terminal.unheard_is_fine()
    def evaluated(self, event: Evaluation) -> None:
        """Show an evaluation's result."""
        if event.valid_nats_per_char is not None:
            self._held_out = f", held out {event.valid_nats_per_char:.3f}"
        if self._bar.disable:
            best = " (best so far)" if event.improved else ""
            train = event.train_nats_per_char
            loss = "before training" if train is None else f"loss {train:.3f}"
            terminal.note(
                f"step {event.step:,}, epoch {event.epoch:.2f}, {loss}{self._held_out}{best}"
            )

    def rolled_back(self, event: RolledBack) -> None:
        """Say that training diverged, and from where it goes on."""
        self.say(
            f"{event.reason}\nBack to step {event.step:,}, the learning rate halved for the "
            f"{('first', 'second', 'third')[event.halvings - 1]} time."
        )

    @terminal.unheard_is_fine()
    def say(self, text: str) -> None:
        """Print some text above the bar."""
        tqdm.write(visible(text), file=sys.stderr)
