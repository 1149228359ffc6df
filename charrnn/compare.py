"""What sets runs apart: the settings in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from charrnn.settings import option_name
from charrnn.summary import Summary

_DIGITS_OF_DIGEST = 12


def differing(runs: Sequence[Summary]) -> dict[str, list[Any]]:
    """The settings in which the runs are not all alike: their names, and each run's value.

    What their cells or lengths have no use for is None.
    """
    settings = [_settings(run) for run in runs]
    values = {name: [one[name] for one in settings] for name in settings[0]}
    return {name: each for name, each in values.items() if any(one != each[0] for one in each)}


def hold_out_the_same(runs: Sequence[Summary]) -> bool:
    """Whether the runs are scored on the same text, so that their losses compare.

    The same bytes are not, if they were read as another number of characters or of records.
    """
    return len({replace(run.corpus, name="-") for run in runs}) == 1


def _settings(run: Summary) -> dict[str, Any]:
    request = run.request
    options = {
        option_name(name): value
        for config in (request.model, request.train, request.compute)
        for name, value in config.to_dict().items()
    }
    return {
        "text": run.corpus.name,
        "SHA-256": run.corpus.digest[:_DIGITS_OF_DIGEST],
        "--encoding": request.source.encoding or "bytes",
        "--records": run.corpus.records,
        "--from": run.origin and run.origin.model,
        **options,
    }
