"""What can go wrong for a user, and the exit code each kind leaves behind.

    CharrnnError            1   it did not work
    ├── UsageError          2   the options make no sense together or are out of range
    ├── CorpusError         3   the text cannot be read, or cannot be trained on
    │   └── UnknownCharacterError   it has a character that the model does not know
    ├── CheckpointError     4   the file is not a model that can be trusted
    ├── PredictionError     4   the model predicts values that are not finite
    ├── DivergedError       5   the loss or its gradient stopped being finite
    ├── RunDirectoryError   6   the run directory is in use, or already holds a run
    └── StorageError        7   the disk refused to keep what was written

Each message says what was given, what is allowed and what to do next, in one or two lines. A
programmer's mistake is a ``ValueError`` instead and is never caught.
"""

from __future__ import annotations


class CharrnnError(Exception):
    """A mistake or mishap that the user can do something about."""

    exit_code = 1


class UsageError(CharrnnError):
    """Options out of range or at odds with one another."""

    exit_code = 2


class CorpusError(CharrnnError):
    """A text that cannot be read, encoded or trained on."""

    exit_code = 3


class UnknownCharacterError(CorpusError):
    """A text with a character that the model's alphabet lacks."""


class CheckpointError(CharrnnError):
    """A file that is not a sound charrnn checkpoint."""

    exit_code = 4


class PredictionError(CharrnnError):
    """A model whose predictions are not finite: its weights are of no use."""

    exit_code = 4

    def __init__(self) -> None:
        super().__init__("the model predicts values that are not finite: its weights are of no use")


class DivergedError(CharrnnError):
    """A loss or gradient that is not finite."""

    exit_code = 5
    remedy_at_start = "Nothing was learnt before, so it began too large: try a smaller --init-gain."
    remedy = "Try a smaller --learning-rate, or a tighter bound on the gradient: --clip."


class RunDirectoryError(CharrnnError):
    """A run directory that another process uses, or that already holds a run."""

    exit_code = 6


class StorageError(CharrnnError):
    """A write, flush or rename that the operating system refused."""

    exit_code = 7
