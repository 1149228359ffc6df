"""A corpus is untrusted: whatever it holds and is called, it is read exactly or refused clearly."""

import codecs
import hashlib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from charrnn.data import text_reader
from charrnn.data.corpus import Corpus, fit_corpus
from charrnn.data.disk_array import MOST_IN_MEMORY
from charrnn.data.text_reader import Decoder, TextReader
from charrnn.errors import CorpusError
from tests.conftest import SENTENCES
from tests.robustness.promise import Promise
from tests.robustness.strange import draw_bytes, draw_cuts, draw_name, known_encodings, obeyed
from tests.support.forked import forked
from tests.support.program import SMALL

_ENCODINGS = known_encodings()
_COMMON = ("utf_8", "utf_8_sig", "utf_16", "latin_1", "cp1252", "shift_jis", "gb18030")
_OVERFLOW = "pending buffer overflow"
_MEGABYTE = 1 << 20
_FIXED_BYTES = 24 * _MEGABYTE
_LEAST_MEGABYTES = 128
_SENTENCES = ("\n".join(SENTENCES) * 8_000).encode()[:_MEGABYTE]
_FABLES = "".join(map(chr, range(0x4E00, 0x4E00 + 5_000))).encode() * 70
# A block that the text repeats.
_KINDS = {"text": _SENTENCES, "bytes": _SENTENCES, "chinese": _FABLES}
# The child tells its own peak: what the system adds up for it includes its parent's.
_PEAK_OF_READING = """
import sys
from pathlib import Path
from charrnn.data.corpus import fit_corpus
fit_corpus([Path(sys.argv[1])], None if sys.argv[2] == "bytes" else "utf-8")
(peak,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
print(peak.split()[1])
"""
_PROGRAM = (sys.executable, "-m", "charrnn")


def _decode(encoding: str, pieces: list[bytes]) -> str:
    decoder = Decoder(Path("some.txt"), encoding)
    return "".join(decoder.decode(piece) for piece in [*pieces, b""])


def read_in_pieces(count: int, seed: int) -> Iterator[str | None]:
    """The same bytes in one piece and in drawn ones, in every encoding that is known."""
    rng = random.Random(seed)
    for trial in range(count):
        encoding = _ENCODINGS[trial % len(_ENCODINGS)]
        data = draw_bytes(rng, encoding)
        pieces = draw_cuts(rng, data)
        outcomes = []
        for cut in ([data] if data else [], pieces):
            try:
                outcomes.append(_decode(encoding, cut))
            except CorpusError as problem:
                outcomes.append(f"refused: {problem}")
        # Of an endless escape sequence, ISO 2022 keeps too little to say where it began.
        alike = outcomes[0] == outcomes[1] or (
            outcomes[0].startswith("refused") and _OVERFLOW in outcomes[1]
        )
        yield None if alike else f"{encoding} of {pieces}: {outcomes[0]!r}, {outcomes[1]!r}"


def read_or_refuse(count: int, seed: int) -> Iterator[str | None]:
    """Files of drawn bytes, under drawn names, read in chunks of a drawn size."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            encoding = rng.choice((*_COMMON, None))
            data = draw_bytes(rng, encoding or "utf-8")
            file = Path(folder, draw_name(rng))
            file.write_bytes(data)
            with patch.object(text_reader, "CHUNK_BYTES", rng.randrange(1, 40)):
                try:
                    wrong = _compare(fit_corpus([file], encoding), data, encoding)
                except CorpusError as problem:
                    wrong = _judge_refusal(str(problem), file, data, encoding)
                except Exception as problem:  # noqa: BLE001 - whatever else comes is a failure
                    wrong = repr(problem)
            yield f"{wrong}: {file.name!r} of {data!r} in {encoding}" if wrong else None
            file.unlink()


def _compare(corpus: Corpus, data: bytes, encoding: str | None) -> str:
    text = _decode_at_once(data, encoding)
    if corpus.alphabet.decode(corpus.ids) != text:
        return "was read as another text"
    return "" if corpus.digest == hashlib.sha256(data).hexdigest() else "has another digest"


def _judge_refusal(message: str, file: Path, data: bytes, encoding: str | None) -> str:
    if str(file) not in message and "surrogates" not in message:
        return f"refused without its name: {message}"
    try:
        text = _decode_at_once(data, encoding)
    except UnicodeError as problem:
        if encoding != "utf_8" or not isinstance(problem, UnicodeDecodeError):
            return ""
        line = data[: problem.start].count(b"\n") + 1
        place = f": byte {problem.start:,} (0x{data[problem.start]:02X}, line {line:,}) is not"
        return "" if place in message else f"refused at another place: {message}"
    # What decodes is refused for one reason alone.
    return "" if len(set(text)) < 2 else f"refused: {message}"


def _decode_at_once(data: bytes, encoding: str | None) -> str:
    if encoding is None:
        return data.decode("latin-1")
    return codecs.getincrementaldecoder(encoding)().decode(data, final=True).removeprefix("\ufeff")


def notice_changes(count: int, seed: int) -> Iterator[str | None]:
    """Files that are written to, cut or rewritten in place after a drawn number of chunks."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "some.txt")
        for _ in range(count):
            data = bytes(rng.choices(b"abcdefgh\n", k=rng.randrange(40, 400)))
            file.write_bytes(data)
            os.utime(file, (1, 1))
            change = rng.choice(("nothing", "grow", "cut", "rewrite"))
            chunk = rng.randrange(1, 40)
            after = rng.randrange(1, -(-len(data) // chunk) + 1)
            wrong = _read_while(file, chunk, after, change, data)
            yield f"{change} after reading of {data!r} began: {wrong}" if wrong else None


def _read_while(file: Path, chunk: int, after: int, change: str, data: bytes) -> str:
    changes = {"nothing": data, "grow": data + b"more", "cut": data[:-9], "rewrite": data[::-1]}
    text, refused = "", False
    with patch.object(text_reader, "CHUNK_BYTES", chunk):
        reader = TextReader([file])
        try:
            for number, piece in enumerate(reader):
                text += piece
                if number + 1 == after and change != "nothing":
                    with file.open("r+b") as stream:
                        stream.write(changes[change])
                        stream.truncate()
        except CorpusError as problem:
            refused = "changed while it was read" in str(problem)
    if refused != (change != "nothing"):
        return "was not noticed" if change != "nothing" else "was refused"
    return "" if refused or text.encode() == data else "was read as another text"


def stay_within_memory(count: int, seed: int) -> Iterator[str | None]:
    """Texts of every kind, of 128 MB, then of 256 MB and so on, read by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "some.txt")
        for trial in range(count):
            kind = list(_KINDS)[trial % len(_KINDS)]
            block = _KINDS[kind]
            megabytes = _LEAST_MEGABYTES << trial // len(_KINDS)
            blocks = megabytes * _MEGABYTE // len(block)
            file.write_bytes(b"ab")
            floor = _peak(file, kind)
            with file.open("wb") as stream:
                stream.writelines([block] * blocks)
            used = _peak(file, kind) - floor
            most = MOST_IN_MEMORY + _FIXED_BYTES
            yield None if used <= most else f"{megabytes} MB of {kind} took {used:,} bytes more"


def _peak(file: Path, kind: str) -> int:
    command = [sys.executable, "-c", _PEAK_OF_READING, str(file), kind]
    return int(subprocess.run(command, capture_output=True, check=True).stdout) << 10


def refuse_the_endless(count: int, seed: int) -> Iterator[str | None]:
    """Give the program sources that have no end, or claim to have none."""
    with tempfile.TemporaryDirectory() as folder:
        with Path(folder, "hole.txt").open("wb") as stream:
            stream.truncate(1 << 40)
        for source in ("hole.txt", "/dev/zero", "-", "/dev/urandom")[:count]:
            with Path("/dev/zero").open("rb") as zeros:
                result = subprocess.run(
                    [*_PROGRAM, "train", source],
                    cwd=folder,
                    stdin=zeros,
                    capture_output=True,
                    check=False,
                )
            told = (b"bytes, the most", b"may have no end", b"is not utf-8")
            refused = result.returncode == 3 and any(words in result.stderr for words in told)
            yield None if refused else f"{source}: {result.returncode}, {result.stderr!r}"


def run_the_program(count: int, seed: int) -> Iterator[str | None]:
    """Drawn bytes under drawn names, trained on, scored, looked into and read as a prime."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "model.txt").write_text("\n".join(SENTENCES * 20))
        short = ("--steps", "2", *SMALL)
        forked("train", "model.txt", "--run", "model", *short, cwd=here)
        for trial in range(count):
            name, data = draw_name(rng), draw_bytes(rng, "utf-8") * rng.choice((1, 40))
            kind = rng.choice(((), ("--bytes",)))
            (here / name).write_bytes(data)
            commands = (
                ("train", "--run", f"r{trial}", *kind, *short, "--", name),
                ("eval", "--unknown", "skip", "--", "model", name),
                ("inspect", "gates", "--unknown", "replace", "--", "model", name),
                ("sample", "--unknown", "skip", "--length", "3", "--prime", "-", "--", "model"),
            )
            arguments = commands[trial % len(commands)]
            result = forked(*arguments, cwd=here, stdin=data)
            said = (result.stdout + result.stderr).decode()
            refused = result.returncode == 3 and "charrnn: " in said and "Traceback" not in said
            wrong = obeyed(said) or not (refused or result.returncode == 0)
            yield f"{arguments} of {data!r}: {result.returncode}, {said}" if wrong else None
            (here / name).unlink()


PROMISES = (
    Promise(
        "A text is the same, and refused at the same byte, wherever its chunks end",
        read_in_pieces,
        50_000,
    ),
    Promise("Any file is read exactly as it is, or refused by its name", read_or_refuse, 20_000),
    Promise("A text that changes while it is read is refused", notice_changes, 5_000),
    Promise(
        "Reading takes 64 MB of memory at most, up to 1 GB of text",
        stay_within_memory,
        15,
    ),
    Promise("A text without an end is refused", refuse_the_endless, 4),
    Promise(
        "Any text under any name is used or refused in a line, through the program",
        run_the_program,
        80,
    ),
)
