"""The plots of a report."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from charrnn.gradients import Reach
from charrnn.novelty import LONGEST_GRAM
from charrnn.report.contents import Copied
from charrnn.report.plots import Line, Plot, draw
from charrnn.schedule import Schedule
from charrnn.summary import Summary

_NATS = "nats per character"
_POINTS_OF_RATE = 200


def plot_training(run: Summary) -> list[Plot]:
    """Losses against characters and seconds, the learning rate, the speed."""
    if not run.measurements:
        return []
    characters = [run.characters_at(one.step) / 1e6 for one in run.measurements]
    seconds = [one.train_seconds for one in run.measurements]
    read = "million characters read"
    return [
        draw("loss-by-characters", "Loss by characters", _losses(run, characters), read, _NATS),
        draw(
            "loss-by-seconds", "Loss by time", _losses(run, seconds), "seconds of training", _NATS
        ),
        draw("rate", "Learning rate", [_rates(run)], read, "learning rate"),
        draw("speed", "Speed", [_speeds(run)], read, "thousand characters/s"),
    ]


def plot_reach(reaches: Sequence[Reach]) -> list[Plot]:
    """How far back the gradient reaches, by factors."""
    lines = [
        Line(f"layer {reach.layer} {reach.part}", range(len(reach.norms)), reach.norms)
        for reach in reaches
        if any(reach.norms)
    ]
    if not lines:
        return []
    label = "mean norm of the gradient"
    return [
        draw("reach", "Norm of the gradient", lines, "characters back", label, logarithmic=True)
    ]


def plot_copied(copied: Sequence[Copied]) -> list[Plot]:
    """The share of n-grams that stand in the training text."""
    lines = [
        Line(
            one.name,
            [n for n in range(1, LONGEST_GRAM + 1) if one.overlap.grams[n - 1]],
            [100 * share for share in one.overlap.shares if share is not None],
        )
        for one in copied
    ]
    label = "% that stand in the training text"
    return [draw("copied", "Share of n-grams", lines, "characters of an n-gram", label)]


def _losses(run: Summary, x: Sequence[float]) -> list[Line]:
    """The training loss and the held-out one, each where there is one."""
    losses = {
        "training": [one.train_nats_per_char for one in run.measurements],
        "held out": [one.valid_nats_per_char for one in run.measurements],
    }
    lines = []
    for name, values in losses.items():
        points = [(at, nats) for at, nats in zip(x, values, strict=True) if nats is not None]
        if points:
            lines.append(Line(name, *zip(*points, strict=True)))
    return lines


def _speeds(run: Summary) -> Line:
    """How fast each stretch between two evaluations was trained."""
    moments = [(0, 0.0), *((one.step, one.train_seconds) for one in run.measurements)]
    points = [
        (run.characters_at(step) / 1e6, run.characters_at(step - before) / (seconds - since) / 1e3)
        for (before, since), (step, seconds) in pairwise(moments)
        if seconds > since
    ]
    return Line("speed", [x for x, _ in points], [y for _, y in points])


def _rates(run: Summary) -> Line:
    """The learning rate of every step, or of enough of them to see its course."""
    train, taken = run.request.train, run.progress.step
    schedule = Schedule(train.learning_rate, train.warmup, run.progress.total)

    def rate(step: int) -> float:
        return schedule.learning_rate(step) / 2.0 ** sum(one <= step for one in run.rollbacks)

    steps = range(0, taken, max(taken // _POINTS_OF_RATE, 1))
    return Line(
        "learning rate",
        [run.characters_at(step) / 1e6 for step in steps],
        [rate(step) for step in steps],
    )
