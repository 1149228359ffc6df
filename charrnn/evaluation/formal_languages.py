"""Formal languages: the sizes for which a model predicts all that can be predicted.

Each sequence is read the way a text to learn from is: a few short ones come first, so that the
model stands between two sequences when it begins. A size is solved if, in every sequence that it is
tried with, the likeliest character is the right one wherever one is predictable.

Source: Joulin & Mikolov 2015 (arXiv 1503.01007), who report the per cent of n solved up to 60.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.data.alphabet import Alphabet, name_of
from charrnn.data.formal_languages import Language, generate
from charrnn.errors import NOT_FINITE, CheckpointError, UnknownCharacterError
from charrnn.models.cells.base import count_numbers, select_states
from charrnn.models.char_model import CharModel

MOST_SIZE = 60
"""The largest size that a model is tried with, as in the paper."""

DRAWS = 200
"""Sequences drawn for a size, as many as the paper's own program does; each is tried once."""

_LEAD_IN_CHARACTERS = 50
_LEAD_IN_SIZE = 5
_LOGITS_AT_ONCE = 1 << 22
_STATES_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class FormalScore:
    """How far a model has found a language's rule.

    Attributes:
        solved: sizes of which everything predictable was predicted, ascending.
        unsolved: the other sizes, ascending.
        sequences: how many were tried, of all sizes together.
        characters: theirs.
        nats: the cost of those characters.
        predictable_characters: those that follow from what came before, next sequences' first
            characters included.
        predictable_nats: the cost of the predictable ones.
    """

    solved: tuple[int, ...]
    unsolved: tuple[int, ...]
    sequences: int
    characters: int
    nats: float
    predictable_characters: int
    predictable_nats: float

    @property
    def per_cent_solved(self) -> float:
        """The share of sizes that are solved, in per cent."""
        return 100 * len(self.solved) / (len(self.solved) + len(self.unsolved))

    @property
    def first_unsolved(self) -> int | None:
        """The smallest size that is not solved, if there is one."""
        return min(self.unsolved, default=None)

    @property
    def nats_per_char(self) -> float:
        """The mean over all characters of the sequences."""
        return self.nats / self.characters

    @property
    def nats_per_predictable_char(self) -> float:
        """The mean over what is predictable: 0 for a model that is certain of the rule."""
        return self.predictable_nats / self.predictable_characters


@dataclass(frozen=True)
class _Trials:
    """Sequences side by side; T is the longest one's length and one more, B their number.

    Attributes:
        sizes: of each sequence, (B,).
        ids: each sequence and the next one's first character, then padding, int64, (T, B).
        inside: where the sequences themselves stand, bool, (T, B).
        predictable: where the predictable characters stand, bool, (T, B).
    """

    sizes: NDArray[np.int64]
    ids: Tensor
    inside: Tensor
    predictable: Tensor


def cases(language: Language, size: int) -> list[str]:
    """The sequences that stand for a size: DRAWS drawn ones, each once, the same every time."""
    rng = Random(size)  # noqa: S311 - nothing here is a secret
    return list(dict.fromkeys(language.sequence(size, rng) for _ in range(DRAWS)))


def solve(
    model: CharModel, alphabet: Alphabet, language: Language, most_size: int = MOST_SIZE
) -> FormalScore:
    """Try a model with every size from the language's least to ``most_size``.

    Args:
        model: on any device, in any floating type.
        alphabet: the model's.
        language: what it is tried with.
        most_size: at least the language's least size.

    Raises:
        UnknownCharacterError: the model does not know one of the language's characters.
        CheckpointError: the model's predictions are not finite.
    """
    _check_known(alphabet, language)
    trials = _prepare(alphabet, language, most_size)
    lead_in = generate(language, _LEAD_IN_CHARACTERS, most_size=_LEAD_IN_SIZE)
    likeliest, nats = _predict(model, trials.ids, _encode(alphabet, lead_in))
    total = float(nats[trials.inside].sum())
    predictable_total = float(nats[trials.predictable].sum())
    if not math.isfinite(total + predictable_total):
        raise CheckpointError(NOT_FINITE)
    wrong = ((likeliest != trials.ids) & trials.predictable).any(0).numpy()
    unsolved = sorted({int(size) for size in trials.sizes[wrong]})
    return FormalScore(
        solved=tuple(sorted({int(size) for size in trials.sizes}.difference(unsolved))),
        unsolved=tuple(unsolved),
        sequences=len(trials.sizes),
        characters=int(trials.inside.sum()),
        nats=total,
        predictable_characters=int(trials.predictable.sum()),
        predictable_nats=predictable_total,
    )


def _check_known(alphabet: Alphabet, language: Language) -> None:
    unknown = [c for c in language.characters if c not in alphabet.characters]
    if unknown:
        raise UnknownCharacterError(
            f"{name_of(unknown[0])} belongs to {language.name} and is not among the "
            f"{len(alphabet)} characters the model knows.\n"
            f"Name a model that has learnt the language: charrnn train {language.name}"
        )


def _encode(alphabet: Alphabet, text: str) -> Tensor:
    """The ids of a text, int64, (N,)."""
    return torch.from_numpy(alphabet.encode(text).astype(np.int64))


def _prepare(alphabet: Alphabet, language: Language, most_size: int) -> _Trials:
    sized = [
        (size, sequence)
        for size in range(language.least_size, most_size + 1)
        for sequence in cases(language, size)
    ]
    length = max(len(sequence) for _, sequence in sized) + 1
    ids = torch.zeros(length, len(sized), dtype=torch.int64)
    inside = torch.zeros(length, len(sized), dtype=torch.bool)
    predictable = torch.zeros_like(inside)
    for row, (_, sequence) in enumerate(sized):
        # Where the next sequence's first character is predictable, all begin alike.
        ids[: len(sequence) + 1, row] = _encode(alphabet, sequence + sequence[0])
        inside[: len(sequence), row] = True
        span = language.predictable(sequence)
        predictable[span.start : span.stop, row] = True
    return _Trials(np.array([size for size, _ in sized]), ids, inside, predictable)


def _predict(model: CharModel, ids: Tensor, lead_in: Tensor) -> tuple[Tensor, Tensor]:
    """What :func:`_predict_rows` finds, for as many texts at once as memory is meant for."""
    size = count_numbers(model.initial_states(1))
    rows = max(_STATES_AT_ONCE // max(size, 1), 1)
    parts = [_predict_rows(model, some, lead_in) for some in torch.split(ids, rows, dim=1)]
    likeliest, nats = zip(*parts, strict=True)
    return torch.cat(likeliest, dim=1), torch.cat(nats, dim=1)


def _predict_rows(model: CharModel, ids: Tensor, lead_in: Tensor) -> tuple[Tensor, Tensor]:
    """What a model thinks of texts that each follow the same lead-in.

    Args:
        model: on any device.
        ids: the texts, int64, (T, B).
        lead_in: what is read before, int64, (N,), N > 1.

    Returns:
        The likeliest character at each place, int64, and the nats of the one that stands there,
        float64; both (T, B), on the CPU.
    """
    device = model.head.weight.device
    batch = ids.shape[1]
    read = torch.cat((lead_in[-1:, None].expand(1, batch), ids[:-1]))
    window = max(_LOGITS_AT_ONCE // (batch * model.head.out_features), 1)
    likeliest, nats = [], []
    with torch.inference_mode():
        _, states = model(lead_in[:-1, None].to(device), model.initial_states(1))
        states = select_states(states, torch.zeros(batch, dtype=torch.int64, device=device))
        for begin in range(0, len(ids), window):
            logits, states = model(read[begin : begin + window].to(device), states)
            likelihoods = logits.cpu().double().log_softmax(-1)
            likeliest.append(likelihoods.argmax(-1))
            targets = ids[begin : begin + window, :, None]
            nats.append(-likelihoods.gather(-1, targets)[..., 0])
    return torch.cat(likeliest), torch.cat(nats)
