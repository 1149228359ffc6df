"""charrnn corpus: which texts there are, what is in them, and where they come from."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Encoding, Json, complete_corpus
from charrnn.errors import CorpusError, UsageError

app = typer.Typer(help="List, describe, download and export texts.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A corpus by name; charrnn corpus list has them all.",
        autocompletion=complete_corpus,
    ),
]


@app.command("list")
def list_corpora(as_json: Json = False, debug: Debug = False) -> None:
    """List the texts that charrnn knows by name.

    charrnn corpus list
    charrnn corpus list --json
    """
    from charrnn.data.catalogue import Download, Entry, entries

    known = entries().values()

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
        bool, typer.Option("--bytes", help="Take every byte as a symbol; any file will do.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Describe a text: characters, lines, baselines, and the settings that would be chosen.

    charrnn corpus show tales
    charrnn corpus show novel.txt --json
    """
    from charrnn.cli.description import describe

    describe(sources, None if as_bytes else encoding, as_json=as_json)


@app.command("get")
def get(name: Name, as_json: Json = False, debug: Debug = False) -> None:
    """Download a text once, verify it, and keep it in your cache.

    charrnn corpus get tinyshakespeare
    charrnn train tinyshakespeare
    """
    from charrnn.cli.progress import bar
    from charrnn.data.catalogue import Download, find_entry
    from charrnn.data.download import fetch

    entry = find_entry(name)
    if not isinstance(entry, Download):
        raise UsageError(f"{name}: need not be fetched ({entry.kind}); charrnn train {name} has it")
    with bar("fetching", entry.bytes, "B") as progress:
        for size in fetch(entry):
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
        Path | None, typer.Option("-o", "--output", help="A file; left out: standard output.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file that is there.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write a corpus to a file.

    charrnn corpus export python -o python.txt
    charrnn corpus export anbn | head -c 100
    """
    from charrnn.data.catalogue import find_entry, place
    from charrnn.files import write_chunks_atomically

    if output is not None and output.exists() and not overwrite:
        raise UsageError(f"{output}: is there already; name another file, or give --overwrite")
    found = place(find_entry(name))
    chunks = _read(found) if isinstance(found, Path) else found.chunks()
    if output is None:
        for chunk in chunks:
            with terminal.onto_stdout():
                sys.stdout.buffer.write(chunk)
    else:
        write_chunks_atomically(output, chunks)


def _read(path: Path) -> Iterator[bytes]:
    from charrnn.data.text_reader import CHUNK_BYTES

    try:
        with path.open("rb") as stream:
            while data := stream.read(CHUNK_BYTES):
                yield data
    except OSError as problem:
        raise CorpusError(f"{path}: cannot be read: {problem.strerror}") from problem
