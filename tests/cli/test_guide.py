"""charrnn guide: the list, a guide on a terminal and through a pipe, an unknown topic."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from charrnn.cli.guide import TOPICS
from charrnn.cli.main import app
from tests.cli.test_readme import GUIDES
from tests.support.terminals import Terminal


def guide(*topic: str) -> Result:
    """Run the command without a terminal."""
    return CliRunner().invoke(app, ["guide", *topic])


def test_the_list_has_a_line_for_each_guide_in_the_order_of_the_topics() -> None:
    result = guide()
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(TOPICS)
    assert {path.stem for path in GUIDES} == set(TOPICS)
    assert all(line.endswith(".") and len(line) <= 120 for line in lines)


@pytest.mark.slow
def test_a_pipe_gets_a_guide_as_it_is() -> None:
    for path in GUIDES:
        result = guide(path.stem)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout_bytes == path.read_bytes()


@pytest.mark.slow
def test_a_terminal_gets_tables_and_code_laid_out_to_its_width(tmp_path: Path) -> None:
    with Terminal("guide", "networks", cwd=tmp_path) as terminal:
        assert terminal.leave() == 0
    assert "\x1b[1m" in terminal.shown
    plain = re.sub("\x1b\\[[0-9;]*m", "", terminal.shown).replace("\r", "")
    assert "\x1b" not in plain
    assert "|---" not in plain
    assert "(charrnn guide corpora)" in " ".join(plain.split())
    assert max(map(len, plain.splitlines())) <= 80


def test_a_terminal_without_escape_sequences_gets_the_file_as_it_is(tmp_path: Path) -> None:
    with Terminal("guide", "records", cwd=tmp_path, environment={"NO_COLOR": "1"}) as terminal:
        assert terminal.leave() == 0
    (path,) = (path for path in GUIDES if path.stem == "records")
    assert terminal.shown.replace("\r", "") == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("record", "there is no guide 'record'; did you mean records?"),
        ("xyz", "there is no guide 'xyz'; there are: training, sampling, "),
    ],
)
def test_an_unknown_topic_is_answered_with_the_nearest(topic: str, said: str) -> None:
    result = guide(topic)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_guide_needs_neither_torch_nor_numpy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from charrnn.cli.entry import main\n"
        "sys.argv = ['charrnn', 'guide', 'records']\n"
        "try:\n    main()\n"
        "except SystemExit:\n"
        "    print(*(m for m in ('torch', 'numpy') if m in sys.modules))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, cwd=tmp_path
    )
    assert result.stdout.splitlines()[-1] == b""
