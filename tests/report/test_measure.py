"""Content of a report: places of copied spans, and the text that is read."""

from pathlib import Path

import pytest

from charrnn.checkpoints.model_file import CorpusFacts
from charrnn.config.training import ComputeConfig, SourceConfig, TrainConfig
from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.encoded_text import cut_text
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import build_model
from charrnn.report.content import TEMPERATURES, Contents, gather_content
from charrnn.training.progress import Progress
from charrnn.training.run_config import Request
from charrnn.training.run_summary import Summary
from tests.support.arrangements import configure

ALPHABET = Alphabet.of("abcdefgh\n" + RECORD_END)


def measured(trained_on: str, held_out: str, drawn: str, records: str | None) -> Contents:
    """A report's contents, of a model that has learnt nothing and draws what it is told."""
    config = configure("lstm", hidden=4, embedding=2)
    request = Request(SourceConfig(paths=("a",)), config, TrainConfig(steps=1), ComputeConfig())
    corpus = CorpusFacts("a", "0" * 64, len(trained_on) + len(held_out), 0.1, records)
    run = Summary(Path("a"), request, corpus, None, Progress(), (), (), 1, 1, {})
    model = build_model(config, len(ALPHABET)).eval()
    learnt, rest = (
        cut_text(ALPHABET.encode(text), ALPHABET, records) for text in (trained_on, held_out)
    )
    return gather_content(run, model, TorchBackend(model), ALPHABET, learnt, rest, lambda _: drawn)


@pytest.mark.parametrize(("records", "parted"), [(None, "\n"), ("line", RECORD_END)])
def test_copied_spans_are_placed_in_the_line_or_record_that_they_begin_in(
    records: str | None, parted: str
) -> None:
    begun = "" if records is None else RECORD_END
    text = begun + parted.join(["ab", "cd", "ef", "gh", ""])
    copied = measured(text, f"{begun}cdh", "gh", records).copied
    drawn, held_out = copied[:-1], copied[-1]
    assert [(one.quote, one.line) for one in drawn] == [("gh", 4)] * len(TEMPERATURES)
    assert (held_out.name, held_out.line) == ("held out", 2)


@pytest.mark.parametrize(
    ("most", "read"), [(2, "cdefgh|"), (7, "cdefgh|"), (8, "cdefgh|"), (11, "ab|cdefgh|")]
)
def test_where_nothing_is_held_out_whole_records_are_read_and_one_at_least(
    most: int, read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.report.content._NEURON_CHARACTERS", most)
    contents = measured("|ab|cdefgh|".replace("|", RECORD_END), "", "ab", "line")
    assert contents.passage.symbols == read.replace("|", RECORD_END)
