"""The native library reads and writes nothing beyond the arrays it is given."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "charrnn" / "kernels" / "native"
CHECKS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
FLAGS = ("-std=c++20", "-O0", "-g1", "-fPIC", "-shared", "-pthread", "-march=native")


@pytest.mark.slow
def test_odd_shapes_stay_within_their_arrays(tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None or not any(NATIVE.glob("*.cpp")):
        pytest.skip("this takes g++ and the library's sources")
    built = tmp_path / "hardened.so"
    sources = sorted(map(str, NATIVE.glob("*.cpp")))
    command = [compiler, *FLAGS, *CHECKS, *sources, "-o", str(built)]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    if compiled.returncode:
        pytest.skip(f"the compiler has no such checks: {compiled.stderr[:200]}")
    runtimes = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0",
        # Blocks of their own for small objects too, so that their ends are watched.
        "PYTHONMALLOC": "malloc",
    }
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.hardened", built],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "sound\n"), result.stderr[:3000]
