"""What a run is going to save, foreseen: never too little, and not far too much."""

from pathlib import Path
from unittest import mock

import pytest

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_directory import RunDirectory, Sizes, estimate_sizes
from tests.robustness.here import PLANS, RESUME, RUN, charrnn
from tests.support.optimizers import OPTIMIZERS_HERE

CHOICES = [
    *(("--optimizer", name) for name in OPTIMIZERS_HERE),
    ("--cell", "gru", "--layers", "2", "--connect", "residual"),
    ("--cell", "stack"),
    ("--pyramid", "1", "--layers", "2"),
    ("--norm", "batch"),
]


@pytest.mark.slow
@pytest.mark.parametrize("choices", CHOICES, ids=" ".join)
def test_what_is_foreseen_at_the_first_step_and_at_the_last_suffices(
    tmp_path: Path, choices: tuple[str, ...]
) -> None:
    foreseen: list[Sizes] = []

    def note(run: RunDirectory, checkpoint: Checkpoint) -> None:
        foreseen.append(estimate_sizes(checkpoint))

    train = PLANS[0].train("--hidden", "64", *choices)
    with mock.patch.object(RunDirectory, "check_disk_space", note):
        for command in (train, RESUME):
            ended = charrnn(*command, folder=tmp_path, stdin=PLANS[0].text)
            assert not ended.code, ended.said
    assert len(foreseen) == 2
    for sizes in foreseen:
        for file, size in ((RUN.last, sizes.last), (RUN.best, sizes.best), (RUN.log, sizes.log)):
            taken = (tmp_path / file).stat().st_size
            assert taken <= size < 2 * taken + (1 << 16)
