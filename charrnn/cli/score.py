r"""charrnn score: print the surprisal of each line of a text as it arrives.

In columns separated by tabs the text is escaped, so that it stays in its line and column and no
terminal obeys it: a backslash becomes \\, a newline \n, a carriage return \r, a tab \t, any other
control character, line separator or mark of the writing direction \uXXXX, or \UXXXXXXXX beyond
U+FFFF, and a byte that is not valid in the text's encoding \xXX. Only escapes begin with a
backslash, so the original text can be recovered. In JSON a byte that is not valid is U+FFFD,
and the exact bytes of such a text stand beside it in base64.
"""

from __future__ import annotations

import base64
import codecs
import heapq
import itertools
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Annotated, NamedTuple

import typer

from charrnn.cli import terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.options import (
    Debug,
    Encoding,
    StackRound,
    SubjectArgument,
    TrainingText,
    Unknown,
    option,
)
from charrnn.config.inference import UNITS, WINDOW, UseConfig
from charrnn.config.training import ComputeConfig
from charrnn.display import MARKED
from charrnn.errors import CharrnnError, UsageError
from charrnn.folders import writing_temporary_files

if TYPE_CHECKING:
    from charrnn.evaluation.units import Scoring, UnitScore

MOST_HELD = 1 << 20
"""Bytes of a unit's text that are kept in memory; a longer text is kept in a temporary file."""

_SURROGATES, _BYTES = range(0xD800, 0xE000), range(0xDC00, 0xDD00)
_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in (*MARKED, *_SURROGATES)},
    **{code: f"\\U{code:08x}" for code in MARKED if code > 0xFFFF},
    **{code: f"\\x{code & 0xFF:02x}" for code in _BYTES},
    **str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}),
}


def _check_unit(unit: str | None) -> str | None:
    if unit is not None and unit not in UNITS:
        raise typer.BadParameter(f"{unit!r} is not one of {', '.join(UNITS)}")
    return unit


@explained(
    r"""Score a text line by line: bits, bits per character, and the line.

    charrnn score app.log --worst 20
    tail -f app.log | charrnn score logs - --unknown replace
    charrnn score novel.txt --by window --window 200 --json
    charrnn score letter.txt --by character
    """
)
def score(
    arguments: SubjectArgument = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(UNITS),
            help="Unit of each line of output. Left out: line, or record for a model of records.",
            callback=_check_unit,
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Characters of each window, with --by window; {WINDOW} if left out.",
            min=1,
            show_default=False,
        ),
    ] = None,
    afresh: Annotated[
        bool | None,
        typer.Option(
            "--afresh/--carried",
            help="Read each line by itself, or all lines as one text. Left out: "
            "afresh by line, else carried; each record afresh in any case.",
            show_default=False,
        ),
    ] = None,
    worst: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Print only the N of the most bits per character, in descending order.",
            min=1,
            show_default=False,
        ),
    ] = None,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    device: Annotated[str, option(ComputeConfig, "device")] = "cpu",
    threads: Annotated[int | None, option(UseConfig, "threads")] = UseConfig.threads,
    weights: Annotated[str, option(UseConfig, "weights")] = UseConfig.weights,
    corpus: TrainingText = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each, instead of columns.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn score``."""
    if window is not None and by != "window":
        raise UsageError("--window needs --by window; give both, or leave it out")
    from charrnn import api
    from charrnn.cli.arguments import refuse_unused_corpus, split_arguments

    name, texts = split_arguments(arguments or [])
    refuse_unused_corpus(corpus, texts)
    model = api.load(
        name,
        device=device,
        threads=threads,
        weights=weights,
        stack_round=stack_round,
        corpus=corpus or (),
    )
    scoring = model.score(
        texts or None,
        by=by,
        window=window,
        carried=None if afresh is None else not afresh,
        encoding=encoding,
        unknown=unknown,
        on_note=terminal.note,
    )
    rows = Rows(scoring, as_json=as_json)
    rows.print_worst(worst) if worst else rows.print_all()
    if scoring.unknown:
        did = {"skip": "not scored", "replace": f"scored as {model.alphabet.replacement!r}"}
        terminal.note(f"{scoring.unknown:,} characters the model does not know were {did[unknown]}")


def escape(text: str) -> str:
    """Escape a text for the last column; an invalid byte is U+DC00 and its value, as in PEP 383."""
    if text.isprintable() and "\\" not in text:
        return text
    return text.translate(_ESCAPES)


class _Row(NamedTuple):
    """The score of a unit, and its text: escaped, or as it is for JSON."""

    score: UnitScore
    text: IO[bytes]

    def parts(self) -> Iterator[bytes]:
        """Yield the text part by part; each but the last has a length that three divides."""
        self.text.seek(0)
        while data := self.text.read(MOST_HELD // 3 * 3):
            yield data


class Rows:
    """Prints a line for each unit of a text.

    Args:
        scoring: the scores of the units.
        as_json: print a JSON object for each unit instead of columns separated by tabs.
    """

    def __init__(self, scoring: Scoring, *, as_json: bool) -> None:
        self._scoring, self._as_json = scoring, as_json

    def print_all(self) -> None:
        """Print each unit as soon as it ends."""
        for row in self._collect():
            self._print(row)

    def print_worst(self, count: int) -> None:
        """Print the ``count`` units of the most bits per character, in descending order.

        An error comes after them: they are those of the text before it.
        """
        problems: list[CharrnnError] = []

        worst: list[tuple[float, int, _Row]] = []
        try:
            for row in self._collect():
                # Of those that cost the same the first come first.
                entry = (row.score.bits_per_char, -row.score.number, row)
                if not row.score.characters:
                    row.text.close()
                elif len(worst) < count:
                    heapq.heappush(worst, entry)
                else:
                    heapq.heappushpop(worst, entry)[-1].text.close()
        except CharrnnError as problem:
            problems.append(problem)
        for *_, row in sorted(worst, reverse=True):
            self._print(row)
        if problems:
            raise problems[0]

    def _collect(self) -> Iterator[_Row]:
        """Yield the units; the text of each is to be closed."""
        from charrnn.data.alphabet import KEEPING_BYTES

        written = _open_text()
        try:
            for text, score in self._scoring.parts():
                exact = text.encode("utf-8", KEEPING_BYTES) if self._as_json else b""
                with writing_temporary_files():
                    written.write(exact or escape(text).encode())
                if score:
                    yield _Row(score, written)
                    written = _open_text()
        finally:
            written.close()

    def _print(self, row: _Row) -> None:
        output = terminal.TextOutput(raw=False)
        with row.text:
            for data in self._spell_json(row) if self._as_json else self._spell_columns(row):
                output.write(data)

    def _spell_columns(self, row: _Row) -> Iterator[bytes]:
        yield f"{row.score.bits:.3f}\t{row.score.bits_per_char:.4f}\t".encode()
        yield from row.parts()
        yield b"\n"

    def _spell_json(self, row: _Row) -> Iterator[bytes]:
        """Spell a unit as JSON, with the exact bytes of a text that holds U+FFFD."""
        score = row.score
        figures = {
            self._scoring.by: score.number,
            "bits": score.bits,
            "bits_per_char": score.bits_per_char if score.characters else None,
            "characters": score.characters,
            "text": "",
        }
        yield terminal.encode_json(figures).removesuffix('"}').encode()
        decoder, is_exact = codecs.getincrementaldecoder("utf-8")("replace"), True
        for data in itertools.chain(row.parts(), (b"",)):
            text = decoder.decode(data, final=not data)
            is_exact = is_exact and "\ufffd" not in text
            yield terminal.encode_json(text)[1:-1].encode()
        if not is_exact:
            yield b'", "text_base64": "'
            yield from map(base64.b64encode, row.parts())
        yield b'"}\n'


def _open_text() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(MOST_HELD)
