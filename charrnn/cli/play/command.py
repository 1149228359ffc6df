"""charrnn play: write with a model in turns."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import signals, terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.messages import explain
from charrnn.cli.options import Debug, ModelArgument, StackRound, Unknown, option
from charrnn.cli.play.settings import COMMANDS, command_name
from charrnn.config.inference import SampleConfig, UseConfig
from charrnn.config.training import ComputeConfig
from charrnn.errors import CharrnnError, UnknownCharacterError

if TYPE_CHECKING:
    from charrnn.checkpoints.model_file import ModelFile
    from charrnn.cli.play.conversation import Conversation
    from charrnn.cli.play.input import Lines


@explained(
    """Write with a model in turns: type a beginning, let it go on, undo, retry.

    charrnn play
    charrnn play runs/tales --temp 0.7 --length 300
    echo "Once, when the river was low," | charrnn play > tale.txt

    Enter goes on from where the text ends; /help lists the commands, such as /retry, /undo and
    /temp 0.5. Ctrl-C stops the text and Ctrl-D leaves. From a pipe each line is taken the same way,
    and stdout is the text alone. A model of records ends each continuation with its record.
    """
)
def play(
    ctx: typer.Context,
    model: ModelArgument = None,
    temperature: Annotated[
        float, option(SampleConfig, "temperature", "--temperature")
    ] = SampleConfig.temperature,
    length: Annotated[
        int, typer.Option(help="Characters of each continuation.", min=0, max=10**12)
    ] = 200,
    top_k: Annotated[int, option(SampleConfig, "top_k")] = SampleConfig.top_k,
    top_p: Annotated[float, option(SampleConfig, "top_p")] = SampleConfig.top_p,
    min_p: Annotated[float, option(SampleConfig, "min_p")] = SampleConfig.min_p,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed: the same lines give the same text. Left out: another.", min=0),
    ] = None,
    keep: Annotated[
        str, typer.Option(metavar="FILE", help="File that /keep appends to.")
    ] = "kept.txt",
    unknown: Unknown = "error",
    stack_round: StackRound = None,
    device: Annotated[str, option(ComputeConfig, "device")] = "cpu",
    threads: Annotated[int | None, option(ComputeConfig, "threads")] = ComputeConfig.threads,
    weights: Annotated[str, option(UseConfig, "weights")] = UseConfig.weights,
    raw: Annotated[
        bool, typer.Option("--raw", help="Let a terminal obey control characters in the text.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn play``."""
    from secrets import randbits

    from charrnn.cli.play.settings import PlaySettings

    given = randbits(32) if seed is None else seed
    settings = PlaySettings.pick({**ctx.params, "seed": given})
    from charrnn import api
    from charrnn.cli.play.conversation import MOST_BYTES, Conversation, parse_output_name
    from charrnn.cli.play.input import PipedLines, TypedLines
    from charrnn.cli.play.output import Screen

    keep_path = parse_output_name(keep)
    loaded = api.load(
        model, device=device, threads=threads, weights=weights, stack_round=stack_round
    )
    typed = sys.stdin.isatty()
    text = loaded.play(given)
    conversation = Conversation(
        text,
        loaded.alphabet,
        settings,
        Screen(text, loaded.alphabet, typing=typed and sys.stdout.isatty(), raw=raw),
        keep=keep_path,
    )
    if typed:
        terminal.note(
            f"{loaded.path}: {_describe(loaded.file)}\nType a beginning; /help lists the commands."
        )
        with terminal.keeping_output(), signals.noted() as stop:
            _converse(TypedLines(stop), conversation, stop, typed=True)
    elif refused := _converse(PipedLines(MOST_BYTES), conversation, signals.Stop(), typed=False):
        raise typer.Exit(refused)


def _describe(model: ModelFile) -> str:
    shape = model.model
    return f"{shape.cell} {shape.layers} x {shape.hidden}, {len(model.alphabet)} characters"


def _converse(lines: Lines, conversation: Conversation, stop: signals.Stop, *, typed: bool) -> int:
    """Obey line after line; the exit code that the first one refused calls for, else 0.

    Where a person types them, Ctrl-C ends what one of them began, and not the program.
    """
    refused = 0
    for line in lines:
        try:
            with stop.raising():
                conversation.obey(line)
        except CharrnnError as problem:
            terminal.error(explain(problem, command_name, COMMANDS))
            if isinstance(problem, UnknownCharacterError):
                lines.offer(line)
            refused = refused or problem.exit_code
        except signals.Interrupted as signal:
            if not (signal.by_keyboard and typed):
                raise
        if conversation.over:
            break
    return refused
