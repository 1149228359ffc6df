"""An n-gram expert in a model file: its counts and exponents as tensors, in the least bytes.

Of order k, with C contexts and S strings (see ``data/ngrams.py``):

    expert.k.followers    (C)   how many strings begin with each context
    expert.k.characters   (S)   the last character of each string, ascending for each context
    expert.k.counts       (S)   how often each string occurs
    expert.of_network     (K)   float32
    expert.of_ngrams      (K)   float32

Counts are unsigned integers of 8, 16 or 32 bits, whichever hold the largest. The strings of one
order are the contexts of the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Arrays, is_finite
from charrnn.checkpoints.safetensors_io import TensorSpec
from charrnn.data.ngrams import Ngrams, Strings
from charrnn.models.ngram_expert import NgramExpert

T = TypeVar("T")

EXPERTS_SINCE = 6
"""The first format of checkpoints that knows experts."""

EXPERT = "expert."
"""The beginning of the names of an expert's tensors."""

_EXPONENTS = ("of_network", "of_ngrams")
_TABLES = ("followers", "characters", "counts")
_UNSIGNED = tuple(np.dtype(kind) for kind in ("u1", "<u2", "<u4"))
_MOST_ORDERS = 16
_MOST = 2**31 - 1
_BYTES_OF_A_STRING = 16


def pack_expert(expert: NgramExpert | None) -> Arrays:
    """Make the tensors of an expert; none of None."""
    if expert is None:
        return {}
    packed: Arrays = {f"{EXPERT}{name}": getattr(expert, name) for name in _EXPONENTS}
    for order, strings in enumerate(expert.ngrams.orders):
        tables = (np.diff(strings.begins), strings.characters, strings.counts)
        for name, table in zip(_TABLES, tables, strict=True):
            packed[f"{EXPERT}{order}.{name}"] = table.astype(_find_narrowest(table))
    return packed


def split_expert(tensors: Mapping[str, T]) -> tuple[dict[str, T], dict[str, T]]:
    """Separate the tensors of an expert from those of the network."""
    network: dict[str, T] = {}
    expert: dict[str, T] = {}
    for name, tensor in tensors.items():
        (expert if name.startswith(EXPERT) else network)[name] = tensor
    return network, expert


def count_unpacked_bytes(specs: Mapping[str, TensorSpec]) -> int:
    """Estimate the memory that :func:`unpack_expert` takes."""
    return sum(_BYTES_OF_A_STRING * spec.shape[0] for spec in specs.values() if spec.shape)


def unpack_expert(arrays: Arrays, alphabet_size: int) -> NgramExpert | None:
    """Make the expert of its tensors; None if there are none.

    Raises:
        ValueError: tensors that are not those of an expert.
    """
    if not arrays:
        return None
    left = dict(arrays)
    exponents = [left.pop(f"{EXPERT}{name}", np.empty(0, np.float32)) for name in _EXPONENTS]
    orders = exponents[0].size
    if not 1 <= orders <= _MOST_ORDERS:
        raise ValueError(f"an expert of {orders} orders")
    for each in exponents:
        if each.shape != (orders,) or each.dtype != np.float32 or not is_finite(each):
            raise ValueError("the exponents of the expert are not sound")
    found: list[Strings] = []
    for order in range(orders):
        tables = [left.pop(f"{EXPERT}{order}.{name}", None) for name in _TABLES]
        of_contexts = found[-1].counts if found else None
        found.append(_read_strings(tables, of_contexts, alphabet_size))
    if left:
        raise ValueError(f"the expert has unknown tensors: {', '.join(sorted(left))[:200]}")
    return NgramExpert(Ngrams(alphabet_size, tuple(found)), *exponents)


def _find_narrowest(table: NDArray[Any]) -> np.dtype[Any]:
    return next(kind for kind in _UNSIGNED if table.max(initial=0) <= np.iinfo(kind).max)


def _read_strings(
    tables: list[NDArray[np.uint32] | None],
    of_contexts: NDArray[np.int32] | None,
    alphabet_size: int,
) -> Strings:
    """Make the strings of one order, which follow contexts that occur so often."""
    if any(each is None or each.ndim != 1 or each.dtype not in _UNSIGNED for each in tables):
        raise ValueError("the counts of the expert are missing, or not unsigned integers")
    if any(each is not None and each.dtype != _find_narrowest(each) for each in tables):
        raise ValueError("the counts of the expert are wider than charrnn writes them")
    followers, characters, counts = (np.asarray(each, np.int64) for each in tables)
    begins = np.concatenate(([0], np.cumsum(followers)))
    contexts = 1 if of_contexts is None else len(of_contexts)
    if len(followers) != contexts or not begins[-1] == len(characters) == len(counts):
        raise ValueError("the counts of the expert do not belong together")
    # Strings of one context ascend; the first of each may be any character.
    ascends = np.diff(characters, prepend=-1) > 0
    ascends[begins[:-1][followers > 0]] = True
    if not ascends.all() or characters.max(initial=0) >= alphabet_size:
        raise ValueError("the characters of the expert are out of order, or not of the alphabet")
    # A context's count, twice at most, and its different characters are added up in 32 bits.
    if not len(counts) or counts.min() < 1 or 2 * counts.sum() + alphabet_size > _MOST:
        raise ValueError("the counts of the expert are not those of a text")
    return Strings.of(begins, characters, counts, of_contexts)
