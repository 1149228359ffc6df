"""charrnn sample: draw text from a model."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn import __version__
from charrnn.cli import terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.options import (
    Debug,
    Json,
    ModelArgument,
    StackRound,
    TrainingText,
    Unknown,
    option,
)
from charrnn.config.inference import SampleConfig, UseConfig
from charrnn.config.training import ComputeConfig
from charrnn.display import decode_typed
from charrnn.errors import CharrnnError, CorpusError, UsageError

if TYPE_CHECKING:
    from charrnn.api import Model
    from charrnn.cli.novelty import Comparison
    from charrnn.data.alphabet import Alphabet
    from charrnn.data.corpus import SplitCorpus
    from charrnn.inference.sampling import Piece


_BETWEEN_SAMPLES = "\n\n"
_MOST_PRIME_BYTES = 1 << 24


@explained(
    r"""Draw text from a model, character by character.

    charrnn sample --temp 0.8
    charrnn sample --prime "Once, when the river was low," --length 300
    charrnn sample runs/tales/best.safetensors --count 5 --stop $'\n' --json
    charrnn sample --length 5000 --novelty
    charrnn sample names --count 20 --unique --novel
    """
)
def sample(
    ctx: typer.Context,
    model: ModelArgument = None,
    temperature: Annotated[
        float, option(SampleConfig, "temperature", "--temperature")
    ] = SampleConfig.temperature,
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
        bool, typer.Option("--unique", help="Draw no record twice (models of records).")
    ] = False,
    novel: Annotated[
        bool,
        typer.Option("--novel", help="Draw no record of the training text (models of records)."),
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
            help="Print on stderr the share of n-grams that occur in the training text, for drawn "
            "and for held-out text.",
        ),
    ] = False,
    corpus: TrainingText = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn sample``."""
    config = SampleConfig.pick({**ctx.params, "stop": tuple(map(decode_typed, stop or ()))})
    if corpus and not (novelty or novel):
        raise UsageError(
            "--corpus names the text that --novelty and --novel compare with; give one of them"
        )
    if raw and as_json:
        raise UsageError("--raw is for text on a terminal, and --json escapes it; give one of them")
    from secrets import randbits

    from charrnn import api
    from charrnn.data.records import find_separator

    loaded = api.load(
        model,
        device=device,
        threads=threads,
        weights=weights,
        stack_round=stack_round,
        corpus=corpus or (),
    )
    alphabet, records = loaded.alphabet, loaded.records
    given = _read_standard_input() if prime == "-" else prime.encode("utf-8", "surrogateescape")
    symbols = loaded.read_prime(
        _to_symbols(given, alphabet, unknown), unknown=unknown, on_note=terminal.note
    )
    if seed is None:
        seed = randbits(32)
    comparison = None
    if novelty or (novel and records is not None):
        split = loaded.data.split
        comparison = _compare(alphabet, split) if novelty else None
    pieces = loaded.draw(
        symbols,
        config,
        seed=seed,
        unknown=unknown,
        unique=unique,
        novel=novel,
        on_note=terminal.note,
    )
    if comparison is not None:
        pieces = comparison.watch(pieces)
    if as_json:
        settings = {
            **config.to_dict(),
            "unique": unique,
            "novel": novel,
            "unknown": unknown,
            # Without --novel it is read for a comparison alone, and nothing is drawn by it.
            "corpus": corpus if corpus and novel else [],
            "stack_round": stack_round,
            "device": device,
            "threads": threads,
        }
        described = _describe(pieces, loaded, symbols, {"seed": seed, "settings": settings})
        for one in comparison.complete(described) if comparison else described:
            terminal.print_json(one)
        return
    between = _BETWEEN_SAMPLES if records is None else find_separator(records)
    parting = alphabet.to_bytes(alphabet.symbols(between))
    after = b"\n" if records is not None and not sys.stdout.isatty() else b""
    _print_text(pieces, alphabet, symbols if records is None else "", raw, parting, after)
    if comparison is not None:
        comparison.tell()


def _compare(alphabet: Alphabet, split: SplitCorpus) -> Comparison:
    from charrnn.cli.novelty import Comparison

    return Comparison(alphabet, split)


def _read_standard_input() -> bytes:
    try:
        data = sys.stdin.buffer.read(_MOST_PRIME_BYTES + 1)
    except OSError as problem:
        raise CorpusError(f"standard input: cannot be read: {problem.strerror}") from problem
    if len(data) > _MOST_PRIME_BYTES:
        raise CorpusError(
            f"standard input: more than {_MOST_PRIME_BYTES:,} bytes to read before drawing.\n"
            "Give the end of it: tail -c 1M FILE | charrnn sample --prime -"
        )
    return data


def _to_symbols(prime: bytes, alphabet: Alphabet, unknown: str) -> str:
    """Convert a prime to symbols; one that was cut out of a text may be cut within a character."""
    from charrnn.data.alphabet import drop_cut_characters

    if alphabet.kind == "bytes":
        return alphabet.symbols_in(prime, "the prime")
    whole = drop_cut_characters(prime)
    if cut := len(prime) - len(whole):
        terminal.note(f"the prime is cut within a character: {cut} bytes of it were left out")
    return alphabet.symbols_in(whole, "the prime", unknown)


def _print_text(
    pieces: Iterable[Piece],
    alphabet: Alphabet,
    prime: str,
    raw: bool,
    between: bytes,
    after: bytes,
) -> None:
    """Write one sample after another; a terminal shows the prime before each, on stderr."""
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
        # The samples drawn before the error are complete, and so is their ending.
        if begun >= 0:
            output.write(after)
        raise
    finally:
        # Further output begins on a line of its own, also after an error.
        if on_terminal:
            sys.stderr.write("\n")


def _describe(
    pieces: Iterable[Piece], model: Model, prime: str, drawn_with: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield a JSON object for each sample as it ends: all that it takes to draw it again.

    Args:
        pieces: of one sample after another.
        model: the model.
        prime: the symbols that it has read, with which each record begins.
        drawn_with: the seed and the settings.
    """
    from charrnn.inference.native_backend import NativeBackend
    from charrnn.inference.select_backend import settle_weights
    from charrnn.kernels.library import load_kernels

    alphabet, kernels = model.alphabet, load_kernels()
    is_native = isinstance(model.backend("sampling"), NativeBackend)
    weights = settle_weights(model.use.weights, "sampling", is_native=is_native)
    facts = {
        "model": str(model.path),
        "model_sha256": model.file.digest,
        "charrnn": __version__,
        "build": kernels.build if kernels and is_native else None,
        **drawn_with,
        "settings": {**drawn_with["settings"], "weights": weights},
        **_spell("prime", alphabet, prime),
    }
    symbols = ""
    for piece in pieces:
        symbols += piece.symbols
        if not piece.last:
            continue
        if model.records is not None:
            symbols = symbols.removeprefix(prime)
        yield {
            **facts,
            "sample": piece.sample,
            **_spell("text", alphabet, symbols),
            "characters": len(symbols),
            "seconds": piece.seconds,
            "chars_per_second": len(symbols) / max(piece.seconds, 1e-9),
        }
        symbols = ""


def _spell(name: str, alphabet: Alphabet, symbols: str) -> dict[str, str]:
    """Spell symbols for JSON under a name, and the exact bytes of a model of bytes."""
    spelled = {name: _legible(alphabet, symbols)}
    if alphabet.kind == "bytes":
        spelled[f"{name}_base64"] = base64.b64encode(alphabet.to_bytes(symbols)).decode()
    return spelled


def _legible(alphabet: Alphabet, symbols: str) -> str:
    """Decode symbols for display; bytes that are not UTF-8 become U+FFFD.

    A prime may hold what the alphabet lacks and ``--unknown`` leaves out.
    """
    data = symbols.encode("latin-1" if alphabet.kind == "bytes" else "utf-8", "surrogateescape")
    return data.decode("utf-8", "replace")
