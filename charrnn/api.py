"""The calls of a program: load a model and use it, train a run and resume it.

The command line, the report and the server are clients of this file. Whatever needs torch imports
it when it is called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.checkpoints.model_file import ModelFile, read_model
from charrnn.checkpoints.run_index import find_model
from charrnn.training.auto_config import complete_settings
from charrnn.training.progress import SAVE_EVERY, Evaluation, Observer, RunEvent, Started, Step

if TYPE_CHECKING:
    from charrnn.training.run import RunResult

Source = str | os.PathLike[str]
"""A file, a folder, the name of a corpus, or ``-`` for standard input."""


class Run:
    """A training run: a directory that holds a model and everything needed to go on.

    Attributes:
        path: the directory.
        result: the figures of the run when training in it ended, see ``training/run.py``.
    """

    def __init__(self, result: RunResult) -> None:
        self.path = result.path
        self.result = result

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def train(
    sources: Source | Sequence[Source],
    *,
    run: Source | None = None,
    encoding: str | None = "utf-8",
    records: str | None = None,
    base: Source | None = None,
    overwrite: bool = False,
    save_every: float = SAVE_EVERY,
    on_event: Callable[[RunEvent], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    **settings: Any,
) -> Run:
    """Train a model on text; imports torch.

    Settings that are not named are chosen from the size of the text, the time and the speed of the
    machine, as ``charrnn train`` does.

    Args:
        sources: one text or several, read one after another.
        run: the run's directory; None is ``runs/NAME`` in the current folder.
        encoding: how bytes spell characters; None takes every byte as a symbol.
        records: ``line``, ``paragraph`` or the string that parts the text into independent
            records; None if it is one text.
        base: a run, its name, or a model file to fine-tune; None draws the weights.
        overwrite: whether a run that is there is replaced.
        save_every: seconds between saves, evaluations apart.
        on_event: is called with every event of the run, see ``charrnn.training.progress``; None
            shows a progress bar in a notebook, and nothing elsewhere.
        should_stop: is asked after every step; once true, the run is saved and ends.
        settings: fields of ModelConfig, TrainConfig and ComputeConfig, such as ``minutes=3``,
            ``hidden=256``, ``cell="gru"``.

    Returns:
        The run, with its :attr:`Run.result`.

    Raises:
        CorpusError: the text cannot be read, or not be trained on.
        UsageError: a setting outside its bounds, or settings that contradict each other.
        RunDirectoryError: a run is there already, or another process trains there.
        StorageError: the disk refused.
        DivergedError: the loss or the gradient is not finite.
        ValueError: a name that is no setting's.
    """
    texts = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    origin = None if base is None else _read(base)
    complete = complete_settings(settings, origin[1].model if origin else None)
    from charrnn.training.run import train_run

    with _observing(on_event, should_stop) as observer:
        result = train_run(
            [os.fspath(text) for text in texts],
            None if run is None else Path(run),
            complete,
            encoding=encoding,
            records=records,
            overwrite=overwrite,
            origin=origin,
            observer=observer,
            save_every=save_every,
        )
    return Run(result)


def resume(
    run: Source | None = None,
    *,
    texts: Sequence[Source] = (),
    device: str | None = None,
    threads: int | None = None,
    save_every: float = SAVE_EVERY,
    on_event: Callable[[RunEvent], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Run:
    """Go on with a run; it ends as it would have without the interruption. Imports torch.

    Args:
        run: its directory, its name, or the corpus that it was trained on; None is the latest.
        texts: where its texts are now, if they were moved.
        device: another device than before; None is the same.
        threads: another number than before; None is the same.
        save_every: seconds between saves, evaluations apart.
        on_event: see :func:`train`.
        should_stop: see :func:`train`.

    Raises:
        CheckpointError: there is no run to go on with, or it is not sound.
        CorpusError: its text is gone or has changed.
        RunDirectoryError: another process trains there.
        StorageError: the disk refused.
        DivergedError: the loss or the gradient is not finite.
    """
    from charrnn.training.run import find_run_to_resume, resume_run

    path = run if isinstance(run, Path) else find_run_to_resume(_text(run))
    with _observing(on_event, should_stop) as observer:
        result = resume_run(
            path,
            sources=[os.fspath(text) for text in texts],
            device=device,
            threads=threads,
            observer=observer,
            save_every=save_every,
        )
    return Run(result)


def _text(source: Source | None) -> str | None:
    return None if source is None else os.fspath(source)


def _read(model: Source | None) -> tuple[Path, ModelFile]:
    path = find_model(_text(model))
    return path, read_model(path)


@contextmanager
def _observing(
    on_event: Callable[[RunEvent], None] | None, should_stop: Callable[[], bool] | None
) -> Iterator[Observer]:
    """Make the observer of a run; in a notebook one that shows a bar, if none is given."""
    if on_event is None and "ipykernel" in sys.modules:
        with closing(_NotebookBar()) as bar:
            yield Observer(bar.show, should_stop)
    else:
        yield Observer(on_event, should_stop)


class _NotebookBar:
    """Shows a run in a notebook: a bar with the losses."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        self._bar: Any = tqdm(unit="step")

    def show(self, event: RunEvent) -> None:
        match event:
            case Started():
                self._bar.set_description_str(event.corpus)
            case Step():
                self._bar.total = event.total
                self._bar.set_postfix({"loss": f"{event.nats_per_char:.3f}"}, refresh=False)
                self._bar.update(event.step - self._bar.n)
            case Evaluation(valid_nats_per_char=float(nats)):
                self._bar.write(f"step {event.step:,}: held-out loss {nats:.3f}")

    def close(self) -> None:
        self._bar.close()
