"""Files, folders and bytes -> decoded text, chunk by chunk, with what a run must remember of it.

Bytes -> text, chunk by chunk, or an error that says where the encoding does not allow them.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader
from pathlib import Path

from charrnn.errors import CorpusError, Remedy, UsageError
from charrnn.files import is_file, is_folder

CHUNK_BYTES = 1 << 20

MOST_BYTES = 4 << 30
"""Bytes that a text may have: an endless one, or a hole that claims to be a file, has more."""

_SNIFF_BYTES = 1 << 16
_NAMED = 3
_RUN_FILE = "last.safetensors"


def exists(path: Path) -> bool:
    """Whether there is something at a path.

    Raises:
        CorpusError: that cannot be found out: a folder on the way is closed, a name too long.
    """
    try:
        path.stat()
    except (FileNotFoundError, ValueError):
        # ValueError: no file has a name with a NUL in it.
        return False
    except OSError as problem:
        raise _unreadable(path, problem) from problem
    return True


def read_text(name: object, stream: BufferedReader) -> Iterator[bytes]:
    """The bytes of a text that has an end, chunk by chunk as they come.

    Args:
        name: what to call it in errors.
        stream: read to its end.

    Raises:
        CorpusError: it cannot be read, or goes beyond MOST_BYTES.
    """
    yield from read_chunks(name, stream, MOST_BYTES)


def read_chunks(name: object, stream: BufferedReader, most: int | None) -> Iterator[bytes]:
    """What a stream holds, chunk by chunk as it comes.

    Args:
        name: what to call it in errors.
        stream: read to its end.
        most: bytes that it may hold; None is any number.

    Raises:
        CorpusError: it cannot be read, or holds more.
    """
    size = 0
    try:
        while data := stream.read1(CHUNK_BYTES):
            size += len(data)
            if most is not None and size > most:
                raise too_long(name)
            yield data
    except OSError as problem:
        raise _unreadable(name, problem) from problem


def too_long(name: object) -> CorpusError:
    """The error of a text that goes beyond MOST_BYTES."""
    return CorpusError(
        f"{name}: goes beyond {MOST_BYTES:,} bytes, the most that a text may have; does it end?",
        Remedy("give a part of it"),
    )


class TextReader:
    """The text of some files and folders, in order, decoded chunk by chunk and otherwise untouched.

    Iterate over it once. With each chunk, ``file`` is the file it is from, ``name`` what to call
    that file, and ``start`` how many of its characters came before. When the iteration has ended,
    ``digest`` is the SHA-256 of all the bytes that were read, in order, and ``notes`` says what was
    left out and why.

    Args:
        paths: files and folders. A folder stands for its text files, found at any depth and sorted
            by path; files that are not text are left out with a note, hidden ones and what
            training runs have written without.
        encoding: how the bytes spell characters; None reads every byte as a symbol.
        names: what errors and notes call a path that is none of the user's own.

    Raises:
        UsageError: an encoding that Python does not know.
        CorpusError: a path that is missing or unreadable, a folder without text, bytes that the
            encoding does not allow (with their offset and line), more than MOST_BYTES, or a file
            that changes while it is read, so that nobody could read the same text again.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        encoding: str | None = "utf-8",
        names: Mapping[Path, str] | None = None,
    ) -> None:
        if encoding is not None:
            check_encoding(encoding)
        self._encoding = encoding
        self._names = names or {}
        self._hash = hashlib.sha256()
        self._size = 0
        self.notes: list[str] = []
        self.file: Path | None = None
        self.start = 0
        self._files = [file for path in paths for file in self._expand(path)]

    @property
    def name(self) -> str:
        """The name of the file that the chunk that came last is from."""
        return self._name(self.file) if self.file else ""

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes read so far, in hexadecimal."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[str]:
        for file in self._files:
            yield from self._follow(file, self._read_bytes(file))

    def follow(self, name: Path, stream: BufferedReader) -> Iterator[str]:
        """The text of a stream that is open already, as it comes, however long it is.

        Args:
            name: what to call it in errors.
            stream: read to its end, if it has one.
        """
        yield from self._follow(name, read_chunks(name, stream, most=None))

    def _name(self, file: Path) -> str:
        return self._names.get(file, str(file))

    def _expand(self, path: Path) -> list[Path]:
        if not exists(path):
            raise CorpusError(f"{path}: there is no such file or folder")
        if not path.is_dir():
            return [path]
        found = list(self._walk(path))
        texts = [file for file in sorted(found) if is_file(file) and self._is_text(file)]
        if not texts:
            seen = "; ".join([f"{len(found)} files seen", *self.notes])
            raise CorpusError(f"{path}: the folder holds no text files ({seen})")
        if others := sorted(set(found) - set(texts)):
            named = ", ".join(str(file.relative_to(path)) for file in others[:_NAMED])
            more = ", ..." if len(others) > _NAMED else ""
            self.notes.append(
                f"{path}: left out {len(others)} of {len(found)} files as not text, or closed: "
                f"{named}{more}"
            )
        return texts

    def _walk(self, folder: Path) -> Iterator[Path]:
        """What is in a folder at any depth, but folders, hidden ones and training runs.

        Folders wait in a list: any depth of them is no depth of calls. Links to them are not
        followed, which may lead in circles.
        """
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            try:
                with os.scandir(here) as entries:
                    shown = [entry for entry in entries if not entry.name.startswith(".")]
            except OSError as problem:
                self.notes.append(f"{here}: left out: {problem.strerror}")
                continue
            if any(entry.name == _RUN_FILE for entry in shown):
                continue
            for entry in shown:
                path = here / entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif not is_folder(path):
                    yield path

    def _is_text(self, file: Path) -> bool:
        """Whether a file found in a folder opens like text: no NUL, and it decodes."""
        if self._encoding is None:
            return True
        try:
            with file.open("rb") as stream:
                head = stream.read(_SNIFF_BYTES)
            decoder = Decoder(file, self._encoding)
            # Without a byte there is nothing to decode, and nothing would mean the end.
            return not head or "\0" not in decoder.decode(head)
        except (OSError, CorpusError):
            return False

    def _follow(self, file: Path, chunks: Iterator[bytes]) -> Iterator[str]:
        self.file, self.start = file, 0
        for text in self._decode(file, chunks):
            if text:
                yield text
                self.start += len(text)

    def _decode(self, file: Path, chunks: Iterator[bytes]) -> Iterator[str]:
        if self._encoding is None:
            yield from (data.decode("latin-1") for data in chunks)
            return
        decoder = Decoder(self._name(file), self._encoding)
        for data in chunks:
            yield decoder.decode(data)
        yield decoder.decode(b"")
        if decoder.dropped_mark:
            self.notes.append(f"{self._name(file)}: dropped the byte-order mark")

    def _read_bytes(self, file: Path) -> Iterator[bytes]:
        name = self._name(file)
        try:
            with file.open("rb") as stream:
                before = os.fstat(stream.fileno())
                if self._size + before.st_size > MOST_BYTES:
                    raise too_long(name)
                for data in read_chunks(name, stream, MOST_BYTES - self._size):
                    self._size += len(data)
                    self._hash.update(data)
                    yield data
                after = os.fstat(stream.fileno())
        except OSError as problem:
            raise _unreadable(name, problem) from problem
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise CorpusError(
                f"{name}: changed while it was read (then {before.st_size:,} bytes, now "
                f"{after.st_size:,})",
                Remedy("wait until nobody writes to it"),
                Remedy("give a copy of it"),
            )


def _unreadable(name: object, problem: OSError) -> CorpusError:
    return CorpusError(f"{name}: cannot be read: {problem.strerror}")


MOST_PENDING = 1 << 20
"""Bytes that may wait for the end of a character; UTF-7 alone can make more than a few wait."""

_BYTE_ORDER_MARK = "\ufeff"
# They spell names and source code; what they make of a text depends on where its chunks end.
_NOT_FOR_FILES = frozenset({"idna", "punycode", "unicode-escape"})
_REMEDIES = (
    Remedy("name the right encoding", "encoding"),
    Remedy("take every byte as a symbol", "bytes"),
)


def check_encoding(encoding: str) -> None:
    """Raise UsageError unless ``encoding`` names a text encoding that Python knows."""
    try:
        # The first refuses codecs that do not yield text, the second names that mean a place.
        io.TextIOWrapper(io.BytesIO(), encoding=encoding).close()
        codecs.getincrementaldecoder(encoding)
        known = codecs.lookup(encoding).name.replace("_", "-") not in _NOT_FOR_FILES
    except (LookupError, ValueError):
        known = False
    if not known:
        raise UsageError(
            f"is {encoding!r:.60}, which is not a text encoding known here",
            Remedy("try utf-8, latin-1, cp1252, utf-16 or shift_jis"),
            settings=("encoding",),
        )


class Decoder:
    """Decodes the bytes of one file as they come, and drops a byte-order mark that opens them.

    Attributes:
        dropped_mark: whether there was one that the encoding itself takes for text.

    Args:
        name: what errors call it.
        encoding: one that :func:`check_encoding` accepts.
    """

    def __init__(self, name: object, encoding: str) -> None:
        self.dropped_mark = False
        self._name = name
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._offset, self._lines, self._at_start = 0, 1, True

    def decode(self, data: bytes) -> str:
        """The text of some more bytes; none at all mean that the file has ended.

        Raises:
            CorpusError: the encoding does not allow them; names the first bad byte and its line.
        """
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeError as problem:
            raise CorpusError(
                f"{self._name}: {self._explain(problem, data, state)}", *_REMEDIES
            ) from None
        if len(self._decoder.getstate()[0]) > MOST_PENDING:
            raise CorpusError(
                f"{self._name}: is not {self._encoding}: more than {MOST_PENDING:,} bytes without "
                "an end",
                *_REMEDIES,
            )
        if self._at_start and text:
            self._at_start = False
            if text.startswith(_BYTE_ORDER_MARK):
                self.dropped_mark = True
                text = text[1:]
        self._lines += text.count("\n")
        self._offset += len(data)
        return text

    def _explain(self, problem: UnicodeError, data: bytes, state: tuple[bytes, int]) -> str:
        """What is wrong with some bytes, before which the decoder was in a state."""
        if not isinstance(problem, UnicodeDecodeError):
            return f"is not {self._encoding}: {problem}"
        # Counted from the chunk's end, since a codec may cut a byte-order mark off.
        sound = len(data) - len(problem.object) + problem.start
        self._decoder.setstate(state)
        try:
            before = self._decoder.decode(data[: max(sound, 0)])
        except UnicodeError as earlier:
            # As of UTF-16 that lacks its byte-order mark, which is looked for last.
            return self._explain(earlier, data, state)
        return (
            f"byte {self._offset + sound:,} (0x{problem.object[problem.start]:02X}, "
            f"line {self._lines + before.count(chr(10)):,}) is not {self._encoding}"
        )
