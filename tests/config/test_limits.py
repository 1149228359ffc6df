"""Limits: what a process may take, and what a user says to raise them."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from charrnn.config import control_groups, limits
from charrnn.config.limits import MEMORY, check_memory, measure_available_bytes, read_limit
from charrnn.errors import UsageError

KIB, GIB = 1 << 10, 1 << 30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a system of the test's own, with 3 GiB of memory that are available."""
    monkeypatch.setattr(control_groups, "_SYSTEM", tmp_path)
    monkeypatch.delenv(MEMORY, raising=False)
    put(tmp_path, "proc/meminfo", f"MemTotal: 9 kB\nMemAvailable:  {3 * GIB // KIB} kB\n")
    return tmp_path


def put(system: Path, name: str, content: str) -> None:
    path = system / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize(
    ("value", "size"),
    [("8000", 8000), ("8G", 8 * GIB), ("1.5 gib", 3 * GIB // 2), ("2kB", 2048), ("", None)],
)
def test_a_limit_is_a_number_of_bytes(
    monkeypatch: pytest.MonkeyPatch, value: str, size: int | None
) -> None:
    monkeypatch.setenv(MEMORY, value)
    assert read_limit(MEMORY) == size


@pytest.mark.parametrize("value", ["much", "-1", "8X", "8,000", "1e9", "G"])
def test_what_is_no_number_of_bytes_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(MEMORY, value)
    with pytest.raises(UsageError, match="such as 8000000000 or 8G"):
        read_limit(MEMORY)


def test_more_than_is_available_is_refused_unless_the_user_allows_it(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_memory(3 * GIB, "it")
    with pytest.raises(UsageError, match=r"it takes at least 3\.5 GiB .* 3\.0 GiB may") as raised:
        check_memory(7 * GIB // 2, "it")
    assert f"{MEMORY}=4G" in str(raised.value)
    monkeypatch.setenv(MEMORY, "4G")
    check_memory(7 * GIB // 2, "it")
    monkeypatch.setenv(MEMORY, "1G")
    with pytest.raises(UsageError):
        check_memory(2 * GIB, "it")


def test_nothing_is_refused_where_the_system_does_not_tell(system: Path) -> None:
    (system / "proc/meminfo").unlink()
    assert measure_available_bytes() is None
    check_memory(1 << 60, "it")


def test_a_container_has_what_its_groups_leave(system: Path) -> None:
    group = "sys/fs/cgroup/a/b"
    put(system, "proc/self/cgroup", "0::/a/b\n")
    mounted = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    put(system, "proc/self/mountinfo", mounted)
    put(system, f"{group}/memory.max", "max\n")
    put(system, f"{group}/memory.current", "1000\n")
    assert measure_available_bytes() == 3 * GIB
    put(system, f"{group}/memory.max", "5000\n")
    assert measure_available_bytes() == 4000
    put(system, f"{group}/memory.stat", "anon 200\nactive_file 200\ninactive_file 300\n")
    assert measure_available_bytes() == 4500
    put(system, "sys/fs/cgroup/a/memory.max", "900\n")
    put(system, "sys/fs/cgroup/a/memory.current", "950\n")
    assert measure_available_bytes() == 0
    assert limits.measure_memory_bytes() == 900


def test_groups_of_the_first_version_and_of_another_root_are_read(system: Path) -> None:
    # Within a container the path is often that of the host, and the group is the root.
    put(system, "proc/self/cgroup", "5:cpu:/\n4:memory,hugetlb:/host/1f\n0::/\n")
    mounted = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory,hugetlb\n"
    put(system, "proc/self/mountinfo", mounted)
    group = "sys/fs/cgroup/memory"
    put(system, f"{group}/memory.limit_in_bytes", "7000\n")
    put(system, f"{group}/memory.usage_in_bytes", "3000\n")
    put(system, f"{group}/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n")
    assert measure_available_bytes() == 4500


def test_limits_of_the_process_count(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(system, "proc/self/status", "VmSize:\t 300 kB\nVmData:\t 50 kB\n")
    bounds = {resource.RLIMIT_AS: 1000 * KIB, resource.RLIMIT_DATA: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda number: (bounds[number], bounds[number]))
    assert measure_available_bytes() == 700 * KIB
    bounds[resource.RLIMIT_DATA] = 400 * KIB
    assert measure_available_bytes() == 350 * KIB
