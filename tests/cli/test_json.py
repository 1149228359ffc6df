"""Every command's --json is what the guide to it says; a sample can be drawn again from it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import typer

from charrnn.cli.main import app
from charrnn.cli.messages import option_name
from charrnn.cli.terminal import encode_json
from tests.support import GOLDEN
from tests.support.called import called
from tests.support.program import SMALL
from tests.support.schema import SCHEMA

NAMES = "Ada\nGrace\nMary\nJoan\n" * 30


@pytest.fixture(scope="module")
def folder(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of a text, of records and of bytes."""
    folder = tmp_path_factory.mktemp("json")
    (folder / "runs").mkdir()
    for name in ("herons.txt", "runs/herons"):
        (folder / name).symlink_to(trained / name)
    (folder / "names.txt").write_text(NAMES)
    (folder / "data.txt").write_bytes(bytes(range(256)) * 8)
    for text, option in (("names", ("--records", "line")), ("data", ("--bytes",))):
        words = ("train", f"{text}.txt", *option, "--steps", "4", *SMALL)
        assert called(*words, cwd=folder).returncode == 0
    return folder


def printed(folder: Path, *words: str, stdin: bytes = b"") -> list[dict[str, Any]]:
    """The objects that a command prints, each on a line."""
    result = called(*words, "--json", cwd=folder, stdin=stdin)
    assert result.stdout.isascii()
    return [json.loads(line, parse_constant=pytest.fail) for line in result.stdout.splitlines()]


CALLS: dict[str, tuple[str, ...]] = {
    "train": (
        "train names.txt --run new --steps 2 --layers 1 --hidden 4",
        "train anbn --run formal --steps 2 --layers 1 --hidden 4 --valid 0",
    ),
    "sample": (
        "sample herons --length 40 --novelty",
        "sample names --count 2 --novelty",
        "sample data --length 9",
    ),
    "eval": (
        "eval herons --reset-every 50 --dynamic",
        "eval names",
        "eval data data.txt --no-baselines",
    ),
    "eval --formal": ("eval formal --formal anbn",),
    "score": (
        "score herons --worst 1",
        "score names",
        "score data --worst 3",
        "score herons herons.txt --by window --worst 1",
        "score herons herons.txt --by character --worst 1",
    ),
    "corpus list": ("corpus list",),
    "corpus show": ("corpus show herons.txt", "corpus show data.txt --bytes"),
    "corpus export": ("corpus export anbn -o anbn.txt",),
    "inspect summary": (
        *("inspect summary herons", "inspect runs/data/last.safetensors"),
        f"inspect {GOLDEN}/format-6/gru-best.safetensors",
    ),
    "inspect surprisal": ("inspect surprisal herons", "inspect surprisal names"),
    "inspect neurons": (
        f"inspect neurons {GOLDEN}/format-4/gru-best.safetensors {GOLDEN}/format-1/reeds.txt",
    ),
    "inspect gradients": ("inspect gradients herons --steps 2",),
    "inspect gates": ("inspect gates herons",),
    "inspect calibration": ("inspect calibration herons", "inspect calibration names"),
    "compare": ("compare herons names data",),
    "report": ("report herons -o report.html",),
    "verify": ("verify herons names herons.txt nosuch",),
    "doctor": ("doctor",),
}
UNTRIED = {"corpus get"}
"""It fetches a text from elsewhere; its keys are tested with the fetching."""


@pytest.mark.slow
def test_every_command_prints_what_the_guide_says(folder: Path) -> None:
    seen: set[str] = set()
    for command, calls in CALLS.items():
        for words in calls:
            objects = printed(folder, *words.split())
            assert objects, words
            for one in objects:
                seen |= SCHEMA.check(command, one)
    # What the guide lists is printed by some command.
    assert set(SCHEMA.types) - seen <= {"problem", "record", "download_bytes"}


def test_the_guide_has_a_row_for_every_name_and_for_no_other() -> None:
    rows = (*SCHEMA.commands.values(), *SCHEMA.objects.values())
    used = {name for keys in rows for name in keys.always | keys.sometimes}
    assert used == set(SCHEMA.types)
    assert len(SCHEMA.types) == SCHEMA.rows
    assert list(SCHEMA.types) == sorted(SCHEMA.types)


def test_the_guide_and_the_test_have_every_command_with_the_option() -> None:
    with_option = set()

    def visit(command: Any, words: tuple[str, ...]) -> None:
        for name, one in getattr(command, "commands", {}).items():
            visit(one, (*words, name))
        if any("--json" in param.opts for param in command.params):
            with_option.add(" ".join(words))

    visit(typer.main.get_command(app), ())
    assert {"report", "corpus export"} <= with_option
    assert set(SCHEMA.commands) == with_option | {"eval --formal"} == {*CALLS, *UNTRIED}


def draw_again(folder: Path, one: dict[str, Any]) -> list[dict[str, Any]]:
    """Draw the samples that a sample was drawn with, from its own object alone."""
    words = ["sample", one["model"], "--seed", str(one["seed"])]
    for name, value in one["settings"].items():
        if value is None or value is False:
            continue
        for item in value if isinstance(value, list) else [value]:
            words += [option_name(name), *([] if item is True else [str(item)])]
    prime = base64.b64decode(one["prime_base64"]) if "prime_base64" in one else b""
    words += ["--prime", "-" if prime else one["prime"]]
    return printed(folder, *words, stdin=prime)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "sample herons --length 30 --count 3 --temp 0.7 --top-k 9 --top-p 0.9 --min-p 0.01",
        "sample herons --length 60 --stop e --stop on --prime heron --weights int8",
        "sample herons --length 30 --prime Xheron~ --unknown skip --threads 1",
        "sample names --count 3 --prime M --unique --novel --temp 2",
        "sample names --count 2",
        "sample names --novelty --corpus names.txt",
        "sample data --length 20 --prime -",
    ],
)
def test_a_sample_is_drawn_again_from_what_is_told_of_it(folder: Path, words: str) -> None:
    stdin = bytes([0, 255, 65]) if words.endswith("-") else b""
    drawn = printed(folder, *words.split(), stdin=stdin)
    assert drawn
    for one in drawn:
        again = draw_again(folder, one)[one["sample"]]
        times = ("seconds", "chars_per_second", "novelty")
        kept = [{k: v for k, v in each.items() if k not in times} for each in (one, again)]
        # The prime is told as the model read it, so that nothing is unknown the second time.
        assert kept[0] == kept[1]
        (verified, *_) = printed(folder, "verify", one["model"])
        assert one["model_sha256"] == verified["model_sha256"]


@pytest.mark.slow
def test_the_text_of_a_sample_never_begins_with_its_prime(folder: Path) -> None:
    (record,) = printed(folder, "sample", "names", "--prime", "Zz", "--unknown", "skip")
    (again,) = printed(folder, "sample", "names", "--prime", "Ma", "--seed", "3")
    whole = called("sample", "names", "--prime", "Ma", "--seed", "3", cwd=folder).stdout.decode()
    assert record["prime"] == ""
    assert f"{again['prime']}{again['text']}\n" == whole


@pytest.mark.slow
def test_the_digest_of_a_text_is_the_same_wherever_it_is_printed(folder: Path) -> None:
    (compared,) = printed(folder, "compare", "herons", "names")
    for run in compared["runs"]:
        (summary,) = printed(folder, "inspect", "summary", run["run"])
        assert run["settings"]["text_sha256"] == summary["corpus"]["text_sha256"]


@pytest.mark.slow
def test_what_goes_to_standard_output_is_not_described_there(folder: Path) -> None:
    for words in (("corpus", "export", "anbn"), ("report", "herons", "-o", "-")):
        result = called(*words, "--json", cwd=folder)
        assert (result.returncode, result.stdout) == (2, b"")
        assert "Name a file with -o FILE" in result.stderr.decode()


def test_an_export_is_described_by_its_bytes(tmp_path: Path) -> None:
    (told,) = printed(tmp_path, "corpus", "export", "quatrains", "-o", "q.txt")
    (shown,) = printed(tmp_path, "corpus", "show", "q.txt")
    assert (told["path"], told["bytes"]) == ("q.txt", (tmp_path / "q.txt").stat().st_size)
    assert told["text_sha256"] == shown["text_sha256"]


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (float("nan"), "null"),
        ([float("inf"), -float("inf"), 1e308], "[null, null, 1e+308]"),
        ({"a": {"b": (float("nan"),)}}, '{"a": {"b": [null]}}'),
        ("a\udcffb", r'"a\ufffdb"'),
        ("\ud83d\ude00", r'"\ud83d\ude00"'),
        ("\ud83d", r'"\ufffd"'),
        ("\0\x7f\u2028", r'"\u0000\u007f\u2028"'),
        ({"\udc80": 1}, r'{"\ufffd": 1}'),
        ("\U0001f600é", r'"\ud83d\ude00\u00e9"'),
    ],
)
def test_json_is_valid_for_every_reader(value: Any, encoded: str) -> None:
    assert encode_json(value) == encoded
    json.loads(encode_json(value))


def test_a_name_that_is_not_utf_8_stays_valid(tmp_path: Path) -> None:
    name = b"\xff.txt".decode("utf-8", "surrogateescape")
    (tmp_path / name).write_text("the heron\n" * 30)
    (told,) = printed(tmp_path, "corpus", "show", name)
    assert told["source"] == "\ufffd.txt"
