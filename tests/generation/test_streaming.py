"""Pieces, joined, are the text of all tokens decoded together and stripped; nothing is sent that was not certain."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import load_tiny
from workbench.generation.streaming import BROKEN, TextStream


def decode_bytes(ids: Sequence[int]) -> str:
    """A tokenizer of single bytes."""
    return bytes(ids).decode("utf-8", errors="replace")


def stream(ids: Sequence[int], *stop: str) -> tuple[list[str], TextStream]:
    found = TextStream(decode_bytes, stop=stop)
    return [*(found.push(number) for number in ids), found.finish()], found


@given(st.lists(st.integers(0, 255), max_size=40) | st.text(max_size=12).map(lambda text: list(text.encode())))
def test_pieces_are_the_text(ids: list[int]) -> None:
    pieces, found = stream(ids)
    assert "".join(pieces) == found.text == decode_bytes(ids).strip()


@given(st.text(alphabet="ab \n", max_size=24), st.lists(st.text(alphabet="ab \n", min_size=1, max_size=4), max_size=3))
def test_an_answer_ends_before_the_first_stop_text(text: str, stop: list[str]) -> None:
    pieces, found = stream(text.encode(), *stop)
    ends = [text.index(one) + len(one) for one in stop if one in text]  # where each is complete
    first = min(
        (text.index(one) for one in stop if one in text and text.index(one) + len(one) == min(ends)), default=None
    )
    assert "".join(pieces) == found.text == text[:first].strip()
    assert found.stopped == bool(ends)


def test_a_character_of_several_tokens_comes_whole() -> None:
    pieces, _ = stream("aé日😀b".encode())
    assert [piece for piece in pieces if piece] == ["a", "é", "日", "😀", "b"]
    assert BROKEN not in "".join(pieces)


def test_a_character_that_never_becomes_whole_is_told_at_the_end() -> None:
    pieces, _ = stream("a😀".encode()[:-1])
    assert [piece for piece in pieces if piece] == ["a", BROKEN]


def test_what_may_begin_a_stop_text_or_be_the_end_is_held_back() -> None:
    found = TextStream(decode_bytes, stop=("END",))
    assert [found.push(number) for number in b"  a E"] == ["", "", "a", "", ""]
    assert [found.push(number) for number in b"Nx "] == ["", " ENx", ""]
    assert [found.push(number) for number in b"ENDmore"] == [""] * 7
    assert (found.finish(), found.text, found.stopped) == ("", "a ENx", True)


def test_a_line_break_ends_an_answer_inside_a_token() -> None:
    words = {1: " teal", 2: " and", 3: ".\n\nNext"}
    found = TextStream(lambda ids: "".join(words[number] for number in ids))
    assert [found.push(1), found.push(2)] == ["teal", " and"]
    assert (found.finish(line_break=3), found.text) == (".", "teal and.")


def test_a_tokenizer_that_takes_back_does_not_take_back_what_was_sent() -> None:
    def byte_fallback(ids: Sequence[int]) -> str:  # one bad byte makes the whole run bad, as in SentencePiece
        try:
            return bytes(ids).decode()
        except UnicodeDecodeError:
            return BROKEN * len(ids)

    found = TextStream(byte_fallback)
    pieces = [*(found.push(number) for number in "éé".encode()[:-1]), found.finish()]
    assert "".join(pieces) == found.text == "é" + 2 * BROKEN


@pytest.mark.usefixtures("tiny_home")
def test_a_real_tokenizers_tokens() -> None:
    _, tokenizer = load_tiny()
    text = " Größe 4 µm – «日本» 😀, \u200bend \n"
    ids = tokenizer.encode(text)
    found = TextStream(tokenizer.decode)
    pieces = [*(found.push(number) for number in ids), found.finish()]
    assert "".join(pieces) == tokenizer.decode(ids).strip() == text.strip()
    assert BROKEN not in "".join(pieces)
