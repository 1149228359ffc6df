"""The nearest word to one that nobody knows."""

import pytest

from charrnn.display import did_you_mean, nearest


@pytest.mark.parametrize(("word", "found"), [("trian", "train"), ("evl", "eval"), ("zzz", None)])
def test_the_nearest_word_is_the_one_most_like_it_or_none(word: str, found: str | None) -> None:
    assert nearest(word, ["train", "eval", "sample"]) == found


def test_a_hint_ends_a_message_or_is_empty() -> None:
    assert did_you_mean("trian", ["train"]) == "; did you mean train?"
    assert did_you_mean("zzz", ["train"]) == ""
