"""Draw samples from a loaded model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from charrnn.checkpoints.model_file import ModelFile
from charrnn.config.inference import SampleConfig, UseConfig
from charrnn.data.alphabet import RECORD_END
from charrnn.inference.record_sampling import open_record, until_end
from charrnn.inference.sampling import in_order

if TYPE_CHECKING:
    from charrnn.data.alphabet import Ids
    from charrnn.inference.sampling import Piece


def draw(
    model: ModelFile, config: SampleConfig, use: UseConfig, device: str, prime: Ids, seed: int
) -> Iterator[Piece]:
    """Draw through the native network where it serves, else through torch."""
    from charrnn.inference.select_backend import network_to_sample
    from charrnn.kernels.network import Network, all_threads

    network = network_to_sample(model, device=device, use=use)
    if isinstance(network, Network):
        from charrnn.inference.sampling import sample as sample_natively

        threads = use.threads or (1 if config.count == 1 else all_threads())
        return sample_natively(network, model.alphabet, config, prime, seed, threads)
    from charrnn.inference.torch_backend import sample as sample_through_torch

    return sample_through_torch(network, model.alphabet, config, prime, seed)


def draw_records(model: ModelFile, config: SampleConfig, seed: int) -> str:
    """Records until they hold ``config.length`` characters, as a text of records has them."""
    opened = open_record(model.alphabet, model.alphabet.encode(""))
    wanted = until_end(replace(config, count=config.length))
    text = RECORD_END
    for piece in in_order(draw(model, wanted, UseConfig(), "cpu", opened, seed)):
        text += piece.symbols + (RECORD_END if piece.last else "")
        if len(text) > config.length and piece.last:
            break
    return text
