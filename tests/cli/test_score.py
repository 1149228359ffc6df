"""charrnn score, through the real program."""

import base64
import json
import math
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.cli.score import escape
from charrnn.kernels.library import CHOICE, NONE
from tests.support.anomalies import (
    area_under_curve,
    bits_per_char,
    foreign_lines,
    given_names,
    machine_made,
)
from tests.support.forked import forked
from tests.support.program import COMMAND, ENVIRONMENT, SMALL, explain

LINES = "The heron stood.\n\nNobody asked the mouse\tand\nthe badger ground"
Row = dict[str, Any]


def rows(folder: Path, *options: str, text: str | bytes = LINES) -> list[Row]:
    data = text.encode() if isinstance(text, str) else text
    result = forked("score", "herons", "-", "--json", *options, cwd=folder, stdin=data)
    assert result.returncode == 0, explain(result)
    return [json.loads(line) for line in result.stdout.splitlines()]


def columns(stdout: bytes) -> list[list[str]]:
    return [line.split("\t") for line in stdout.decode().splitlines()]


def nats_of(folder: Path, text: str, *options: str) -> float:
    """Return the nats of a text as charrnn eval reports them."""
    result = forked("eval", "herons", "-", "--json", *options, cwd=folder, stdin=text.encode())
    assert result.returncode == 0, explain(result)
    found = json.loads(result.stdout)
    return float(found["nats_per_char"] * found["characters"])


def test_a_line_comes_out_for_each_line_that_goes_in(trained: Path) -> None:
    text = LINES.replace("\t", " ")
    result = forked("score", "herons", "-", cwd=trained, stdin=text.encode())
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    found = columns(result.stdout)
    assert [row[2] for row in found] == text.split("\n")
    for row, told in zip(found, rows(trained, text=text), strict=True):
        assert float(row[0]) == pytest.approx(told["bits"], abs=6e-4)
        assert float(row[1]) == pytest.approx(told["bits_per_char"], abs=6e-5)


def test_objects_say_which_line_and_of_how_many_characters(trained: Path) -> None:
    found = rows(trained, "--unknown", "skip")
    assert [row["line"] for row in found] == [1, 2, 3, 4]
    assert [row["text"] for row in found] == LINES.split("\n")
    assert [row["characters"] for row in found] == [17, 1, 26, 17]
    for row in found:
        assert row["bits_per_char"] == pytest.approx(row["bits"] / row["characters"])


def test_a_line_costs_the_same_wherever_it_stands(trained: Path) -> None:
    text = LINES.replace("\t", " ") + "\n"
    forwards, backwards = text.splitlines(), text.splitlines()[::-1]
    told = {row["text"]: row["bits"] for row in rows(trained, text=text)}
    assert len(told) == 4
    again = rows(trained, text="\n".join(backwards) + "\n")
    assert {row["text"]: row["bits"] for row in again} == told
    carried = rows(trained, "--carried", text=text)
    assert [row["text"] for row in carried] == forwards
    assert all(row["bits"] != told[row["text"]] for row in carried)


@pytest.mark.slow
@pytest.mark.parametrize("by", [("line", "--carried"), ("character",), ("window", "--window", "7")])
@pytest.mark.parametrize("kernels", ["", NONE])
def test_carried_costs_sum_to_what_eval_says(
    trained: Path, by: tuple[str, ...], kernels: str
) -> None:
    text = (trained / "herons.txt").read_text()[:900]
    arguments = ("score", "herons", "-", "--json", "--by", *by)
    result = forked(*arguments, cwd=trained, stdin=text.encode(), environment={CHOICE: kernels})
    assert result.returncode == 0, explain(result)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert sum(row["characters"] for row in found) == 900
    joined = ("\n" if by[0] == "line" else "").join(row["text"] for row in found)
    assert joined == (text.removesuffix("\n") if by[0] == "line" else text)
    bits = math.fsum(row["bits"] for row in found)
    tolerance = 1e-6 if kernels else 1e-12
    assert bits == pytest.approx(nats_of(trained, text) / math.log(2), rel=tolerance)
    name = by[0]
    assert [row[name] for row in found] == list(range(1, len(found) + 1))


def test_characters_and_windows_can_be_told_of_lines_read_afresh(trained: Path) -> None:
    text = LINES.replace("\t", " ")
    by_line = rows(trained, text=text)
    by_character = rows(trained, "--by", "character", "--afresh", text=text)
    assert len(by_character) == len(text)
    first = math.fsum(row["bits"] for row in by_character[:17])
    assert first == pytest.approx(by_line[0]["bits"])
    windows = rows(trained, "--by", "window", text=text * 9)
    assert [row["characters"] for row in windows][:-1] == [100] * (len(text) * 9 // 100)


def test_the_worst_come_first_and_no_others(trained: Path) -> None:
    text = (trained / "herons.txt").read_text() + "\nxeroh\n"
    every = rows(trained, "--unknown", "replace", text=text)
    found = rows(trained, "--unknown", "replace", "--worst", "3", text=text)
    expected = sorted(every, key=lambda row: -row["bits_per_char"])[:3]
    assert found == expected
    assert found[0]["text"] == "xeroh"


@pytest.mark.slow
def test_files_folders_and_corpora_are_texts_too(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The heron\n")
    (tmp_path / "b.txt").write_text("stood in\n")
    result = forked("score", "herons", tmp_path, tmp_path / "b.txt", cwd=trained)
    assert result.returncode == 0, explain(result)
    assert [row[2] for row in columns(result.stdout)] == ["The heron", "stood in", "stood in"]
    tales = forked("score", "herons", "tales", "--unknown", "skip", "--worst", "1", cwd=trained)
    assert (tales.returncode, len(tales.stdout.splitlines())) == (0, 1), explain(tales)
    assert b"characters the model does not know were not scored" in tales.stderr


def test_without_a_text_it_is_what_the_run_held_out(trained: Path) -> None:
    text = (trained / "herons.txt").read_text()
    result = forked("score", cwd=trained)
    assert result.returncode == 0, explain(result)
    held_out = text[int(len(text) * 0.9) :]
    assert [row[2] for row in columns(result.stdout)] == held_out.splitlines()


def test_nothing_in_nothing_out(trained: Path) -> None:
    assert rows(trained, text="") == []


def test_unknown_characters(trained: Path) -> None:
    text = "The heron\nsnow \N{SNOWMAN}\n"
    refused = forked("score", "herons", "-", cwd=trained, stdin=text.encode())
    assert refused.returncode == 3
    message = refused.stderr.decode()
    assert "standard input: '\N{SNOWMAN}' (U+2603) at character 16" in message
    assert len(message.splitlines()) == 2
    for choice, characters, said in (("skip", 6, "not scored"), ("replace", 7, "scored as ' '")):
        arguments = ("score", "herons", "-", "--json", "--unknown", choice)
        result = forked(*arguments, cwd=trained, stdin=text.encode())
        row = json.loads(result.stdout.splitlines()[1])
        assert (row["text"], row["characters"]) == ("snow \N{SNOWMAN}", characters)
        assert f"1 characters the model does not know were {said}" in result.stderr.decode()


def test_a_line_of_which_nothing_is_scored_has_no_bits_per_character(trained: Path) -> None:
    (row,) = rows(trained, "--unknown", "skip", text="\N{SNOWMAN}")
    assert (row["bits"], row["bits_per_char"], row["characters"]) == (0, None, 0)
    assert rows(trained, "--unknown", "skip", "--worst", "5", text="\N{SNOWMAN}") == []


@pytest.mark.slow
def test_a_stream_is_answered_line_by_line(trained: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "score", "herons", "-"],
        cwd=trained,
        env={**ENVIRONMENT, "PYTHONUNBUFFERED": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    with process:
        for line in ("The heron stood.", "Nobody asked", "the mouse"):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().decode().split("\t")[2] == f"{line}\n"
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.slow
def test_who_stops_reading_hears_nothing_more(trained: Path) -> None:
    """An endless stream is cut off in silence."""
    command = " ".join(COMMAND)
    result = subprocess.run(
        ["bash", "-c", f"yes 'The heron' | {command} score herons - | head -2"],
        capture_output=True,
        cwd=trained,
        env=ENVIRONMENT,
        timeout=120,
        check=True,
    )
    assert (len(result.stdout.splitlines()), result.stderr) == (2, b"")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says what was used")
def test_an_endless_line_takes_no_more_memory_than_a_long_one(trained: Path) -> None:
    used = peak_memory(trained, b"ab" * 700_000)
    more = peak_memory(trained, b"ab" * 2_800_000)
    assert more < used + 2_000


def peak_memory(folder: Path, data: bytes) -> int:
    """Kilobytes that the program held at most to score so much on one line."""
    code = (
        "import sys\n"
        "from charrnn.cli.entry import main\n"
        "sys.argv = ['charrnn', 'score', 'herons', '-', '--unknown', 'replace']\n"
        "try:\n    main()\n"
        "finally:\n    print(open('/proc/self/status').read(), file=sys.stderr)\n"
    )
    result = subprocess.run(
        [COMMAND[0], "-c", code],
        input=data,
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    (line,) = result.stdout.splitlines()
    assert line.endswith(data)
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", result.stderr.decode())
    return int(peak)


UNESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))")
LETTERS = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


def unescape(text: str) -> bytes:
    """Return the bytes that the last column stands for, by the rules of the README."""

    def original(found: re.Match[str]) -> str:
        byte, short, long, letter = found.groups()
        if byte:
            return chr(0xDC00 + int(byte, 16))
        return LETTERS[letter] if letter else chr(int(short or long, 16))

    return UNESCAPED.sub(original, text).encode("utf-8", "surrogateescape")


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
@example("a\u2028b\u2029c\u0085d\u202ee\\n".encode())
@example("a\U000e00011\U000e007ff\U0001f980".encode())
def test_the_last_column_can_be_turned_back(data: bytes) -> None:
    escaped = escape(data.decode("utf-8", "surrogateescape"))
    assert unescape(escaped) == data
    assert len(escaped.splitlines()) <= 1
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u202e]", escaped)
    assert "\t" not in escaped


@pytest.mark.slow
def test_bytes_of_every_kind_keep_to_their_line(tmp_path: Path) -> None:
    """A model of bytes scores any file; what is no text is escaped, and can be had back."""
    data = b"abc\tdef\\n\x00\xff\xfe\x1b[31m\nna\xc3\xafve\r\n" * 60
    (tmp_path / "data.bin").write_bytes(data)
    arguments = ("train", "data.bin", "--bytes", "--steps", "2", "--run", "runs/b", *SMALL)
    trained = forked(*arguments, cwd=tmp_path)
    assert trained.returncode == 0, explain(trained)
    result = forked("score", "data.bin", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    found = columns(result.stdout)
    assert found[0][2] == r"abc\tdef\\n\u0000\xff\xfe\u001b[31m"
    assert found[1][2] == "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve\\r"
    assert b"".join(unescape(row[2]) + b"\n" for row in found) == data
    by_json = forked("score", "data.bin", "--json", cwd=tmp_path)
    units = [json.loads(row) for row in by_json.stdout.splitlines()]
    assert units[0]["text"] == "abc\tdef\\n\x00\ufffd\ufffd\x1b[31m"
    assert "text_base64" not in units[1]
    exact = [
        base64.b64decode(one["text_base64"]) if "text_base64" in one else one["text"].encode()
        for one in units
    ]
    assert b"\n".join(exact) + b"\n" == data


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--by", "paragraph"), "line, record, character, window"),
        (("--window", "9"), "--window needs --by window; give both, or leave it out"),
        (("--by", "window", "--window", "0"), "--window"),
        (("--worst", "0"), "--worst"),
    ],
)
def test_options_that_make_no_sense(trained: Path, options: tuple[str, ...], said: str) -> None:
    result = forked("score", "herons", "-", *options, cwd=trained, stdin=b"")
    assert (result.returncode, result.stdout) == (2, b""), explain(result)
    assert said in result.stderr.decode()
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_terminal_shows_what_a_line_would_have_it_do(trained: Path) -> None:
    ours, theirs = pty.openpty()
    data = b"The \x1b[31mheron\n"
    arguments = [*COMMAND, "score", "herons", "-", "--unknown", "replace"]
    subprocess.run(arguments, input=data, stdout=theirs, cwd=trained, env=ENVIRONMENT, check=True)
    os.close(theirs)
    shown = os.read(ours, 1000).decode()
    os.close(ours)
    assert shown.rstrip().endswith("\tThe \\u001b[31mheron")


def area(folder: Path, ordinary: list[str], planted: list[str]) -> float:
    """Score both kinds in one text and return the area under the ROC curve."""
    text = "\n".join([*ordinary, *planted]) + "\n"
    arguments = ("score", "-", "--json", "--unknown", "replace")
    result = forked(*arguments, cwd=folder, stdin=text.encode())
    assert result.returncode == 0, explain(result)
    prices = bits_per_char(result.stdout)
    return area_under_curve(prices[: len(ordinary)], prices[len(ordinary) :])


@pytest.mark.slow
def test_lines_of_other_languages_are_found(tmp_path: Path) -> None:
    size = ("--layers", "1", "--hidden", "96", "--window", "48", "--batch", "8")
    options = (*size, "--lr", "0.02", "--warmup", "10", "--steps", "300")
    trained = forked("train", "tales", *options, "--evaluations", "1", cwd=tmp_path)
    assert trained.returncode == 0, explain(trained)
    held_out = forked("score", "--json", cwd=tmp_path)
    lines = [json.loads(row)["text"] for row in held_out.stdout.splitlines()]
    ordinary = [line for line in lines if len(line) > 30]
    assert len(ordinary) > 100
    assert area(tmp_path, ordinary, foreign_lines()) > 0.9


@pytest.mark.slow
def test_machine_made_names_are_found(tmp_path: Path) -> None:
    learned, unseen = given_names()
    (tmp_path / "names.txt").write_text("\n".join(learned) + "\n")
    size = ("--layers", "1", "--hidden", "48", "--window", "16", "--batch", "4")
    options = (*size, "--valid", "0", "--steps", "500", "--dropout", "0.2")
    trained = forked("train", "names.txt", *options, cwd=tmp_path)
    assert trained.returncode == 0, explain(trained)
    assert area(tmp_path, unseen, machine_made(learned, 100, 0, seed=1)) > 0.85
