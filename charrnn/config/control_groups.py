"""The control groups of this process, where Linux and containers limit memory and processors.

A controller is mounted by itself (version 1), or all of them together (version 2); a hybrid system
has both. A limit holds for a group and all groups below it. Source: the manual page cgroups(7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_SYSTEM = Path("/")
_MOUNTED = re.compile(r"^\S+ \S+ \S+ (/\S*) /(\S*) .* - (cgroup2?) \S* (\S+)$", re.MULTILINE)
_ESCAPED = re.compile(r"\\([0-7]{3})")


class ControlGroup(NamedTuple):
    """A control group of this process.

    Attributes:
        folder: where its files are, relative to the root of the system.
        unified: True in version 2.
    """

    folder: PurePosixPath
    unified: bool


class _Mount(NamedTuple):
    """A mounted hierarchy: the group that is mounted, and the folder where it is."""

    root: PurePosixPath
    folder: PurePosixPath


def list_groups(controller: str) -> Iterator[ControlGroup]:
    """List the groups of this process that may limit something, each before those above it.

    Args:
        controller: ``memory`` or ``cpu``.
    """
    for line in read_system_file("proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        unified = number == "0" and not controllers
        if not unified and controller not in controllers.split(","):
            continue
        own = PurePosixPath(path)
        mounts = list(_list_mounts("" if unified else controller))
        # A container may be told its group by the host's name for it: what it sees is the mount.
        for mount in [m for m in mounts if _lies_in(own, m.root)] or mounts:
            inner = own.relative_to(mount.root) if _lies_in(own, mount.root) else PurePosixPath()
            for part in (inner, *inner.parents):
                yield ControlGroup(mount.folder / part, unified)


def _lies_in(path: PurePosixPath, root: PurePosixPath) -> bool:
    # A group outside of those that this process may know by name begins with "/..".
    return path.is_relative_to(root) and ".." not in path.relative_to(root).parts


def _list_mounts(controller: str) -> Iterator[_Mount]:
    """List where a controller of version 1 is mounted; all of version 2 if it is empty."""
    for found in _MOUNTED.finditer(read_system_file("proc/self/mountinfo")):
        root, folder, kind, options = found.groups()
        of_controller = kind == "cgroup" and controller in options.split(",")
        if of_controller if controller else kind == "cgroup2":
            yield _Mount(_decode(root), _decode(folder))


def _decode(path: str) -> PurePosixPath:
    """Decode a path of mountinfo, in which blanks and backslashes are octal numbers."""
    return PurePosixPath(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), path))


def read_system_file(file: str | PurePosixPath) -> str:
    """Read a file that the system writes, by its path from the root; empty if it cannot be."""
    try:
        return (_SYSTEM / file).read_text(errors="replace")
    except OSError:
        return ""
