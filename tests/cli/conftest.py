"""A trained run that the tests of the other commands share."""

from pathlib import Path

import pytest

from tests.conftest import SENTENCES
from tests.support.forked import forked
from tests.support.program import SMALL, explain


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with herons.txt and its finished run in runs/herons. Not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    text = "\n".join(SENTENCES * 30)
    (folder / "herons.txt").write_text(text, encoding="utf-8")
    result = forked("train", "herons.txt", "--steps", "120", *SMALL, cwd=folder)
    assert result.returncode == 0, explain(result)
    return folder
