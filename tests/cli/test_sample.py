"""charrnn sample, through the real program."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.kernels.library import CHOICE, NONE
from tests.support.forked import forked
from tests.support.networks import needs_library
from tests.support.program import SMALL, explain, start
from tests.support.pseudoterminal import through_a_terminal


def test_the_drawn_text_alone_goes_to_stdout(trained: Path) -> None:
    result = forked("sample", "--temp", "0.8", "--length", "120", "--prime", "The ", cwd=trained)
    assert result.returncode == 0, explain(result)
    assert len(result.stdout.decode()) == 120
    assert result.stderr == b""


def test_a_seed_fixes_the_text_whatever_the_count(trained: Path) -> None:
    def objects(*arguments: str) -> list[str]:
        result = forked("sample", "--seed", "4", "--json", *arguments, cwd=trained)
        return [json.loads(line)["text"] for line in result.stdout.splitlines()]

    several = objects("--count", "5")
    assert len(set(several)) == 5
    assert objects() == several[:1]
    assert objects("--count", "2") == several[:2]


def test_json_describes_each_sample(trained: Path) -> None:
    result = forked(
        "sample", "--json", "--count", "2", "--prime", "The", "--length", "30", "--seed", "8",
        cwd=trained,
    )  # fmt: skip
    for number, line in enumerate(result.stdout.splitlines()):
        described = json.loads(line)
        assert described["prime"] == "The"
        assert (described["seed"], described["sample"]) == (8, number)
        assert described["characters"] == len(described["text"]) == 30
        assert described["chars_per_second"] == pytest.approx(30 / described["seconds"])


@pytest.mark.slow
def test_a_model_file_and_a_run_by_name_or_path_are_the_same_model(trained: Path) -> None:
    texts = {
        forked("sample", *where, "--seed", "1", "--length", "40", cwd=trained).stdout
        for where in ([], ["herons"], ["runs/herons"], ["runs/herons/best.safetensors"])
    }
    assert len(texts) == 1


def test_temperature_zero_needs_no_seed(trained: Path) -> None:
    first, second = (
        forked("sample", "--temp", "0", "--length", "60", cwd=trained).stdout for _ in range(2)
    )
    assert first == second


def test_the_prime_comes_from_standard_input(trained: Path) -> None:
    arguments = ("sample", "--seed", "2", "--length", "40", "--prime")
    piped = forked(*arguments, "-", cwd=trained, stdin=b"The heron")
    assert piped.stdout == forked(*arguments, "The heron", cwd=trained).stdout
    broken = forked(*arguments, "-", cwd=trained, stdin=b"ab\xff")
    assert (broken.returncode, b"byte 2" in broken.stderr) == (3, True)
    skipped = forked(*arguments, "-", "--unknown", "skip", cwd=trained, stdin=b"The\xff heron")
    assert skipped.stdout == piped.stdout
    assert b"1 characters the model does not know were skipped" in skipped.stderr


def test_a_prime_may_be_cut_within_a_character(trained: Path) -> None:
    arguments = ("sample", "--seed", "2", "--length", "40", "--prime")
    cut = "\N{SNOWMAN}The heron\N{CRAB}".encode()[1:-1]
    piped = forked(*arguments, "-", cwd=trained, stdin=cut)
    named = forked(*arguments, os.fsdecode(cut), cwd=trained)
    whole = forked(*arguments, "The heron", cwd=trained)
    assert piped.stdout == named.stdout == whole.stdout != b"", explain(piped)
    assert b"cut within a character: 5 bytes" in piped.stderr


def test_a_stop_string_ends_the_text_before_it(trained: Path) -> None:
    arguments = ("sample", "--seed", "2", "--length", "300")
    whole = forked(*arguments, cwd=trained).stdout.decode()
    stopped = forked(*arguments, "--stop", " ", cwd=trained).stdout.decode()
    assert stopped == whole.split(" ")[0]


def test_an_unknown_character_is_named_with_its_position_or_left_out(trained: Path) -> None:
    arguments = ("sample", "--seed", "2", "--length", "40", "--prime", "The \N{SNOWMAN}heron")
    refused = forked(*arguments, cwd=trained)
    assert refused.returncode == 3
    assert "U+2603" in refused.stderr.decode()
    assert "character 5" in refused.stderr.decode()
    skipped = forked(*arguments, "--unknown", "skip", cwd=trained)
    plain = forked(*arguments[:-1], "The heron", cwd=trained)
    assert skipped.stdout == plain.stdout
    assert forked(*arguments, "--unknown", "replace", cwd=trained).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--temp", "-1"), "--temp is -1.0; it must be from 0.0 to 100.0"),
        (("--top-p", "1.5"), "--top-p"),
        (("--count", "0"), "--count"),
        (("--unknown", "guess"), "--unknown"),
        (("--device", "tpu"), "--device"),
        (("--stop", "\N{SNOWMAN}"), "--stop"),
        (("--stop", ""), "--stop"),
        (("--weights", "int4"), "--weights is 'int4'; it must be one of auto, fp32, bf16, int8"),
        (("--threads", "0"), "--threads"),
        (("--temp", "warm"), "--temp"),
    ],
)
def test_options_out_of_range_are_a_usage_error(
    trained: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = forked("sample", *arguments, cwd=trained)
    assert result.returncode == 2, explain(result)
    assert said in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()
    assert result.stdout == b""


@pytest.mark.slow
def test_a_reader_that_leaves_ends_the_program_silently(trained: Path) -> None:
    with start("sample", "--length", "100000000", cwd=trained) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


@pytest.mark.slow
def test_a_terminal_is_shown_control_characters_and_a_pipe_gets_them(tmp_path: Path) -> None:
    nasty = "\x1b[31mred\r\x07\x9b2J\u202eabc"
    (tmp_path / "nasty.txt").write_text(nasty * 60, encoding="utf-8", newline="")
    result = forked("train", "nasty.txt", "--steps", "60", *SMALL, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    arguments = ("sample", "--seed", "1", "--length", "200")
    piped = forked(*arguments, cwd=tmp_path).stdout.decode()
    assert {"\x1b", "\r", "\x07", "\x9b", "\u202e"} <= set(piped)
    shown = through_a_terminal(tmp_path, *arguments).stdout.decode()
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert "\u241b[31m" in shown
    assert "\u240d" in shown
    raw = through_a_terminal(tmp_path, *arguments, "--raw").stdout.decode()
    assert "\x1b" in raw


@pytest.mark.slow
def test_a_terminal_shows_the_prime_before_the_text(trained: Path) -> None:
    arguments = ("sample", "--seed", "1", "--length", "30", "--prime", "The heron")
    shown = through_a_terminal(trained, *arguments).stdout.decode()
    drawn = forked(*arguments, cwd=trained).stdout.decode()
    assert shown.index("The heron") < shown.index(drawn.splitlines()[0])


@pytest.mark.parametrize("weights", ["auto", "fp32", "bf16", "int8"])
def test_weights_of_every_sort_draw_text(trained: Path, weights: str) -> None:
    arguments = ("sample", "--seed", "2", "--length", "50", "--weights", weights)
    result = forked(*arguments, cwd=trained)
    assert (result.returncode, len(result.stdout)) == (0, 50), explain(result)
    assert forked(*arguments, "--threads", "2", cwd=trained).stdout == result.stdout


def test_float32_draws_the_same_text_without_the_native_library(trained: Path) -> None:
    arguments = ("sample", "--seed", "2", "--length", "200", "--weights", "fp32", "--count", "2")
    native = forked(*arguments, cwd=trained)
    through_torch = forked(*arguments, cwd=trained, environment={CHOICE: NONE})
    assert through_torch.returncode == 0, explain(through_torch)
    assert through_torch.stdout == native.stdout


@pytest.mark.parametrize("weights", ["auto", "bf16", "int8"])
def test_weights_of_every_sort_draw_text_without_the_native_library(
    trained: Path, weights: str
) -> None:
    arguments = ("sample", "--seed", "2", "--length", "50", "--weights", weights)
    result = forked(*arguments, cwd=trained, environment={CHOICE: NONE})
    assert (result.returncode, len(result.stdout)) == (0, 50), explain(result)


_WITHOUT_TORCH = """
import sys
from charrnn.cli.entry import main
sys.argv = ["charrnn", *sys.argv[1:]]
try:
    main()
finally:
    assert "torch" not in sys.modules
"""


@pytest.mark.slow
@needs_library
@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "--length", "1"),
        ("sample", "--length", "9", "--count", "3", "--stop", "e", "--json"),
        ("eval",),
        ("eval", "--weights", "bf16", "--json"),
    ],
    ids=" ".join,
)
def test_an_ordinary_model_needs_no_torch(trained: Path, arguments: tuple[str, ...]) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, *arguments],
        cwd=trained,
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
