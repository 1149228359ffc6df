"""The library reports that the system gives no memory, and works without threads if it must."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.networks import needs_library

ROOT = Path(__file__).parents[2]

pytestmark = [
    needs_library,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory so"),
]

PREPARE = """
import resource
import numpy as np
from charrnn.kernels.library import load_kernels
from charrnn.kernels.network import Network, NetworkWeights

def weights(hidden, characters=3):
    generator = np.random.default_rng(1)
    def draw(*shape):
        return generator.standard_normal(shape, np.float32) * np.float32(0.1)
    return NetworkWeights(
        draw(characters, 4 * hidden), draw(0, 4 * hidden, hidden), draw(0, 4 * hidden),
        draw(1, 4 * hidden, hidden), None, None, None, draw(characters, hidden), draw(characters),
    )

def bound(more):
    pages = int(open("/proc/self/statm").read().split()[0])
    size = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))

def make(weights):
    return Network(load_kernels(), weights, form="separate", connect="stack")
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.slow
def test_weights_that_do_not_fit_raise_memory_error() -> None:
    program = """
small, large = weights(8), weights(2048)
make(small)
bound(20 << 20)
try:
    make(large)
except MemoryError as problem:
    print("refused:", problem)
print(make(small).predict(np.zeros((1, 1), int), make(small).fresh_states(1)).shape)
"""
    assert run(program).splitlines() == [
        "refused: the native library found no memory for its work",
        "(1, 1, 3)",
    ]


@pytest.mark.slow
def test_a_thread_that_finds_no_memory_raises_memory_error() -> None:
    program = """
few = make(weights(8, characters=1_000_000))
ids = np.zeros((1, 64), int)
states = few.fresh_states(64)
bound(60 << 20)
try:
    few.score(ids, ids, states, threads=2)
except MemoryError as problem:
    print("refused:", problem)
"""
    assert run(program) == "refused: the native library found no memory for its work"


def test_threads_that_cannot_be_started_are_done_without() -> None:
    program = """
import threading
network = make(weights(8))
ids = np.random.default_rng(2).integers(0, 3, (5, 64))
alone = network.predict(ids, network.fresh_states(64), threads=1)
bound(60 << 20)
go = threading.Event()
try:
    for _ in range(64):
        threading.Thread(target=go.wait).start()
except RuntimeError:
    print("no more threads")
crowd = network.predict(ids, network.fresh_states(64), threads=64)
go.set()
print(np.array_equal(crowd, alone))
"""
    assert run(program).splitlines() == ["no more threads", "True"]
