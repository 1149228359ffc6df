"""Files, folders and bytes -> decoded text, chunk by chunk, with what a run must remember of it."""

from __future__ import annotations

import codecs
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from charrnn.errors import CorpusError, UsageError

CHUNK_BYTES = 1 << 20
_SNIFF_BYTES = 1 << 16
_NAMED = 3
_RUN_FILE = "last.safetensors"
_BYTE_ORDER_MARK = "\ufeff"


def check_encoding(encoding: str) -> None:
    """Raise UsageError unless ``encoding`` names a text encoding that Python knows."""
    try:
        # The first refuses codecs that do not yield text, the second names that mean a place.
        io.TextIOWrapper(io.BytesIO(), encoding=encoding).close()
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError):
        raise UsageError(
            f"--encoding is {encoding!r:.60}, which is not a text encoding known here; "
            "try utf-8, latin-1, cp1252, utf-16 or shift_jis"
        ) from None


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
        raise CorpusError(f"{path}: cannot be read: {problem.strerror}") from problem
    return True


class TextReader:
    """The text of some files and folders, in order, decoded chunk by chunk and otherwise untouched.

    Iterate over it once. With each chunk, ``file`` is the file it is from and ``start`` how many of
    that file's characters came before. When the iteration has ended, ``digest`` is the SHA-256 of
    all the bytes that were read, in order, and ``notes`` says what was left out and why.

    Args:
        paths: files and folders. A folder stands for its text files, found at any depth and sorted
            by path; files that are not text are left out with a note, hidden ones and what
            training runs have written without.
        encoding: how the bytes spell characters; None reads every byte as a symbol.

    Raises:
        UsageError: an encoding that Python does not know.
        CorpusError: a path that is missing or unreadable, a folder without text, bytes that the
            encoding does not allow (with their offset and line).
    """

    def __init__(self, paths: Sequence[Path], encoding: str | None = "utf-8") -> None:
        if encoding is not None:
            check_encoding(encoding)
        self._encoding = encoding
        self._hash = hashlib.sha256()
        self.notes: list[str] = []
        self.file: Path | None = None
        self.start = 0
        self._files = [file for path in paths for file in self._expand(path)]

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes read so far, in hexadecimal."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[str]:
        for file in self._files:
            with _open(file) as stream:
                yield from self.follow(file, stream)

    def follow(self, name: Path, stream: io.BufferedReader) -> Iterator[str]:
        """The text of a stream that is open already, as it comes; errors call it by the name."""
        self.file, self.start = name, 0
        for text in self._read(name, stream):
            yield text
            self.start += len(text)

    def _expand(self, path: Path) -> list[Path]:
        if not exists(path):
            raise CorpusError(f"{path}: there is no such file or folder")
        if not path.is_dir():
            return [path]
        found = []
        for folder, folders, names in os.walk(path, onerror=self._note_unreadable):
            if _RUN_FILE in names:
                folders.clear()
                continue
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [Path(folder, name) for name in names if not name.startswith(".")]
        texts = [file for file in sorted(found) if file.is_file() and self._is_text(file)]
        if not texts:
            raise CorpusError(f"{path}: the folder holds no text files ({len(found)} files seen)")
        if others := sorted(set(found) - set(texts)):
            named = ", ".join(str(file.relative_to(path)) for file in others[:_NAMED])
            more = ", ..." if len(others) > _NAMED else ""
            self.notes.append(
                f"{path}: left out {len(others)} of {len(found)} files as not text: {named}{more}"
            )
        return texts

    def _note_unreadable(self, problem: OSError) -> None:
        self.notes.append(f"{problem.filename}: left out: {problem.strerror}")

    def _is_text(self, file: Path) -> bool:
        """Whether a file found in a folder opens like text: no NUL, and it decodes."""
        if self._encoding is None:
            return True
        decoder = codecs.getincrementaldecoder(self._encoding)()
        try:
            with file.open("rb") as stream:
                head = stream.read(_SNIFF_BYTES)
            return "\0" not in decoder.decode(head)
        except (OSError, UnicodeError):
            return False

    def _read(self, file: Path, stream: io.BufferedReader) -> Iterator[str]:
        try:
            if self._encoding is None:
                while data := stream.read1(CHUNK_BYTES):
                    self._hash.update(data)
                    yield data.decode("latin-1")
            else:
                yield from self._decode(file, stream, self._encoding)
        except OSError as problem:
            raise _unreadable(file, problem) from problem

    def _decode(self, file: Path, stream: io.BufferedReader, encoding: str) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(encoding)()
        offset, lines, at_start = 0, 1, True
        while True:
            data = stream.read1(CHUNK_BYTES)
            self._hash.update(data)
            state = decoder.getstate()
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as problem:
                # Counted from the chunk's end, since a codec may cut a byte-order mark off.
                sound = len(data) - len(problem.object) + problem.start
                decoder.setstate(state)
                lines += decoder.decode(data[: max(sound, 0)]).count("\n")
                raise CorpusError(
                    f"{file}: byte {offset + sound:,} (0x{problem.object[problem.start]:02X}, "
                    f"line {lines:,}) is not {encoding}. "
                    "Name the right one with --encoding, or use --bytes."
                ) from None
            except UnicodeError as problem:
                raise CorpusError(
                    f"{file}: is not {encoding}: {problem}. "
                    "Name the right one with --encoding, or use --bytes."
                ) from None
            if at_start and text:
                at_start = False
                if text.startswith(_BYTE_ORDER_MARK):
                    self.notes.append(f"{file}: dropped the byte-order mark")
                    text = text[1:]
            if text:
                lines += text.count("\n")
                yield text
            if not data:
                return
            offset += len(data)


def _open(file: Path) -> io.BufferedReader:
    try:
        return file.open("rb")
    except OSError as problem:
        raise _unreadable(file, problem) from problem


def _unreadable(file: Path, problem: OSError) -> CorpusError:
    return CorpusError(f"{file}: cannot be read: {problem.strerror}")
