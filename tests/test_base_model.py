"""The books of the base model keep their words in every dress, and their authors stay apart."""

# ruff: noqa: RUF001

import random
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.base_model.books import (
    ALPHABET,
    HELD_OUT,
    Book,
    curl_quotes,
    dress,
    dress_books,
    order_books,
    read_books,
    set_dashes,
    spell,
)

TEXT = (
    "“I can’t,” said she—‘not yet.’ It was the year '48, or so they said in the long house by the "
    "river, where nobody had been for a year.\n\n\"Well -- well,\" said he. ('Quite.')\n"
)


def plain(text: str) -> list[str]:
    """The letters and digits of a text's words."""
    words = "".join(c if c.isalnum() else " " for c in text).split()
    return [word.lower() for word in words]


def test_every_dress_keeps_the_words_and_all_dresses_are_met() -> None:
    dressed = [dress(TEXT, random.Random(seed)) for seed in range(64)]
    assert all(plain(text) == plain(TEXT) for text in dressed)
    assert {"”" in text for text in dressed} == {True, False}
    assert {" -- " in text for text in dressed} == {True, False}
    assert {"—" in text for text in dressed} == {True, False}
    assert {max(map(len, text.split("\n"))) < 80 for text in dressed} == {True, False}
    for text in dressed:
        assert not ("”" in text and '"' in text)
        assert "“I can" in text or '"I can' in text
        assert "can’t" in text or "can't" in text
        assert "(‘Quite.’)" in text or "('Quite.')" in text


def test_paragraphs_stay_apart_when_they_are_wrapped() -> None:
    for seed in range(16):
        assert dress(TEXT, random.Random(seed)).count("\n\n") == 1


@pytest.mark.parametrize(
    ("plain_text", "curled"),
    [
        ('"But I--" he began.', "“But I--” he began."),
        ("\"'Hello,' said she.\"", "“‘Hello,’ said she.”"),
        (
            "give 'em a hand; 'tis the boys' way in '48.",
            "give ’em a hand; ’tis the boys’ way in ’48.",
        ),
        ('said he--"Come!"--and went', "said he--“Come!”--and went"),
        ("('Quite.') said", "(‘Quite.’) said"),
        ("“I can’t,” said she—‘not yet.’", "“I can’t,” said she—‘not yet.’"),
        ('"He said \'no\'" and "\'Twas," he', "“He said ‘no’” and “’Twas,” he"),
        ("one\n\"Two,\"\n'Three'", "one\n“Two,”\n‘Three’"),
    ],
)
def test_quotes_open_and_close_where_they_should(plain_text: str, curled: str) -> None:
    assert curl_quotes(plain_text) == curled


@pytest.mark.parametrize(
    ("text", "spaced"),
    [
        ('"But I--" he began.', '"But I --" he began.'),
        ('said he--"Come!"--and went', 'said he -- "Come!" -- and went'),
        ("verse.\n\n--Author.\n\n--Yes", "verse.\n\n-- Author.\n\n-- Yes"),
        ("Mr. —— of Bath", "Mr. -- of Bath"),
        ("half-way -- or less --, then", "half-way -- or less --, then"),
        ("-----\nend", "-----\nend"),
    ],
)
def test_dashes_keep_lines_and_quotations_apart(text: str, spaced: str) -> None:
    assert set_dashes(text, " -- ") == spaced
    assert set_dashes(text, "—").count("\n") == text.count("\n")


def test_rare_characters_are_written_in_others_or_left_out() -> None:
    assert spell("naïve café œuvre ﬁne Ā \u0391\u00ad") == "naïve café œuvre fine A "
    assert spell("3½ miles, 1914–18, to‑day\tÆsop straße") == (
        "3 1/2 miles, 1914-18, to-day Aesop strasse"
    )
    assert set(spell("".join(map(chr, range(0x3000))))) <= ALPHABET


def archive(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "books.tar"
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            data = text.encode()
            entry.size = len(data)
            tar.addfile(entry, BytesIO(data))
    return path


def test_books_are_read_without_their_headers(tmp_path: Path) -> None:
    found = read_books(
        archive(
            tmp_path,
            {
                "B. Writer - Two.txt": "Title: Two\r\n\r\n-------\r\n\r\nIt was - so.\r\n-\r\n",
                "A. Writer - One - More.txt": "No header.",
            },
        )
    )
    assert found == [
        Book("A. Writer", "One - More", "No header.\n"),
        Book("B. Writer", "Two", "It was - so.\n-\n"),
    ]


def test_whole_authors_are_held_out_and_the_order_is_that_of_the_seed() -> None:
    books = [Book(author, str(n), "x") for author in (*HELD_OUT, "A", "B") for n in range(9)]
    learnt, held_out = order_books(books, 1)
    assert {book.author for book in learnt} == {"A", "B"}
    assert {book.author for book in held_out} == set(HELD_OUT)
    assert order_books(books, 1) == (learnt, held_out)
    assert order_books(books, 2)[0] != learnt
    assert list(dress_books(learnt, 1)) == list(dress_books(learnt, 1))
