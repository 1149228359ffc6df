"""Output on a terminal has no control sequences from a text, a name or a file."""

import json
import re
import shutil
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.checkpoints.checkpoint import read_checkpoint, write_checkpoint
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.cli import terminal
from charrnn.cli.terminal import TextOutput
from charrnn.display import in_one_line, visible
from charrnn.errors import StorageError
from charrnn.kernels.library import CHOICE
from tests.robustness.strange import obeyed
from tests.support.forked import forked
from tests.support.program import SMALL, explain
from tests.support.pseudoterminal import (
    forked_onto_a_terminal,
    terminal_stream,
    through_a_terminal,
)

EVERYTHING = "".join(chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000)
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\b\x7f\u202e\u2028\x85"
# Format characters that several scripts are written with.
WRITTEN = {"\u00ad", "\u200c", "\u200d"}


def on_a_terminal(
    *pieces: bytes, encoding: str = "utf-8", raw: bool = False, stream: str = "stdout"
) -> bytes:
    with terminal_stream(encoding) as (written, seen), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, stream, written)
        output = TextOutput(raw)
        for piece in pieces:
            output.write(piece)
        output.end()
    return seen.data


def test_everything_is_shown_and_nothing_obeyed() -> None:
    shown = on_a_terminal(*(EVERYTHING[at : at + 997].encode() for at in range(0, 0x10000, 997)))
    text = shown.decode()
    assert not obeyed(text)
    assert text == "".join(c if not obeyed(c) else visible(c) for c in map(visible, EVERYTHING))
    kept = [c for c in EVERYTHING if unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp")]
    assert all(visible(c) == c for c in kept)
    assert all(visible(c) == c for c in WRITTEN | set("\n\t"))


def test_all_256_bytes_are_shown_on_a_terminal_and_exact_with_raw() -> None:
    data = bytes(range(256)) * 2
    shown = on_a_terminal(*(data[at : at + 7] for at in range(0, len(data), 7)))
    assert shown.decode() == visible(data.decode("utf-8", "replace"))
    assert not obeyed(shown.decode())
    assert on_a_terminal(data, raw=True) == data


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(ESCAPES)), st.data())
def test_where_the_pieces_end_does_not_show(text: str, data: st.DataObject) -> None:
    whole = text.encode()
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=9).map(sorted))
    pieces = [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]
    assert on_a_terminal(*pieces).decode() == visible(text)


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(in_one_line(text).splitlines()) <= 1
    assert "\t" not in in_one_line(text)


@pytest.mark.parametrize("character", ["\u200b", "\ufeff", "\u2060", "\U000e0041", "\u180e"])
def test_characters_that_text_hides_in_are_shown(character: str) -> None:
    assert visible(f"a{character}b") == f"a<U+{ord(character):04X}>b"


def test_what_the_text_broke_off_in_is_shown() -> None:
    assert on_a_terminal("é".encode()[:1]).decode() == "\ufffd"
    assert on_a_terminal("\U0001f980".encode()[:3], b"\n\n").decode() == "\ufffd\n\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "shift_jis"])
def test_a_terminal_of_another_encoding_is_shown_everything(encoding: str) -> None:
    shown = on_a_terminal(EVERYTHING.encode(), encoding=encoding)
    assert not obeyed(shown.decode(encoding))
    assert b"\\u4e0" in shown or encoding == "shift_jis"


def test_a_result_that_cannot_be_written_is_a_storage_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(StorageError, match="No space left"):
            terminal.print_facts({"a": "b"})


def test_progress_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        terminal.note("on we go")
        terminal.error("and on")
        terminal.echo("and on")
    assert full.closed


def test_a_name_with_a_newline_begins_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.error("a\ncharrnn: all is well: there is no such file")
    terminal.note("b\ncharrnn: all is well")
    terminal.print_facts({"text": "c\ncharrnn:\tall is well"})
    said = capsys.readouterr()
    assert [line for line in said.err.splitlines() if line.startswith("charrnn:")] == ["charrnn: a"]
    assert said.out == "text  c\u240acharrnn:\u2409all is well\n"


def test_numbers_stand_flush_right_and_words_flush_left() -> None:
    rows = [["one", "1.5", "a"], ["three", "12.25", "bcd"]]
    assert terminal.tabulate(["", "nats", "text"], rows, left=(0, 2)) == [
        "        nats  text",
        "one      1.5  a",
        "three  12.25  bcd",
    ]


def test_columns_are_aligned_by_the_cells_that_characters_take() -> None:
    rows = [["\u4e2d\u6587", "1"], ["e\u0301e", "2"]]
    assert terminal.tabulate((), rows) == ["\u4e2d\u6587  1", "e\u0301e    2"]


def test_columns_are_aligned_where_names_must_be_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal_stream("ascii") as (written, _):
        monkeypatch.setattr(sys, "stdout", written)
        rows = [["\u4e2d", "1"], ["e\u0301", "2"], ["\udcc3\udca9", "3"]]
        assert terminal.tabulate((), rows) == ["\\u4e2d   1", "e\\u0301  2", "\\xe9     3"]


def test_a_table_is_neither_wrapped_nor_cut_nor_colored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    long = "word " * 100 + "end"
    assert terminal.tabulate(["name", "value"], [["a", long]], left=(0, 1)) == [
        "name  value",
        f"a     {long}",
    ]


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_a_table_shows_its_cells_as_they_are(cells: list[str]) -> None:
    (line,) = terminal.tabulate((), [[f"[bold]{cell}:smile:" for cell in cells]])
    assert not obeyed(line)
    for cell in cells:
        assert in_one_line(f"[bold]{cell}:smile:") in line


def test_json_holds_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"text": EVERYTHING})
    said = capsys.readouterr().out
    assert not obeyed(said)
    assert said.count("\n") == 1
    assert json.loads(said) == {"text": EVERYTHING}


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("train", ESCAPES),
        ("train", f"--{ESCAPES}"),
        ("train", "tales", "--encoding", ESCAPES),
        ("train", "tales", "--hidden", ESCAPES),
        ("train", "--debug", ESCAPES),
        ("train", "--resume", ESCAPES),
        ("eval", ESCAPES),
        ("eval", "--unknown", ESCAPES),
        ("sample", ESCAPES),
        ("sample", "--stop", ESCAPES),
        ("sample", "--prime", ESCAPES),
        ("sample", "--prime", f"The {ESCAPES}", "--unknown", "skip", "--length", "9"),
        ("sample", "--prime", f"The {ESCAPES}\udcff", "--unknown", "skip", "--json"),
        ("inspect", ESCAPES),
        ("inspect", "gates", ESCAPES),
        (ESCAPES,),
    ],
    ids=" ".join,
)
def test_no_argument_is_obeyed(trained: Path, arguments: tuple[str, ...]) -> None:
    result = forked_onto_a_terminal(trained, *arguments)
    assert not obeyed(result.stdout.decode())
    assert result.returncode in (0, 2, 3, 4), explain(result)
    assert (b"Traceback" in result.stdout) == ("--debug" in arguments), explain(result)


@pytest.mark.slow
@pytest.mark.parametrize("words", ["inspect gates", "inspect gradients --steps 9", "report -o -"])
def test_commands_that_take_seconds_show_a_bar(trained: Path, words: str) -> None:
    result = forked_onto_a_terminal(trained, *words.split(), columns=80)
    assert result.returncode == 0, explain(result)
    bars = re.findall(rb"\r(?:gates|gradients|report): +(\d+)%\|", result.stdout)
    # A fast machine may be done before a bar is drawn again.
    assert bars, result.stdout[:2000]
    assert bars[0] == b"0", result.stdout[:2000]


@pytest.mark.slow
def test_no_name_is_obeyed_on_the_way_of_a_run(tmp_path: Path) -> None:
    name = f"{ESCAPES}\n\udcff.txt"
    (tmp_path / name).write_text("one two three four " * 40)
    train = ("train", name, "--steps", "2", "--show-samples", *SMALL)
    for arguments in (train, ("train", "--resume"), ("eval", name), ("inspect", "gates")):
        result = forked_onto_a_terminal(tmp_path, *arguments)
        shown = result.stdout.decode()
        assert result.returncode == 0, explain(result)
        # The bar begins its line again and goes up; nothing else here does.
        assert not obeyed(shown.replace("\r", "").replace("\x1b[A", "")), shown


@pytest.mark.slow
def test_no_name_in_a_hostile_file_is_obeyed(trained: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "r")
    shutil.copytree(trained / "runs/herons", run.path)
    for file in (run.last, run.best):
        checkpoint = read_checkpoint(file)
        corpus = {**checkpoint.header["corpus"], "name": ESCAPES}
        header = {**checkpoint.header, "corpus": corpus, ESCAPES: ESCAPES}
        write_checkpoint(file, replace(checkpoint, header=header))
    for arguments in (("eval", "r"), ("train", "--resume", "r"), ("inspect", "gates", "r")):
        result = forked_onto_a_terminal(tmp_path, *arguments)
        assert not obeyed(result.stdout.decode()), explain(result)
        assert result.returncode == 4 or b"owned" in result.stdout, explain(result)


@pytest.mark.slow
def test_what_the_environment_says_is_not_obeyed(tmp_path: Path) -> None:
    result = through_a_terminal(tmp_path, "doctor", environment={CHOICE: ESCAPES})
    assert not obeyed(result.stdout.decode()), explain(result)
    assert b"owned" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_program_on_a_terminal_of_another_encoding_says_what_it_has_to(
    trained: Path, encoding: str
) -> None:
    environment = {"PYTHONIOENCODING": f"{encoding}:strict"}
    (name, prime) = ("\u4e0a\x1b\udcff", "The \u4e0a")
    refused = through_a_terminal(trained, "train", name, environment=environment)
    assert refused.returncode == 3
    assert rb"charrnn: \u4e0a\u241b\udcff: there is no such" in refused.stdout
    unknown = through_a_terminal(trained, "sample", "--prime", prime, environment=environment)
    assert unknown.returncode == 3, explain(unknown)
    assert rb"\u4e0a" in unknown.stdout


@pytest.mark.slow
def test_a_model_of_bytes_draws_all_256_and_a_terminal_obeys_none(tmp_path: Path) -> None:
    (tmp_path / "all.bin").write_bytes(bytes(range(256)) * 8)
    result = forked("train", "all.bin", "--bytes", "--steps", "1", *SMALL, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    arguments = ("sample", "--temp", "100", "--length", "4000", "--seed", "1")
    exact = forked(*arguments, cwd=tmp_path).stdout
    assert set(exact) == set(range(256))
    shown = forked_onto_a_terminal(tmp_path, *arguments).stdout.decode()
    assert shown.removesuffix("\n") == visible(exact.decode("utf-8", "replace"))
    assert not obeyed(shown)


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_from_the_beginning_stop_nothing(
    trained: Path, tmp_path: Path, closed: str
) -> None:
    train = f"train {trained}/herons.txt --run r --steps 2 {' '.join(SMALL)}"
    for command, code in ((train, 0), ("eval r", 0), ("eval gone.txt", 4)):
        line = f"{sys.executable} -m charrnn {command} {closed}"
        result = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, check=False)
        assert (result.returncode, b"Traceback" in result.stderr) == (code, False), explain(result)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("sample", "--length", "9"),
        ("eval", "--json"),
        ("score", "herons.txt"),
        ("corpus", "export", "tales"),
        ("compare", "herons", "herons"),
        ("--version",),
    ],
)
def test_a_full_disk_behind_stdout_is_told(trained: Path, command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "charrnn", *command],
            cwd=trained,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert result.returncode == 7
    assert b"charrnn: standard output could not be written: No space left" in result.stderr
    assert b"Traceback" not in result.stderr
