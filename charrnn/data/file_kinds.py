"""Kinds of files that are often given by mistake, recognized by their first bytes.

Sources: the specifications of the formats, which name the bytes that their files begin with.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

HEAD_BYTES = 1 << 12
"""First bytes of a file that are enough to recognize it."""


_UNPACK = "unpack it first, with "
_FETCH = "fetch the file itself, with git lfs pull"
_CONVERT = "save its text as plain text, and give that"
_TAKE_OUT = "take the text out of it, and give that"


class FileKind(NamedTuple):
    """A kind of file.

    Attributes:
        name: its name with an article, as in "is a PDF document".
        way_out: what to do to get at a text, a clause in the imperative; empty if there is nothing.
    """

    name: str
    way_out: str = ""

    @property
    def hides_another(self) -> bool:
        """True if the file stands for another, which may be of any kind."""
        return self.way_out.startswith((_UNPACK, _FETCH))


_BY_BEGINNING: tuple[tuple[re.Pattern[bytes], FileKind], ...] = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\x1f\x8b\x08", FileKind("a gzip file", _UNPACK + "gunzip")),
        (rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38)", FileKind("a bzip2 file", _UNPACK + "bunzip2")),
        (rb"\xfd7zXZ\x00", FileKind("an xz file", _UNPACK + "unxz")),
        (rb"\x28\xb5\x2f\xfd", FileKind("a Zstandard file", _UNPACK + "unzstd")),
        (rb"\x04\x22\x4d\x18", FileKind("an LZ4 file", _UNPACK + "unlz4")),
        (rb"LZIP\x01", FileKind("an lzip file", _UNPACK + "lunzip")),
        (rb"\x1f\x9d[\x89-\x90]", FileKind("a compressed file", _UNPACK + "uncompress")),
        (rb"7z\xbc\xaf\x27\x1c", FileKind("a 7-Zip archive", _UNPACK + "7z")),
        (rb"Rar!\x1a\x07", FileKind("a RAR archive", _UNPACK + "unrar")),
        (rb".{257}ustar", FileKind("a tar archive", _UNPACK + "tar")),
        (rb"%PDF-", FileKind("a PDF document", "convert it to text first, with pdftotext")),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind("an old Office document", _CONVERT)),
        (rb"\{\\rtf", FileKind("an RTF document", _CONVERT)),
        (rb".{60}BOOKMOBI", FileKind("a Kindle book", _CONVERT)),
        (rb"AT&TFORM", FileKind("a DjVu document", "convert it to text first, with djvutxt")),
        (rb"\x89PNG\r\n\x1a\n", FileKind("a PNG image")),
        (rb"\xff\xd8\xff[\xc0-\xfe]", FileKind("a JPEG image")),
        (rb"GIF8[79]a", FileKind("a GIF image")),
        (rb"II\*\x00|MM\x00\*", FileKind("a TIFF image")),
        (rb"RIFF.{4}WEBP", FileKind("a WebP image")),
        (rb"RIFF.{4}(WAVE|AVI )|ID3[\x02-\x04]|OggS\x00|fLaC\x00", FileKind("a recording")),
        (rb"\x00\x00\x00.ftyp|\x1aE\xdf\xa3", FileKind("a recording")),
        (rb"\x93NUMPY[\x01-\x03]", FileKind("a NumPy array", _TAKE_OUT)),
        (rb"PAR1[\x00-\x1f]", FileKind("a Parquet table", _TAKE_OUT)),
        (rb"ARROW1\x00\x00", FileKind("an Arrow table", _TAKE_OUT)),
        (rb"SQLite format 3\x00", FileKind("an SQLite database", _TAKE_OUT)),
        (rb"\x89HDF\r\n\x1a\n", FileKind("an HDF5 file", _TAKE_OUT)),
        (rb"\x80[\x02-\x05]", FileKind("a pickle of Python", _TAKE_OUT)),
        (rb"GGUF[\x01-\x0f]\x00", FileKind("a GGUF model")),
        (rb".{3}[\x00]{5}\{", FileKind("a safetensors file")),
        (rb"\x7fELF|MZ.{58,}PE\x00\x00|\xcf\xfa\xed\xfe|\xca\xfe\xba\xbe", FileKind("a program")),
        (
            rb"version https://git-lfs\.github\.com/spec/",
            FileKind("a Git LFS pointer", _FETCH),
        ),
    )
)

_ANY_BEGINNING = re.compile(b"|".join(begins.pattern for begins, _ in _BY_BEGINNING), re.DOTALL)
"""Matches if one of them does: a folder may hold many files, and most are texts."""

_ZIP = rb"PK(\x03\x04|\x05\x06|\x07\x08)"
_IN_ZIP: tuple[tuple[bytes, FileKind], ...] = (
    (b"mimetypeapplication/epub", FileKind("an EPUB book", _CONVERT)),
    (b"META-INF/container.xml", FileKind("an EPUB book", _CONVERT)),
    (b"mimetypeapplication/vnd.oasis", FileKind("an OpenDocument file", _CONVERT)),
    (b"word/", FileKind("a Word document", _CONVERT)),
    (b"xl/", FileKind("an Excel workbook", _CONVERT)),
    (b"ppt/", FileKind("a PowerPoint presentation", _CONVERT)),
    (b"[Content_Types].xml", FileKind("an Office document", _CONVERT)),
    (b"data.pkl", FileKind("a PyTorch file")),
    (b".npy", FileKind("a file of NumPy arrays", _TAKE_OUT)),
)
_ANY_ZIP = FileKind("a zip archive", _UNPACK + "unzip")

_HTML = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<!--.{0,1024}?-->\s*)?<(!doctype\s+html|html)\b",
    re.IGNORECASE | re.DOTALL,
)


def identify_file(head: bytes) -> FileKind | None:
    r"""Identify a file that is no plain text by its first bytes; None if it may be one.

    Args:
        head: the first HEAD_BYTES of the file, or all if it is shorter.

    >>> identify_file(b"%PDF-1.7\n").name
    'a PDF document'
    >>> identify_file(b"Once upon a time") is None
    True
    """
    if re.match(_ZIP, head):
        return next((kind for mark, kind in _IN_ZIP if mark in head), _ANY_ZIP)
    if not _ANY_BEGINNING.match(head):
        return None
    return next(kind for begins, kind in _BY_BEGINNING if begins.match(head))


def is_html(head: bytes) -> bool:
    """Return whether a text begins as an HTML page does, whose tags nobody means to learn."""
    return bool(_HTML.match(head))


def looks_like_text(head: bytes) -> bool:
    """Return whether first bytes are those of a plain text in UTF-8, or in UTF-16 with a mark."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if not head or b"\0" in head or identify_file(head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as problem:
        # The head may end within a character.
        return problem.start > len(head) - 4 and problem.reason == "unexpected end of data"
    return True
