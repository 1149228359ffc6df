"""The threads that torch gets are those that come."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn.config.model import ModelConfig
from charrnn.config.training import ComputeConfig
from charrnn.errors import UsageError
from charrnn.kernels import torch_calls
from charrnn.models import device, threads
from charrnn.models.device import choose_precision, multiplies_correctly, settle_compute

ROOT = Path(__file__).parents[2]
ASKED = 3

TELL = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import torch
from charrnn.kernels.torch_calls import find_openmp
from charrnn.models.device import prepare_process
from charrnn.models.threads import explain_threads
threads = prepare_process({ASKED})
assert torch.get_num_threads() == threads
assert find_openmp().start_threads(threads) == threads
print(threads, explain_threads())
"""

needs_openmp = pytest.mark.skipif(
    torch_calls.find_openmp() is None, reason="torch's OpenMP library is not known"
)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_threads", threads._Threads())


@pytest.mark.slow
@needs_openmp
@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"OMP_DYNAMIC": "true"}, "3 "),
        ({"OMP_THREAD_LIMIT": "1"}, "1 OpenMP gives 1 of 3 threads (OMP_THREAD_LIMIT=1)"),
        (
            {"OMP_THREAD_LIMIT": "2", "OMP_DYNAMIC": "true"},
            "2 OpenMP gives 2 of 3 threads (OMP_THREAD_LIMIT=2, OMP_DYNAMIC=true)",
        ),
    ],
)
def test_torch_gets_the_threads_that_openmp_gives(limits: dict[str, str], expected: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **limits}
    told = subprocess.run(
        [sys.executable, "-c", TELL], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout == expected + "\n"


def let_start(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Let so many threads be started, and refuse further ones as the system does."""
    start, left = threads._start_waiting, [most]

    def start_if_allowed(*where: Any) -> Any:
        left[0] -= 1
        return start(*where) if left[0] >= 0 else None

    monkeypatch.setattr(threads, "_start_waiting", start_if_allowed)


@pytest.mark.parametrize("most", range(5))
def test_no_more_threads_are_asked_of_openmp_than_the_system_allows(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    before = threads._count_own_threads()
    let_start(monkeypatch, most)
    asked = []

    class OpenMP:
        def start_threads(self, wanted: int) -> int:
            asked.append(wanted)
            return wanted

    monkeypatch.setattr(threads, "find_openmp", OpenMP)
    monkeypatch.setattr(threads, "list_system_limits", lambda: ["ulimit -u is 9"])
    torch.set_num_threads(4)
    try:
        threads.start_threads(4)
        allowed = min(most + 1, 4)
        assert asked == [allowed] * (allowed > 1)
        assert torch.get_num_threads() == allowed
        short = f"the system allows {allowed} of 4 threads (ulimit -u is 9)"
        assert threads.explain_threads() == (short if allowed < 4 else "")
        threads.start_threads(allowed)
        assert threads.explain_threads() == ""
    finally:
        torch.set_num_threads(1)
    # On a busy machine the system may take long to remove the threads that have ended.
    for _ in range(1000):
        if threads._count_own_threads() <= before:
            break
        time.sleep(0.01)
    assert threads._count_own_threads() <= before


@pytest.mark.skipif(os.name != "posix", reason="threads are those of POSIX")
@pytest.mark.parametrize(
    ("variable", "size", "expected"),
    [
        ("OMP_STACKSIZE", "1000000G", 1),  # More than there are addresses.
        ("GOMP_STACKSIZE", " 1000000000 m ", 1),
        ("OMP_STACKSIZE", "1000000000000", 1),
        ("OMP_STACKSIZE", "1000000B", 3),
        ("OMP_STACKSIZE", "1b", 3),
        ("OMP_STACKSIZE", "1000000T", 3),
        ("OMP_STACKSIZE", "99999999999999999999G", 3),
    ],
)
def test_the_threads_that_are_counted_have_stacks_of_the_size_that_openmp_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, size: str, expected: int
) -> None:
    monkeypatch.setenv(variable, size)
    assert threads.count_allowed_threads(3) == expected
    assert f"{variable}={size}" in threads.list_system_limits()


def test_bf16_is_not_chosen_where_torch_multiplies_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert multiplies_correctly(torch.float32)
    assert multiplies_correctly(torch.bfloat16)
    multiply, model, cpu = torch.Tensor.__matmul__, ModelConfig(), torch.device("cpu")

    def multiply_wrongly(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        product = multiply(left, right)
        if product.dtype == torch.bfloat16:
            product[len(product) // 2 :] = 0  # The part of a thread that did not come.
        return product

    monkeypatch.setattr(device, "_gains_from_bfloat16", lambda model: True)
    assert choose_precision("auto", cpu, model) == "bf16"
    monkeypatch.setattr(torch.Tensor, "__matmul__", multiply_wrongly)
    assert not multiplies_correctly(torch.bfloat16)
    assert choose_precision("auto", cpu, model) == "fp32"
    assert choose_precision("bf16", torch.device("cuda"), model) == "bf16"
    with pytest.raises(UsageError, match="wrongly"):
        settle_compute(ComputeConfig(device="cpu", precision="bf16", threads=1), model)
