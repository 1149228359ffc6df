"""A long conversation in a pipe: the work grows with the lines, not with their square."""

import io
import sys
from pathlib import Path

import pytest

from charrnn.cli.play.conversation import MOST_BYTES, Conversation
from charrnn.cli.play.input import PipedLines
from charrnn.cli.play.output import Screen
from charrnn.cli.play.settings import PlaySettings
from charrnn.errors import CorpusError
from charrnn.inference.interactive import Play
from tests.inference.test_interactive import ALPHABET, Writer


class CountingPlay(Play):
    """Counts the symbols of the texts that are put together from their parts."""

    joined = 0

    @property
    def text(self) -> str:
        text = super().text
        self.joined += len(text)
        return text

    def end(self, most: int) -> str:
        end = super().end(most)
        self.joined += len(end)
        return end


def converse(*, typing: bool = False) -> tuple[CountingPlay, Conversation]:
    play = CountingPlay(Writer(), ALPHABET, 0)
    screen = Screen(play, ALPHABET, typing=typing, raw=True)
    return play, Conversation(play, ALPHABET, PlaySettings(length=3), screen, keep=Path("kept.txt"))


@pytest.mark.parametrize("typing", [False, True])
def test_a_line_costs_the_same_after_any_number_of_others(
    capsysbinary: pytest.CaptureFixture[bytes], typing: bool
) -> None:
    play, conversation = converse(typing=typing)
    most_of_a_line = []
    for _ in range(500):
        before = play.joined
        for line in (b"ab", b"", b"/line c", b"/line"):
            conversation.obey(line)
        most_of_a_line.append(play.joined - before)
    assert max(most_of_a_line[250:]) == max(most_of_a_line[:250]) <= 2000
    printed = capsysbinary.readouterr().out
    assert typing or printed.decode() == play.text


def test_what_was_taken_back_in_a_pipe_is_followed_by_the_whole_text(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    play, conversation = converse()
    for line in (b"/line ab", b"/line c", b"/undo", b"/undo", b"/line ab", b"/undo", b"/line a"):
        conversation.obey(line)
    assert capsysbinary.readouterr().out == b"ab\nc\n\n\nab\n\n\na\n"
    assert play.text == "a\n"


def test_blanks_after_a_command_are_no_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, conversation = converse()
    for line in (b"/line ab", b"/keep  ", b"/temp  "):
        conversation.obey(line)
    assert (tmp_path / "kept.txt").read_bytes() == b"ab\n\n\n"


def test_more_than_can_be_read_at_once_is_refused(tmp_path: Path) -> None:
    play, conversation = converse()
    conversation.obey(b"/line ab")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    for line in (f"/read {large}".encode(), b"/read /dev/zero", b"a" * (MOST_BYTES + 1)):
        with pytest.raises(CorpusError, match="more than 16,777,216 bytes"):
            conversation.obey(line)
    assert play.text == "ab\n"


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"ab\n\nabcd\nabcd", [b"ab", b"", b"abcd", b"abcd"]),
        (b"abcde\nab\n", [b"abcde", b"ab"]),
        (b"a" * 100 + b"\nab\n" + b"a" * 9, [b"aaaaa", b"ab", b"aaaaa"]),
    ],
)
def test_of_a_line_that_is_too_long_the_rest_is_passed_over(
    data: bytes, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert list(PipedLines(4)) == lines


def test_a_file_may_be_cut_within_a_character(tmp_path: Path) -> None:
    play, conversation = converse()
    cut = tmp_path / "cut"
    cut.write_bytes("\N{SNOWMAN}ab\N{SNOWMAN}".encode()[1:-1])
    conversation.obey(f"/read {cut}".encode())
    assert play.text == "ab"
