"""charrnn inspect neurons: find units that follow a feature, and color a text by them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import heatmap, terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.options import (
    Debug,
    Encoding,
    Json,
    StackRound,
    SubjectArgument,
    TrainingText,
    Unknown,
    option,
)
from charrnn.config.training import ComputeConfig
from charrnn.errors import CorpusError, UsageError

if TYPE_CHECKING:
    from charrnn.analysis.features import Follower


@explained(
    """Find units that follow a feature of a text, and color the text by their activation.

    charrnn inspect neurons
    charrnn inspect neurons code script.py --layer 1 --top 3
    charrnn inspect neurons novel letter.txt --unit 17 --length 1000

    The features are the position in a line, newlines, the indentation, the position in a word, the
    inside of words, capitals, and the inside of quotes or brackets.
    """
)
def neurons(
    arguments: SubjectArgument = None,
    layer: Annotated[
        int | None,
        typer.Option(
            metavar="L",
            help="Layer, 1 is the lowest. Left out: the highest.",
            min=1,
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Units to find for each feature. Left out: 1.",
            min=1,
            show_default=False,
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="K",
            help="Show only this unit: a number, or h or c and a number. Left out: those found.",
            show_default=False,
        ),
    ] = None,
    length: Annotated[
        int, typer.Option(metavar="N", help="Characters to show for each unit.", min=0)
    ] = 400,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    # A step is so little work that threads would wait for one another most of the time.
    threads: Annotated[int, option(ComputeConfig, "threads")] = 1,
    corpus: TrainingText = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn inspect neurons``."""
    from charrnn.analysis.activations import (
        compute_activations,
        count_layers,
        limit_characters,
        name_units,
    )
    from charrnn.analysis.features import LEAST_CHARACTERS, compute_features, find_followers
    from charrnn.cli.arguments import load_and_read

    model, read = load_and_read(
        arguments or [],
        encoding=encoding,
        unknown=unknown,
        stack_round=stack_round,
        threads=threads,
        corpus=corpus,
    )
    backend = model.backend("scoring")
    layer = _check_layer(layer, count_layers(backend))
    names = name_units(backend)
    wanted = None if unit is None else _find_unit(unit, names)
    if wanted is not None and (top is not None or not length):
        raise UsageError(
            "--unit shows one unit: --top, which finds others, and a --length of 0 leave nothing "
            "to do"
        )
    most = limit_characters(backend)
    text = read.text[: most if wanted is None else min(most, length)]
    if length > most and len(read.text) > most:
        terminal.note(f"the first {most:,} characters are read and shown, not {length:,}")
    if wanted is None and len(text) < LEAST_CHARACTERS:
        raise CorpusError(
            f"{read.name}: {len(text):,} characters are too few to tell a correlation from "
            f"chance; give {LEAST_CHARACTERS:,} or more, or name one unit to show: --unit"
        )
    symbols = model.alphabet.decode(text.ids)
    active = compute_activations(backend, text, layer)
    followers = []
    if wanted is None:
        followers = find_followers(active, compute_features(symbols), top or 1)
    shown = dict.fromkeys(f.unit for f in followers) if wanted is None else [wanted]
    if as_json:
        terminal.print_json(
            {
                "model": str(model.path),
                "source": read.name,
                "layer": layer,
                "characters": len(text),
                "followers": [_describe(follower, names) for follower in followers],
                "text": symbols[:length],
                "activations": {names[one]: active[:length, one].tolist() for one in shown},
            }
        )
        return
    terminal.print_facts(
        {
            "model": str(model.path),
            "text": read.name,
            "characters": f"{len(text):,}, from the beginning",
            "units": f"{len(names):,} of layer {layer}",
        }
    )
    if wanted is None:
        _print_followers(followers, names)
    is_bytes = model.alphabet.kind == "bytes"
    characters = [heatmap.display(one, is_bytes=is_bytes) for one in symbols[:length]]
    for one in shown:
        follows = ", ".join(follower.feature for follower in followers if follower.unit == one)
        terminal.say(f"\n{names[one]}{f': {follows}' if follows else ''}\n")
        heatmap.show(characters, active[: len(characters), one].tolist(), heatmap.ACTIVATIONS)


def _check_layer(layer: int | None, layers: int) -> int:
    if layer is not None and layer > layers:
        raise UsageError(f"--layer is {layer}; the model's layers are from 1 to {layers}")
    return layer or layers


def _find_unit(unit: str, names: Sequence[str]) -> int:
    """Find the index of a unit's name; a number alone means c if the layer has one, else h."""
    name = f"{names[-1][0]}{unit}" if re.fullmatch(r"\d+", unit) else unit
    if name not in names:
        raise UsageError(f"--unit is {unit!r:.40}; the layer's units are {names[0]} to {names[-1]}")
    return names.index(name)


def _describe(follower: Follower, names: Sequence[str]) -> dict[str, Any]:
    return {
        "unit": names[follower.unit],
        "follows": follower.feature,
        "correlation": follower.correlation,
        "chosen_by": follower.chosen_by,
    }


def _print_followers(followers: Sequence[Follower], names: Sequence[str]) -> None:
    if not followers:
        terminal.say("\nno unit follows any of the features")
        return
    terminal.print_table(
        ["unit", "follows", "correlation", "where it was chosen"],
        [
            [names[f.unit], f.feature, f"{f.correlation:+.2f}", f"{f.chosen_by:+.2f}"]
            for f in followers
        ],
        title="units chosen in the text's first half, and their correlation in the second",
        left=(0, 1),
    )
