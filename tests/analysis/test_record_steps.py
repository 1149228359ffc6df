"""Records read side by side, against each read alone."""

import numpy as np
import pytest
import torch

from charrnn.analysis import activations
from charrnn.analysis.activations import read_records
from charrnn.data.encoded_text import RecordText
from charrnn.inference.torch_backend import TorchBackend
from tests.support.arrangements import KINDS
from tests.support.networks import make_model

END = 10
RECORDS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 0, 1], [2, 3], [4, 5, 6, 7], [8]]
TEXT = np.array([END, *(one for record in RECORDS for one in (*record, END)), 1, 2], np.uint8)
"""The last record is cut."""


@pytest.mark.slow
@pytest.mark.parametrize("arrangement", KINDS)
def test_each_record_is_read_from_a_fresh_state_and_each_character_once(
    arrangement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most_rows in (1, 4, 256):
        monkeypatch.setattr(activations, "_MOST_ROWS", most_rows)
        model = make_model(arrangement)
        found = {
            int(place): [part[row] for part in states[-1]]
            for places, states in read_records(TorchBackend(model), RecordText(TEXT, END))
            for row, place in enumerate(places)
        }
        assert sorted(found) == list(range(len(TEXT)))
        states = model.initial_states(1)
        for place, character in enumerate(TEXT.tolist()):
            if character == END:
                states = model.initial_states(1)
            with torch.inference_mode():
                _, states = model(torch.tensor([[character]]), states)
            for beside, alone in zip(found[place], states[-1], strict=True):
                torch.testing.assert_close(beside, alone[0], atol=1e-5, rtol=0)
