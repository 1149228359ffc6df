"""charrnn train, through the real program."""

import json
import math
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from charrnn.checkpoints.checkpoint import read_checkpoint, read_header
from charrnn.checkpoints.model_file import read_model
from tests.support import TEXTS
from tests.support.forked import forked
from tests.support.program import SMALL, explain, start

EVALUATION_KEYS = {
    "step",
    "epoch",
    "train_seconds",
    "train_nats_per_char",
    "valid_nats_per_char",
    "chars_per_second",
}


def test_a_run_leaves_last_best_log_and_the_pointer(trained: Path) -> None:
    run = trained / "runs" / "herons"
    assert (trained / "runs" / ".latest").read_text() == "herons\n"
    kind, header = read_header(run / "last.safetensors")
    assert (kind, header["progress"]["step"]) == ("training", 120)
    best = read_model(run / "best.safetensors")
    assert best.corpus.name == "herons"
    assert best.scores is not None
    evaluations = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert len(evaluations) == 10
    assert all(set(record) >= EVALUATION_KEYS for record in evaluations)
    assert min(e["valid_nats_per_char"] for e in evaluations) == best.scores.valid_nats_per_char


def test_the_shared_model_names_no_path_of_the_owner(trained: Path) -> None:
    data = (trained / "runs" / "herons" / "best.safetensors").read_bytes()
    assert str(trained).encode() not in data
    assert b"herons.txt" not in data


@pytest.mark.slow
def test_stdout_has_the_summary_and_stderr_the_progress(text_file: Path) -> None:
    result = forked("train", text_file, "--steps", "20", *SMALL, cwd=text_file.parent)
    assert result.returncode == 0, explain(result)
    out, err = result.stdout.decode(), result.stderr.decode()
    assert "nats" in out
    assert "bits per character" in out
    assert "runs/herons/best.safetensors" in out
    assert "charrnn sample runs/herons --temp 0.8" in out
    assert "step 20, epoch" in err
    assert "step" not in out.splitlines()[-1]


@pytest.mark.slow
def test_json_prints_one_object(text_file: Path) -> None:
    result = forked("train", text_file, "--steps", "5", "--json", *SMALL, cwd=text_file.parent)
    summary = json.loads(result.stdout)
    assert summary["steps"] == 5
    assert summary["valid_bits_per_char"] == pytest.approx(
        summary["valid_nats_per_char"] / math.log(2)
    )


@pytest.mark.slow
def test_samples_are_shown_at_each_evaluation_on_stderr(text_file: Path) -> None:
    arguments = ("--steps", "20", "--evaluations", "2", *SMALL)
    folder = text_file.parent
    plain = forked("train", text_file, *arguments, "--run", "a", cwd=folder)
    shown = forked("train", text_file, *arguments, "--show-samples", "--run", "b", cwd=folder)
    assert shown.stderr.count(b"--- drawn after ") == 2
    assert b"--- drawn" not in plain.stderr


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_every_cell_trains_samples_and_evaluates(text_file: Path, cell: str) -> None:
    folder = text_file.parent
    options = ("--cell", cell, "--dropout", "0.2", "--norm", "none", "--epochs", "1")
    for arguments in (
        ("train", text_file, *options, *SMALL),
        ("sample", "--length", "20"),
        ("eval",),
    ):
        result = forked(*arguments, cwd=folder)
        assert result.returncode == 0, explain(result)
        assert result.stdout


@pytest.mark.slow
def test_minutes_become_steps_that_a_resumed_run_keeps(text_file: Path) -> None:
    folder = text_file.parent
    result = forked("train", text_file, "--minutes", "0.02", *SMALL, cwd=folder)
    assert result.returncode == 0, explain(result)
    _, header = read_header(folder / "runs/herons/last.safetensors")
    assert header["progress"]["total"] == header["progress"]["step"]
    assert 0.5 < header["progress"]["seconds"] < 4


@pytest.mark.slow
def test_standard_input_trains_and_is_kept_for_resuming(tmp_path: Path, text: str) -> None:
    data = text.encode()
    result = forked("train", "-", "--steps", "5", *SMALL, cwd=tmp_path, stdin=data)
    assert result.returncode == 0, explain(result)
    (copy,) = (tmp_path / "runs/stdin").glob("corpus-*.txt")
    assert copy.read_bytes() == data
    assert forked("eval", cwd=tmp_path).returncode == 0
    assert forked("train", "--resume", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_a_named_pipe_trains_like_a_file(tmp_path: Path, text: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    result = forked("train", "pipe", "--steps", "5", *SMALL, cwd=tmp_path)
    writer.join()
    assert result.returncode == 0, explain(result)
    (copy,) = (tmp_path / "runs/pipe").glob("corpus-*.txt")
    assert copy.read_text() == text


@pytest.mark.slow
def test_a_folder_and_several_files_train_together(tmp_path: Path, text: str) -> None:
    (tmp_path / "poems").mkdir()
    for name in ("b.txt", "a.txt"):
        (tmp_path / "poems" / name).write_text(name * 50 + text)
    (tmp_path / "more.txt").write_text(text)
    arguments = ("poems", "more.txt", "--steps", "5", *SMALL)
    result = forked("train", *arguments, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    _, header = read_header(tmp_path / "runs/poems/last.safetensors")
    assert header["corpus"]["characters"] == 3 * len(text) + 2 * 50 * len("a.txt")


@pytest.mark.slow
def test_chinese_trains_samples_and_evaluates(tmp_path: Path) -> None:
    fables = TEXTS / "fables-zh.txt"
    result = forked("train", fables, "--steps", "30", *SMALL, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    drawn = forked("sample", "--length", "50", "--prime", "狐狸", "--seed", "1", cwd=tmp_path)
    assert len(drawn.stdout.decode()) == 50
    assert set(drawn.stdout.decode()) <= set(fables.read_text(encoding="utf-8"))
    scores = json.loads(forked("eval", "--json", cwd=tmp_path).stdout)
    assert scores["bits_per_byte"] < scores["bits_per_char"] / 2


@pytest.mark.slow
def test_bytes_train_sample_and_evaluate(tmp_path: Path) -> None:
    (tmp_path / "tool.bin").write_bytes(bytes(range(256)) * 20 + b"\xff\xfe\x00" * 500)
    result = forked("train", "tool.bin", "--bytes", "--steps", "30", *SMALL, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    drawn = forked("sample", "--length", "300", "--seed", "1", cwd=tmp_path)
    assert len(drawn.stdout) == 300
    scores = json.loads(forked("eval", "--json", cwd=tmp_path).stdout)
    assert scores["bits_per_byte"] == pytest.approx(scores["bits_per_char"])


@pytest.mark.slow
def test_another_encoding_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "latin.txt").write_bytes((text + "é").encode("latin-1"))
    refused = forked("train", "latin.txt", "--steps", "5", *SMALL, cwd=tmp_path)
    assert refused.returncode == 3
    assert b"--encoding" in refused.stderr
    assert not (tmp_path / "runs").exists()
    arguments = ("latin.txt", "--encoding", "latin-1", "--steps", "5", *SMALL)
    assert forked("train", *arguments, cwd=tmp_path).returncode == 0
    assert forked("eval", cwd=tmp_path).returncode == 0


def test_a_run_that_exists_is_refused_and_loses_nothing(trained: Path, tmp_path: Path) -> None:
    before = (trained / "runs/herons/last.safetensors").read_bytes()
    result = forked("train", "herons.txt", "--steps", "5", *SMALL, cwd=trained)
    assert result.returncode == 6
    for way_out in (b"--resume", b"--overwrite", b"--run"):
        assert way_out in result.stderr
    assert (trained / "runs/herons/last.safetensors").read_bytes() == before


@pytest.mark.slow
def test_overwrite_replaces_a_run(text_file: Path) -> None:
    folder = text_file.parent
    assert forked("train", text_file, "--steps", "5", *SMALL, cwd=folder).returncode == 0
    again = ("train", text_file, "--steps", "3", "--overwrite", *SMALL)
    assert forked(*again, cwd=folder).returncode == 0
    _, header = read_header(folder / "runs/herons/last.safetensors")
    assert header["progress"]["step"] == 3
    lines = (folder / "runs/herons/log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]


@pytest.mark.slow
def test_overwriting_with_a_text_that_cannot_be_read_loses_nothing(text_file: Path) -> None:
    folder = text_file.parent
    assert forked("train", text_file, "--steps", "5", *SMALL, cwd=folder).returncode == 0
    before = (folder / "runs/herons/best.safetensors").read_bytes()
    text_file.write_bytes(b"")
    result = forked("train", text_file, "--overwrite", *SMALL, cwd=folder)
    assert result.returncode == 3
    assert (folder / "runs/herons/best.safetensors").read_bytes() == before


@pytest.mark.slow
def test_resuming_a_finished_run_says_so_and_changes_nothing(text_file: Path) -> None:
    folder = text_file.parent
    assert forked("train", text_file, "--steps", "5", *SMALL, cwd=folder).returncode == 0
    before = read_checkpoint(folder / "runs/herons/last.safetensors")
    result = forked("train", "--resume", cwd=folder)
    assert result.returncode == 0, explain(result)
    assert b"complete" in result.stderr
    after = read_checkpoint(folder / "runs/herons/last.safetensors")
    assert after.header == before.header


@pytest.mark.slow
def test_resuming_refuses_other_settings_and_a_changed_text(text_file: Path) -> None:
    folder = text_file.parent
    assert forked("train", text_file, "--steps", "5", *SMALL, cwd=folder).returncode == 0
    other = forked("train", "--resume", "--hidden", "32", cwd=folder)
    assert (other.returncode, b"--hidden" in other.stderr) == (2, True)
    text_file.write_text("Something else entirely. " * 50)
    changed = forked("train", "--resume", cwd=folder)
    assert (changed.returncode, b"changed" in changed.stderr) == (3, True)


@pytest.mark.slow
def test_a_run_in_use_is_refused(text_file: Path) -> None:
    folder = text_file.parent
    first = start("train", text_file, "--minutes", "5", *SMALL, cwd=folder)
    try:
        last = folder / "runs/herons/last.safetensors"
        deadline = time.monotonic() + 60
        while not last.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for extra in ("--resume", "--overwrite"):
            second = forked(
                "train", text_file, extra, *(() if extra == "--resume" else SMALL), cwd=folder
            )
            assert second.returncode == 6, explain(second)
            assert b"in use" in second.stderr
    finally:
        first.kill()
        first.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_and_the_resumed_run_ends_like_an_uninterrupted_one(
    text_file: Path, number: signal.Signals, code: int
) -> None:
    folder = text_file.parent
    arguments = ("train", text_file, "--steps", "400", "--dropout", "0.1", "--threads", "1", *SMALL)
    assert forked(*arguments, "--run", "whole", cwd=folder).returncode == 0
    process = start(*arguments, "--run", "cut", "--save-every", "1000", cwd=folder)
    log = folder / "cut/log.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err.decode()
    assert b"charrnn train --resume cut" in err
    _, header = read_header(folder / "cut/last.safetensors")
    assert 40 <= header["progress"]["step"] < 400
    resumed = forked("train", "--resume", "--run", "cut", cwd=folder)
    assert resumed.returncode == 0, explain(resumed)
    whole = read_checkpoint(folder / "whole/last.safetensors").arrays
    cut = read_checkpoint(folder / "cut/last.safetensors").arrays
    assert whole.keys() == cut.keys()
    assert all((whole[name] == cut[name]).all() for name in whole)
    logged = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert logged == list(range(40, 401, 40))


@pytest.mark.slow
def test_a_diverging_run_keeps_its_last_good_checkpoint(text_file: Path) -> None:
    folder = text_file.parent
    arguments = ("--learning-rate", "10", "--clip", "0", "--norm", "none", "--cell", "rnn")
    # Without clipping and normalization, a rate this large takes the weights beyond float32.
    result = forked(
        "train",
        text_file,
        *arguments,
        "--weight-decay",
        "10",
        "--steps",
        "5000",
        *SMALL,
        cwd=folder,
    )
    assert result.returncode == 5, explain(result)
    assert b"diverged" in result.stderr
    assert b"last good checkpoint" in result.stderr
    assert read_checkpoint(folder / "runs/herons/last.safetensors").kind == "training"


@pytest.mark.slow
def test_a_run_that_goes_back_says_so_logs_it_and_gives_up_after_three(text_file: Path) -> None:
    folder = text_file.parent
    arguments = ("--learning-rate", "10", "--clip", "0", "--norm", "none", "--cell", "rnn")
    more = ("--weight-decay", "10", "--steps", "5000", "--on-divergence", "rollback")
    result = forked("train", text_file, *arguments, *more, *SMALL, cwd=folder)
    assert result.returncode == 5, explain(result)
    assert result.stderr.count(b"Back to step 0, the learning rate halved") == 3
    assert b"3 times did not help" in result.stderr
    lines = (folder / "runs/herons/log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [(r["event"], r["step"], r["halvings"]) for r in records] == [
        ("rollback", 0, number) for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"", 3, b"0 characters"),
        (b"x", 3, b"1 characters, all of them 'x'"),
        (b"a" * 5000, 3, b"5,000 characters, all of them 'a'"),
        (b"ab", 3, b"at least 2 are needed"),
        (b"a short text", 0, b"not of 4 in windows of 16"),
    ],
)
def test_small_texts_are_trained_on_sensibly_or_refused_with_the_numbers(
    tmp_path: Path, content: bytes, code: int, said: bytes
) -> None:
    (tmp_path / "small.txt").write_bytes(content)
    result = forked("train", "small.txt", "--steps", "3", *SMALL, cwd=tmp_path)
    assert result.returncode == code, explain(result)
    assert said in result.stderr


@pytest.mark.slow
def test_a_folder_that_holds_its_own_runs_can_be_resumed_and_evaluated(text_file: Path) -> None:
    folder = text_file.parent
    for arguments in (("train", ".", "--steps", "5", *SMALL), ("train", "--resume"), ("eval",)):
        result = forked(*arguments, cwd=folder)
        assert result.returncode == 0, explain(result)


@pytest.mark.slow
def test_progress_that_nobody_reads_stops_nothing(text_file: Path) -> None:
    folder = text_file.parent
    with start("train", text_file, "--steps", "50", *SMALL, cwd=folder) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(timeout=60) == 0
    _, header = read_header(folder / "runs/herons/last.safetensors")
    assert header["progress"]["step"] == 50


@pytest.mark.slow
def test_a_run_whose_text_has_moved_is_told_where_it_is(text_file: Path) -> None:
    folder = text_file.parent
    assert forked("train", text_file, "--steps", "5", *SMALL, cwd=folder).returncode == 0
    moved = text_file.rename(folder / "moved.txt")
    lost = forked("train", "--resume", cwd=folder)
    assert (lost.returncode, b"--resume runs/herons TEXT" in lost.stderr) == (3, True)
    for arguments in (("herons", moved), (moved, "--run", "runs/herons")):
        found = forked("train", "--resume", *arguments, cwd=folder)
        assert found.returncode == 0, explain(found)


@pytest.mark.slow
def test_a_text_of_the_same_name_does_not_hide_a_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "poems").mkdir()
    (tmp_path / "poems" / "one.txt").write_text(text)
    (tmp_path / "plain").write_text(text)
    for name in ("poems", "plain"):
        for arguments in (
            ("train", name, "--steps", "5", *SMALL),
            ("sample", name, "--length", "5"),
            ("eval", name, name),
        ):
            result = forked(*arguments, cwd=tmp_path)
            assert result.returncode == 0, explain(result)


def test_an_empty_pipe_is_called_what_it_is(tmp_path: Path) -> None:
    result = forked("train", "-", cwd=tmp_path, stdin=b"")
    assert result.returncode == 3
    assert b"standard input: 0 characters" in result.stderr


@pytest.mark.slow
def test_the_bundled_tales_train_from_anywhere(tmp_path: Path) -> None:
    result = forked("train", "tales", "--steps", "3", *SMALL, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    assert (tmp_path / "runs/tales/best.safetensors").is_file()
    assert forked("eval", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_where_the_text_of_a_complete_run_is_now_is_remembered(tmp_path: Path) -> None:
    text = tmp_path / "herons.txt"
    text.write_text("the heron stood in the ford and counted what went by; " * 30)
    trained = forked("train", text, *SMALL, "--steps", "3", "--run", "r", cwd=tmp_path)
    assert trained.returncode == 0, explain(trained)
    text.rename(tmp_path / "moved.txt")
    assert forked("eval", "r", cwd=tmp_path).returncode == 3
    told = forked("train", "--resume", "r", "moved.txt", cwd=tmp_path)
    assert told.returncode == 0, explain(told)
    assert forked("eval", "r", cwd=tmp_path).returncode == 0


def test_what_diverges_at_its_first_step_is_told_to_begin_smaller(tmp_path: Path) -> None:
    text = tmp_path / "herons.txt"
    text.write_text("the heron stood in the ford and counted what went by; " * 30)
    settings = ("--cell", "rnn", "--activation", "relu", "--init", "identity", "--init-gain", "100")
    result = forked("train", text, *SMALL, *settings, "--window", "64", cwd=tmp_path)
    assert result.returncode == 5, explain(result)
    said = result.stderr.decode()
    assert "--init-gain" in said
    assert "last good checkpoint" not in said
