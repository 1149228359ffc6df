"""charrnn doctor: what computes here, why, and whether it computes what it should."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import charrnn as package
from charrnn.cli import doctor
from charrnn.errors import CharrnnError
from charrnn.kernels import library
from charrnn.models import selftest
from charrnn.models.selftest import MOST_DIFFERENCE, measure_differences
from tests.support import let_copy_be_imported
from tests.support.program import charrnn, explain

USABLE = [build for build in library.BUILDS if not library.find_obstacle(build)]

needs_library = pytest.mark.skipif(not USABLE, reason="there is no native library")


def findings(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    result = charrnn("doctor", "--json", cwd=folder, environment=environment)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.slow
@needs_library
def test_the_fastest_build_is_in_use_and_agrees_with_torch(tmp_path: Path) -> None:
    found = findings(tmp_path, {"CHARRNN_KERNELS": ""})
    assert (found["build"], found["chosen_build"], found["agrees"]) == (USABLE[0], None, True)
    assert found["builds"].pop(USABLE[0]) == "in use"
    for build, standing in found["builds"].items():
        assert standing == ("could be used" if build in USABLE else library.find_obstacle(build))
    assert found["charrnn"] == package.__version__
    assert found["torch"] == torch.__version__
    assert found["threads"] == found["wanted_threads"] == found["usual_threads"] == 1
    assert 1 <= found["cores"] <= found["machine_cores"]
    assert 0 < found["memory_available_bytes"] <= found["memory_bytes"]
    assert found["disk_free_bytes"] > 0
    assert set(found["precision"]) == {"lstm", "gru", "rnn"}
    for precision, most in MOST_DIFFERENCE.items():
        names = {"lstm", "gru", "training step", "layer norm", "cross entropy"}
        assert set(found["differences"][precision]) == names
        assert all(0 <= off <= most for off in found["differences"][precision].values())


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, "2 for this process; 2 threads in use"),
        ({"machine_cores": 8}, "2 for this process, of 8 in the machine; 2 threads in use"),
        (
            {"processor_quota": 0.5, "threads": 1},
            "2 for this process, with a quota of 0.5; 1 thread in use",
        ),
        (
            {"processor_quota": 1.5, "wanted_threads": 1, "threads": None, "usual_threads": 1},
            "2 for this process, with a quota of 1.5; OMP_NUM_THREADS is 1; 1 thread in use",
        ),
        ({"threads_missing": "so"}, "2 for this process; 2 threads in use: so"),
    ],
)
def test_the_cores_are_shown_with_what_bounds_the_threads(
    known: dict[str, object], expected: str
) -> None:
    facts = dict.fromkeys(("cores", "machine_cores", "threads", "usual_threads"), 2)
    unknown = dict.fromkeys(("processor_quota", "wanted_threads", "threads_missing"))
    assert doctor._describe_cores({**facts, **unknown, **known}) == expected


@pytest.mark.slow
@needs_library
def test_the_lines_for_people_say_what_is_in_use_and_why(tmp_path: Path) -> None:
    result = charrnn("doctor", cwd=tmp_path, environment={"CHARRNN_KERNELS": "baseline"})
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    lines = dict(line.split("  ", 1) for line in result.stdout.decode().splitlines())
    facts = {name.strip(): value.strip() for name, value in lines.items() if name}
    assert facts["lstm, gru, rnn"] == "through the native library, baseline"
    assert facts["CHARRNN_KERNELS"] == "baseline"
    assert facts["trains in"] == "lstm fp32, gru fp32, rnn fp32"
    assert facts["self-test"].startswith("agrees with torch: lstm fp32 to ")
    assert b"\n  baseline" in result.stdout


@pytest.mark.slow
def test_without_the_library_torch_is_in_use_and_nothing_is_compared(tmp_path: Path) -> None:
    found = findings(tmp_path, {"CHARRNN_KERNELS": "none"})
    assert (found["build"], found["chosen_build"]) == (None, "none")
    assert (found["agrees"], found["differences"]) == (None, {})
    assert "in use" not in found["builds"].values()
    result = charrnn("doctor", cwd=tmp_path, environment={"CHARRNN_KERNELS": "none"})
    assert b"through torch, as CHARRNN_KERNELS asks for" in result.stdout
    assert b"self-test" not in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"]])
def test_a_build_that_does_not_exist_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    result = charrnn(*arguments, cwd=tmp_path, environment={"CHARRNN_KERNELS": "nonsense"})
    assert (result.returncode, result.stdout) == (2, b""), explain(result)
    assert b"CHARRNN_KERNELS is 'nonsense'" in result.stderr
    assert b"avx512bf16, avx512, avx2, baseline, none" in result.stderr


@pytest.mark.slow
def test_an_installation_without_any_build_says_so(tmp_path: Path) -> None:
    shutil.copytree(
        Path(package.__file__).parent,
        tmp_path / "charrnn",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    let_copy_be_imported(tmp_path)
    bare = {"PYTHONPATH": str(tmp_path), "CHARRNN_KERNELS": ""}
    found = findings(tmp_path, bare)
    assert found["build"] is None
    assert all("not built" in standing for standing in found["builds"].values())
    result = charrnn("doctor", cwd=tmp_path, environment=bare)
    assert b"through torch, slower: no build of the native library can be used" in result.stdout


@needs_library
@pytest.mark.parametrize("off", [0.2, math.inf, math.nan])
def test_a_library_that_disagrees_is_an_error_after_the_findings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], off: float
) -> None:
    if library.load_kernels() is None:
        pytest.skip("the library is not wanted")
    monkeypatch.setattr(selftest, "measure_differences", lambda _: {"lstm": 1e-7, "gru": off})
    for as_json in (True, False):
        with pytest.raises(CharrnnError, match="CHARRNN_KERNELS=none") as caught:
            doctor.doctor(as_json=as_json)
        assert caught.value.exit_code == 1
    assert "does NOT agree with torch" in capsys.readouterr().out


@needs_library
def test_the_comparison_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    if library.load_kernels() is None:
        pytest.skip("the library is not wanted")
    assert max(measure_differences("fp32").values()) < MOST_DIFFERENCE["fp32"]
    monkeypatch.setattr(
        "charrnn.kernels.recurrence.weight_gradient",
        lambda gradients, states: torch.zeros(gradients.shape[-1], states.shape[-1]),
    )
    monkeypatch.setattr(
        "charrnn.models.selftest.layer_norm", lambda x, gain, shift, mask: x * gain + shift * mask
    )
    monkeypatch.setattr(
        "charrnn.models.selftest.cross_entropy", lambda logits, targets: logits.square().mean()
    )
    assert min(measure_differences("fp32").values()) > MOST_DIFFERENCE["bf16"]


def test_the_comparison_leaves_the_random_state_alone() -> None:
    if library.load_kernels() is None:
        pytest.skip("there is no native library")
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    measure_differences("fp32")
    assert torch.equal(torch.rand(3), expected)


def test_free_space_is_that_of_a_folder_that_is_there(tmp_path: Path) -> None:
    assert (doctor.measure_free_disk_bytes(tmp_path) or 0) > 0
    assert doctor.measure_free_disk_bytes(tmp_path / "nowhere") is None
