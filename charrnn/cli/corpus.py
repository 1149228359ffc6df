"""charrnn corpus: list, describe, download and export texts."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import terminal
from charrnn.cli.destination import STDOUT, Destination
from charrnn.cli.help_pages import explained
from charrnn.cli.options import Debug, Encoding, Json, choose_encoding, complete_corpus
from charrnn.config.training import TrainConfig
from charrnn.errors import CorpusError, Remedy, UsageError

if TYPE_CHECKING:
    from charrnn.data.catalogue import Entry
    from charrnn.data.statistics import CharacterGroup, Lengths
    from charrnn.evaluation.baselines import Baselines
    from charrnn.training.corpus_description import CorpusDescription, SuggestedSettings

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
@explained(
    """List the texts that charrnn knows by name.

    charrnn corpus list
    charrnn corpus list --json
    """
)
def list_corpora(as_json: Json = False, debug: Debug = False) -> None:
    """Run ``charrnn corpus list``."""
    from charrnn.data.catalogue import Download, Stored, is_intact, read_catalogue

    known = read_catalogue().values()

    def is_here(entry: Entry) -> bool:
        return is_intact(entry) if isinstance(entry, Stored) else True

    def describe_kind(entry: Entry) -> str:
        if is_here(entry):
            return entry.kind
        is_absent = isinstance(entry, Download) and not entry.is_fetched
        return f"{entry.kind}, {'absent' if is_absent else 'altered'}"

    if as_json:
        described = [{**_describe_entry(entry), "here": is_here(entry)} for entry in known]
        terminal.print_json({"corpora": described})
        return
    rows = [
        [
            entry.name,
            describe_kind(entry),
            f"{entry.size:,}",
            f"{entry.description} ({entry.licence})",
        ]
        for entry in known
    ]
    terminal.print_table((), rows, left=(0, 1, 3))


@app.command("show")
@explained(
    """Describe a text: characters, lines, baselines, and the settings that would be chosen.

    charrnn corpus show tales
    charrnn corpus show novel.txt --json
    """
)
def show(
    ctx: typer.Context,
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
    """Run ``charrnn corpus show``."""
    from charrnn.api import describe_corpus

    decoded_by = choose_encoding(ctx, encoding, as_bytes=as_bytes)
    from charrnn.cli.arguments import refuse_models

    refuse_models(sources)
    found = describe_corpus(sources, encoding=decoded_by, on_note=terminal.note)
    if as_json:
        terminal.print_json(_to_json(found))
    else:
        terminal.print_facts(_list_facts(found))
        _print_baselines(found.baselines)


@app.command("get")
@explained(
    """Download a text once, verify it, and keep it in your cache.

    charrnn corpus get tinyshakespeare
    charrnn train tinyshakespeare
    """
)
def get(name: Name, as_json: Json = False, debug: Debug = False) -> None:
    """Run ``charrnn corpus get``."""
    from charrnn import api
    from charrnn.cli.progress import open_bar
    from charrnn.data.catalogue import find_entry

    entry = find_entry(name)
    with open_bar("downloading", 0, "B") as progress:

        def show(done: int, total: int) -> None:
            progress.total = total
            progress.update(done - progress.n)

        path = api.fetch(name, on_progress=show)
    facts: dict[str, Any] = {
        "name": name,
        "path": str(path),
        "bytes": entry.size,
        "licence": entry.licence,
    }
    if as_json:
        terminal.print_json(facts)
    else:
        terminal.print_facts({**facts, "bytes": f"{entry.size:,}"})


@app.command("export")
@explained(
    """Write a corpus to a file.

    charrnn corpus export python -o python.txt
    charrnn corpus export anbn | head -c 100
    """
)
def export(
    name: Name,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write; - is standard output.",
        ),
    ] = STDOUT,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn corpus export``."""
    from charrnn.data.catalogue import find_entry, locate_entry

    destination = Destination(output)
    if overwrite and destination.is_stdout:
        raise UsageError("--overwrite replaces a file, and none is named: give -o as well")
    if as_json and destination.is_stdout:
        raise UsageError(
            "--json describes the file that is written, and standard output takes the text itself",
            Remedy("name a file", "output", "FILE"),
        )
    if destination.find_replaced() and not overwrite:
        raise UsageError(
            f"{output} exists already",
            Remedy("name another file", "output"),
            Remedy("replace it", "overwrite"),
        )
    found = locate_entry(find_entry(name))
    tally = _Tally()
    destination.write(
        tally.count(_read_chunks(found) if isinstance(found, Path) else found.chunks())
    )
    if as_json:
        terminal.print_json({"name": name, "path": str(destination.path), **tally.to_dict()})


class _Tally:
    """Counts the bytes of a text as they pass, and computes their digest."""

    def __init__(self) -> None:
        self._bytes, self._hash = 0, hashlib.sha256()

    def count(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._bytes += len(chunk)
            self._hash.update(chunk)
            yield chunk

    def to_dict(self) -> dict[str, Any]:
        return {"bytes": self._bytes, "text_sha256": self._hash.hexdigest()}


def _read_chunks(path: Path) -> Iterator[bytes]:
    from charrnn.data.text_reader import CHUNK_BYTES

    try:
        with path.open("rb") as stream:
            while data := stream.read(CHUNK_BYTES):
                yield data
    except OSError as problem:
        raise CorpusError(f"{path}: cannot be read: {problem.strerror}") from problem


def _describe_entry(entry: Entry) -> dict[str, Any]:
    """List the facts of a corpus of the catalogue by their names in JSON."""
    from charrnn.data.catalogue import Download, Stored

    own = entry.to_dict()
    facts = {name: own.pop(name) for name in ("name", "description", "licence")}
    facts |= {"kind": entry.kind, "bytes": entry.size}
    if isinstance(entry, Stored):
        facts["text_sha256"] = entry.text_digest
    if isinstance(entry, Download):
        facts |= {"url": entry.url, "download_bytes": entry.bytes, "download_sha256": entry.sha256}
    kept = ("language", "characters", "origin", "member")
    return {**facts, **{name: own[name] for name in kept if name in own}}


def _to_json(found: CorpusDescription) -> dict[str, Any]:
    from charrnn.training.verification import describe_alphabet

    characters = asdict(found.characters)
    del characters["different"]
    for group in (characters["rare"], *characters["groups"].values()):
        group["symbols"] = group.pop("characters")
    layout = asdict(found.layout)
    for lengths in (layout["lines"], layout["paragraphs"]):
        lengths["longest_characters"] = lengths.pop("longest")
    return {
        "source": found.name,
        "characters": len(found.corpus),
        "text_sha256": found.corpus.digest,
        "alphabet": describe_alphabet(found.corpus.alphabet),
        **characters,
        **layout,
        "copied_share": found.copied_share,
        "valid": TrainConfig.valid,
        "baselines": found.baselines.to_dict(),
        "settings": found.suggested.settings if found.suggested else None,
    }


def _list_facts(found: CorpusDescription) -> dict[str, str]:
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
        f"{found.copied_share:.1%} of the held-out spans of {SPAN} characters occur in the rest "
        "as well"
    )
    facts["would choose"] = _describe_suggested(found.suggested)
    return facts


def _describe_suggested(suggested: SuggestedSettings | None) -> str:
    from charrnn.cli.progress import describe_choice

    if suggested is None:
        return "not known here: torch is not installed"
    return describe_choice(suggested.event) if suggested.event else ""


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
