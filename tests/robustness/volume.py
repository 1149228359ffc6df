"""A disk that may lose power: the requests it got, and the contents it may have afterwards.

The content of a file is certain once the file was synced, a name once its folder was. Every other
change may have reached the disk or not, each by itself and in no order, and of a write any part.
"""

from __future__ import annotations

import itertools
import math
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.disks import HurriedDisk

Files = dict[str, bytes]
"""Contents of a folder's files by their paths."""

Place = int | str
"""A synced place: the number of a file, or the path of a folder."""

_FOLDER = -1
_MOST_OUTCOMES = 24


@dataclass(frozen=True)
class Change:
    """Something that a disk was asked to change.

    Attributes:
        place: what has to be synced for it to be certain.
        names: for a folder, the numbers of the files that names stand for now, None for removed.
        offset: for a file, where it was written from, or cut if there is no data.
        data: what was written.
    """

    place: Place
    names: Mapping[str, int | None] = field(default_factory=dict)
    offset: int = 0
    data: bytes | None = None

    def reached(self, fates: random.Random) -> Sequence[float]:
        """The shares of it that may have reached the disk."""
        return (0, 1) if not self.data else (0, fates.random(), 1)


@dataclass(frozen=True)
class Sync:
    """A sync: all earlier changes of the place are on the disk for certain."""

    place: Place


@dataclass(frozen=True)
class Committed:
    """A report to the program that something is safely stored."""

    what: Any


Event = Change | Sync | Committed


class PowerCut(BaseException):
    """Ends the process at once, as a power cut does."""


class Volume(HurriedDisk):
    """A disk that carries out each request and records it.

    Attributes:
        events: all that happened.
        dies_at: how many events the process lives to see; None for all.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.dies_at: int | None = None
        self._numbers = itertools.count()
        self._names: dict[str, int] = {}
        self._sizes: dict[int, int] = {}
        self._open: dict[int, int] = {}

    def create(self, path: Path, mode: int = 0o666) -> int:
        self._live()
        file = self._open_known(path, super().create(path, mode))
        self._cut(file, 0)
        return file

    def extend(self, path: Path, mode: int = 0o666) -> int:
        self._live()
        return self._open_known(path, super().extend(path, mode))

    def write(self, file: int, data: memoryview) -> int:
        self._live()
        written = super().write(file, data)
        number = self._open[file]
        self.events.append(Change(number, {}, self._sizes[number], bytes(data[:written])))
        self._sizes[number] += written
        return written

    def truncate(self, file: int, size: int) -> None:
        self._live()
        super().truncate(file, size)
        self._cut(file, size)

    def sync(self, file: int) -> None:
        self._live()
        self.events.append(Sync(self._open[file]))

    def rename(self, source: Path, target: Path) -> None:
        self._live()
        super().rename(source, target)
        self._name(target.parent, {_key(source): None, _key(target): self._names[_key(source)]})

    def remove(self, path: Path) -> None:
        self._live()
        super().remove(path)
        self._name(path.parent, {_key(path): None})

    def make_folder(self, path: Path) -> None:
        self._live()
        super().make_folder(path)
        self._name(path.parent, {_key(path): _FOLDER})

    def remove_folder(self, path: Path) -> None:
        self._live()
        super().remove_folder(path)
        self._name(path.parent, {_key(path): None})

    def sync_folder(self, path: Path) -> bool:
        self._live()
        self.events.append(Sync(_key(path)))
        return True

    def _live(self) -> None:
        if self.dies_at is not None and len(self.events) >= self.dies_at:
            raise PowerCut

    def _open_known(self, path: Path, file: int) -> int:
        if _key(path) not in self._names:
            number = next(self._numbers)
            self._sizes[number] = 0
            self._name(path.parent, {_key(path): number})
        self._open[file] = self._names[_key(path)]
        return file

    def _cut(self, file: int, size: int) -> None:
        number = self._open[file]
        if self._sizes[number] > size:
            self.events.append(Change(number, {}, size))
            self._sizes[number] = size

    def _name(self, folder: Path, names: Mapping[str, int | None]) -> None:
        self.events.append(Change(_key(folder), names))
        for name, number in names.items():
            if number is None:
                del self._names[name]
            else:
                self._names[name] = number


def _key(path: Path) -> str:
    return os.path.normpath(path)


def outcomes(events: Sequence[Event], fates: random.Random) -> Iterator[Files]:
    """Yield contents that a disk may have after a power cut: all possible ones, or some if many."""
    changes: list[Change] = []
    uncertain: list[int] = []
    for event in events:
        if isinstance(event, Change):
            uncertain.append(len(changes))
            changes.append(event)
        elif isinstance(event, Sync):
            uncertain = [index for index in uncertain if changes[index].place != event.place]
    shares: list[Sequence[float]] = [(1,)] * len(changes)
    for index in uncertain:
        shares[index] = changes[index].reached(fates)
    if math.prod(map(len, shares)) <= _MOST_OUTCOMES:
        drawn: Iterable[Sequence[float]] = itertools.product(*shares)
    else:
        drawn = ([fates.choice(some) for some in shares] for _ in range(_MOST_OUTCOMES))
    for reached in drawn:
        yield _what_is_left(changes, reached)


def _what_is_left(changes: Sequence[Change], reached: Sequence[float]) -> Files:
    names: dict[str, int | None] = {}
    contents: defaultdict[Place, bytearray] = defaultdict(bytearray)
    for change, share in zip(changes, reached, strict=True):
        if not share:
            continue
        names.update(change.names)
        if isinstance(change.place, int):
            content = contents[change.place]
            if change.data is None:
                del content[change.offset :]
            else:
                part = change.data[: math.ceil(share * len(change.data))]
                content.extend(bytes(max(change.offset - len(content), 0)))
                content[change.offset : change.offset + len(part)] = part
    folders = {".", *(name for name, number in names.items() if number == _FOLDER)}
    return {
        name: bytes(contents[number])
        for name, number in names.items()
        if number not in (None, _FOLDER) and folders.issuperset(map(str, Path(name).parents))
    }


def write_out(files: Files, folder: Path) -> None:
    """Put files into a folder that is empty."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read_in(folder: Path) -> Files:
    """The files of a folder, locks left out: they hold nothing."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.name != ".lock"
    }
