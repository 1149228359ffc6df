"""charrnn play over a pipe: each line as if typed, the text alone on stdout."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.kernels.library import CHOICE, NONE
from tests.support import GOLDEN
from tests.support.forked import forked
from tests.support.networks import needs_library
from tests.support.program import SMALL, explain


def play(
    folder: Path, script: str | bytes, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    stdin = script.encode() if isinstance(script, str) else script
    always = ("play", "runs/herons", "--seed", "1", "--length", "40")
    return forked(*always, *arguments, cwd=folder, stdin=stdin, environment=environment)


def drawn(folder: Path, prime: str, number: int = 0) -> str:
    """Return sample ``number`` after a prime; the draw of that number must equal it."""
    arguments = ("--seed", "1", "--length", "40", "--count", str(number + 1), "--json")
    result = forked("sample", "runs/herons", "--prime", prime, *arguments, cwd=folder)
    return str(json.loads(result.stdout.splitlines()[number])["text"])


def test_the_text_alone_goes_to_stdout(trained: Path) -> None:
    result = play(trained, "The heron\n\n")
    first = "The heron" + drawn(trained, "The heron")
    assert result.stdout.decode() == first + drawn(trained, first, 1)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)


def test_a_last_line_needs_no_newline_and_no_line_draws_nothing(trained: Path) -> None:
    assert play(trained, "The heron").stdout == play(trained, "The heron\n").stdout != b""
    assert play(trained, "").stdout == b""


@pytest.mark.slow
def test_another_continuation_stands_in_the_text_from_its_beginning(trained: Path) -> None:
    result = play(trained, "The heron\n/retry\n/retry\n")
    texts = ["The heron" + drawn(trained, "The heron", number) for number in range(3)]
    assert len(set(texts)) == 3
    assert result.stdout.decode() == "\n\n".join(texts)


@pytest.mark.slow
def test_what_is_taken_back_is_gone(trained: Path) -> None:
    result = play(trained, "The heron\n/undo\n/undo\nThe mouse\n/show\n")
    first = "The heron" + drawn(trained, "The heron")
    second = "The mouse" + drawn(trained, "The mouse", 1)
    assert result.stdout.decode() == "\n\n".join([first, second, second])
    nothing = play(trained, "/undo\n")
    assert (nothing.returncode, nothing.stdout) == (2, b"")
    assert b"nothing left to undo" in nothing.stderr


def test_a_new_text_can_be_taken_back_too(trained: Path) -> None:
    result = play(trained, "/length 0\nThe heron\n/new\nThe mouse\n/undo\n/undo\n/show\n")
    assert result.stdout.decode() == "The heron\n\nThe mouse\n\nThe heron"


def test_any_text_can_be_typed(trained: Path, tmp_path: Path) -> None:
    script = "/length 0\n//undo\n///\n/line The heron\n/line\n/line  and\n  the\n"
    text = play(trained, script, "--unknown", "skip").stdout.decode()
    assert text == "undoThe heron\n\n and\n  the"  # The model knows no slash.


def test_text_with_slashes_reaches_a_model_that_knows_them(trained: Path) -> None:
    model = str(GOLDEN / "format-1" / "lstm-best.safetensors")
    result = forked("play", model, "--length", "0", cwd=trained, stdin=b"//a\n")
    refused = "'/' (U+002F) at character 1 is not among"
    assert result.stdout == b"/a" or refused in result.stderr.decode()


def test_settings_hold_from_where_they_are_changed(trained: Path) -> None:
    result = play(trained, "/length 10\n/temp 0\nThe heron\n/t\n/settings\n")
    assert len(result.stdout.decode()) == len("The heron") + 10
    likeliest = forked("sample", "--temp", "0", "--prime", "The heron", cwd=trained).stdout
    assert result.stdout.removeprefix(b"The heron") == likeliest[:10]
    assert "/temp 0.0\n" in result.stderr.decode()
    shown = "/temp 0.0  /length 10  /top-k 0  /top-p 1.0  /min-p 0.0  /seed 1  /unknown error"
    assert shown in result.stderr.decode()


def test_a_seed_can_be_set_again(trained: Path) -> None:
    result = play(trained, "The heron\n/undo\n/seed 1\n\n")
    text = "The heron" + drawn(trained, "The heron")
    assert result.stdout.decode() == f"{text}\n\n{text}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("/tmep 0.5", 2, "/tmep is no command; did you mean /temp?"),
        ("/", 2, "/ is no command; /help lists them"),
        ("/temp hot", 2, "/temp is 'hot'; it must be a number"),
        ("/temp 200", 2, "/temp is 200.0; it must be from 0.0 to 100.0"),
        ("/temp nan", 2, "/temp is nan; it must be from 0.0 to 100.0"),
        ("/length 0.5", 2, "/length is '0.5'; it must be a whole number"),
        ("/top-p 2", 2, "/top-p is 2.0"),
        ("/seed -1", 2, "/seed is -1; it must be at least 0"),
        ("/unknown guess", 2, "/unknown is 'guess'; it must be one of error, skip, replace"),
        ("/undo 3", 2, "this command takes no argument, but '3' was given"),
        ("/save", 2, "name a file after the command"),
        ("/save herons.txt", 2, "herons.txt exists already; name another file"),
        ("/save no/such/folder", 7, "no/such/folder: could not be written"),
        ("/save -", 2, "- is standard output, where /show shows the text"),
        ("/keep no/", 2, "'no/' names no file to write to"),
        ("/read nowhere.txt", 3, "nowhere.txt: cannot be read"),
        ("The \N{SNOWMAN}", 3, "(U+2603) at character 5 is not among"),
        (b"The \xff", 3, "the line: byte 4 is not UTF-8"),
    ],
)
def test_a_line_that_is_refused_loses_nothing_and_is_told(
    trained: Path, line: str | bytes, code: int, said: str
) -> None:
    given = line.encode() if isinstance(line, str) else line
    result = play(trained, b"/length 0\nThe heron\n" + given + b"\n counted\n")
    assert result.stdout.decode() == "The heron counted"
    assert result.returncode == code, explain(result)
    assert said in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()


def test_texts_are_kept_saved_and_read(trained: Path, tmp_path: Path) -> None:
    kept, saved = tmp_path / "kept.txt", tmp_path / "saved.txt"
    script = (
        f"/length 0\nThe heron\n/keep\n stood\n/keep\n/save {saved}\n/new\n/read {saved}\n/show\n"
    )
    result = play(trained, script, "--keep", str(kept))
    assert result.returncode == 0, explain(result)
    assert kept.read_text() == "The heron\n\nThe heron stood\n\n"
    assert saved.read_text() == "The heron stood"
    assert result.stdout.decode().endswith("The heron stood")


def test_characters_the_model_does_not_know_are_left_out_or_replaced_if_wanted(
    trained: Path,
) -> None:
    result = play(trained, "/length 0\n/unknown skip\nThe \N{SNOWMAN}heron\n")
    assert result.stdout.decode() == "The heron"
    assert "1 characters the model does not know were left out" in result.stderr.decode()
    assert play(trained, "The \N{SNOWMAN}heron\n", "--unknown", "replace").returncode == 0


def test_every_command_is_in_the_help(trained: Path) -> None:
    told = play(trained, "/help\n").stderr.decode()
    for name in (
        *("retry", "undo", "keep", "show", "line", "new", "save", "read", "temp", "length"),
        *("top-k", "top-p", "min-p", "seed", "unknown", "settings", "help", "quit"),
    ):
        assert f"  /{name} " in told
    assert max(map(len, told.splitlines())) <= 80


def test_nothing_after_quit_is_read(trained: Path) -> None:
    assert play(trained, "/length 0\nThe heron\n/quit\n stood\n").stdout == b"The heron"


@pytest.mark.slow
def test_a_model_of_bytes_takes_and_gives_bytes(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(range(256)) * 20)
    result = forked("train", "data", "--bytes", "--steps", "3", *SMALL, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    given = b"\xff\x00 and \xc3\n"
    played = forked("play", "--length", "9", cwd=tmp_path, stdin=given)
    assert played.stdout[:-9] == given.removesuffix(b"\n")


def test_float32_plays_the_same_without_the_native_library(trained: Path) -> None:
    script = "The heron\n\n/retry\n/undo\n/undo\n stood\n"
    native = play(trained, script, "--weights", "fp32")
    through_torch = play(trained, script, "--weights", "fp32", **{CHOICE: NONE})
    assert native.stdout == through_torch.stdout != b""


@pytest.mark.slow
@needs_library
def test_an_ordinary_model_needs_no_torch(trained: Path) -> None:
    code = (
        "import sys\nfrom charrnn.cli.entry import main\n"
        "sys.argv = ['charrnn', 'play', '--length', '9']\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=trained, input=b"The\n", capture_output=True, check=False
    )
    assert (result.returncode, len(result.stdout), result.stderr) == (0, 12, b"")


@pytest.mark.slow
def test_a_reader_that_leaves_ends_the_program_silently(trained: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn", "play", "--length", "100000000"],
        cwd=trained,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"The heron\n")
        process.stdin.flush()
        assert process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
