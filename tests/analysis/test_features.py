"""Features of a text, and that only units that do follow one are found."""

import numpy as np
import pytest

from charrnn.analysis.features import LEAST, compute_features, find_followers
from charrnn.kernels.network import Doubles


@pytest.mark.parametrize(
    ("feature", "text", "values"),
    [
        ("position in line", "ab\nc\n\nd", [1, 2, 0, 1, 0, 0, 1]),
        ("after a newline", "ab\nc\n\nd", [0, 0, 1, 0, 1, 1, 0]),
        ("indentation", "a b\n  c \n\td\n\n ", [0, 0, 0, 0, 1, 2, 2, 2, 0, 1, 1, 0, 0, 1]),
        ("position in word", "ab, cde4", [1, 2, 0, 0, 1, 2, 3, 4]),
        ("inside a word", "ab, c", [1, 1, 0, 0, 1]),
        ("capital", "aB\u00c9.", [0, 1, 1, 0]),
        ("inside quotes", 'a"b"c', [0, 1, 1, 0, 0]),
        ("inside quotes", "a\u201cb\u201dc\u00abd\u00bb", [0, 1, 1, 0, 0, 1, 1, 0]),
        ("inside quotes", 'a"b\n\nc"d', [0, 1, 1, 1, 0, 0, 1, 1]),
        ("inside brackets", "a(b[c]d)e)", [0, 1, 1, 1, 1, 1, 1, 0, 0, 0]),
        ("inside brackets", "a)(b\n\nc", [0, 0, 1, 1, 1, 0, 0]),
        ("position in line", "\x1eab\x1ec\x1e", [0, 1, 2, 0, 1, 0]),
        ("after a newline", "\x1eab\x1ec\x1e", [1, 0, 0, 1, 0, 1]),
        ("inside quotes", '\x1ea"b\x1ec"d', [0, 0, 1, 1, 0, 0, 1, 1]),
        ("inside brackets", "\x1e(b\x1ec", [0, 1, 1, 0, 0]),
    ],
)
def test_features_of_a_text(feature: str, text: str, values: list[int]) -> None:
    assert compute_features(text)[feature].tolist() == values


def test_a_feature_depends_only_on_what_came_before() -> None:
    text = 'He said:\n  "Go (now)!"\n\nAb'
    whole = compute_features(text)
    for end in range(1, len(text)):
        for name, values in compute_features(text[:end]).items():
            assert values.tolist() == whole[name][:end].tolist()


def noise(length: int, units: int, seed: int, memory: float = 0.97) -> Doubles:
    """Slow curves that have nothing to do with anything, as those of a network's units are."""
    steps = np.random.default_rng(seed).normal(size=(length, units))
    for n in range(1, length):
        steps[n] += memory * steps[n - 1]
    return np.tanh(steps / 4)


def clauses(length: int, seed: int) -> Doubles:
    """A feature that is on and off for some dozen characters in turn."""
    generator = np.random.default_rng(seed)
    on = np.concatenate([np.full(generator.integers(10, 60), n % 2) for n in range(length // 10)])
    return on[:length].astype(float)


def test_the_units_that_follow_are_found_among_hundreds() -> None:
    feature = clauses(4000, 1)
    activations = noise(4000, 300, 2)
    activations[:, 17] = 0.8 * feature + 0.3 * noise(4000, 1, 3)[:, 0]
    activations[:, 203] = -0.6 * feature + 0.3 * noise(4000, 1, 4)[:, 0]
    found = find_followers(activations, {"clause": feature, "still": np.ones(4000)}, 3)
    assert [(one.unit, one.feature) for one in found] == [(17, "clause"), (203, "clause")]
    half = np.corrcoef(activations[2000:, 17], feature[2000:])[0, 1]
    assert found[0].correlation == pytest.approx(half)
    assert found[0].chosen_by == pytest.approx(
        np.corrcoef(activations[:2000, 17], feature[:2000])[0, 1]
    )
    assert found[1].correlation < -LEAST


@pytest.mark.slow
def test_chance_is_not_reported() -> None:
    """Of 300 units that follow nothing some agree with a feature well enough to be chosen."""
    chosen, reported = [], 0
    for seed in range(12):
        feature, activations = clauses(1200, seed), noise(1200, 300, seed + 100)
        chosen.append(np.corrcoef(activations[:600].T, feature[:600])[-1, :-1])
        reported += len(find_followers(activations, {"clause": feature}, 5))
    assert abs(np.array(chosen)).max(1).mean() > LEAST
    assert reported == 0


def test_a_faint_correlation_is_not_reported_however_certain() -> None:
    feature, activations = clauses(6000, 1), noise(6000, 3, 2)
    for share, reported in ((0.1, 0), (2.0, 1)):
        activations[:, 1] = share * feature + noise(6000, 1, 3, 0.0)[:, 0]
        correlation = np.corrcoef(activations[3000:, 1], feature[3000:])[0, 1]
        assert (correlation > LEAST) == reported
        assert len(find_followers(activations, {"clause": feature}, 1)) == reported


def test_a_unit_that_follows_in_the_first_half_only_is_not_reported() -> None:
    feature, activations = clauses(3000, 5), noise(3000, 20, 6)
    activations[:1500, 3] = feature[:1500]
    assert find_followers(activations, {"clause": feature}, 1) == []
    activations[1500:, 3] = 1 - feature[1500:]
    assert find_followers(activations, {"clause": feature}, 1) == []


@pytest.mark.slow
def test_slow_curves_that_happen_to_agree_do_not_pass() -> None:
    """In short texts slow curves often agree in both halves; moved round, most agree as well."""
    agreed = reported = 0
    for seed in range(60):
        curves, feature = noise(1000, 20, seed, 0.995), noise(1000, 1, seed + 500, 0.995)[:, 0]
        for unit in range(20):
            halves = [
                np.corrcoef(curves[half, unit], feature[half])[0, 1]
                for half in (slice(0, 500), slice(500, None))
            ]
            agreed += halves[0] * halves[1] > 0 and abs(halves[1]) >= LEAST
        reported += len(find_followers(curves, {"drift": feature}, 20))
    assert agreed > 200
    assert reported < agreed / 4


def test_units_that_never_change_follow_nothing() -> None:
    assert find_followers(np.full((2000, 4), 0.3), {"clause": clauses(2000, 1)}, 2) == []
