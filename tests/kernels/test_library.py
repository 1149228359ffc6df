"""The builds of the library: which is taken, why another is not, and that they agree."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from charrnn.errors import UsageError
from charrnn.kernels import library, torch_calls
from charrnn.kernels.recurrence import can_run
from tests.support.kernel_cases import (
    USABLE,
    Case,
    Results,
    assert_identical,
    assert_near,
    every_form,
    every_precision,
    make_case,
    needs_library,
    run,
)

NATIVE = Path(library.__file__).parent / "native"
WITH_FMA = [build for build in USABLE if build != library.BASELINE]


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test chooses a build anew, and leaves no choice behind."""
    monkeypatch.delenv(library.CHOICE, raising=False)
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    library.load_kernels.cache_clear()
    torch_calls.load_shared_kernels.cache_clear()


def run_with(build: str, case: Case, precision: str, monkeypatch: pytest.MonkeyPatch) -> Results:
    monkeypatch.setenv(library.CHOICE, build)
    forget()
    chosen = torch_calls.load_shared_kernels()
    assert chosen is not None
    assert chosen.build == build
    return run(case, precision)


@pytest.mark.skipif(not NATIVE.exists(), reason="this takes the library's sources")
def test_every_build_that_is_looked_for_is_compiled() -> None:
    text = (NATIVE / "CMakeLists.txt").read_text()
    assert "set(INSTRUCTION_SETS baseline ${CANDIDATES})" in text
    listed = re.search(r"set\(CANDIDATES (.+)\)", text)
    assert listed
    assert (*reversed(listed[1].split()), library.BASELINE) == library.BUILDS


@pytest.mark.slow
@needs_library
@every_precision
@every_form
def test_builds_agree(form: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for steps, batch, units, table in ((9, 7, 100, 0), (9, 13, 33, 5), (3, 5, 17, 0), (2, 1, 1, 0)):
        case = make_case(form, steps, batch, units, table=table)
        baseline = run_with(library.BASELINE, case, precision, monkeypatch)
        others = [run_with(build, case, precision, monkeypatch) for build in WITH_FMA]
        # Vectors of any width sum in the same order, and bfloat16's instruction rounds as two
        # fused multiplications do; the baseline has none that are fused.
        for results in others[1:]:
            assert_identical(results, others[0])
        for results in others[:1]:
            assert_near(results, baseline, 1e-6 if precision == "fp32" else 2**-7)


@needs_library
def test_the_fastest_build_that_runs_is_taken() -> None:
    found = library.load_kernels()
    assert found is not None
    assert found.build == USABLE[0]
    assert found.multiplies_bfloat16 == (USABLE[0] == "avx512bf16")
    assert can_run(2, torch.zeros(4, 1))


@needs_library
def test_what_the_library_does_not_run_is_left_to_torch() -> None:
    assert not can_run(1, torch.zeros(4, 1))
    assert not can_run(2, torch.zeros(4, 1, dtype=torch.float64))
    assert not can_run(2, torch.zeros(4, 1, device="meta"))


def test_the_library_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.CHOICE, library.NONE)
    assert library.load_kernels() is None
    assert torch_calls.load_shared_kernels() is None
    assert not can_run(2, torch.zeros(4, 1))
    with pytest.raises(ValueError, match="no native library"):
        torch_calls.call("charrnn_add_to_rows")


@pytest.mark.parametrize("wish", ["sse9", "AVX2", " ", "../_avx2"])
def test_a_build_that_does_not_exist_is_refused_with_those_that_do(
    monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    monkeypatch.setenv(library.CHOICE, wish)
    with pytest.raises(UsageError, match=f"{library.CHOICE}.*avx512bf16, .*, none"):
        library.load_kernels()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which builds are looked for."""
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    return tmp_path


def test_without_a_build_there_is_no_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.load_kernels() is None
    assert all("not built" in library.find_obstacle(build) for build in library.BUILDS)
    monkeypatch.setenv(library.CHOICE, library.BASELINE)
    forget()
    with pytest.raises(UsageError, match=r"baseline.*not built when charrnn was installed"):
        library.load_kernels()


@needs_library
@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF" + bytes(100)])
def test_a_build_that_cannot_be_loaded_gives_way_to_the_next(folder: Path, content: bytes) -> None:
    shutil.copy(Path(library.__file__).parent / "_baseline.so", folder)
    for build in library.BUILDS[:-1]:
        library.build_path(build).write_bytes(content)
    found = library.load_kernels()
    assert found is not None
    assert found.build == library.BASELINE
    assert "cannot be loaded" in library.find_obstacle(USABLE[0]) or len(USABLE) == 1


@needs_library
def test_a_build_of_another_version_gives_way_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(Path(library.__file__).parent / "_baseline.so", folder)
    monkeypatch.setitem(library._SIGNATURES, "charrnn_of_tomorrow", "p")
    assert library.load_kernels() is None
    assert "another version" in library.find_obstacle(library.BASELINE)


@needs_library
def test_threads_are_those_of_torch_where_they_are_openmps() -> None:
    shared = torch_calls.find_openmp()
    if "OpenMP" not in torch.__config__.parallel_info().split("ATen parallel backend:")[1]:
        pytest.skip("torch has threads of another kind")
    assert shared is not None
    assert shared.path.exists()
    assert all(shared.functions)
