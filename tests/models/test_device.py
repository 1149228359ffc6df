"""Device, precision and threads."""

import ctypes

import pytest
import torch

from charrnn.config.model import ModelConfig
from charrnn.config.training import ComputeConfig
from charrnn.errors import UsageError
from charrnn.kernels.library import Kernels
from charrnn.models import device
from charrnn.models.device import (
    Compute,
    choose_device,
    choose_precision,
    measure_products_per_second,
    prepare_process,
    settle_compute,
)

CPU = torch.device("cpu")


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "cpu"), (False, False, "cpu")],
)
def test_auto_takes_an_accelerator_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"
    assert not mps or choose_device("mps").type == "mps"


def test_a_missing_device_is_refused_with_those_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, cuda=False, mps=True)
    with pytest.raises(UsageError, match="available: mps, cpu"):
        choose_device("cuda")
    with pytest.raises(UsageError, match="must be one of"):
        choose_device("tpu")


LIBRARIES = {
    "no library": None,
    "slow with bfloat16": Kernels("avx512", ctypes.CDLL(None)),
    "fast with bfloat16": Kernels("avx512bf16", ctypes.CDLL(None)),
}

MODELS = {
    "lstm": ModelConfig(),
    "lstm, coupled": ModelConfig(lstm_gates="coupled"),
    "gru": ModelConfig(cell="gru"),
    "rnn": ModelConfig(cell="rnn"),
    "stack": ModelConfig(cell="stack"),
}


@pytest.mark.parametrize("torch_is_fast", [True, False])
@pytest.mark.parametrize("library", LIBRARIES)
def test_auto_precision_asks_what_will_run_the_cell(
    monkeypatch: pytest.MonkeyPatch, library: str, torch_is_fast: bool
) -> None:
    monkeypatch.setattr(device, "load_kernels", lambda: LIBRARIES[library])
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: torch_is_fast)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    for name, model in MODELS.items():
        gains = {
            "no library": torch_is_fast and name == "lstm",
            "slow with bfloat16": False,
            "fast with bfloat16": name != "stack",
        }
        assert choose_precision("auto", CPU, model) == ("bf16" if gains[library] else "fp32")
        assert choose_precision("bf16", CPU, model) == "bf16"
        assert choose_precision("fp32", CPU, model) == "fp32"
        for accelerator in ("mps", "cuda"):
            assert choose_precision("auto", torch.device(accelerator), model) == "fp32"


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="must be one of"):
        choose_precision("fp8", CPU, MODELS["gru"])


def test_bf16_multiplies_in_bfloat16_and_fp32_does_not() -> None:
    x = torch.randn(4, 4)
    with Compute(CPU, "bf16").autocast():
        assert (x @ x).dtype == torch.bfloat16
    with Compute(CPU, "fp32").autocast():
        assert (x @ x).dtype == torch.float32


def test_threads_are_set_or_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert prepare_process(2) == torch.get_num_threads() == 2
    assert prepare_process(None) == 2
    with pytest.raises(UsageError, match=r"^threads is 0"):
        prepare_process(0)


def test_a_quota_bounds_the_threads_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "count_usual_threads", lambda: 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert prepare_process(2) == 2
    assert prepare_process(None) == torch.get_num_threads() == 1
    torch.set_num_threads(2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert prepare_process(None) == 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_rate_of_products_is_measured_and_leaves_the_threads_as_they_were(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A processor without instructions for bfloat16 takes a minute for the products of a run.
    monkeypatch.setattr(device, "_MEASURED_SIZE_ON_CPU", 128)
    threads = torch.get_num_threads()
    assert measure_products_per_second(ComputeConfig(device="cpu", precision=precision)) > 1e6
    assert torch.get_num_threads() == threads


def test_the_rate_of_products_counts_no_more_threads_than_processors_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "_MEASURED_SIZE_ON_CPU", 128)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 10**6)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    compute = ComputeConfig(device="cpu", precision="fp32")
    rates = []
    for processors in (1e-3, 1e3):
        monkeypatch.setattr(device, "measure_processors", lambda: processors)  # noqa: B023
        rates.append(measure_products_per_second(compute))
    assert 1e4 < rates[1] / rates[0] < 1e8


@pytest.mark.parametrize(
    ("model", "threads", "expected"),
    [
        (ModelConfig(cell="stack", hidden=64), None, 1),
        (ModelConfig(cell="stack", hidden=64), 2, 2),
        (ModelConfig(cell="stack", hidden=256), None, None),
        (ModelConfig(cell="lstm", hidden=64), None, None),
        (ModelConfig(cell="rnn", hidden=64), None, None),
        (ModelConfig(cell="rnn", hidden=64, norm="batch"), None, 1),
    ],
)
def test_small_cells_that_torch_runs_step_by_step_take_one_thread(
    monkeypatch: pytest.MonkeyPatch,
    model: ModelConfig,
    threads: int | None,
    expected: int | None,
) -> None:
    asked: list[int | None] = []

    def prepare(count: int | None) -> int:
        asked.append(count)
        return count or 2

    monkeypatch.setattr(device, "prepare_process", prepare)
    found = settle_compute(ComputeConfig(device="cpu", precision="fp32", threads=threads), model)
    assert asked == [expected]
    assert found.threads == (expected or 2)
