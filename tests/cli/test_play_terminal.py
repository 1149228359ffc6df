"""charrnn play at a real terminal."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn import folders
from charrnn.cli.play import input as play_input
from tests.support.forked import forked
from tests.support.terminals import Terminal

ENDLESS = "/length 1000000000\r"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder to play in, whose history nobody else writes."""
    return tmp_path


@pytest.fixture
def playing(trained: Path, home: Path) -> Iterator[Terminal]:
    """A conversation that has just begun."""
    model = str(trained / "runs" / "herons")
    with Terminal("play", model, "--seed", "1", "--length", "30", cwd=home) as terminal:
        terminal.wait_for("/help lists the commands")
        terminal.wait_for("> ")
        yield terminal


def drawn_after(trained: Path, prime: str) -> str:
    arguments = ("sample", "--seed", "1", "--length", "30", "--prime", prime)
    return forked(*arguments, cwd=trained).stdout.decode()


def as_shown(text: str) -> str:
    return text.replace("\n", "\r\n")


@pytest.mark.slow
def test_a_beginning_goes_on_after_itself(playing: Terminal, trained: Path) -> None:
    playing.type("The heron\r")
    expected = as_shown(drawn_after(trained, "The heron"))
    assert playing.wait_for(expected).endswith("\x1b[2mThe heron\x1b[0m" + expected)
    playing.wait_for("> ")
    playing.type("\x04")
    assert playing.leave() == 0


@pytest.mark.slow
def test_ctrl_c_stops_the_text_and_not_the_program_and_the_text_goes_on(
    playing: Terminal, home: Path
) -> None:
    playing.type(ENDLESS)
    playing.wait_for("> ")
    playing.type("The heron\r")
    playing.wait_for("The heron\x1b[0m")
    for _ in range(3):
        playing.type("\x03")
    playing.wait_for("> ")
    playing.type("/save stopped.txt\r")
    playing.wait_for("characters written")
    playing.type("/length 5\r")
    playing.wait_for("> ")
    playing.type("\r")
    playing.wait_for("> ")
    playing.type("/save gone-on.txt\r")
    playing.wait_for("characters written")
    playing.type("/quit\r")
    assert playing.leave() == 0
    stopped = (home / "stopped.txt").read_text()
    gone_on = (home / "gone-on.txt").read_text()
    assert stopped.startswith("The heron")
    assert gone_on.startswith(stopped)
    assert len(gone_on) == len(stopped) + 5


@pytest.mark.slow
def test_what_a_stopped_text_holds_is_what_was_shown(playing: Terminal, home: Path) -> None:
    playing.type(ENDLESS)
    playing.wait_for("> ")
    playing.type("The heron\r")
    playing.wait_for("The heron\x1b[0m")
    playing.type("\x03")
    shown = playing.wait_for("> ")
    playing.type("/save all.txt\r")
    playing.wait_for("characters written")
    shown = re.sub(r"\x1b\[\?2004[hl]\r?|\^C", "", shown).removesuffix("> ")
    text = (home / "all.txt").read_text().removeprefix("The heron")
    assert as_shown(text).removesuffix("\r\n") == shown.removesuffix("\r\n")


@pytest.mark.slow
def test_ctrl_c_at_the_prompt_drops_the_line_alone(playing: Terminal, trained: Path) -> None:
    playing.type("nonsense")
    playing.wait_for("nonsense")
    playing.interrupt_until("> ")
    playing.type("The heron\r")
    playing.wait_for(as_shown(drawn_after(trained, "The heron")))


@pytest.mark.slow
def test_sigterm_ends_the_program_at_the_prompt(playing: Terminal) -> None:
    # One that comes just before readline waits for keys is heeded with the next.
    assert playing.terminate(times=3) == 143


@pytest.mark.slow
def test_sigterm_ends_the_program_in_the_text(playing: Terminal) -> None:
    playing.type(ENDLESS)
    playing.wait_for("> ")
    playing.type("The heron\r")
    playing.wait_for("The heron\x1b[0m")
    assert playing.terminate() == 143


@pytest.mark.slow
def test_a_line_with_unknown_characters_can_be_mended(playing: Terminal, trained: Path) -> None:
    playing.type("The \N{SNOWMAN}heron\r")
    said = playing.wait_for("> The \N{SNOWMAN}heron")
    assert "(U+2603) at character 5" in said
    assert "/unknown skip" in said
    playing.type("\x1b[D" * 5 + "\x7f\r")
    playing.wait_for(as_shown(drawn_after(trained, "The heron")))


@pytest.mark.slow
def test_lines_of_this_session_and_earlier_ones_can_be_called_back(
    playing: Terminal, trained: Path, home: Path
) -> None:
    expected = as_shown(drawn_after(trained, "The heron"))
    playing.type("The heron\r")
    playing.wait_for(expected)
    playing.wait_for("> ")
    playing.type("/seed 1\r")
    playing.wait_for("> ")
    playing.type("/quit\r")
    assert playing.leave() == 0
    history = home / ".local" / "state" / "charrnn" / "history"
    assert history.read_text() == "The heron\n/seed 1\n/quit\n"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert stat.S_IMODE(history.parent.stat().st_mode) == 0o700
    model = str(trained / "runs" / "herons")
    with Terminal("play", model, "--seed", "1", "--length", "30", cwd=home) as again:
        again.wait_for("> ")
        again.type("\x1b[A\x1b[A\x1b[A\r")
        again.wait_for(expected)
        again.wait_for("> ")
        again.type("\x04")
        assert again.leave() == 0
    assert history.read_text() == "The heron\n/seed 1\n/quit\nThe heron\n"


def test_a_history_goes_on_where_it_is_and_begins_where_the_system_has_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = tmp_path / "Library" / "charrnn"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(folders, "user_state_path", lambda *names, appauthor: states)
    assert play_input.find_history_file() == states / "history"
    former = tmp_path / ".local" / "state" / "charrnn" / "history"
    former.parent.mkdir(parents=True)
    former.touch()
    assert play_input.find_history_file() == former
    states.mkdir(parents=True)
    (states / "history").touch()
    assert play_input.find_history_file() == states / "history"


@pytest.mark.slow
def test_a_history_that_cannot_be_kept_is_done_without(trained: Path, home: Path) -> None:
    (home / "state").write_text("a file where a folder should go")
    environment = {"XDG_STATE_HOME": str(home / "state")}
    model = str(trained / "runs" / "herons")
    with Terminal("play", model, cwd=home, environment=environment) as playing:
        playing.wait_for("> ")
        playing.type("The heron\r")
        playing.wait_for("> ")
        playing.type("\x04")
        assert playing.leave() == 0


@pytest.mark.slow
def test_output_in_a_file_is_the_text_alone(trained: Path, home: Path) -> None:
    model = str(trained / "runs" / "herons")
    with (home / "tale.txt").open("wb") as tale:
        arguments = ("play", model, "--seed", "1", "--length", "30")
        with Terminal(*arguments, cwd=home, stdout=tale.fileno()) as playing:
            playing.wait_for("> ")
            playing.type("The heron\r")
            playing.wait_for("> ")
            playing.type("\x04")
            assert playing.leave() == 0
    text = (home / "tale.txt").read_text()
    assert text == "The heron" + drawn_after(trained, "The heron")


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_escape_sequence_goes_where_none_is_wanted(
    trained: Path, home: Path, environment: dict[str, str]
) -> None:
    model = str(trained / "runs" / "herons")
    with Terminal("play", model, cwd=home, environment=environment) as playing:
        playing.wait_for("> ")
        playing.type("The heron\r")
        playing.wait_for("> ")
        playing.type("/nonsense\r")
        playing.wait_for("is no command")
        playing.wait_for("> ")
        playing.type("\x04")
        assert playing.leave() == 0
        assert "\x1b" not in playing.shown
