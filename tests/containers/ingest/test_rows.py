"""Lists of clips: quoted and bare fields, and whatever stands in a sentence, break no row but their own."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.rows import BadRow, Row, read_rows
from stagekit.errors import StageError

HEADER = "client_id\tpath\tsentence\n"


def read(text: str | bytes) -> list[Row | BadRow]:
    data = text if isinstance(text, bytes) else (HEADER + text).encode()
    return list(read_rows(io.BytesIO(data), "validated.tsv"))


def sentences(text: str) -> list[str]:
    return [r.values["sentence"] for r in read(text) if isinstance(r, Row)]


def test_a_field_quoted_as_a_whole_is_unquoted_and_a_bare_mark_is_speech() -> None:
    assert sentences('a\t1.mp3\t"He said ""no""."\n') == ['He said "no".']  # 6.1
    assert sentences('a\t1.mp3\t"Fidchell" seems likely.\n') == ['"Fidchell" seems likely.']  # 18.0
    assert sentences('a\t1.mp3\tShe was "Long Liz".\n') == ['She was "Long Liz".']


def test_a_mark_that_never_closes_swallows_no_row() -> None:
    assert sentences('a\t1.mp3\t"Abo twarahiranye\nb\t2.mp3\tnext\nc\t3.mp3\tlast\n') == ['"Abo twarahiranye', "next", "last"]


def test_tabs_and_line_breaks_inside_quotes_belong_to_the_row() -> None:
    assert sentences('a\t1.mp3\t"one\ttwo"\nb\t2.mp3\t"three\nfour"\nc\t3.mp3\tfive\n') == ["one\ttwo", "three\nfour", "five"]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_line(mark: str) -> None:
    assert sentences(f"a\t1.mp3\tone{mark}two\nb\t2.mp3\tthree\n") == [f"one{mark}two", "three"]


def test_a_line_that_is_no_row_says_which_and_why() -> None:
    bad = read("a\t1.mp3\nb\t2.mp3\tfine\nc\t3.mp3\ttoo\tmany\n")
    assert [type(r) for r in bad] == [BadRow, Row, BadRow]
    assert bad[0] == BadRow(2, "2 fields, the header has 3: a\t1.mp3")
    latin = read(HEADER.encode() + "a\t1.mp3\tcafé\n".encode("latin-1") + b"b\t2.mp3\tfine\n")
    assert isinstance(latin[0], BadRow) and "not UTF-8" in latin[0].detail and isinstance(latin[1], Row)


def test_a_line_without_end_is_not_kept_in_memory() -> None:
    huge = read("a\t1.mp3\t" + "x" * (3 << 20) + "\nb\t2.mp3\tfine\n")
    assert isinstance(huge[0], BadRow) and "bytes" in huge[0].detail and isinstance(huge[1], Row)


def test_a_list_without_a_header_is_refused() -> None:
    with pytest.raises(StageError, match="empty"):
        read(b"")
    with pytest.raises(StageError, match=r"twice: \['path'\]"):
        read(b"path\tpath\n")


def test_windows_line_ends_and_a_mark_at_the_start_are_no_content() -> None:
    assert [r.values for r in read(b"\xef\xbb\xbfpath\tsentence\r\n1.mp3\tHello.\r\n") if isinstance(r, Row)] == [
        {"path": "1.mp3", "sentence": "Hello."}
    ]


@given(st.lists(st.text(st.characters(blacklist_characters="\n\r\t", blacklist_categories=["Cs"]), min_size=1), max_size=8))
def test_any_sentences_without_tabs_come_back_one_a_row(texts: list[str]) -> None:
    found = read("".join(f"a\t{i}.mp3\t{t}\n" for i, t in enumerate(texts)))
    assert [r.values["path"] for r in found if isinstance(r, Row)] == [f"{i}.mp3" for i in range(len(texts))]
