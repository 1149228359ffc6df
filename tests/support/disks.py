"""Disks that watch, refuse or die, to be put in the place of the real one."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.errors import CharrnnError, StorageError
from charrnn.files import Disk

TAKING_ROOM = ("create", "extend", "write", "sync", "make_folder")
"""Requests that a full disk refuses."""

CHANGING = (*TAKING_ROOM, "truncate", "rename", "remove", "remove_folder", "sync_folder")
"""Requests that a disk which can only be read refuses."""

REQUESTS = (*CHANGING, "close")
"""All requests."""

NEVER = sys.maxsize
"""No request has this number."""


class HurriedDisk(Disk):
    """Waits for nothing to reach the real disk: for trials that never cut its power."""

    def sync(self, file: int) -> None:
        pass

    def sync_folder(self, path: Path) -> bool:
        return True


class WatchedDisk(HurriedDisk):
    """A disk on which :meth:`meet` is told of every request and may refuse it."""

    def meet(self, request: str, *given: Any) -> None:
        """Raise, or let the request happen."""


def _watched(request: str) -> Callable[..., Any]:
    real = getattr(HurriedDisk, request)

    def watched(disk: WatchedDisk, *given: Any) -> Any:
        disk.meet(request, *given)
        return real(disk, *given)

    return watched


for _request in REQUESTS:
    setattr(WatchedDisk, _request, _watched(_request))


@dataclass(frozen=True)
class Fault:
    """A fault of a disk.

    Attributes:
        problem: makes what the refused request raises.
        lasting: requests that are refused from then on; none if it passes.
        torn: whether a write that is refused has written half.
    """

    problem: Callable[[], BaseException]
    lasting: Collection[str] = ()
    torn: bool = False

    @property
    def exit_code(self) -> int:
        """The exit code that the program ends with."""
        is_the_disks = isinstance(self.problem(), OSError)
        return (StorageError if is_the_disks else CharrnnError).exit_code

    @property
    def keeps_litter(self) -> bool:
        """True if the disk refuses even to remove files."""
        return "remove" in self.lasting


def refusal(number: int) -> Callable[[], OSError]:
    """Makes the system's error of that number."""
    return lambda: OSError(number, os.strerror(number))


FAULTS = {
    "full": Fault(refusal(errno.ENOSPC), TAKING_ROOM, torn=True),
    "over quota, once": Fault(refusal(errno.EDQUOT), torn=True),
    "failing, once": Fault(refusal(errno.EIO)),
    "failed": Fault(refusal(errno.EIO), REQUESTS),
    "forbidden": Fault(refusal(errno.EACCES), ("create", "extend", "make_folder", "rename")),
    "read-only from then on": Fault(refusal(errno.EROFS), CHANGING),
    "out of memory, once": Fault(MemoryError),
}


class FaultyDisk(WatchedDisk):
    """Refuses its n-th request, counted from 1, and what else the fault refuses after it.

    Attributes:
        requests: how many have been made.
        refused: the first that was refused.
    """

    def __init__(self, fault: Fault, nth: int) -> None:
        self.fault = fault
        self.nth = nth
        self.requests = 0
        self.refused: str | None = None

    def meet(self, request: str, *given: Any) -> None:
        self.requests += 1
        if self.requests < self.nth:
            return
        first = self.requests == self.nth and (
            not self.fault.lasting or request in self.fault.lasting
        )
        if not first and request not in self.fault.lasting:
            return
        self.refused = self.refused or request
        if request == "close":
            os.close(given[0])
        if request == "write" and self.fault.torn:
            os.write(given[0], given[1][: len(given[1]) // 2])
        raise self.fault.problem()


class SippingDisk(HurriedDisk):
    """Takes a few bytes of each write only, as a system may."""

    def write(self, file: int, data: memoryview) -> int:
        return super().write(file, data[:3])
