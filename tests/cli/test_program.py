"""Rules for every command: exit codes, messages, streams."""

from pathlib import Path

import pytest

from tests.support.forked import forked
from tests.support.program import charrnn, explain


def test_version_is_printed(tmp_path: Path) -> None:
    result = charrnn("--version", cwd=tmp_path)
    assert result.stdout.startswith(b"charrnn 0.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("train",), 2, "name a text"),
        (("train", "missing.txt"), 3, "no such file"),
        (("train", "tails"), 3, "did you mean tales?"),
        (("train", "tales", "--hidden", "0"), 2, "--hidden is 0; it must be from 1"),
        (("train", "tales", "--cell", "transformer"), 2, "lstm, gru, rnn"),
        (("train", "tales", "--epochs", "1", "--steps", "2"), 2, "--epochs and --steps"),
        (("train", "tales", "--valid", "1"), 2, "--valid"),
        (("train", "tales", "--encoding", "klingon"), 2, "klingon"),
        (("train", "--resume"), 4, "Train one: charrnn train FILE"),
        (("train", "--resume", "--overwrite"), 2, "give one of them"),
        (("sample",), 4, "no latest run"),
        (("sample", "nowhere"), 4, "nowhere: there is no such run"),
        (("eval", "nowhere.safetensors"), 4, "no such"),
        (("eval", "nowhere.txt"), 4, "nowhere.txt: there is no such"),
        (("dance",), 2, "dance"),
        (("train", "tales", "--no-such-option"), 2, "--no-such-option"),
    ],
)
def test_mistakes_get_a_short_message_and_their_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = forked(*arguments, cwd=tmp_path)
    assert result.returncode == code, explain(result)
    message = result.stderr.decode()
    assert said in message
    assert "Traceback" not in message
    assert result.stdout == b""
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_debug_shows_the_traceback_too(tmp_path: Path) -> None:
    result = charrnn("train", "missing.txt", "--debug", cwd=tmp_path)
    assert result.returncode == 3
    assert b"Traceback" in result.stderr
    assert b"no such file" in result.stderr


@pytest.mark.slow
def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    for content in (b"", b"hello", b"\xff" * 100):
        bad.write_bytes(content)
        result = forked("sample", bad, cwd=tmp_path)
        assert result.returncode == 4, explain(result)
        assert b"bad.safetensors" in result.stderr


def test_a_folder_that_cannot_be_written_is_a_storage_error(text_file: Path) -> None:
    blocked = text_file.parent / "blocked"
    blocked.write_text("a file where a folder should go")
    result = forked(
        "train", text_file, "--steps", "3", "--run", "blocked/run", cwd=text_file.parent
    )
    assert result.returncode == 7, explain(result)


def test_messages_show_control_characters_in_names(tmp_path: Path) -> None:
    result = forked("train", "\x1b[31m[bold]x", cwd=tmp_path)
    assert b"\x1b" not in result.stderr
    assert b"[bold]x" in result.stderr
