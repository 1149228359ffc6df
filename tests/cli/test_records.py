"""Records through the program: trained on, scored, drawn whole."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.forked import forked
from tests.support.program import SMALL, explain

NAMES = [a + b for a in ("Al", "Be", "Cor", "Di", "E", "Fri") for b in ("na", "la", "ra", "an")]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with names.txt and a run on its lines. Not to be changed."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "names.txt").write_text("\n".join(NAMES * 3) + "\n")
    ask = ("train", "names.txt", "--records", "line", "--steps", "150", *SMALL)
    result = forked(*ask, cwd=folder)
    assert result.returncode == 0, explain(result)
    return folder


def ask(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    result = forked(*arguments, cwd=folder, stdin=stdin)
    assert result.returncode == 0, explain(result)
    return result.stdout.decode()


def refusal(folder: Path, *arguments: str) -> str:
    result = forked(*arguments, cwd=folder)
    assert result.returncode == 2, explain(result)
    return result.stderr.decode()


@pytest.mark.slow
def test_as_many_records_are_drawn_as_are_asked_for(named: Path) -> None:
    printed = ask(named, "sample", "--count", "20", "--seed", "1")
    assert printed.endswith("\n")
    assert len(printed.splitlines()) == 20
    assert "\x1e" not in printed
    assert printed == ask(named, "sample", "--count", "20", "--seed", "1")
    objects = [
        json.loads(line)
        for line in ask(named, "sample", "--count", "20", "--seed", "1", "--json").splitlines()
    ]
    assert [one["text"] for one in objects] == printed.splitlines()


@pytest.mark.slow
def test_unique_records_differ_and_novel_ones_are_new(named: Path) -> None:
    wanted = ("sample", "--count", "30", "--seed", "1", "--temp", "1.2")
    plain = ask(named, *wanted).splitlines()
    assert len(set(plain)) < 30
    assert set(plain) & set(NAMES)
    unique = ask(named, *wanted, "--unique").splitlines()
    assert len(set(unique)) == len(unique) == 30
    novel = ask(named, *wanted, "--novel").splitlines()
    assert len(novel) == 30
    assert not set(novel) & set(NAMES)


def test_a_prime_is_completed_to_a_whole_record(named: Path) -> None:
    printed = ask(named, "sample", "--prime", "Al", "--count", "5", "--seed", "1").splitlines()
    assert len(printed) == 5
    assert all(one.startswith("Al") for one in printed)


def test_where_there_are_not_enough_it_ends_and_says_so(named: Path) -> None:
    result = forked("sample", "--temp", "0", "--count", "3", "--unique", cwd=named)
    assert result.returncode == 1
    assert result.stdout.count(b"\n") == len(result.stdout.splitlines()) == 1
    assert b"only 1 of 1,000 drawn records" in result.stderr


def test_records_that_are_cut_are_said_to_be(named: Path) -> None:
    result = forked("sample", "--length", "1", "--count", "3", "--seed", "1", cwd=named)
    assert b"3 of 3 records were cut at the length of 1 characters" in result.stderr


def test_an_evaluation_says_what_a_record_costs(named: Path) -> None:
    figures = json.loads(ask(named, "eval", "--json", "--no-baselines"))
    assert figures["records"] == 8
    held = sum(len(name) + 1 for name in (NAMES * 3)[-8:])
    assert figures["characters"] == held
    assert figures["bits_per_record"] * 8 == pytest.approx(figures["bits_per_char"] * held)
    whole = json.loads(ask(named, "eval", "names.txt", "--json"))
    assert whole["records"] == 72
    assert whole["baselines"]["scored_characters"] == whole["characters"]


def test_the_scores_of_records_add_up_to_the_evaluation(named: Path) -> None:
    rows = [
        json.loads(line)
        for line in ask(named, "score", "runs/names", "names.txt", "--json").splitlines()
    ]
    assert [row["text"] for row in rows] == NAMES * 3
    assert [row["record"] for row in rows] == list(range(1, 73))
    whole = json.loads(ask(named, "eval", "names.txt", "--json", "--no-baselines"))
    total = sum(row["bits"] for row in rows)
    assert total == pytest.approx(whole["bits_per_record"] * 72, rel=1e-5)
    by_name: dict[str, list[float]] = {}
    for row in rows:
        by_name.setdefault(row["text"], []).append(row["bits"])
    assert all(bits == pytest.approx([bits[0]] * 3, rel=1e-5) for bits in by_name.values())


def test_surprisal_is_that_of_each_record_read_by_itself(named: Path) -> None:
    command = ("inspect", "surprisal", "runs/names", "-", "--json")
    alone = json.loads(ask(named, *command, stdin=b"Alna"))
    after = json.loads(ask(named, *command, stdin=b"Frian\nAlna"))
    assert after["text"] == "\x1eFrian\x1eAlna\x1e"
    assert after["character_bits"][-5:] == pytest.approx(alone["character_bits"][-5:], rel=1e-4)
    for one in after["worst"]:
        chances = {each["text"]: each["probability"] for each in one["expected"]}
        if one["text"] in chances:
            assert 2 ** -one["bits"] == pytest.approx(chances[one["text"]], rel=1e-3)


def test_surprisal_says_in_which_record_and_where_in_it(named: Path) -> None:
    command = ("inspect", "surprisal", "runs/names", "names.txt", "--worst", "40")
    worst = json.loads(ask(named, *command, "--json"))["worst"]
    assert len({one["record"] for one in worst}) > 1
    for one in worst:
        assert f"{(NAMES * 3)[one['record'] - 1]}\x1e"[one["column"] - 1] == one["text"]
    assert "record:column" in ask(named, *command)


def test_surprisal_of_so_many_characters_leaves_the_first_end_out(named: Path) -> None:
    command = ("inspect", "surprisal", "runs/names", "names.txt", "--json", "--length")
    found = [json.loads(ask(named, *command, length)) for length in ("1", "9")]
    assert [one["text"] for one in found] == ["\x1eA", "\x1eAlna\x1eAlla"]
    for one in found:
        scored = one["character_bits"][1:]
        assert one["bits_per_char"] == pytest.approx(sum(scored) / len(scored))


def test_the_log_keeps_whole_records(named: Path) -> None:
    logged = [
        json.loads(line) for line in (named / "runs/names/log.jsonl").read_text().splitlines()
    ]
    assert len(logged[-1]["sample"].split("\n")) == 8
    assert "\x1e" not in logged[-1]["sample"]


@pytest.mark.slow
def test_a_run_goes_on_as_records(named: Path, tmp_path: Path) -> None:
    (tmp_path / "verses.txt").write_text("a rose\nis a rose\n\nand a crow\n\nis a crow\n" * 9)
    train = ("train", "verses.txt", "--records", "paragraph", "--bytes", "--steps", "9", *SMALL)
    ask(tmp_path, *train)
    ask(tmp_path, "train", "--resume")
    verses = forked("sample", "--count", "3", "--length", "60", "--seed", "2", cwd=tmp_path)
    assert verses.returncode == 0, explain(verses)
    assert verses.stdout.count(b"\n\n") >= 2


@pytest.mark.slow
def test_play_ends_with_the_record_and_the_next_line_begins_another(named: Path) -> None:
    play = ("play", "names", "--seed", "1", "--length", "40")
    prime = ("sample", "--prime", "Al", "--seed", "1")
    assert ask(named, *play, stdin=b"Al\n") == ask(named, *prime)
    drawn = ask(named, *play, stdin=b"Al\n\nBe\n")
    first, second, third = drawn.splitlines()
    assert (first, third[:2]) == (ask(named, *prime).strip(), "Be")
    without = ("sample", "--count", "2", "--seed", "1")
    assert second == ask(named, *without).splitlines()[1]


def test_lines_that_are_typed_are_records_for_play(named: Path) -> None:
    script = b"/line Alna\n/line Bera\nCor\n/show\n"
    drawn = ask(named, "play", "names", "--seed", "1", stdin=script)
    shown, again = drawn.split("\n\n\n")
    lines = shown.splitlines()
    assert lines[:2] == ["Alna", "Bera"]
    assert lines[2].startswith("Cor")
    assert again == f"{shown}\n"


@pytest.mark.slow
def test_gates_and_units_are_those_of_each_record_by_itself(named: Path) -> None:
    def gates(text: str) -> list[dict[str, Any]]:
        found = json.loads(ask(named, *gates_of, stdin=text.encode()))["gates"]
        assert isinstance(found, list)
        return found

    gates_of = ("inspect", "gates", "names", "-", "--json")
    forwards, backwards = gates("Alna\nFrila\nEan\n"), gates("Ean\nFrila\nAlna\n")
    for one, other in zip(forwards, backwards, strict=True):
        assert one["open"] == pytest.approx(other["open"])
    unit = ("inspect", "neurons", "names", "-", "--unit", "h1", "--json")
    found = json.loads(ask(named, *unit, stdin=b"Alna\nFrila\nAlna\n"))
    assert found["text"] == "\x1eAlna\x1eFrila\x1eAlna\x1e"
    active = found["activations"]["h1"]
    assert active[:5] == pytest.approx(active[11:16], rel=1e-4)


def test_gradients_say_that_they_read_one_text(named: Path) -> None:
    (named / "short.txt").write_text("\n".join(NAMES))
    result = forked("inspect", "gradients", "names", "short.txt", "--steps", "5", cwd=named)
    assert result.returncode == 0, explain(result)
    assert b"the records are read as one text" in result.stderr


def test_what_was_copied_is_told_by_record(named: Path) -> None:
    arguments = ("sample", "--count", "5", "--seed", "1", "--novelty")
    result = forked(*arguments, cwd=named)
    assert b"characters, from record " in result.stderr, explain(result)
    found = json.loads(ask(named, *arguments, "--json").splitlines()[0])
    longest = found["novelty"]["drawn"]["longest"]
    assert longest["text"] in (NAMES * 3)[longest["record"] - 1]


@pytest.mark.slow
def test_a_report_shows_whole_records(named: Path) -> None:
    pytest.importorskip("matplotlib")
    ask(named, "report", "names", "-o", "names.html")
    page = (named / "names.html").read_text(encoding="utf-8")
    drawn = page.split("<h2>Samples by temperature</h2>")[1].split("</section>")[0]
    assert "\u241e" not in drawn
    names = [line for line in re.sub("<[^>]*>", "", drawn).splitlines() if line in NAMES]
    assert len(names) > 50
    assert "\u241e the end of a record" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "anbn", "--records", "line"), "formal language"),
        (("train", "names.txt", "--records", ""), "--records is empty"),
        (("eval", "--dynamic"), "model of records"),
        (("eval", "--formal", "anbn"), "model of records"),
        (("eval", "--reset-every", "8"), "model of records"),
        (("score", "--by", "line"), "model of records"),
        (("score", "--carried"), "model of records"),
        (("sample", "--prime", "Al\x1eBe"), "--prime"),
        (("train", "--resume", "--records", "line"), "--records"),
    ],
)
def test_contradictions_are_refused(named: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in refusal(named, *arguments)


@pytest.mark.parametrize(
    "arguments", [("sample", "--unique"), ("sample", "--novel"), ("score", "--by", "record")]
)
def test_a_model_of_one_text_has_no_records(trained: Path, arguments: tuple[str, ...]) -> None:
    assert "is not a model of records" in refusal(trained, *arguments)
