"""Device, precision and threads."""

import pytest
import torch

from charrnn.device import Compute, choose_device, choose_precision, prepare
from charrnn.errors import UsageError

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
    with pytest.raises(UsageError, match="it has: mps, cpu"):
        choose_device("cuda")
    with pytest.raises(UsageError, match="must be one of"):
        choose_device("tpu")


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_auto_precision_asks_the_processor_and_the_cell(
    monkeypatch: pytest.MonkeyPatch, fast: bool, fused: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert choose_precision("auto", CPU, fused=fused) == ("bf16" if fast and fused else "fp32")
    assert choose_precision("bf16", CPU, fused=fused) == "bf16"
    assert choose_precision("fp32", CPU, fused=fused) == "fp32"
    for accelerator in ("mps", "cuda"):
        assert choose_precision("auto", torch.device(accelerator), fused=fused) == "fp32"


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="must be one of"):
        choose_precision("fp8", CPU, fused=True)


def test_bf16_multiplies_in_bfloat16_and_fp32_does_not() -> None:
    x = torch.randn(4, 4)
    with Compute(CPU, "bf16").autocast():
        assert (x @ x).dtype == torch.bfloat16
    with Compute(CPU, "fp32").autocast():
        assert (x @ x).dtype == torch.float32


def test_threads_are_set_or_left_alone() -> None:
    assert prepare(2) == torch.get_num_threads() == 2
    assert prepare(None) == 2
    with pytest.raises(UsageError, match="--threads is 0"):
        prepare(0)
