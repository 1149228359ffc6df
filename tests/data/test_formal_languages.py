"""Formal languages: every sequence keeps its rule, and what is called predictable is."""

import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from random import Random

import pytest

from charrnn.data.formal_languages import (
    LANGUAGES,
    LARGEST_TRAINING_SIZE,
    Language,
    find_language,
    generate_text,
)
from charrnn.errors import UsageError

every_language = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)


def size_by_counts(text: str, letters: str, rule: Callable[..., bool]) -> int | None:
    counts = [text.count(letter) for letter in letters]
    in_order = re.fullmatch("".join(f"{letter}+" for letter in letters), text)
    return counts[0] if in_order and rule(*counts) else None


def size_of_sum_of_counts(text: str) -> int | None:
    found = re.fullmatch(r"(a+)(b+)(c+)", text)
    if not found or len(found[1]) + len(found[2]) != len(found[3]):
        return None
    return len(found[3])


def size_of_mirrored(text: str) -> int | None:
    found = re.fullmatch(r"([abc]+)#([abc]+)\n", text)
    return len(found[1]) if found and list(found[1]) == list(reversed(found[2])) else None


def size_of_sum(text: str) -> int | None:
    found = re.fullmatch(r"(0|1[01]*)\+(0|1[01]*)=(0|[01]*1)\.", text)
    if not found:
        return None
    first, second = int(found[1], 2), int(found[2], 2)
    total = sum(2**place for place, digit in enumerate(found[3]) if digit == "1")
    return len(found[1]) + len(found[2]) if first + second == total else None


# The rules told once more, by counting: the size of a sequence, or None for what is none.
RULES: dict[str, Callable[[str], int | None]] = {
    "anbn": lambda text: size_by_counts(text, "ab", lambda a, b: a == b),
    "anbncn": lambda text: size_by_counts(text, "abc", lambda a, b, c: a == b == c),
    "anbncndn": lambda text: size_by_counts(text, "abcd", lambda a, b, c, d: a == b == c == d),
    "anb2n": lambda text: size_by_counts(text, "ab", lambda a, b: 2 * a == b),
    "anbmcnm": size_of_sum_of_counts,
    "memory": size_of_mirrored,
    "addition": size_of_sum,
}

# How a text falls into sequences, by looks alone.
SEQUENCE = {
    "anbn": "a+b+",
    "anbncn": "a+b+c+",
    "anbncndn": "a+b+c+d+",
    "anb2n": "a+b+",
    "anbmcnm": "a+b+c+",
    "memory": "[^\n]+\n",
    "addition": r"[^.]+\.",
}


def all_sequences(name: str, most_size: int) -> Iterator[str]:
    """Every sequence of a language up to a size, listed without the language's help."""
    sizes = range(1, most_size + 1)
    if name == "memory":
        for size in sizes:
            for word in itertools.product("abc", repeat=size):
                yield "".join(word) + "#" + "".join(reversed(word)) + "\n"
    elif name == "addition":
        for first, second in itertools.product(range(2**most_size), repeat=2):
            if len(f"{first:b}{second:b}") <= most_size:
                yield f"{first:b}+{second:b}={''.join(reversed(f'{first + second:b}'))}."
    elif name == "anbmcnm":
        for first, second in itertools.product(sizes, sizes):
            if first + second <= most_size:
                yield "a" * first + "b" * second + "c" * first + "c" * second
    else:
        for size in sizes:
            double = 2 if name == "anb2n" else 1
            letters = {"anbncn": "abc", "anbncndn": "abcd"}.get(name, "ab")
            yield "a" * size + "".join(letter * (size * double) for letter in letters[1:])


@every_language
def test_every_sequence_keeps_the_rule_and_has_the_size_it_was_asked_for(
    language: Language,
) -> None:
    rng = Random(1)
    for size in range(language.least_size, 61):
        for _ in range(10):
            sequence = language.draw_sequence(size, rng)
            assert RULES[language.name](sequence) == size, sequence
            assert set(sequence) <= set(language.characters)


@every_language
def test_every_sequence_of_small_sizes_is_drawn(language: Language) -> None:
    rng, size = Random(2), language.least_size + 2
    expected = set(all_sequences(language.name, size))
    drawn = {
        language.draw_sequence(n, rng)
        for n in range(language.least_size, size + 1)
        for _ in range(400)
    }
    assert drawn == expected


@every_language
def test_a_size_below_the_least_is_a_mistake(language: Language) -> None:
    with pytest.raises(ValueError, match=f"begins with size {language.least_size}"):
        language.draw_sequence(language.least_size - 1, Random(0))
    with pytest.raises(ValueError, match=f"begins with size {language.least_size}"):
        generate_text(language, 10, most_size=language.least_size - 1)


@pytest.mark.slow
@every_language
def test_predictable_is_what_can_be_followed_by_one_character_only(language: Language) -> None:
    most = 6
    sequences = list(all_sequences(language.name, most))
    followers: dict[str, set[str]] = defaultdict(set)
    for sequence in sequences:
        for following in sequences:
            text = sequence + following[0]
            for place in range(1, len(text)):
                followers[text[:place]].add(text[place])
    for sequence in sequences:
        if RULES[language.name](sequence) == most:
            # Whatever is of the largest size looks certain to end.
            continue
        certain = {
            place
            for place in range(1, len(sequence) + 1)
            if len(followers[sequence[:place]]) == 1
            # Nothing but + and = can follow a 0 that begins a number; that is spelling, not adding.
            and not re.fullmatch(r"(.*\+)?0", sequence[:place])
        }
        assert set(language.find_predictable(sequence)) == certain, sequence


@pytest.mark.parametrize(
    ("name", "sequence", "predicted"),
    [
        ("anbn", "ab", "a"),
        ("anbn", "aaabbb", "bba"),
        ("anbncn", "aabbcc", "bcca"),
        ("anbncndn", "aabbccdd", "bccdda"),
        ("anb2n", "aabbbb", "bbba"),
        ("anbmcnm", "aabccc", "cca"),
        ("memory", "abc#cba\n", "cba\n"),
        ("addition", "1011+10=1011.", "1011."),
    ],
)
def test_predictable_characters_by_example(name: str, sequence: str, predicted: str) -> None:
    text = sequence + sequence[0]
    assert "".join(text[place] for place in LANGUAGES[name].find_predictable(sequence)) == predicted


@every_language
def test_a_text_is_whole_sequences_of_all_sizes_that_are_learned(language: Language) -> None:
    text = generate_text(language, 50_000)
    sequences = re.findall(SEQUENCE[language.name], text)
    assert "".join(sequences) == text
    assert 50_000 <= len(text) < 50_000 + max(map(len, sequences))
    assert set(text) == set(language.characters)
    sizes = Counter(RULES[language.name](sequence) for sequence in sequences)
    assert set(sizes) == set(range(language.least_size, LARGEST_TRAINING_SIZE + 1))
    mean = len(sequences) / len(sizes)
    assert all(0.5 * mean < count < 1.5 * mean for count in sizes.values())


@every_language
def test_a_text_stays_below_a_size_and_changes_with_the_seed(language: Language) -> None:
    sequences = re.findall(SEQUENCE[language.name], generate_text(language, 2000, most_size=4))
    assert max(RULES[language.name](sequence) or 0 for sequence in sequences) == 4
    assert generate_text(language, 200, seed=5) == generate_text(language, 200, seed=5)
    assert generate_text(language, 200, seed=5) != generate_text(language, 200, seed=6)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("anbn", "d3de84cf67d894c9"),
        ("anbncn", "b8c80fdb317dda85"),
        ("anbncndn", "3d907f74f4f7fbac"),
        ("anb2n", "e94e739d9d786c5e"),
        ("anbmcnm", "da462fd2805a895b"),
        ("memory", "0ecd9204eff5f9d6"),
        ("addition", "579a116aa82d4ddc"),
    ],
)
def test_a_text_is_the_same_everywhere_and_for_ever(name: str, digest: str) -> None:
    # Runs that were begun with it are resumed and evaluated with it.
    text = generate_text(LANGUAGES[name], 300_000)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("name", "nearest"), [("anbm", "anbn"), ("abncn", "anbncn"), ("adition", "addition")]
)
def test_a_misspelled_language_suggests_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=rf"did you mean {nearest}\?"):
        find_language(name)


@pytest.mark.parametrize("name", ["", "klingon"])
def test_a_word_like_no_language_lists_them(name: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_language(name)
    assert "did you mean" not in str(raised.value)
    assert str(raised.value).endswith(f"Formal languages: {', '.join(LANGUAGES)}.")


@every_language
def test_a_language_is_found_by_its_name(language: Language) -> None:
    assert find_language(language.name) is language
