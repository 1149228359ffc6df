"""The README and the guides: their commands are the program's, their links lead somewhere."""

import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_manners import EVERYTHING, README
from tests.support.program import ENVIRONMENT, explain

ROOT = README.parent
GUIDES = sorted((ROOT / "charrnn" / "guides").glob("*.md"))
PAGES = (README, *GUIDES, *sorted((ROOT / ".github").glob("*.md")))

_REDIRECTION = re.compile(r"(?<!\S)\d?>>?\s*(&\d|\S+)")
_SHELL = set("();<>|&")
_CODE = re.compile(r"^(?: {4}.*\n)+", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_MOST_README_LINES = 200


def commands(text: str) -> Iterator[tuple[str, ...]]:
    """The arguments of every call of the program in a text's code blocks."""
    for block in _CODE.findall(text.replace("\\\n", " ")):
        for line in re.findall(r"^ {4}(?:\$ )?(.*\bcharrnn .*)", block, re.MULTILINE):
            yield from _calls(line)


def _calls(line: str) -> Iterator[tuple[str, ...]]:
    words = shlex.shlex(_REDIRECTION.sub("", line), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    call: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= _SHELL:
            if call[:1] == ["charrnn"]:
                yield tuple(call[1:])
            call = []
        else:
            call.append(word)


CALLS = sorted({call for page in PAGES for call in commands(page.read_text(encoding="utf-8"))})


def test_commands_are_found_in_code_blocks_however_they_are_chained() -> None:
    text = (
        "Say `charrnn train --nonsense`.\n\n"
        "    $ (charrnn corpus export tales; echo x) | charrnn sample --prime - 2> log  # a --b\n"
        "    charrnn train a \\\n        --hidden 3\n    charrnn: no line of the shell\n"
    )
    assert list(commands(text)) == [
        ("corpus", "export", "tales"),
        ("sample", "--prime", "-"),
        ("train", "a", "--hidden", "3"),
    ]
    assert len(CALLS) > 60


def test_the_commands_are_parsed() -> None:
    assert CALLS
    for arguments in CALLS:
        words = max((words for words in EVERYTHING if arguments[: len(words)] == words), key=len)
        command, rest = EVERYTHING[words], list(arguments[len(words) :])
        context = command.make_context("charrnn", list(rest))
        if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
            command.resolve_command(context, rest)


def test_links_lead_to_files_and_headings_that_there_are() -> None:
    checked = 0
    for page in PAGES:
        for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
            if link.startswith("https://"):
                continue
            checked += 1
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), link
            assert not anchor or anchor in anchors(target), link
    assert checked > 0


def test_files_and_targets_that_are_named_are_there() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"`((?:charrnn|tests|corpora)/[\w./-]+)`", text):
            assert (ROOT / path).exists(), path
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        for target in re.findall(r"(?:`(?:\w+=\w+ )?|^ {4})make ([\w-]+)", text, re.MULTILINE):
            assert target in targets, target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_guide_begins_with_a_title_and_one_sentence() -> None:
    for page in GUIDES:
        title, summary, _ = page.read_text(encoding="utf-8").split("\n\n", 2)
        assert re.fullmatch(r"# \S.*", title)
        assert re.fullmatch(r"[^\n]+\.", summary)


def test_the_readme_is_short_and_leads_to_every_guide() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= _MOST_README_LINES
    linked = {(ROOT / link).resolve() for link in _LINK.findall(text)}
    assert set(GUIDES) <= linked


def test_the_readmes_tree_has_every_folder_and_module_at_the_top_of_the_package() -> None:
    _, _, below = README.read_text(encoding="utf-8").partition("    charrnn/\n")
    named = re.findall(r"^ {6}([\w./]+)", below.partition("\n    corpora/")[0], re.MULTILINE)
    # Beside its code an installed package holds the texts, which stand at the top here.
    folders = {f"{path.parent.name}/" for path in (ROOT / "charrnn").glob("[!_]*/*.*")}
    modules = {path.name for path in (ROOT / "charrnn").glob("[!_]*.py")}
    assert sorted(named) == sorted((folders | modules) - {"corpora/"})


@pytest.mark.slow
def test_the_code_of_the_guide_to_python_runs(tmp_path: Path) -> None:
    (page,) = (page for page in GUIDES if page.stem == "python")
    blocks = _CODE.findall(page.read_text(encoding="utf-8"))
    code = "\n".join(textwrap.dedent(block) for block in blocks)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, explain(result)
    assert result.stdout
