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
from numpy.typing import NDArray

from charrnn.data.alphabet import Alphabet, Ids, format_character
from charrnn.data.formal_languages import Language, generate_text
from charrnn.errors import PredictionError, Remedy, UnknownCharacterError
from charrnn.inference.backend import Backend
from charrnn.kernels.network import Doubles

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
    """The sizes of a formal language that a model solves, and its scores.

    Attributes:
        solved: sizes of which everything predictable was predicted, ascending.
        unsolved: the other sizes, ascending.
        sequences: the number that were tried, of all sizes together.
        characters: the length of all those sequences.
        nats: the score of those characters.
        predictable_characters: those that follow from what came before, next sequences' first
            characters included.
        predictable_nats: the score of the predictable ones.
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
        ids: each sequence and the next one's first character, then padding, (T, B).
        inside: where the sequences themselves stand, (T, B).
        predictable: where the predictable characters stand, (T, B).
    """

    sizes: NDArray[np.int64]
    ids: NDArray[np.int64]
    inside: NDArray[np.bool_]
    predictable: NDArray[np.bool_]


def cases(language: Language, size: int) -> list[str]:
    """Draw DRAWS sequences of a size, the same every time, and return each once."""
    rng = Random(size)  # noqa: S311 - nothing here is a secret
    return list(dict.fromkeys(language.draw_sequence(size, rng) for _ in range(DRAWS)))


def solve(
    backend: Backend, alphabet: Alphabet, language: Language, most_size: int = MOST_SIZE
) -> FormalScore:
    """Try a model with every size from the language's least to ``most_size``.

    Args:
        backend: the model.
        alphabet: the model's.
        language: what it is tried with.
        most_size: at least the language's least size.

    Raises:
        UnknownCharacterError: the model does not know one of the language's characters.
        PredictionError: the model's predictions are not finite.
    """
    check_known(alphabet, language)
    trials = _prepare(alphabet, language, most_size)
    lead_in = generate_text(language, _LEAD_IN_CHARACTERS, most_size=_LEAD_IN_SIZE)
    likeliest, nats = _predict(backend, trials.ids, alphabet.encode(lead_in))
    total = float(nats[trials.inside].sum())
    predictable_total = float(nats[trials.predictable].sum())
    if not math.isfinite(total + predictable_total):
        raise PredictionError
    wrong = ((likeliest != trials.ids) & trials.predictable).any(0)
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


def check_known(alphabet: Alphabet, language: Language) -> None:
    """Raise UnknownCharacterError if the model does not know one of a language's characters."""
    unknown = [c for c in language.characters if c not in alphabet.characters]
    if unknown:
        raise UnknownCharacterError(
            f"{format_character(unknown[0])} belongs to {language.name} and is not among the "
            f"{len(alphabet)} characters the model knows",
            Remedy(
                "name a model that has learnt the language, or train one", "train", language.name
            ),
        )


def _prepare(alphabet: Alphabet, language: Language, most_size: int) -> _Trials:
    sized = [
        (size, sequence)
        for size in range(language.least_size, most_size + 1)
        for sequence in cases(language, size)
    ]
    length = max(len(sequence) for _, sequence in sized) + 1
    ids = np.zeros((length, len(sized)), np.int64)
    inside = np.zeros((length, len(sized)), np.bool_)
    predictable = np.zeros_like(inside)
    for row, (_, sequence) in enumerate(sized):
        # Where the next sequence's first character is predictable, all begin alike.
        ids[: len(sequence) + 1, row] = alphabet.encode(sequence + sequence[0])
        inside[: len(sequence), row] = True
        span = language.find_predictable(sequence)
        predictable[span.start : span.stop, row] = True
    return _Trials(np.array([size for size, _ in sized]), ids, inside, predictable)


def _predict(
    backend: Backend, ids: NDArray[np.int64], lead_in: Ids
) -> tuple[NDArray[np.int64], Doubles]:
    """Apply :func:`_predict_rows` to as many texts at once as memory allows."""
    rows = max(_STATES_AT_ONCE // max(backend.state_size, 1), 1)
    parts = [
        _predict_rows(backend, ids[:, begin : begin + rows], lead_in)
        for begin in range(0, ids.shape[1], rows)
    ]
    likeliest, nats = zip(*parts, strict=True)
    return np.concatenate(likeliest, axis=1), np.concatenate(nats, axis=1)


def _predict_rows(
    backend: Backend, ids: NDArray[np.int64], lead_in: Ids
) -> tuple[NDArray[np.int64], Doubles]:
    """Predict texts that each follow the same lead-in.

    Args:
        backend: the model.
        ids: the texts, (T, B).
        lead_in: ids that are read before, (N,), N > 1.

    Returns:
        The likeliest character at each place and the nats of the one that stands there; (T, B).
    """
    batch = ids.shape[1]
    read = np.concatenate((np.full((1, batch), lead_in[-1]), ids[:-1]))
    window = max(_LOGITS_AT_ONCE // (batch * backend.characters), 1)
    state = backend.read(lead_in[:-1, None], backend.initial_state(1))
    state = backend.select(state, np.zeros(batch, np.int64))
    likeliest, nats = np.empty_like(ids), np.empty(ids.shape)
    for begin in range(0, len(ids), window):
        block = slice(begin, begin + window)
        logits, state = backend.predict(read[block], state)
        likeliest[block] = logits.argmax(-1)
        nats[block] = _nats_of(ids[block], logits.astype(np.float64))
    return likeliest, nats


def _nats_of(ids: NDArray[np.int64], logits: Doubles) -> Doubles:
    """Nats (T, B) of ids (T, B) under logits (T, B, V)."""
    # Predictions that are not finite come out in the sum.
    with np.errstate(invalid="ignore", over="ignore"):
        logits -= logits.max(-1, keepdims=True)
        chosen = np.take_along_axis(logits, ids[..., None], -1)[..., 0]
        nats: Doubles = np.log(np.exp(logits).sum(-1)) - chosen
    return nats
