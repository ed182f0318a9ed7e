"""Base45 against RFC 9285's own examples, and its promise: one text, one reading."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.customs.codes.base45 import ALPHABET, decode, encode


@pytest.mark.parametrize(
    ("plain", "text"),
    [
        (b"AB", "BB8"),
        (b"Hello!!", "%69 VD92EX0"),
        (b"base-45", "UJCLQE7W581"),
        (b"ietf!", "QED8WEX0"),
        (b"", ""),
    ],
)
def test_the_examples_of_the_rfc(plain, text) -> None:
    assert encode(plain) == text
    assert decode(text) == plain


def test_the_alphabet_is_that_of_table_1() -> None:
    assert [ALPHABET[i] for i in (0, 9, 10, 35, 36, 37, 44)] == ["0", "9", "A", "Z", " ", "$", ":"]
    assert len(set(ALPHABET)) == 45


@pytest.mark.parametrize("text", ["A", "BB8A", "GGW", ":::", "::", "aB8", "BB8é", "BB_"])
def test_what_is_no_base45(text) -> None:
    with pytest.raises(ValueError, match="character"):
        decode(text)


def test_the_highest_value_is_taken_and_the_next_refused() -> None:
    assert decode("FGW") == b"\xff\xff"  # RFC 9285, section 6
    assert decode("U5") == b"\xff"
    with pytest.raises(ValueError, match="stand for no 1 bytes"):
        decode("V5")


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_there_and_back(data) -> None:
    text = encode(data)
    assert decode(text) == data
    assert len(text) == len(data) // 2 * 3 + len(data) % 2 * 2
    assert not text.endswith(" ")


@given(st.text(ALPHABET, max_size=60))
@settings(deadline=None)
def test_a_text_has_no_second_spelling(text) -> None:
    try:
        data = decode(text)
    except ValueError:
        return
    assert encode(data) == text
