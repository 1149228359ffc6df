"""Settings and remedies of errors as options and commands."""

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.cli.messages import explain, option_name, quote
from charrnn.cli.play.settings import command_name
from charrnn.errors import CharrnnError, Remedy


def test_an_option_is_its_setting_with_dashes() -> None:
    assert option_name("learning_rate") == "--learning-rate"


@pytest.mark.parametrize(
    ("remedy", "said"),
    [
        (Remedy("wait for it"), "Wait for it"),
        (Remedy("hold less out", "valid"), "Hold less out with --valid"),
        (Remedy("take bytes", "encoding", None), "Take bytes with --bytes"),
        (Remedy("leave it out", "unknown", "skip"), "Leave it out with --unknown skip"),
        (
            Remedy("cut there", "records", "\x1e"),
            r"Cut there with --records $'\x1e'",
        ),
        (Remedy("cut there", "records", "; "), "Cut there with --records '; '"),
        (Remedy("fetch it", "fetch", "tales"), "Fetch it: charrnn corpus get tales"),
        (Remedy("go on", "resume", "my run"), "Go on: charrnn train --resume 'my run'"),
        (Remedy("train one", "train", "FILE"), "Train one: charrnn train FILE"),
    ],
)
def test_a_remedy_names_the_option_or_the_command(remedy: Remedy, said: str) -> None:
    assert explain(CharrnnError("it is broken", remedy)) == f"it is broken\n{said}"


def test_a_message_is_said_of_the_options() -> None:
    problem = CharrnnError("is 0; it must be at least 1", settings=("stack_depth",))
    assert explain(problem) == "--stack-depth is 0; it must be at least 1"
    assert explain(problem, command_name) == "/stack-depth is 0; it must be at least 1"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
@example(["it's\n", "a\\b\x1e1", "\x85\u00e9\u2028", "\U000e0001f'", "\udcffx", "", "-"])
def test_a_shell_reads_back_what_is_quoted(words: list[str]) -> None:
    script = "printf '%s\\0' " + " ".join(map(quote, [*words, "end"]))
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert said.decode("utf-8", "surrogateescape").split("\0") == [*words, "end", ""]
    assert script.isprintable()
