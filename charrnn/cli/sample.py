"""charrnn sample: draw text from a model."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Json, Model, StackRound, TrainingText, Unknown, option
from charrnn.config.inference import SampleConfig, UseConfig
from charrnn.config.training import ComputeConfig
from charrnn.errors import CharrnnError, CorpusError, UsageError

if TYPE_CHECKING:
    from charrnn.data.alphabet import Alphabet
    from charrnn.inference.sampling import Piece


_BETWEEN_SAMPLES = "\n\n"
_MOST_PRIME_BYTES = 1 << 24


def sample(
    ctx: typer.Context,
    model: Model = None,
    temp: Annotated[float, option(SampleConfig, "temp", "--temperature")] = SampleConfig.temp,
    length: Annotated[int, option(SampleConfig, "length")] = SampleConfig.length,
    prime: Annotated[
        str,
        typer.Option(help="Text that the model reads first; - reads it from standard input."),
    ] = "",
    top_k: Annotated[int, option(SampleConfig, "top_k")] = SampleConfig.top_k,
    top_p: Annotated[float, option(SampleConfig, "top_p")] = SampleConfig.top_p,
    min_p: Annotated[float, option(SampleConfig, "min_p")] = SampleConfig.min_p,
    count: Annotated[int, option(SampleConfig, "count")] = SampleConfig.count,
    stop: Annotated[list[str] | None, option(SampleConfig, "stop")] = None,
    unique: Annotated[
        bool, typer.Option("--unique", help="Of a model of records: no record twice.")
    ] = False,
    novel: Annotated[
        bool,
        typer.Option(
            "--novel", help="Of a model of records: none that stands in what it was trained on."
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed: the same gives the same text. Left out: another each time.", min=0
        ),
    ] = None,
    unknown: Unknown = "error",
    stack_round: StackRound = None,
    device: Annotated[str, option(ComputeConfig, "device")] = "cpu",
    threads: Annotated[int | None, option(UseConfig, "threads")] = UseConfig.threads,
    weights: Annotated[str, option(UseConfig, "weights")] = UseConfig.weights,
    raw: Annotated[
        bool, typer.Option("--raw", help="Let a terminal obey control characters in the text.")
    ] = False,
    novelty: Annotated[
        bool,
        typer.Option(
            "--novelty",
            help="Say on stderr how much of what is drawn stands in the training text, word for "
            "word, and how much of the held-out text does.",
        ),
    ] = False,
    corpus: TrainingText = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Draw text from a model, character by character.

    charrnn sample --temp 0.8
    charrnn sample --prime "Once, when the river was low," --length 300
    charrnn sample runs/tales/best.safetensors --count 5 --stop $'\n' --json
    charrnn sample --length 5000 --novelty
    charrnn sample names --count 20 --unique --novel
    """
    config = SampleConfig.pick({**ctx.params, "stop": tuple(stop or ())})
    use = UseConfig.pick(ctx.params)
    if corpus and not (novelty or novel):
        raise UsageError(
            "--corpus names the text that --novelty and --novel compare with; give one of them"
        )
    from secrets import randbits

    from charrnn.checkpoints.model_file import read_model
    from charrnn.checkpoints.run_index import find_model
    from charrnn.inference.generate import draw
    from charrnn.inference.sampling import in_order
    from charrnn.training.run_data import RunData

    path = find_model(model)
    loaded = read_model(path).rounding(stack_round)
    alphabet = loaded.alphabet
    symbols = _read_prime(alphabet) if prime == "-" else alphabet.symbols(prime)
    ids = alphabet.encode(symbols, unknown)
    for given in config.stop:
        if not given:
            raise UsageError("--stop is empty; name the text to stop before")
        if alphabet.count_unknown(alphabet.symbols(given)):
            raise UsageError(f"--stop {given!r} has characters the model never writes")
    if seed is None:
        seed = randbits(32)
    between = _BETWEEN_SAMPLES
    data = RunData(path, loaded, corpus or [])
    if loaded.corpus.records is not None:
        from charrnn.cli.recordsample import RecordSampling
        from charrnn.data.records import find_separator
        from charrnn.inference.record_sampling import open_record

        between = find_separator(loaded.corpus.records)
        sampling = RecordSampling(data, config, symbols, unique=unique, novel=novel)
        opened = open_record(alphabet, ids)
        drawn = draw(loaded, sampling.config, use, device, opened, seed)
        pieces = sampling.choose(in_order(drawn))
    else:
        _refuse_choice(path, unique or novel)
        pieces = in_order(draw(loaded, config, use, device, ids, seed))
    comparison = None
    if novelty:
        from charrnn.cli.novelty import Comparison

        comparison = Comparison(loaded, data)
        pieces = comparison.watch(pieces)
    if as_json:
        described = _describe(pieces, alphabet, symbols, seed)
        for one in comparison.complete(described) if comparison else described:
            terminal.print_json(one)
        return
    parting = alphabet.to_bytes(alphabet.symbols(between))
    whole = loaded.corpus.records is not None
    after = b"\n" if whole and not sys.stdout.isatty() else b""
    _print_text(pieces, alphabet, "" if whole else symbols, raw, parting, after)
    if comparison:
        comparison.tell()


def _refuse_choice(path: Path, chosen: bool) -> None:
    """Raise UsageError if there is to be a choice among records where there are none."""
    if chosen:
        raise UsageError(
            f"{path} is no model of records, which --unique and --novel choose among.\n"
            "Train one: charrnn train FILE --records line"
        )


def _read_prime(alphabet: Alphabet) -> str:
    """Standard input as symbols."""
    data = sys.stdin.buffer.read(_MOST_PRIME_BYTES + 1)
    if len(data) > _MOST_PRIME_BYTES:
        raise CorpusError(
            f"standard input: more than {_MOST_PRIME_BYTES:,} bytes to read before drawing.\n"
            "Give the end of it: tail -c 1M FILE | charrnn sample --prime -"
        )
    return alphabet.symbols_in(data, "standard input")


def _print_text(
    pieces: Iterable[Piece],
    alphabet: Alphabet,
    prime: str,
    raw: bool,
    between: bytes,
    after: bytes,
) -> None:
    """Stream one sample after another; on a terminal each after its prime, which goes to stderr."""
    output = terminal.TextOutput(raw)
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    begun = -1
    try:
        for piece in pieces:
            if piece.sample != begun:
                if piece.sample:
                    output.write(between)
                if on_terminal and prime:
                    terminal.echo(_legible(alphabet, prime))
                begun = piece.sample
            output.write(alphabet.to_bytes(piece.symbols))
        output.write(after)
        output.end()
    except CharrnnError:
        # What was drawn before there was no more of it is as whole as if there had been.
        if begun >= 0:
            output.write(after)
        raise
    finally:
        # However it ended, what is said next begins a line.
        if on_terminal:
            sys.stderr.write("\n")


def _describe(
    pieces: Iterable[Piece], alphabet: Alphabet, prime: str, seed: int
) -> Iterator[dict[str, Any]]:
    """One object for each sample, as it ends."""
    symbols = ""
    for piece in pieces:
        symbols += piece.symbols
        if not piece.last:
            continue
        data = alphabet.to_bytes(symbols)
        described = {
            "text": data.decode("utf-8", "replace"),
            "prime": _legible(alphabet, prime),
            "seed": seed,
            "sample": piece.sample,
            "characters": len(symbols),
            "seconds": piece.seconds,
            "chars_per_second": len(symbols) / max(piece.seconds, 1e-9),
        }
        if alphabet.kind == "bytes":
            described["base64"] = base64.b64encode(data).decode()
        yield described
        symbols = ""


def _legible(alphabet: Alphabet, symbols: str) -> str:
    """What symbols spell; U+FFFD for bytes, of a model or of the command line, that spell nothing.

    A prime may hold what the alphabet lacks and ``--unknown`` leaves out.
    """
    data = symbols.encode("latin-1" if alphabet.kind == "bytes" else "utf-8", "surrogateescape")
    return data.decode("utf-8", "replace")
