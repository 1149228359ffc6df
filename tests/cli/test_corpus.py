"""charrnn corpus, through the real program."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charrnn.data.catalogue import Bundled, Download, read_catalogue
from charrnn.training.auto_config import REPORTED
from tests.conftest import SENTENCES
from tests.support import TEXTS
from tests.support.forked import forked
from tests.support.program import SMALL, charrnn, explain
from tests.support.web import serve

TEXT = "\n".join(SENTENCES * 30) + "\n"
CHINESE = TEXTS / "fables-zh.txt"

# Runs charrnn with a catalogue of one download, which is told on the command line.
WITH_OWN_CATALOGUE = """
import json, sys
from charrnn.data import catalogue
from charrnn.cli.entry import main
from charrnn.data.catalogue import Download

entry = Download(**json.loads(sys.argv.pop(1)))
catalogue.read_catalogue = lambda: {entry.name: entry}
sys.argv[0] = "charrnn"
main()
"""


def said(result: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert result.returncode == 0, explain(result)
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def facts(result: subprocess.CompletedProcess[bytes]) -> dict[str, str]:
    """Return the printed values by their names, which stand two blanks before them."""
    assert result.returncode == 0, explain(result)
    lines = (line.split("  ", 1) for line in result.stdout.decode().splitlines() if "  " in line)
    return {name: value.strip() for name, value in lines}


def test_every_corpus_is_listed_with_its_kind_size_and_license(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    listed = said(forked("corpus", "list", "--json", cwd=tmp_path, environment=environment))
    assert [entry["name"] for entry in listed["corpora"]] == list(read_catalogue())
    for entry in listed["corpora"]:
        known = read_catalogue()[entry["name"]]
        assert (entry["kind"], entry["bytes"]) == (known.kind, known.size)
        assert entry["here"] is not isinstance(known, Download)
    shown = facts(forked("corpus", "list", cwd=tmp_path, environment=environment))
    for name, known in read_catalogue().items():
        assert shown[name].startswith(known.kind)
        assert f"{known.size:,}" in shown[name]
        assert known.licence in shown[name]


@pytest.mark.slow
def test_a_text_is_described(tmp_path: Path) -> None:
    (tmp_path / "herons.txt").write_text(TEXT + "\u201cQuite\u201d,\u00a0said the mouse.\n\n")
    arguments = ("corpus", "show", "herons.txt")
    found = said(forked(*arguments, "--json", cwd=tmp_path))
    data = (tmp_path / "herons.txt").read_bytes()
    text = data.decode()
    assert found["characters"] == len(text)
    assert found["bytes"] == len(data)
    assert found["text_sha256"] == hashlib.sha256(data).hexdigest()
    assert found["alphabet"]["size"] == len(set(text))
    assert found["groups"]["curly quotes"]["count"] == 2
    assert found["groups"]["spaces of other kinds"] == {"symbols": "\u00a0", "count": 1}
    assert found["lines"]["count"] == 91
    assert found["blank_lines"] == 1
    assert found["repeated_lines"] == 87
    baselines = found["baselines"]
    assert baselines["scored_characters"] + baselines["learnt_characters"] == len(text)
    assert len(baselines["ngram_nats_per_char"]) == 6
    assert set(baselines["compressor_nats_per_char"]) == {"zlib", "bz2", "xz"}
    assert set(found["settings"]) == set(REPORTED)
    shown = forked(*arguments, cwd=tmp_path)
    assert shown.stderr.startswith(b"begins from nothing, not from the base model english: ")
    assert shown.stderr.count(b"\n") == 1
    named = facts(shown)
    assert named["size"] == f"{len(text):,} characters, {len(data):,} bytes"
    assert named["spaces of other kinds"] == "1: U+00A0"
    for order, nats in enumerate(baselines["ngram_nats_per_char"]):
        assert named[f"n-grams of order {order}"].endswith(f"{nats / math.log(2):.4f}")
    assert "--minutes" in named["would choose"]


@pytest.mark.slow
def test_a_text_comes_by_name_through_a_pipe_and_as_bytes(tmp_path: Path) -> None:
    tales = read_catalogue()["tales"]
    assert isinstance(tales, Bundled)
    data = tales.path.read_bytes()
    by_name = said(forked("corpus", "show", "tales", "--json", cwd=tmp_path))
    by_pipe = said(forked("corpus", "show", "-", "--json", cwd=tmp_path, stdin=data))
    as_bytes = said(forked("corpus", "show", tales.path, "--bytes", "--json", cwd=tmp_path))
    # What is chosen hangs on how fast the machine is at the moment.
    for found in (by_name, by_pipe, as_bytes):
        found.pop("settings")
    assert by_pipe == {**by_name, "source": "-"}
    assert as_bytes["bytes"] == by_name["bytes"]
    assert as_bytes["lines"] == by_name["lines"]
    assert as_bytes["scripts"] == {}


@pytest.mark.slow
def test_a_text_of_many_characters_is_described(tmp_path: Path) -> None:
    found = said(forked("corpus", "show", CHINESE, "--json", cwd=tmp_path))
    assert found["scripts"]["Han"] > 1000
    assert found["bytes"] > 2 * found["characters"]
    # A model that knows no character would pay the logarithm of the alphabet.
    assert 0 < found["baselines"]["ngram_nats_per_char"][0] < 12
    shown = forked("corpus", "show", CHINESE, cwd=tmp_path)
    assert "Han" in facts(shown)["letters"]


@pytest.mark.parametrize("text", [b"", b"aaaa", b"\xff\xfe"])
def test_what_cannot_be_used_is_refused(tmp_path: Path, text: bytes) -> None:
    result = forked("corpus", "show", "-", cwd=tmp_path, stdin=text)
    assert (result.returncode, result.stdout) == (3, b"")
    assert b"standard input" in result.stderr


@pytest.mark.slow
def test_a_text_of_two_characters_is_described(tmp_path: Path) -> None:
    found = said(forked("corpus", "show", "-", "--json", cwd=tmp_path, stdin=b"ab"))
    assert found["baselines"]["ngram_nats_per_char"] == pytest.approx([math.log(4)] * 6)


@pytest.mark.slow
def test_a_corpus_is_written_out(tmp_path: Path) -> None:
    tales = read_catalogue()["tales"]
    assert isinstance(tales, Bundled)
    out = forked("corpus", "export", "tales", cwd=tmp_path)
    assert (out.returncode, out.stderr) == (0, b"")
    assert out.stdout == tales.path.read_bytes()
    named = forked("corpus", "export", "tales", "-o", "-", cwd=tmp_path)
    assert (named.returncode, named.stderr, named.stdout) == (0, b"", out.stdout)
    assert not list(tmp_path.iterdir())
    result = forked("corpus", "export", "anbn", "-o", "anbn.txt", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, b""), explain(result)
    assert (tmp_path / "anbn.txt").read_bytes().startswith(b"a")
    (tmp_path / "mine.txt").write_text("mine")
    there = ("corpus", "export", "anbn", "-o", "mine.txt")
    refused = forked(*there, cwd=tmp_path)
    assert (refused.returncode, (tmp_path / "mine.txt").read_text()) == (2, "mine")
    assert b"mine.txt exists already" in refused.stderr
    assert forked(*there, "--overwrite", cwd=tmp_path).returncode == 0
    assert (tmp_path / "mine.txt").read_bytes() == (tmp_path / "anbn.txt").read_bytes()
    missing = forked("corpus", "export", "anbn", "-o", "no/anbn.txt", cwd=tmp_path)
    assert missing.returncode == 7


def test_names_that_are_none_get_a_hint(tmp_path: Path) -> None:
    for command in ("get", "export"):
        result = forked("corpus", command, "tinyshakespear", cwd=tmp_path)
        assert result.returncode == 3
        assert b"did you mean tinyshakespeare?" in result.stderr
    result = forked("corpus", "get", "tales", cwd=tmp_path)
    assert (result.returncode, b"charrnn train tales" in result.stderr) == (2, True)


def test_without_a_network_training_and_fetching_say_what_to_do(tmp_path: Path) -> None:
    # Nothing listens there: the request fails as it does where there is no network.
    nowhere = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {"XDG_CACHE_HOME": str(tmp_path), "no_proxy": "", "NO_PROXY": "", **nowhere}
    train = forked("train", "tinyshakespeare", cwd=tmp_path, environment=environment)
    assert (train.returncode, train.stdout) == (3, b"")
    assert b"charrnn corpus get tinyshakespeare" in train.stderr
    get = forked("corpus", "get", "tinyshakespeare", cwd=tmp_path, environment=environment)
    assert (get.returncode, get.stdout) == (3, b"")
    assert b"0 of 1,115,394 bytes were received" in get.stderr
    assert str(tmp_path / "charrnn/corpora/tinyshakespeare.download").encode() in get.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_text_is_fetched_and_then_used_like_any_other(tmp_path: Path) -> None:
    data = TEXT.encode()
    digest = hashlib.sha256(data).hexdigest()

    def with_download(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        entry = Download("reeds", "MIT", "Reeds.", site.url, len(data), digest)
        told = json.dumps(entry.to_dict())
        command = (sys.executable, "-c", WITH_OWN_CATALOGUE, told)
        environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "no_proxy": "*"}
        return charrnn(*arguments, cwd=tmp_path, environment=environment, command=command)

    with serve() as site:
        site.body = data
        fetched = said(with_download("corpus", "get", "reeds", "--json"))
        assert Path(fetched["path"]).read_bytes() == data
        assert facts(with_download("corpus", "get", "reeds"))["bytes"] == f"{len(data):,}"
        assert site.asked == ["bytes=0-"]
    assert with_download("corpus", "export", "reeds").stdout == data
    trained = with_download("train", "reeds", "--steps", "2", *SMALL)
    assert trained.returncode == 0, explain(trained)
    assert said(with_download("eval", "--json"))["source"].startswith("reeds")


@pytest.mark.slow
def test_the_standard_library_is_trained_on_and_kept_with_the_run(tmp_path: Path) -> None:
    arguments = ("train", "python", "--steps", "2", "--valid", "0.001", *SMALL)
    trained = forked(*arguments, cwd=tmp_path)
    assert trained.returncode == 0, explain(trained)
    (copy,) = (tmp_path / "runs/python").glob("corpus-*-python.txt")
    assert b"class OrderedDict(dict):" in copy.read_bytes()
    scored = said(forked("eval", "--json", "--no-baselines", cwd=tmp_path))
    assert scored["source"].startswith("python")
