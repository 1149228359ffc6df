"""charrnn report, through the real program."""

import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from charrnn.training.run_summary import read_summary
from tests.support.forked import forked
from tests.support.program import SMALL, explain

VOID = {"meta", "br", "hr", "link", "img", "input"}
HOSTILE = (
    '<script>alert("x")</script> & </pre><img src=http://x.example/i.png onerror=alert(1)>\u202e'
)


class Page(HTMLParser):
    """The parts of a page; an element that is left open, or closed twice, is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.sections: dict[str, str] = {}
        self._open: list[str] = []
        self._section = ""
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "h2":
            self._section = data
        self.sections[self._section] = self.sections.get(self._section, "") + data


def report(folder: Path, *arguments: str) -> Page:
    result = forked("report", *arguments, "-o", "report.html", cwd=folder)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    assert result.stdout == b"report  report.html\n"
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def train(folder: Path, text: str, *settings: str, name: str = "a.txt") -> None:
    (folder / name).write_text(text, encoding="utf-8")
    arguments = ("--steps", "4", "--run", "run", *SMALL, *settings)
    result = forked("train", name, *arguments, cwd=folder)
    assert result.returncode == 0, explain(result)


@pytest.fixture(scope="module")
def page(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("reported")
    return report(folder, str(trained / "runs/herons"))


@pytest.mark.slow
def test_everything_is_on_the_page(page: Page, trained: Path) -> None:
    run = read_summary(trained / "runs/herons")
    assert page.tags["svg"] == 6
    assert list(page.sections)[1:] == [
        "Training",
        "Samples during training",
        "Samples by temperature",
        "Surprisal",
        "Neurons",
        "Reach of the gradient",
        "Memorization",
        "Settings",
        "Reproduction",
    ]
    top = page.sections[""]
    assert f"{run.progress.best_nats_per_char:.4f}" in top
    assert f"{run.parameters:,}" in top
    for one in (run.measurements[0], run.measurements[-1]):
        assert one.sample
        assert one.sample in page.sections["Samples during training"]
        assert f"{one.train_nats_per_char:.4f}" in page.sections["Training"]
    text = (trained / "herons.txt").read_text()
    held_out = text[int(len(text) * 0.9) :]
    assert held_out.replace("\n", "\u21b5\n") in page.sections["Surprisal"]
    assert run.corpus.digest in page.sections["Settings"]
    assert "--forget-bias" in page.sections["Settings"]
    assert "charrnn train herons.txt" in page.sections["Reproduction"]


def test_the_page_needs_nothing_but_itself(page: Page) -> None:
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")} | {"src"} & names
    assert all(
        (value or "").startswith("#") for name, value in page.attributes if name.endswith("href")
    )
    assert not re.search(r"@import|url\((?!#)", page.sections[""])


def test_no_two_parts_of_the_page_have_an_id_in_common(page: Page) -> None:
    ids = Counter(value for name, value in page.attributes if name == "id")
    assert set(ids.values()) == {1}


@pytest.mark.slow
def test_hostile_text_stays_text(tmp_path: Path) -> None:
    train(tmp_path, f"{HOSTILE}\n" * 60, "--steps", "150", name="<b>&amp;\u202e.txt")
    found = report(tmp_path, "run")
    assert not {"script", "img", "b>"} & set(found.tags)
    assert found.tags["b"] == 1
    assert not any(name.startswith("on") for name, _ in found.attributes)
    raw = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "\u202e" not in raw
    shown = HOSTILE.replace("\u202e", "<U+202E>")
    assert shown in found.sections["Surprisal"]
    assert "<b>&amp;" in found.sections["Settings"]
    assert r"$'<b>&amp;\xe2\x80\xae.txt'" in found.sections["Reproduction"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("The heron stood in the ford.\n" * 40, ("--valid", "0")),
        ("The heron stood in the ford.\n" * 40, ("--bytes", "--cell", "rnn")),
        ("\u6c5f\u6c34\u6d41\u6625\u53bb\u6b32\u5c3d\uff0c\n" * 40, ("--cell", "gru")),
        ("ab" * 100, ("--cell", "stack", "--stack-only")),
        ("ab" * 500, ("--layers", "3", "--pyramid", "1")),
    ],
)
def test_every_kind_of_run_has_a_report(
    tmp_path: Path, text: str, settings: tuple[str, ...]
) -> None:
    train(tmp_path, text, *settings)
    assert report(tmp_path, "run").tags["h2"] == 9


@pytest.mark.slow
def test_a_run_without_a_log_has_a_report(tmp_path: Path) -> None:
    train(tmp_path, "The heron stood in the ford.\n" * 40)
    (tmp_path / "run/log.jsonl").unlink()
    assert "No evaluation" in report(tmp_path, "run").sections["Training"]


@pytest.mark.slow
def test_it_goes_into_the_runs_directory_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    train(tmp_path, "The heron stood in the ford.\n" * 40)
    for _ in range(2):
        result = forked("report", "run", cwd=tmp_path)
        assert result.returncode == 0, explain(result)
        assert result.stdout == b"report  run/report.html\n"
    page = (tmp_path / "run/report.html").read_bytes()
    assert page.startswith(b"<!doctype html>")
    for stdout in ("-", "/dev/stdout"):
        result = forked("report", ".", "-o", stdout, cwd=tmp_path / "run")
        assert result.returncode == 0, explain(result)
        assert result.stdout.startswith(b"<!doctype html>")
        assert result.stdout.endswith(b"</html>\n" if page.endswith(b"\n") else b"</html>")
        assert b"<title>run " in result.stdout
    names = {file.name for file in (tmp_path / "run").glob("[!.]*")}
    assert names == {"last.safetensors", "best.safetensors", "log.jsonl", "report.html"}


@pytest.mark.slow
def test_what_is_no_report_is_left_alone(tmp_path: Path) -> None:
    train(tmp_path, "The heron stood in the ford.\n" * 40)
    before = (tmp_path / "a.txt").read_bytes()
    result = forked("report", "run", "-o", "a.txt", cwd=tmp_path)
    assert result.returncode == 2
    assert b"is not a report" in result.stderr
    assert (tmp_path / "a.txt").read_bytes() == before
    folder = forked("report", "run", "-o", ".", cwd=tmp_path)
    assert (folder.returncode, b"could not be written" in folder.stderr) == (7, True)


@pytest.mark.slow
def test_a_text_that_moved_is_named(tmp_path: Path) -> None:
    train(tmp_path, "The heron stood in the ford.\n" * 40)
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    gone = forked("report", "run", cwd=tmp_path)
    assert (gone.returncode, b"--corpus" in gone.stderr) == (3, True)
    assert "Surprisal" in report(tmp_path, "run", "--corpus", "b.txt").sections


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_without_the_extra_it_says_what_to_install(trained: Path, missing: str) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from charrnn.cli.entry import main\n"
        "sys.argv = ['charrnn', 'report']\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=trained, check=False
    )
    assert result.returncode == 1
    assert f"a report takes {missing}".encode() in result.stderr
    assert b"pip install 'charrnn[report]'" in result.stderr


@pytest.mark.slow
def test_torch_that_cannot_be_loaded_is_not_taken_for_a_library_of_reports(trained: Path) -> None:
    code = (
        "import sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'torch':\n"
        "            raise OSError('libtorch.so: cannot open shared object file')\n"
        "sys.meta_path.insert(0, Broken())\n"
        "from charrnn.cli.entry import main\n"
        "sys.argv = ['charrnn', 'report']\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=trained, check=False
    )
    assert result.returncode == 7
    assert b"libtorch.so" in result.stderr
    assert b"matplotlib" not in result.stderr
