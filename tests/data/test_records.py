"""Texts as records: divided, held out whole, batched, trained on and scored without a leak."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.batches import NO_TARGET, Position, Shape, fit_shape, open_streams
from charrnn.data.corpus import Corpus, encode_corpus, fit_corpus
from charrnn.data.encoded_text import RecordText
from charrnn.data.inputs import stream_sources
from charrnn.data.records import (
    LINE,
    PARAGRAPH,
    Divider,
    divide_text,
    divide_texts,
    find_separator,
)
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluation.scorer import score_records
from charrnn.evaluation.surprisal import measure_surprisal
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import build_model
from tests.support.arrangements import configure
from tests.support.sessions import begin
from tests.training.test_session import (
    after_steps,
    assert_identical,
    put_down_and_take_up,
    request,
    tensors_of,
    train_until,
)

NAMES = ["Ada", "Bo", "Carolina", "Dan", "Eve", "Fay", "Gil", "Hal", "Ivo", "Jo", "Kim", "Leopold"]
SEPARATORS = (LINE, PARAGRAPH, "%%", "aa")

lines = st.text("abc %\r", min_size=1, max_size=8)


def cut(text: str, places: list[int]) -> list[str]:
    bounds = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[a:b] for a, b in pairwise(bounds)]


def records_of(text: str) -> list[str]:
    return text.split(RECORD_END)[:-1]


def read(folder: Path, records: str = LINE, names: list[str] = NAMES) -> Corpus:
    path = folder / "names.txt"
    path.write_bytes(find_separator(records).join(names).encode())
    return fit_corpus([path], records=records)


def backend_for(corpus: Corpus, arrangement: str) -> TorchBackend:
    config = configure(arrangement, hidden=6, embedding=4)
    return TorchBackend(build_model(config, len(corpus.alphabet), 1))


@given(st.sampled_from(SEPARATORS), st.lists(lines), st.lists(st.integers(0, 99)), st.data())
def test_records_come_back_however_the_text_is_cut(
    kind: str, found: list[str], places: list[int], data: st.DataObject
) -> None:
    kept = [one for one in found if not (kind == PARAGRAPH and one.isspace())]
    if kind in ("aa", "%%"):
        kept = [one.replace(kind[0], "b") for one in kept]
    ending = data.draw(st.sampled_from(["", "\n"]))
    text = find_separator(kind).join(kept) + (ending if kept else "")
    assert records_of("".join(divide_text(cut(text, places), kind))) == kept


def test_empty_records_are_left_out_and_counted() -> None:
    divider = Divider(LINE)
    assert divider.feed("\na\n\n\nb") + divider.finish() == "a\x1eb\x1e"
    assert (divider.count, divider.dropped) == (2, 3)


def test_paragraphs_keep_their_lines() -> None:
    text = "\n\n a\nb\n \t\n\n\nc\n\n"
    assert records_of("".join(divide_text([text], PARAGRAPH))) == [" a\nb", "c"]


@pytest.mark.parametrize("kind", SEPARATORS)
def test_an_endless_record_is_passed_on_as_it_comes(kind: str) -> None:
    divider = Divider(kind)
    held = 0
    for _ in range(2000):
        chunk = "x" * 50
        held += len(chunk) - len(divider.feed(chunk))
        assert 0 <= held <= len(find_separator(kind))
    assert divider.finish() == "x" * held + RECORD_END
    assert divider.count == 1


def test_of_endless_white_space_a_bounded_part_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.data.records._MOST_INDENT", 100)
    divider = Divider(PARAGRAPH)
    text = "a\n" + " " * 100 + "\n" + " " * 1000 + "\n\nb"
    passed = [divider.feed(character) for character in text]
    assert records_of("".join(passed) + divider.finish()) == ["a", " " * 1000, "b"]
    assert max(map(len, passed)) == 101


def test_no_record_runs_from_one_file_into_the_next(tmp_path: Path) -> None:
    for name, text in (("1.txt", "Ada\nBo"), ("2.txt", "Eve")):
        (tmp_path / name).write_text(text)
    corpus = fit_corpus([tmp_path], records=LINE)
    assert corpus.alphabet.decode(corpus.ids) == "\x1eAda\x1eBo\x1eEve\x1e"


@pytest.mark.parametrize("kind", [LINE, PARAGRAPH, "%%"])
@pytest.mark.parametrize("names", ["11", "1011", "212", "1201", "3131"])
def test_no_record_runs_from_one_text_into_the_next_whatever_they_are(
    tmp_path: Path, kind: str, names: str
) -> None:
    """The same file twice, one behind another name, an empty one, one that ends within a line."""
    separator = find_separator(kind)
    for name, text in (("0", ""), ("1", f"Ada{separator}Bo"), ("2", f"Eve{separator}")):
        (tmp_path / name).write_text(text)
    (tmp_path / "3").symlink_to("1")
    paths = [tmp_path / name for name in names]
    wanted = [one for name in names for one in {"0": [], "2": ["Eve"]}.get(name, ["Ada", "Bo"])]
    corpus = fit_corpus(paths, records=kind)
    assert records_of(corpus.alphabet.decode(corpus.ids[1:])) == wanted
    sources = [str(path) for path in paths]
    texts = stream_sources(sources, "utf-8", separator, lambda _: None)
    assert records_of("".join(divide_texts(texts, kind))) == wanted


def test_an_end_within_the_last_record_of_a_file_is_told_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("Ada\nBo\x1e")
    (tmp_path / "2.txt").write_text("Eve")
    with pytest.raises(CorpusError, match=r"1\.txt: it holds"):
        fit_corpus([tmp_path], records=LINE)


@pytest.mark.parametrize("text", ["a\x1eb\nc", "a", "", "a\n\n"])
def test_what_is_no_text_of_records_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(CorpusError, match=r"a\.txt"):
        fit_corpus([path], records=LINE)


def test_the_end_itself_may_part_the_records(tmp_path: Path) -> None:
    corpus = read(tmp_path, RECORD_END)
    assert records_of(corpus.alphabet.decode(corpus.ids[1:])) == NAMES


def test_bytes_are_divided_by_the_bytes_of_the_separator(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("a\xe9\u00a7\xffb".encode())
    corpus = fit_corpus([path], None, "\u00a7")
    assert bytes(corpus.ids) == b"\x1ea\xc3\xa9\x1e\xc3\xbfb\x1e"


def test_an_unknown_character_never_becomes_an_end(tmp_path: Path) -> None:
    alphabet = Alphabet.of("\x1eabc")
    assert alphabet.replacement == "a"
    path = tmp_path / "other"
    path.write_text("ax\nb")
    corpus = encode_corpus([path], alphabet, unknown="replace", records=LINE)
    assert alphabet.decode(corpus.ids) == "\x1eaa\x1eb\x1e"


@pytest.mark.slow
@given(st.lists(st.integers(1, 20), min_size=1, max_size=40), st.integers(1, 9), st.integers(1, 9))
def test_an_epoch_reads_every_record_once_and_nothing_else(
    lengths: list[int], batch: int, window: int
) -> None:
    ids = np.concatenate([[0], *([*range(1, n + 1), 0] for n in lengths)]).astype(np.uint8)
    text = RecordText(ids, end=0)
    streams = open_streams(text, fit_shape(text, batch, window), seed=3)
    for epoch in range(2):
        seen: list[list[int]] = []
        rows: list[list[int]] = []
        position = Position(epoch, 0)
        while position.epoch == epoch:
            inputs, targets = streams.read(position)
            assert inputs.shape[0] <= streams.shape.window
            if streams.starts_fresh(position):
                seen += rows
                rows = [[] for _ in range(streams.shape.batch)]
            for row, (known, wanted) in enumerate(zip(inputs.T, targets.T, strict=True)):
                real = wanted != NO_TARGET
                assert real.all() or not real[int(real.argmin()) :].any()
                before = rows[row][-1] if rows[row] else 0
                assert not real.any() or [before, *wanted[real][:-1]] == known[real].tolist()
                rows[row] += wanted[real].tolist()
            position = streams.after(position)
        seen += rows
        assert position == Position(epoch + 1, 0)
        assert sorted(len(row) - 1 for row in seen if row) == sorted(lengths)
        assert all(row == [*range(1, len(row)), 0] for row in seen if row)


def test_batches_come_in_another_order_each_epoch(tmp_path: Path) -> None:
    corpus = read(tmp_path)
    streams = open_streams(corpus.text, Shape(2, 5), seed=1)
    epochs = [
        [streams.read(Position(epoch, n))[1].tolist() for n in range(streams.windows_per_epoch)]
        for epoch in (0, 1, 0)
    ]
    assert epochs[0] == epochs[2] != epochs[1]


@pytest.mark.parametrize("arrangement", ["gru", "lstm", "pyramid of lstm"])
def test_a_batchs_gradient_is_the_sum_of_its_records(tmp_path: Path, arrangement: str) -> None:
    corpus = read(tmp_path)
    config = configure(arrangement, hidden=6, embedding=4)
    model = build_model(config, len(corpus.alphabet), 1).double()

    def gradient(batch: int) -> list[torch.Tensor]:
        streams = open_streams(corpus.text, Shape(batch, 32), seed=1)
        model.zero_grad()
        for number in range(streams.windows_per_epoch):
            inputs, targets = map(torch.from_numpy, streams.read(Position(0, number)))
            states = tuple(
                tuple(tensor.double() for tensor in state) for state in model.initial_states(batch)
            )
            logits, _ = model(inputs, states)
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), reduction="sum"
            )
            torch.autograd.backward(loss)
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    for together, alone in zip(gradient(12), gradient(1), strict=True):
        torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12)


def test_a_records_score_does_not_depend_on_its_neighbors(tmp_path: Path) -> None:
    corpus = read(tmp_path)
    end = corpus.alphabet.characters.index(RECORD_END)
    backend = backend_for(corpus, "lstm")
    alone = 0.0
    for name in NAMES:
        ids = corpus.alphabet.encode(f"\x1e{name}\x1e")
        ((nats, characters),) = score_records(backend, RecordText(ids, end))
        assert characters == len(name) + 1
        alone += nats
    ((together, characters),) = score_records(backend, RecordText(corpus.ids, end))
    assert characters == len(corpus) - 1
    assert together == pytest.approx(alone, rel=1e-6)


def test_many_records_are_scored_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = read(tmp_path)
    end = corpus.alphabet.characters.index(RECORD_END)
    backend = backend_for(corpus, "gru")
    ((whole, _),) = score_records(backend, RecordText(corpus.ids, end))
    monkeypatch.setattr("charrnn.evaluation.scorer._CHARACTERS_AT_ONCE", 7)
    parts = list(score_records(backend, RecordText(corpus.ids, end)))
    assert len(parts) > 5
    assert sum(characters for _, characters in parts) == len(corpus) - 1
    assert sum(nats for nats, _ in parts) == pytest.approx(whole, rel=1e-6)


class _Counting(TorchBackend):
    """Notes the most ids that it is given at once."""

    most = 0

    def score(self, ids, targets, states):  # type: ignore[no-untyped-def]
        self.most = max(self.most, ids.size)
        return super().score(ids, targets, states)


def test_a_long_record_is_scored_in_bounded_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = read(tmp_path, names=["Ada", "Bo" * 500, "Eve", "Fay" * 300])
    assert isinstance(corpus.text, RecordText)
    config = configure("lstm", hidden=6, embedding=4)
    backend = _Counting(build_model(config, len(corpus.alphabet), 1))
    ((whole, _),) = score_records(backend, corpus.text)
    at_once = measure_surprisal(backend, corpus.text)
    assert backend.most > 1000
    monkeypatch.setattr("charrnn.evaluation.scorer._CHARACTERS_AT_ONCE", 50)
    monkeypatch.setattr("charrnn.evaluation.scorer._POSITIONS_AT_ONCE", 50)
    backend.most = 0
    parts = list(score_records(backend, corpus.text))
    assert sum(nats for nats, _ in parts) == pytest.approx(whole, rel=1e-6)
    np.testing.assert_allclose(measure_surprisal(backend, corpus.text), at_once, rtol=1e-4)
    assert backend.most <= 51


@pytest.mark.parametrize("steps", [1, 4, 5, 11])
def test_a_run_on_records_goes_on_to_identical_weights(tmp_path: Path, steps: int) -> None:
    corpus = read(tmp_path)
    asked = request(batch=3, window=4, steps=17, dropout=0.2)
    whole = begin(asked, corpus, "names")
    list(whole.trainer.fit())
    broken = begin(asked, corpus, "names")
    train_until(broken.trainer, after_steps(steps))
    again = put_down_and_take_up(broken, tmp_path / "last.safetensors", corpus)
    list(again.trainer.fit())
    assert_identical(tensors_of(again), tensors_of(whole))
    assert again.corpus.records == LINE


def test_the_training_loss_is_the_mean_over_what_is_no_padding(tmp_path: Path) -> None:
    corpus = read(tmp_path)
    session = begin(request(batch=5, window=4, epochs=1, evaluations=1, valid=0.0), corpus, "names")
    trainer = session.trainer
    found: list[tuple[float, int]] = []
    learn = trainer.train_state.learn

    def noting(window, **settings):  # type: ignore[no-untyped-def]
        nats, norm = learn(window, **settings)
        found.append((nats, int((window[1] != NO_TARGET).sum())))
        return nats, norm

    trainer.train_state.learn = noting  # type: ignore[method-assign]
    *_, evaluation, _ = trainer.fit()
    characters = sum(count for _, count in found)
    assert characters == len(corpus) - 1
    assert len({count for _, count in found}) > 1
    expected = sum(nats * count for nats, count in found) / characters
    assert evaluation.train_nats_per_char == pytest.approx(expected)  # type: ignore[union-attr]


def test_normalizing_over_a_batch_is_refused(tmp_path: Path) -> None:
    asked = request()
    asked = replace(asked, model=replace(asked.model, norm="batch"))
    with pytest.raises(UsageError, match=r"^norm is batch"):
        begin(asked, read(tmp_path), "names")
