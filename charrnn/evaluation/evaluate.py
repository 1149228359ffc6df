"""A text's scores under a model, with a bar on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from charrnn.checkpoints.model_file import ModelFile
from charrnn.cli.progress import bar
from charrnn.config.inference import UseConfig
from charrnn.data.alphabet import Ids
from charrnn.data.encoded_text import EncodedText, RecordText
from charrnn.evaluation import scorer
from charrnn.evaluation.metrics import Score, Tally
from charrnn.evaluation.scorer import score_records
from charrnn.inference.select_backend import native_network, reader, torch_network
from charrnn.kernels.network import Network, all_threads

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.models.char_model import CharModel


@dataclass(frozen=True)
class Scoring:
    """A model and the text that it scores, in one way and another.

    Attributes:
        model: what was read.
        text: the text.
        use: weights and threads.
        device: as the user named it.
    """

    model: ModelFile
    text: EncodedText
    use: UseConfig
    device: str

    def carried(self) -> Score:
        """The state carried from the first character to the last; of records, within each."""
        if isinstance(self.text, RecordText):
            return self._records(self.text)
        native = self._native
        if native is not None:
            return self._add_up("scoring", scorer.score(native, self.text.ids, self._threads))
        from charrnn.evaluation.torch_scorer import score

        return self._through_torch("scoring", score)

    def reset(self, window: int) -> Score:
        """The state forgotten after every so many characters."""
        native = self._native
        if native is not None:
            parts = scorer.score_windows(native, self.text.ids, window, self._threads)
            return self._add_up("forgetting", parts)
        from charrnn.evaluation.torch_scorer import score_windows

        return self._through_torch("forgetting", partial(score_windows, window=window))

    def dynamic(self) -> Score:
        """The weights following the text; through torch in any case."""
        from charrnn.evaluation.dynamic import score_dynamically

        return self._through_torch("following", score_dynamically)

    def _records(self, text: RecordText) -> Score:
        network = reader(
            self.model,
            device=self.device,
            threads=self.use.threads,
            weights=exact_unless_asked(self.use),
        )
        return self._add_up("scoring", score_records(network, text.ids, text.end))

    @property
    def _threads(self) -> int:
        return self.use.threads or all_threads()

    @cached_property
    def _native(self) -> Network | None:
        return native_network(self.model, device=self.device, weights=exact_unless_asked(self.use))

    def _through_torch(
        self, title: str, score: Callable[[CharModel, Ids], Iterable[Tensor]]
    ) -> Score:
        network = torch_network(
            self.model,
            device=self.device,
            threads=self.use.threads,
            weights=exact_unless_asked(self.use),
        )
        parts = ((float(nats.sum()), nats.numel()) for nats in score(network, self.text.ids))
        return self._add_up(title, parts)

    def _add_up(self, title: str, parts: Iterable[tuple[float, int]]) -> Score:
        """The sum of some parts: their nats, and of how many characters each is."""
        opened = self.text.unscored > 0
        tally = Tally(self.text.scored, len(self.model.alphabet), opened=opened)
        with bar(title, len(self.text), "char") as progress:
            for nats, characters in parts:
                tally.add(nats, characters)
                progress.update(tally.characters - progress.n)
        return tally.score(self.model.alphabet)


def exact_unless_asked(use: UseConfig) -> str:
    """The weights to score with: float32 where nothing is said."""
    return "fp32" if use.weights == "auto" else use.weights
