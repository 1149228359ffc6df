"""charrnn sample: draw text from a model."""

from __future__ import annotations

import base64
import secrets
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Json, Model, StackRound, TrainingText, Unknown, option
from charrnn.config import ComputeConfig, SampleConfig, UseConfig
from charrnn.errors import CorpusError, UsageError

if TYPE_CHECKING:
    from charrnn.alphabet import Alphabet, Ids
    from charrnn.drawing import Piece
    from charrnn.modelfile import ModelFile

_BETWEEN_SAMPLES = b"\n\n"


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
    """
    config = SampleConfig.pick({**ctx.params, "stop": tuple(stop or ())})
    use = UseConfig.pick(ctx.params)
    if corpus and not novelty:
        raise UsageError("--corpus names the text that --novelty compares with; give both")
    if seed is None:
        seed = secrets.randbits(32)
    from charrnn.drawing import in_order
    from charrnn.modelfile import read_model
    from charrnn.run import find_model

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
    pieces = in_order(draw(loaded, config, use, device, ids, seed))
    comparison = None
    if novelty:
        from charrnn.cli.novelty import Comparison

        comparison = Comparison(path, loaded, corpus or [])
        pieces = comparison.watch(pieces)
    if as_json:
        described = _describe(pieces, alphabet, symbols, seed)
        for one in comparison.complete(described) if comparison else described:
            terminal.print_json(one)
        return
    _print_text(pieces, alphabet, symbols, raw)
    if comparison:
        comparison.tell()


def draw(
    model: ModelFile, config: SampleConfig, use: UseConfig, device: str, prime: Ids, seed: int
) -> Iterator[Piece]:
    """Draw through the native network where it serves, else through torch."""
    from charrnn.cli.serving import native_network, torch_network
    from charrnn.kernels.network import all_threads

    threads = use.threads or (1 if config.count == 1 else all_threads())
    chosen = "bf16" if use.weights == "auto" else use.weights
    native = native_network(model, device=device, weights=chosen)
    if native is not None:
        from charrnn.engine.sampling import sample as sample_natively

        return sample_natively(native, model.alphabet, config, prime, seed, threads)
    from charrnn.sample import sample as sample_through_torch

    chosen = "fp32" if use.weights == "auto" else use.weights
    # A product's sums may be made in another order on more threads.
    network = torch_network(model, device=device, threads=use.threads or 1, weights=chosen)
    return sample_through_torch(network, model.alphabet, config, prime, seed)


def _read_prime(alphabet: Alphabet) -> str:
    """Standard input as symbols: bytes as they are for a model of bytes, else UTF-8."""
    data = sys.stdin.buffer.read()
    if alphabet.kind == "bytes":
        return data.decode("latin-1")
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        raise CorpusError(f"standard input: byte {problem.start:,} is not UTF-8") from None


def _print_text(pieces: Iterable[Piece], alphabet: Alphabet, prime: str, raw: bool) -> None:
    """Stream one sample after another; on a terminal each after its prime, which goes to stderr."""
    output = terminal.TextOutput(raw)
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    begun = -1
    for piece in pieces:
        if piece.sample != begun:
            if piece.sample:
                output.write(_BETWEEN_SAMPLES)
            if on_terminal and prime:
                shown = alphabet.to_bytes(prime).decode("utf-8", "replace")
                sys.stderr.write(f"\033[2m{terminal.visible(shown)}\033[0m")
                sys.stderr.flush()
            begun = piece.sample
        output.write(alphabet.to_bytes(piece.symbols))
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
            "prime": alphabet.to_bytes(prime).decode("utf-8", "replace"),
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
