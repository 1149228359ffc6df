"""Libraries that cannot be loaded are told in a line, with the limit that is the cause."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.cli import loading
from charrnn.cli.loading import explain_loading
from tests.support.program import COMMAND, ENVIRONMENT, charrnn, explain

MEGABYTE = 1 << 20


def chained(problem: Exception, *causes: Exception) -> Exception:
    """Return an error that was raised from others, the first of them last."""
    below = problem
    for cause in causes:
        below.__cause__ = cause
        below = cause
    return problem


NO_MEMORY = [
    MemoryError(),
    ImportError("libtorch_cpu.so: failed to map segment from shared object", name="torch._C"),
    OSError("libtorch_global_deps.so: failed to map segment from shared object"),
    ImportError("libx.so: mmap: Cannot allocate memory"),
    chained(
        ImportError("IMPORTANT: READ THIS"), ImportError("libopenblas.so: failed to map segment")
    ),
]


@pytest.mark.parametrize("problem", NO_MEMORY)
def test_want_of_memory_is_told_with_the_limit(
    problem: ImportError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "describe_limit", lambda: ".\nIt is limited")
    told = explain_loading(problem)
    assert told == "not enough memory to load the libraries of charrnn.\nIt is limited"


def test_a_damaged_library_is_named_and_other_errors_are_left_alone() -> None:
    broken = ImportError("libc10.so: cannot open shared object file\nmore", name="torch._C")
    told = "torch cannot be imported: libc10.so: cannot open shared object file. Install it again."
    assert explain_loading(broken) == told
    assert explain_loading(ImportError("cannot import name 'x'", name="charrnn.api")) is None
    assert explain_loading(ModuleNotFoundError("No module named 'x'", name="x")) is None
    assert explain_loading(OSError("No such file or directory")) is None


def test_limits_of_memory_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {resource.RLIMIT_AS: resource.RLIM_INFINITY, resource.RLIMIT_DATA: 2 * MEGABYTE}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], 0))
    assert loading.describe_limit() == ".\nIt is limited by ulimit -d 2048; raise that limit"
    limits[resource.RLIMIT_DATA] = resource.RLIM_INFINITY
    assert loading.describe_limit() == ""


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [20, 150, 400])
def test_a_program_with_too_little_memory_says_so_in_a_line(tmp_path: Path, megabytes: int) -> None:
    (tmp_path / "text.txt").write_text("Once more. " * 500)
    limited = ("sh", "-c", f'ulimit -v {megabytes * 1024}; exec "$@"', "sh", *COMMAND)
    result = charrnn("train", "text.txt", "--steps", "1", cwd=tmp_path, command=limited)
    assert result.returncode == 1, explain(result)
    assert b"not enough memory" in result.stderr
    assert b"ulimit -v" in result.stderr
    assert b"Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "text.txt"]


COLLECTING = """
import atexit, gc, sys
before = gc.get_threshold()[0]
atexit.register(lambda: print(gc.get_threshold()[0] > before, gc.get_freeze_count() > 0))
from charrnn.cli.entry import main
sys.argv = ["charrnn", "guide"]
main()
"""


def test_the_garbage_collector_lets_a_start_and_an_end_alone() -> None:
    """With its own thresholds it took a tenth of a start, and its last rounds most of an end."""
    ended = subprocess.run(
        [sys.executable, "-c", COLLECTING],
        env={**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout.splitlines()[-1] == b"True True"
