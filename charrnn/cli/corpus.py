"""charrnn corpus: list, describe, download and export texts."""

from __future__ import annotations

import math
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Encoding, Json, complete_corpus
from charrnn.config.training import TrainConfig
from charrnn.errors import CorpusError, UsageError

if TYPE_CHECKING:
    from charrnn.data.corpus import Corpus, SplitCorpus
    from charrnn.data.statistics import CharacterGroup, CharacterStatistics, Layout, Lengths
    from charrnn.evaluation.baselines import Baselines

_MOST_CHARACTERS = 1 << 24
_SHOWN_CHARACTERS = 20

app = typer.Typer(help="List, describe, download and export texts.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of a corpus; charrnn corpus list shows them all.",
        autocompletion=complete_corpus,
    ),
]


@app.command("list")
def list_corpora(as_json: Json = False, debug: Debug = False) -> None:
    """List the texts that charrnn knows by name.

    charrnn corpus list
    charrnn corpus list --json
    """
    from charrnn.data.catalogue import Download, Entry, read_catalogue

    known = read_catalogue().values()

    def is_here(entry: Entry) -> bool:
        return entry.is_here if isinstance(entry, Download) else True

    if as_json:
        described = [
            {**entry.to_dict(), "kind": entry.kind, "size": entry.size, "here": is_here(entry)}
            for entry in known
        ]
        terminal.print_json({"corpora": described})
        return
    rows = [
        [
            entry.name,
            entry.kind + ("" if is_here(entry) else ", absent"),
            f"{entry.size:,}",
            f"{entry.description} ({entry.licence})",
        ]
        for entry in known
    ]
    terminal.print_table((), rows, left=(0, 1, 3))


@app.command("show")
def show(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|FILE",
            autocompletion=complete_corpus,
            help="A corpus by name, files, folders, or - for standard input, read as one text.",
        ),
    ],
    encoding: Encoding = "utf-8",
    as_bytes: Annotated[
        bool, typer.Option("--bytes", help="Read every byte as one symbol; any file will do.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Describe a text: characters, lines, baselines, and the settings that would be chosen.

    charrnn corpus show tales
    charrnn corpus show novel.txt --json
    """
    found = _describe(sources, None if as_bytes else encoding)
    if as_json:
        terminal.print_json(_to_json(found))
    else:
        terminal.print_facts(_list_facts(found))
        _print_baselines(found.baselines)


@app.command("get")
def get(name: Name, as_json: Json = False, debug: Debug = False) -> None:
    """Download a text once, verify it, and keep it in your cache.

    charrnn corpus get tinyshakespeare
    charrnn train tinyshakespeare
    """
    from charrnn.cli.progress import open_bar
    from charrnn.data.catalogue import Download, find_entry
    from charrnn.data.download import fetch_text

    entry = find_entry(name)
    if not isinstance(entry, Download):
        raise UsageError(
            f"{name} is {entry.kind}, not a download; use it as it is: charrnn train {name}"
        )
    with open_bar("downloading", entry.bytes, "B") as progress:
        for size in fetch_text(entry):
            progress.update(size - progress.n)
    facts: dict[str, Any] = {
        "name": name,
        "path": str(entry.path),
        "size": entry.size,
        "licence": entry.licence,
    }
    if as_json:
        terminal.print_json(facts)
    else:
        terminal.print_facts({**facts, "size": f"{entry.size:,} bytes"})


@app.command("export")
def export(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write. Left out: standard output."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write a corpus to a file.

    charrnn corpus export python -o python.txt
    charrnn corpus export anbn | head -c 100
    """
    from charrnn.data.catalogue import find_entry, locate_entry
    from charrnn.files import write_chunks_atomically

    if output is not None and output.exists() and not overwrite:
        raise UsageError(f"{output} exists already; name another file, or give --overwrite")
    found = locate_entry(find_entry(name))
    chunks = _read_chunks(found) if isinstance(found, Path) else found.chunks()
    if output is None:
        for chunk in chunks:
            with terminal.guard_stdout():
                sys.stdout.buffer.write(chunk)
    else:
        write_chunks_atomically(output, chunks)


def _read_chunks(path: Path) -> Iterator[bytes]:
    from charrnn.data.text_reader import CHUNK_BYTES

    try:
        with path.open("rb") as stream:
            while data := stream.read(CHUNK_BYTES):
                yield data
    except OSError as problem:
        raise CorpusError(f"{path}: cannot be read: {problem.strerror}") from problem


@dataclass(frozen=True)
class _Description:
    """Everything that is known about a text.

    Attributes:
        name: as the user named it.
        corpus: the text.
        characters: statistics of its characters.
        layout: its lines and paragraphs.
        copied: the share of spans of the held-out part that occur in the training part.
        baselines: losses of simple models on the held-out part, fitted to the training part.
        chosen: the settings that training would choose.
        reason: the same settings as options, and the figures that they follow from.
    """

    name: str
    corpus: Corpus
    characters: CharacterStatistics
    layout: Layout
    copied: float
    baselines: Baselines
    chosen: dict[str, Any]
    reason: str


def _describe(sources: Sequence[str], encoding: str | None) -> _Description:
    """Read texts as one and describe it."""
    from charrnn.data.corpus import SplitCorpus, fit_corpus
    from charrnn.data.inputs import gather_sources, is_generated
    from charrnn.data.statistics import count_characters, measure_copied_share, measure_layout
    from charrnn.evaluation.baselines import COMPRESSORS, measure_baselines
    from charrnn.training.auto_config import complete_settings

    with tempfile.TemporaryDirectory() as folder:
        paths, names = gather_sources(sources, Path(folder))
        corpus = fit_corpus(paths, encoding, names=names)
    for message in corpus.notes:
        terminal.note(message)
    settings = complete_settings({})
    split = SplitCorpus.of(corpus, settings["valid"])
    learnt, held_out = split.train.ids, split.held_out.ids
    generated = all(map(is_generated, sources))
    chosen, reason = _choose(settings, split, generated=generated)
    return _Description(
        name=", ".join(sources),
        corpus=corpus,
        characters=count_characters(corpus.ids, corpus.alphabet),
        layout=measure_layout(corpus.ids, corpus.alphabet),
        copied=measure_copied_share(learnt[-_MOST_CHARACTERS:], held_out[:_MOST_CHARACTERS]),
        baselines=measure_baselines(
            learnt, held_out, corpus.alphabet, tuple(COMPRESSORS), most=_MOST_CHARACTERS
        ),
        chosen=chosen,
        reason=reason,
    )


def _choose(
    settings: dict[str, Any], split: SplitCorpus, *, generated: bool
) -> tuple[dict[str, Any], str]:
    """Choose settings as training would; the choice depends on the speed of torch."""
    from charrnn.cli.progress import describe_choice
    from charrnn.config.training import SourceConfig
    from charrnn.training.auto_config import REPORTED

    try:
        from charrnn.training.session import build_request
    except ModuleNotFoundError as problem:
        if problem.name != "torch":
            raise
        return {}, "not known here: torch is not installed"
    request, chosen = build_request(settings, SourceConfig(), split, generated=generated)
    settled = {**request.model.to_dict(), **request.train.to_dict()}
    return {name: settled[name] for name in REPORTED}, describe_choice(chosen) if chosen else ""


def _to_json(found: _Description) -> dict[str, Any]:
    baselines = found.baselines
    return {
        "text": found.name,
        "characters": len(found.corpus),
        "sha256": found.corpus.digest,
        **asdict(found.characters),
        **asdict(found.layout),
        "copied_share": found.copied,
        "held_out": {
            "share": TrainConfig.valid,
            "learnt_characters": baselines.learnt,
            "scored_characters": baselines.scored,
            "ngram_bits_per_char": [nats / math.log(2) for nats in baselines.ngrams],
            "compressor_bits_per_char": {
                name: nats / math.log(2) for name, nats in baselines.compressors.items()
            },
        },
        "chosen": found.chosen,
    }


def _list_facts(found: _Description) -> dict[str, str]:
    """List the statistics of characters and lines for people."""
    from charrnn.data.statistics import RARE, SPAN

    characters, layout = found.characters, found.layout
    facts = {
        "text": found.name,
        "SHA-256": found.corpus.digest,
        "size": f"{len(found.corpus):,} characters, {characters.bytes:,} bytes",
        "alphabet": f"{characters.different:,} characters",
    }
    if characters.scripts:
        facts["letters"] = ", ".join(
            f"{count:,} {script}" for script, count in characters.scripts.items()
        )
    if characters.rare.count:
        facts["rare"] = f"{_format_group(characters.rare)} occur less than {RARE} times each"
    for name, group in characters.groups.items():
        facts[name] = f"{group.count:,}: {_format_group(group)}"
    if characters.mixed_scripts:
        facts["mixed scripts"] = (
            f"{characters.mixed_scripts:,} times two neighbouring letters are of different scripts "
            "(Latin, Greek, Cyrillic)"
        )
    facts["lines"] = f"{_format_lengths(layout.lines)}; {layout.blank_lines:,} blank ones besides"
    facts["paragraphs"] = _format_lengths(layout.paragraphs)
    facts["repeated lines"] = f"{layout.repeated_share:.1%} ({layout.repeated_lines:,})"
    facts["copied"] = (
        f"{found.copied:.1%} of the held-out spans of {SPAN} characters occur in the rest as well"
    )
    facts["would choose"] = found.reason
    return facts


def _format_lengths(lengths: Lengths) -> str:
    median = f"{lengths.median:,.1f}".removesuffix(".0")
    return f"{lengths.count:,}, median {median} characters, longest {lengths.longest:,}"


def _format_group(group: CharacterGroup) -> str:
    """Format the characters of a group; an invisible one is shown by its code point."""
    shown = " ".join(
        c if c.isprintable() and not unicodedata.combining(c) else f"U+{ord(c):04X}"
        for c in group.characters[:_SHOWN_CHARACTERS]
    )
    more = len(group.characters) - _SHOWN_CHARACTERS
    return f"{shown} and {more:,} more" if more > 0 else shown


def _print_baselines(baselines: Baselines) -> None:
    losses = {f"n-grams of order {order}": nats for order, nats in enumerate(baselines.ngrams)}
    losses |= baselines.compressors
    terminal.print_table(
        ["", "nats", "bits"],
        [[name, f"{nats:.4f}", f"{nats / math.log(2):.4f}"] for name, nats in losses.items()],
        title=f"loss per held-out character (mean of {baselines.scored:,}) of models fitted to the "
        f"rest ({baselines.learnt:,})",
    )
