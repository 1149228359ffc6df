"""Libraries that cannot be loaded, mostly for want of memory, in one line and the way out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

if sys.platform != "win32":  # Loaded early, as long as there is memory for it.
    import resource

_NO_MEMORY = re.compile("failed to map segment|cannot allocate memory|out of memory", re.IGNORECASE)


def explain_loading(problem: ImportError | MemoryError | OSError) -> str | None:
    """Describe a library that could not be loaded; None if the error is another one.

    It works where hardly any memory is left, and where most modules are not loaded.
    """
    texts = [str(one) for one in _list_causes(problem)]
    if isinstance(problem, MemoryError) or any(map(_NO_MEMORY.search, texts)):
        return f"not enough memory to load the libraries of charrnn{describe_limit()}"
    if isinstance(problem, ModuleNotFoundError) or not isinstance(problem, ImportError):
        return None
    package = (problem.name or "").partition(".")[0]
    if package in ("", "charrnn"):
        return None
    line = texts[-1].strip().partition("\n")[0]
    return f"{package} cannot be imported: {line}. Install it again."


def describe_limit() -> str:
    """Describe the limit of this process's memory and the way out; empty if there is none."""
    if sys.platform == "win32":
        return ""
    limits = []
    for option, kind in (("-v", resource.RLIMIT_AS), ("-d", resource.RLIMIT_DATA)):
        soft = resource.getrlimit(kind)[0]
        if soft != resource.RLIM_INFINITY:
            limits.append(f"ulimit {option} {soft // 1024}")
    return f".\nIt is limited by {' and '.join(limits)}; raise that limit" if limits else ""


def _list_causes(problem: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that it came from, the first of them last."""
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__
