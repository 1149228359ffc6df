"""The terminal is protected: what a text, a name or a file holds is shown, never obeyed."""

import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from charrnn.cli.terminal import TextOutput
from charrnn.display import visible
from tests.conftest import SENTENCES
from tests.robustness.promise import Promise
from tests.robustness.strange import draw_bytes, draw_cuts, draw_name, draw_text, obeyed
from tests.support.forked import forked
from tests.support.program import SMALL
from tests.support.pseudoterminal import forked_onto_a_terminal, terminal_stream

_ENCODINGS = ("utf-8", "utf-8", "ascii", "latin-1", "cp1252", "koi8-r", "shift_jis")
_PLANE = 0x1000


def _show(pieces: list[bytes], encoding: str, *, raw: bool = False) -> bytes:
    with terminal_stream(encoding) as (stream, seen), patch.object(sys, "stdout", stream):
        output = TextOutput(raw)
        for piece in pieces:
            output.write(piece)
        output.end()
    return seen.data


def show_drawn_text(count: int, seed: int) -> Iterator[str | None]:
    """Drawn bytes in drawn pieces onto a pseudo-terminal of a drawn encoding."""
    rng = random.Random(seed)
    for trial in range(count):
        data = draw_bytes(rng, "utf-8") if trial % 2 else draw_text(rng).encode()
        pieces, encoding = draw_cuts(rng, data), rng.choice(_ENCODINGS)
        shown = _show(pieces, encoding)
        expected = visible(data.decode("utf-8", "replace"))
        wrong = obeyed(shown.decode(encoding)) or shown != expected.encode(
            encoding, "backslashreplace"
        )
        yield f"{pieces} in {encoding}: {shown!r}" if wrong else None


def show_every_character(count: int, seed: int) -> Iterator[str | None]:
    """All of Unicode, 4,096 characters at a time, and all bytes, in drawn pieces."""
    rng = random.Random(seed)
    for first in list(range(0, 0x110000, _PLANE))[: count - 1]:
        codes = range(first, first + _PLANE)
        text = "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)
        shown = _show(draw_cuts(rng, text.encode()), "utf-8").decode()
        # What is obeyed must change; what is neither that nor a format must not.
        kept = "".join(c for c in text if not obeyed(c) and visible(c) == c)
        wrong = obeyed(shown) or shown != visible(text) or len(kept) < len(text) - 0x100
        yield f"U+{first:04X} and on: {obeyed(shown)}" if wrong else None
    data = bytes(range(256))
    exact = _show([data], "utf-8", raw=True) == data
    harmless = not obeyed(_show([data[at : at + 1] for at in range(256)], "utf-8").decode())
    yield None if exact and harmless else "bytes are not shown, or not exact with --raw"


def say_drawn_arguments(count: int, seed: int) -> Iterator[str | None]:
    """Drawn names and texts as every argument of the program, its streams on a terminal."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        _train(here)
        for trial in range(count):
            word = draw_name(rng)
            commands = (
                ("train", "--", word),
                ("train", f"--{word}"),
                ("train", "model.txt", "--run", "r", "--encoding", word),
                ("train", "--resume", "--", word),
                ("eval", "--", word),
                ("eval", "--", "model", word),
                ("sample", "model", "--prime", word, "--unknown", "skip", "--length", "20"),
                ("sample", "model", "--prime", word),
                ("sample", "model", "--stop", word),
                ("sample", "model", "--prime", word, "--json", "--unknown", "replace"),
                ("inspect", word),
                ("inspect", "gates", "--debug", "--", word),
                (word,),
            )
            arguments = commands[trial % len(commands)]
            result = forked_onto_a_terminal(here, *arguments)
            shown = result.stdout.decode()
            expected = "--debug" in arguments or "Traceback" not in shown
            wrong = obeyed(shown) or not expected or result.returncode not in (0, 2, 3, 4)
            yield f"{arguments}: {result.returncode}, {shown!r}" if wrong else None


def draw_everything(count: int, seed: int) -> Iterator[str | None]:
    """Every other trial a model of all bytes, else one of hard text; each sampled as hot as can be.

    What a terminal shows is compared with what a pipe gets.
    """
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        _train(here)
        for trial in range(count):
            run = ("bytes", "hard")[trial % 2]
            options = ("--temp", "100", "--length", "600", "--count", "2")
            arguments = ("sample", run, *options, "--seed", str(seed + trial))
            exact = forked(*arguments, cwd=here).stdout
            shown = forked_onto_a_terminal(here, *arguments).stdout.decode()
            expected = visible(exact.decode("utf-8", "replace")) + "\n"
            wrong = shown != expected or bool(obeyed(shown)) or len(exact) < 1200
            yield f"{arguments}: {shown!r} for {exact!r}" if wrong else None


def _train(here: Path) -> None:
    rng = random.Random(1)
    (here / "model.txt").write_text("\n".join(SENTENCES * 20))
    (here / "bytes.bin").write_bytes(bytes(range(256)) * 8)
    hard = "".join(draw_text(rng) for _ in range(40))
    (here / "hard.txt").write_text(hard, encoding="utf-8", newline="")
    for file, *kind in (("model.txt",), ("bytes.bin", "--bytes"), ("hard.txt",)):
        forked("train", file, *kind, "--steps", "1", *SMALL, "--run", f"runs/{file[:-4]}", cwd=here)


PROMISES = (
    Promise("A terminal obeys no drawn text, however it is cut", show_drawn_text, 20_000),
    Promise(
        "A terminal is shown every character and every byte and obeys none",
        show_every_character,
        0x110000 // _PLANE + 1,
    ),
    Promise("A terminal obeys no argument and no name", say_drawn_arguments, 130),
    Promise(
        "A terminal shows what a pipe gets exactly, of models of everything", draw_everything, 40
    ),
)
