"""Draw samples from a loaded model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from charrnn.checkpoints.model_file import ModelFile
from charrnn.config.inference import SampleConfig, UseConfig
from charrnn.data.alphabet import RECORD_END, Ids
from charrnn.inference.record_sampling import open_record, until_end
from charrnn.inference.sampling import Piece, in_order, sample
from charrnn.inference.select_backend import load_backend


def draw(
    model: ModelFile, config: SampleConfig, use: UseConfig, device: str, prime: Ids, seed: int
) -> Iterator[Piece]:
    """Draw samples from a model; see :func:`sample`."""
    backend = load_backend(
        model, "sampling", device=device, threads=use.threads, weights=use.weights
    )
    return sample(backend, model.alphabet, config, prime, seed)


def draw_records(model: ModelFile, config: SampleConfig, seed: int) -> str:
    """Draw records until they hold ``config.length`` characters, joined as a text of records is."""
    opened = open_record(model.alphabet, model.alphabet.encode(""))
    wanted = until_end(replace(config, count=config.length))
    text = RECORD_END
    for piece in in_order(draw(model, wanted, UseConfig(), "cpu", opened, seed)):
        text += piece.symbols + (RECORD_END if piece.last else "")
        if len(text) > config.length and piece.last:
            break
    return text
