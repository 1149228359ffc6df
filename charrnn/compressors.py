"""What the standard library's compressors make of a text once they have read another.

The cost of a text is the compressed size of both together less that of the first alone. The three
look back differently far: zlib 32 kilobytes, bz2 to the beginning of a block of 900, and xz over
everything. Unlike a model that has been trained, all of them go on learning as they read the text.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

_LEAST_DICTIONARY, _MOST_DICTIONARY = 1 << 12, 1 << 26


def _xz(data: bytes) -> bytes:
    # A dictionary as long as the text reaches all of it, and takes no more memory than it must.
    size = min(max(len(data), _LEAST_DICTIONARY), _MOST_DICTIONARY)
    return lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": size}])


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 9),
    "bz2": lambda data: bz2.compress(data, 9),
    "xz": _xz,
}
"""The compressors by name, each at its strongest within reason."""


def bits_given(learnt: bytes, text: bytes, names: Sequence[str]) -> dict[str, int]:
    """Bits that a text costs after another under each of some compressors, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        both = {name: pool.submit(COMPRESSORS[name], learnt + text) for name in names}
        first = {name: pool.submit(COMPRESSORS[name], learnt) for name in names}
        return {name: 8 * (len(both[name].result()) - len(first[name].result())) for name in names}
