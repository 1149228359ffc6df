"""Read files and folders as decoded text, chunk by chunk, and compute the digest of their bytes.

An encoding error names the byte offset and the line.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain
from pathlib import Path

from charrnn.config.settings import Plain
from charrnn.data.alphabet import KEEPING_BYTES
from charrnn.data.file_kinds import HEAD_BYTES, identify_file
from charrnn.data.text_signs import TextSigns, guess_encoding
from charrnn.data.text_size import check_file, find_most_bytes, guard_stream, make_size_error
from charrnn.errors import CorpusError, Notice, Remedy, UsageError
from charrnn.files import is_file, is_folder

CHUNK_BYTES = 1 << 20

_SNIFF_BYTES = 1 << 16
_NAMED = 3
_RUN_FILE = "last.safetensors"


@dataclass(frozen=True)
class FileFacts(Plain):
    """Facts of a file or folder that are known without reading it, and hardly to be guessed.

    Attributes:
        bytes: its size; 0 for a folder.
        modified_ns: the time of its last change, in nanoseconds since 1970.
    """

    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileFacts:
        """Select them from what the system says of a file."""
        size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        return cls(size, status.st_mtime_ns)


def examine_file(path: Path) -> FileFacts | None:
    """Return the facts of a file or folder without opening it; None if there is none."""
    return FileFacts.of(path.stat()) if is_file(path) or is_folder(path) else None


def path_exists(path: Path) -> bool:
    """Return whether a file or folder exists at a path.

    Raises:
        CorpusError: the path cannot be examined: a folder in it is not accessible, or a name in it
            is too long.
    """
    try:
        path.stat()
    except (FileNotFoundError, ValueError):
        # ValueError: the name contains a NUL, so no such file can exist.
        return False
    except OSError as problem:
        raise _unreadable(path, problem) from problem
    return True


def read_text(name: object, stream: BufferedReader) -> Iterator[bytes]:
    """Read the bytes of a finite text, chunk by chunk as they arrive.

    Args:
        name: its name in errors.
        stream: read to its end.

    Raises:
        CorpusError: it cannot be read, is too long, or shows that it has no end.
    """
    try:
        file = stream.fileno()
    except OSError:
        file = None
    yield from guard_stream(name, file, read_chunks(name, stream))


def read_chunks(name: object, stream: BufferedReader) -> Iterator[bytes]:
    """Read the bytes of a stream, chunk by chunk as they arrive.

    Args:
        name: its name in errors.
        stream: read to its end.

    Raises:
        CorpusError: it cannot be read.
    """
    try:
        while data := stream.read1(CHUNK_BYTES):
            yield data
    except OSError as problem:
        raise _unreadable(name, problem) from problem


class TextReader:
    """An iterator over the text of files and folders, in order, decoded chunk by chunk.

    It can be iterated once. Except for the decoding the text is unchanged.

    Args:
        paths: files and folders. A folder means its text files, found at any depth and sorted
            by path. Other files, and links that lead out of the folder, are skipped with a note,
            hidden files and the files of training runs without one.
        encoding: encoding of the files; None makes every byte a symbol.
        names: names in errors and notes for paths that are not the user's own.
        remedies: for bytes that are not valid in the encoding, besides naming the right one.
        keeps_bytes: True decodes such bytes by :func:`charrnn.data.alphabet.keep_invalid_bytes`.
        signs: watches the texts; None does so for a continuous text.

    Attributes:
        file: the file of the present chunk.
        start: number of characters of that file before the present chunk.
        skipped: messages about files that are left out.

    Raises:
        UsageError: Python does not know the encoding.
        CorpusError: a path is missing or unreadable, a folder has no text, a file is of another
            kind than text, bytes are not valid in the encoding (with their offset and line), there
            are more of them than is allowed, or a file changes while it is read, so that the same
            text could not be read again.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        encoding: str | None = "utf-8",
        names: Mapping[Path, str] | None = None,
        remedies: Sequence[Remedy] = (),
        *,
        keeps_bytes: bool = False,
        signs: TextSigns | None = None,
    ) -> None:
        self._remedies = (NAME_ENCODING, *remedies)
        self._errors = KEEPING_BYTES if keeps_bytes else "strict"
        if encoding is not None:
            check_encoding(encoding)
        self._encoding = encoding
        self.signs = signs or TextSigns(encoding)
        self._names = names or {}
        self._hash = hashlib.sha256()
        self._size, self._most = 0, find_most_bytes()
        self.skipped: list[str] = []
        self.file: Path | None = None
        self.start = 0
        self._files = [file for path in paths for file in self._expand(path)]
        self._check_sizes()

    @property
    def name(self) -> str:
        """The name of the present chunk's file."""
        return self._name(self.file) if self.file else ""

    @property
    def notes(self) -> list[str]:
        """Messages about files and texts, complete when the iteration has ended."""
        return [*self.skipped, *self.signs.notices]

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes read so far, in hexadecimal."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.texts())

    def texts(self) -> Iterator[Iterator[str]]:
        """Yield the chunks of each file by themselves, to be read before the next file's."""
        for file in self._files:
            yield self._read(file, self._read_bytes(file))

    def read_stream(self, name: Path, stream: BufferedReader) -> Iterator[str]:
        """Decode the text of an open stream of any length, as it arrives.

        Args:
            name: its name in errors.
            stream: read to its end, if it has one.
        """
        yield from self._read(name, read_chunks(name, stream))

    def _name(self, file: Path) -> str:
        return self._names.get(file, str(file))

    def _check_sizes(self) -> None:
        """Raise CorpusError if the files are too large together, before the first is read."""
        size = 0
        for file in self._files:
            with suppress(OSError):
                status = file.stat()
                check_file(self._name(file), status, size)
                size += status.st_size

    def _expand(self, path: Path) -> list[Path]:
        if not path_exists(path):
            raise CorpusError(f"{path}: there is no such file or folder")
        if not path.is_dir():
            return [path]
        skipped: list[Notice] = []
        outside: list[Path] = []
        found = list(self._walk(path, skipped, outside))
        texts = [file for file in sorted(found) if is_file(file) and self._is_text(file)]
        if outside:
            named = _list_below(path, outside)
            links = "1 link that leads" if len(outside) == 1 else f"{len(outside)} links that lead"
            message = f"{path}: left out {links} out of it: {named}"
            skipped.append(Notice(message, Remedy("name them to read them as well")))
        if others := set(found) - set(texts):
            message = (
                f"{path}: skipped {len(others)} of {len(found)} files that are not text or not "
                f"readable: {_list_below(path, others)}"
            )
            skipped.append(Notice(message, *self._name_most_common_encoding(others)))
        if not texts:
            seen = "; ".join([f"{len(found)} files found", *(one.message for one in skipped)])
            ways = [remedy for one in skipped for remedy in one.remedies]
            raise CorpusError(f"{path}: the folder holds no text files ({seen})", *ways)
        self.skipped += skipped
        return texts

    def _name_most_common_encoding(self, files: Iterable[Path]) -> list[Remedy]:
        """Name the encoding of files that are texts, but in another encoding than the rest."""
        heads = (_read_head(file) for file in files if is_file(file))
        guesses = Counter(map(guess_encoding, heads))
        for useless in (None, self._encoding):
            del guesses[useless]
        action = "name the encoding of those that are text"
        return [Remedy(action, "encoding", guess) for guess, _ in guesses.most_common(1)]

    def _walk(self, folder: Path, skipped: list[Notice], outside: list[Path]) -> Iterator[Path]:
        """Yield the files in a folder at any depth, except hidden ones and those of training runs.

        The walk is iterative, since deep folders would exceed the recursion limit. It follows no
        links to folders, which may form cycles, and none to what is outside the folder, which the
        user has not named.

        Args:
            folder: its path.
            skipped: receives messages about folders that cannot be read.
            outside: receives the links that lead out of the folder.
        """
        try:
            root = folder.resolve()
        except OSError as problem:  # The current folder was removed.
            raise _unreadable(folder, problem) from problem
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            try:
                with os.scandir(here) as entries:
                    shown = [entry for entry in entries if not entry.name.startswith(".")]
            except OSError as problem:
                skipped.append(Notice(f"{here}: skipped: {problem.strerror}"))
                continue
            if any(entry.name == _RUN_FILE for entry in shown):
                continue
            for entry in shown:
                path = here / entry.name
                if entry.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                    outside.append(path)
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif not is_folder(path):
                    yield path

    def _is_text(self, file: Path) -> bool:
        """Return whether the beginning of a file is text: it decodes and contains no NUL."""
        if self._encoding is None:
            return True
        try:
            with file.open("rb") as stream:
                head = stream.read(_SNIFF_BYTES)
            if identify_file(head[:HEAD_BYTES]):
                return False
            decoder = Decoder(file, self._encoding, self._remedies, self._errors)
            # Empty bytes would tell the decoder that the file has ended.
            return not head or "\0" not in decoder.decode(head)
        except (OSError, CorpusError):
            return False

    def _read(self, file: Path, chunks: Iterator[bytes]) -> Iterator[str]:
        self.file, self.start = file, 0
        self.signs.begin(self._name(file))
        for text in self._decode(file, chunks):
            self.signs.add(text)
            if text:
                yield text
                self.start += len(text)
        self.signs.end()

    def _decode(self, file: Path, chunks: Iterator[bytes]) -> Iterator[str]:
        if self._encoding is None:
            yield from (data.decode("latin-1") for data in chunks)
            return
        decoder = Decoder(self._name(file), self._encoding, self._remedies, self._errors)
        is_first = True
        for data in chain(chunks, [b""]):
            if is_first:
                refuse_other_kinds(self._name(file), data[:HEAD_BYTES], self._remedies)
                is_first = False
            self.signs.look(data)
            try:
                yield decoder.decode(data)
            except CorpusError as problem:
                problem.remedies = self._name_encoding(problem.remedies)
                raise
        if decoder.dropped_mark:
            self.signs.drop_mark()

    def _name_encoding(self, remedies: tuple[Remedy, ...]) -> tuple[Remedy, ...]:
        """Name the encoding in remedies if the text's beginning tells it."""
        guess = guess_encoding(self.signs.head)
        named = Remedy(NAME_ENCODING.action, NAME_ENCODING.means, guess)
        return tuple(named if guess and one is NAME_ENCODING else one for one in remedies)

    def _read_bytes(self, file: Path) -> Iterator[bytes]:
        name = self._name(file)
        try:
            with file.open("rb") as stream:
                before = os.fstat(stream.fileno())
                self.signs.identify(before.st_dev, before.st_ino)
                check_file(name, before, self._size)
                chunks = read_chunks(name, stream)
                if not before.st_size:
                    chunks = guard_stream(name, stream.fileno(), chunks)
                for data in chunks:
                    self._size += len(data)
                    if self._size > self._most:
                        raise make_size_error(name, self._most)
                    self._hash.update(data)
                    yield data
                after = os.fstat(stream.fileno())
        except OSError as problem:
            raise _unreadable(name, problem) from problem
        if FileFacts.of(before) != FileFacts.of(after):
            raise CorpusError(
                f"{name}: changed while it was read (then {before.st_size:,} bytes, now "
                f"{after.st_size:,})",
                Remedy("wait until no program writes to it"),
                Remedy("give a copy of it"),
            )


def refuse_other_kinds(name: object, head: bytes, remedies: Sequence[Remedy] = ()) -> None:
    """Raise CorpusError if the first bytes of a file are those of a file that is no text.

    Args:
        name: its name in the error.
        head: its first HEAD_BYTES, or all that have arrived.
        remedies: ways to read bytes that are not text; naming an encoding is none.
    """
    if kind := identify_file(head):
        ways = [Remedy(kind.way_out)] if kind.way_out else []
        others = [remedy for remedy in remedies if remedy is not NAME_ENCODING]
        raise CorpusError(f"{name}: is {kind.name}, not plain text", *ways, *others)


def _read_head(file: Path) -> bytes:
    """Read some of the beginning of a file; nothing of one that cannot be read."""
    with suppress(OSError), file.open("rb") as stream:
        return stream.read(HEAD_BYTES)
    return b""


def _list_below(folder: Path, files: Iterable[Path]) -> str:
    """List the first of some files by their paths in a folder."""
    names = [str(file.relative_to(folder)) for file in sorted(files)]
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _unreadable(name: object, problem: OSError) -> CorpusError:
    return CorpusError(f"{name}: cannot be read: {problem.strerror}")


MOST_PENDING = 1 << 20
"""The most undecoded bytes that a decoder may hold; only UTF-7 can hold more than a few."""

_BYTE_ORDER_MARK = "\ufeff"
# These encode names and source code; their result depends on the division into chunks.
_NOT_FOR_FILES = frozenset({"idna", "punycode", "unicode-escape"})
NAME_ENCODING = Remedy("name the right encoding", "encoding")


def check_encoding(encoding: str) -> None:
    """Raise UsageError unless ``encoding`` names a text encoding that Python knows."""
    try:
        # The first refuses codecs that yield no text, the second the special name "locale".
        io.TextIOWrapper(io.BytesIO(), encoding=encoding).close()
        codecs.getincrementaldecoder(encoding)
        known = codecs.lookup(encoding).name.replace("_", "-") not in _NOT_FOR_FILES
    except (LookupError, ValueError):
        known = False
    if not known:
        raise UsageError(
            f"is {encoding!r:.60}, which is not a known text encoding",
            Remedy("try utf-8, latin-1, cp1252, utf-16 or shift_jis"),
            settings=("encoding",),
        )


class Decoder:
    """Decodes the bytes of one file as they arrive, and drops a byte-order mark at their beginning.

    Args:
        name: the file's name in errors.
        encoding: an encoding that :func:`check_encoding` accepts.
        remedies: for bytes that are not valid in the encoding.
        errors: the name of the error handler for them.

    Attributes:
        dropped_mark: True if a byte-order mark was dropped that the encoding itself keeps.
    """

    def __init__(
        self,
        name: object,
        encoding: str,
        remedies: Sequence[Remedy] = (NAME_ENCODING,),
        errors: str = "strict",
    ) -> None:
        self._remedies = remedies
        self.dropped_mark = False
        self._name = name
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._offset, self._lines, self._at_start = 0, 1, True

    def decode(self, data: bytes) -> str:
        """Decode some more bytes; empty bytes mark the end of the file.

        Raises:
            CorpusError: the bytes are not valid; names the first invalid byte and its line.
        """
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeError as problem:
            raise CorpusError(
                f"{self._name}: {self._explain(problem, data, state)}", *self._remedies
            ) from None
        if len(self._decoder.getstate()[0]) > MOST_PENDING:
            raise CorpusError(
                f"{self._name}: is not {self._encoding}: an unfinished sequence of more than "
                f"{MOST_PENDING:,} bytes",
                *self._remedies,
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
        """Describe the error in some bytes, given the decoder's state before them."""
        if not isinstance(problem, UnicodeDecodeError):
            return f"is not {self._encoding}: {problem}"
        # Counted from the chunk's end, since a codec may remove a byte-order mark.
        valid = len(data) - len(problem.object) + problem.start
        self._decoder.setstate(state)
        try:
            before = self._decoder.decode(data[: max(valid, 0)])
        except UnicodeError as earlier:
            # UTF-16 reports a missing byte-order mark only after it has decoded the rest.
            return self._explain(earlier, data, state)
        return (
            f"byte {self._offset + valid:,} (0x{problem.object[problem.start]:02X}, "
            f"line {self._lines + before.count(chr(10)):,}) is not {self._encoding}"
        )
