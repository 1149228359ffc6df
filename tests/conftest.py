"""Fixtures and settings of all tests."""

import signal
from pathlib import Path

import pytest
import torch

from charrnn.cli.signals import SIGNALS

SENTENCES = (
    "The heron stood in the ford and counted what went by.",
    "The badger ground the corn and kept the tenth part for himself.",
    "Nobody asked the mouse, so the mouse asked everybody.",
)


def pytest_configure() -> None:
    """Take no notice of signals that are ignored here, as nohup does: programs inherit it."""
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that no process is left with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """The small sums of the tests are quickest, and alike everywhere, on one thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)


@pytest.fixture
def text() -> str:
    """A few thousand characters with something to learn in them."""
    return "\n".join(SENTENCES * 30)


@pytest.fixture
def text_file(tmp_path: Path, text: str) -> Path:
    """The same text in a file."""
    path = tmp_path / "herons.txt"
    path.write_text(text, encoding="utf-8")
    return path
