"""The base models that are bundled are sound, small, and described by a card of their name."""

import hashlib
from pathlib import Path

import pytest

import charrnn
from charrnn.checkpoints.base_models import find_base_models
from charrnn.checkpoints.model_file import read_model

MOST_BYTES = 8_000_000


def test_english_is_bundled() -> None:
    assert "english" in find_base_models()


@pytest.fixture(params=sorted(find_base_models()))
def name(request: pytest.FixtureRequest) -> str:
    """The name of a base model."""
    return str(request.param)


def test_its_card_is_that_of_its_file(name: str) -> None:
    path = find_base_models()[name]
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    data = path.read_bytes()
    assert card.startswith(f"# {name}\n")
    assert len(data) <= MOST_BYTES
    assert f"{len(data):,} bytes" in card
    assert hashlib.sha256(data).hexdigest() in card
    model = read_model(path)
    assert f"{model.parameters:,} parameters" in card
    assert f"`{model.corpus.digest}`" in card


def test_it_tells_what_it_learnt(name: str) -> None:
    model = read_model(find_base_models()[name])
    assert model.scores is not None
    assert model.learnt is not None


def test_it_draws_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(charrnn.load(name).generate("The ", length=20, seed=1)) == 20
    assert not list(tmp_path.iterdir())
